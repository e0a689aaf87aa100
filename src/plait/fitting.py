"""plait.fit: declare, split, prepare, train, judge, report."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plait import drift, files
from plait.choosing import encoders_for, top_for
from plait.data import split as splits
from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.data.table import Table, read_table
from plait.division import draw_split, parts_text, sizes, thin_classes
from plait.errors import OutputError, PlaitError
from plait.evaluation import Evaluation, evaluate, missing_cells
from plait.learning import check as check_fixed
from plait.model import Model
from plait.objectives import OBJECTIVES, asked
from plait.pace import in_time, late
from plait.predictor import Predictor
from plait.preparation import Dataset, read_labels
from plait.presets import Choice, account, tell
from plait.progress import Progress
from plait.report import model_card, report_json, report_page
from plait.request import check_metric, read_schema, read_specs, split_options, taken, with_own_split
from plait.rivals import Rival, better
from plait.spec import Spec
from plait.training.checkpoint import Checkpoints
from plait.training.identity import Identity
from plait.training.lock import only_one
from plait.training.loop import INTERRUPTED
from plait.training.options import Options
from plait.training.parallel import Team, joined
from plait.training.signals import heeded
from plait.training.state import State
from plait.training.tracking import FOLDER as LOGS
from plait.training.tracking import Log
from plait.training.tracking import asked as asked_trackers
from plait.work import Work, begun, learned, prepared


def fit(
    table: Any,
    targets: str | Sequence[str],
    *,
    inputs: str | Sequence[str] | Mapping[str, str | None] | None = None,
    modalities: Mapping[str, str] | None = None,
    encoders: str | Mapping[str, Spec] | None = None,
    preset: str | None = None,
    fusion: Spec | None = None,
    learner: Spec | None = None,
    objective: Spec = "supervised",
    heads: Mapping[str, Spec] | None = None,
    split: str | Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    time_limit: float | None = None,
    max_bad: float = 0.05,
    base: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    allow_data_change: bool = False,
    log: Any = None,
    quiet: bool = False,
) -> Predictor:
    """Trains a multimodal model on a table and judges it on rows that were held out.

    table: a file (CSV, TSV, JSON lines, Parquet, Arrow), a folder for each class, a folder with metadata, a Hugging Face
        data set, a DataFrame, an Arrow table or a list of dicts (see data/table.py); paths in cells are taken from the
        table's folder, or from `base`.
    targets: the column or columns to predict. inputs: the columns to predict from; None takes every other column.
    modalities, encoders, heads: by column, to override what is inferred: {"note": "text"}, {"note": "text_recurrent"} or
        {"note": {"name": "text_recurrent", "cell": "lstm"}}. fusion: a name or such a dict. See `plait list`.
    preset: "fast": learners of fixed features, the best of them or several together, as the rows say that each has not learned
        from; "balanced", "best": and 40 or 300 trials of their hyperparameters and of fusions, "best" networks trained on,
        too (docs/choosing.md). "fast" is
        what is done where neither encoders, fusion, learner, heads, training nor epochs are given, the table has no more
        than 50,000 rows, and what its columns need is installed.
    encoders: also the name of weights, for a column, {"note": "all-MiniLM-L6-v2"} (see `plait weights list`); or one word for
        all columns, or with the key "*" for those not named: "pretrained", "classic", "scratch", or "auto" (the default),
        which takes pretrained ones where their weights are on this machine, and says where they are not; "all" as
        "auto", but several networks for text side by side where they are here.
    learner: takes the place of fusion and heads: "logistic", "ridge", "svm", "kernel", "knn", "trees", "mlp", or a dict with
        options. It needs encoders with nothing to train, learns in seconds, and takes missing cells like everything else.
    objective: how the losses of several targets are weighed: "supervised", "uncertainty", "gradnorm", or a dict with options.
    split: the name of a column that says train, valid or test (one called "split" is found by itself; {"column": ""}
        draws one all the same); or a dict of {"valid": 0.15, "test": 0.15, "stratify":
        True, "group": column, "time": column, "column": column}; with a column and a group, the group says which training
        rows a learner keeps together when it chooses its hyperparameters over folds.
    training: options of the loop (training/options.py). epochs: overrides its epochs. time_limit: seconds for all of it;
        of the encoders that plait chooses, cheaper ones are taken where the cells would not be encoded in time.
    max_bad: the largest share of a column's cells that may be unreadable; they count as missing.
    out: the folder to write: model, model card, report.html, report.json, splits. A fit that was killed or interrupted
        goes on from its last checkpoint when it is called again with the same arguments. None: nothing is written.
    allow_data_change: a fit that was killed goes on from its last checkpoint though the data have changed: with its
        weights and what it has learned of the data (vocabularies, scales, classes), on the rows as they are now.
    log: what each epoch is told to, offline, in `logs` in the folder: "jsonl", "tensorboard", "wandb", "mlflow", an object of
        accelerate.tracking.GeneralTracker, or a list of such.

    Started by torchrun in several processes, they train together, and all return the same (docs/parallel.md).

    Raises PlaitError, before anything is trained or written, when the table or an option cannot be used. When at the end
    the model cannot be written, the OutputError carries it: `error.model.save(elsewhere)`.
    """
    deadline = None if time_limit is None else time.monotonic() + time_limit
    if time_limit is not None and time_limit <= 0:
        raise PlaitError(f"time_limit is {time_limit:g} seconds; expected more than 0.")
    if not isinstance(seed, int) or seed < 0:
        raise PlaitError(f"seed is {seed!r}; expected a whole number from 0.")
    options, how, trackers = (
        Options.of(training or {}, epochs=epochs),
        split_options(split),
        asked_trackers(log, out=out),
    )
    folder = None if out is None else Path(out).expanduser()
    run = None if folder is None else folder.with_name(f"{folder.name}.run")  # checkpoints, until the model is written
    with joined() as team, team.by_first(only_one(folder)), heeded(together=team.several) as stop:
        progress = Progress(quiet=quiet or not team.first)
        overwrite = team.of_first(lambda: _reserved(folder, run, overwrite))
        source = read_table(table, base=base)
        how = with_own_split(source, how, targets, inputs)
        schema = read_schema(source, targets, inputs, modalities, how)
        said: dict[str, Any] = {"training": training, "epochs": epochs, "heads": heads, "log": log}
        said |= {"encoders": encoders if encoders != "auto" else None, "objective": asked(objective, learner)}
        fusion, learner = top_for(preset, fusion, learner, said, rows=len(source), kinds=schema.inputs.values())
        given, tops = encoders_for(preset, encoders), (fusion, heads or {}, learner)
        specs, choices = _specs(source, schema, given, tops, deadline, run, team, progress)
        check_metric(options.metric, specs["outputs"])
        progress.say("\n".join([f"{source.name}: {len(source)} rows", *source.notices, str(schema)]))

        ledger = Ledger()
        labels = {t: read_labels(source, t, kind, ledger, schema.options[t]) for t, kind in schema.targets.items()}
        parts = draw_split(source, schema, labels, how, seed)
        if learner is None:
            options.check(valid=int((parts == 1).sum()))
        elif trackers:
            raise PlaitError(
                "log follows the epochs of the training loop, but a learner is given. Leave one of them out."
            )
        progress.say("\n".join([parts_text(parts), *thin_classes(labels, parts)]))
        known = team.of_first(lambda: Checkpoints.spec(run) if run is not None and allow_data_change else None)
        spec = known or team.of_first(lambda: learned(source, schema, labels, specs, np.flatnonzero(parts == 0)))
        model = begun(spec, seed, team)
        if learner is not None:
            check_fixed(model, specs)
        team.only_first(lambda: _check_room(run, model, options))
        data = team.in_turns(lambda: prepared(source, schema, model, labels, ledger, max_bad, progress))
        told: dict[str, Any] = late(deadline, progress)
        declared = {**specs, "objective": OBJECTIVES.normal(objective)}
        identity = Identity.of(source, data, declared=declared, spec=spec, parts=parts, options=options, seed=seed)
        checkpoints = team.only_first(lambda: _checkpoints(run, identity, allow_data_change))
        logged = Log(trackers, run and run / LOGS) if team.first else Log()
        work = Work(spec, model, data, source, parts, how, options, seed, progress, objective, team, logged)
        state = work.learn(deadline, run) if learner is not None else work.train(checkpoints, deadline, stop)
        if preset == "best":
            work, state, more = better(work, state, Rival(schema, labels, run, stop), deadline=deadline)
            told |= more
        told |= account(choices, work.spec["inputs"])
        predictor = Predictor(work.spec, work.model.to("cpu"), schema, {**_record(work, state, identity), **told})
        predictor.reference = drift.reference(work.data.columns, np.flatnonzero(parts == 0))
        team.only_first(lambda: _finish(predictor, work, ledger, checkpoints, folder, overwrite))
        predictor.record, predictor.extra = team.of_first(lambda: (predictor.record, predictor.extra))
        return predictor


def _specs(
    table: Table,
    schema: Schema,
    encoders: Any,
    tops: tuple[Spec | None, Mapping[str, Spec], Spec | None],
    deadline: float | None,
    run: Path | None,
    team: Team,
    progress: Progress,
) -> tuple[dict[str, Any], list[Choice]]:
    """The specs of all parts, of encoders that there is time for; and why each encoder was taken, which is said. `tops`:
    fusion, heads, learner."""
    parts, choices = taken(schema, encoders, fixed=tops[2] is not None)
    specs = read_specs(schema, parts, *tops, Progress(quiet=True))
    if deadline is not None and any(choice.others for choice in choices):
        begun = lambda: Checkpoints.spec(run) if run is not None else None  # noqa: E731
        chosen, choices = team.of_first(
            lambda: in_time(table, schema, specs["inputs"], choices, deadline=deadline, begun=begun())
        )
        parts = {**parts, **chosen}
    if lines := tell(choices):
        progress.say("\n".join(lines))
    return read_specs(schema, parts, *tops, progress), choices


def _reserved(folder: Path | None, run: Path | None, overwrite: bool) -> bool:
    """Whether the folder may be replaced. Raises OutputError where model or checkpoints could not be written."""
    if folder is None or run is None:
        return overwrite
    overwrite = overwrite or Checkpoints.started(run)  # killed after writing: the same run ends again
    files.check_writable(folder, replace=overwrite)
    Checkpoints.check(run)
    return overwrite


def _check_room(run: Path | None, model: Model, options: Options) -> None:
    if run is not None:
        Checkpoints.check_room(run, model, copies=options.copies)


def _checkpoints(run: Path | None, identity: Identity, allow_data_change: bool) -> Checkpoints | None:
    return None if run is None else Checkpoints(run, identity, allow_data_change=allow_data_change)


def _write(predictor: Predictor, folder: Path, checkpoints: Checkpoints, overwrite: bool, progress: Progress) -> None:
    """Writes the model, and ends the run; one stopped by Ctrl-C can be gone on with."""
    try:
        with progress.timed(f"Written to {folder}"):
            predictor.save(folder, overwrite=overwrite)
    except OutputError as error:
        error.model = predictor
        raise
    if predictor.record["stopped"] == INTERRUPTED:
        progress.say(
            f"Interrupted: this is the model so far. Call again with the same arguments to go on to the end, or delete "
            f"{checkpoints.folder}."
        )
    else:
        if (logs := checkpoints.folder / LOGS).exists():
            logs.rename(folder / LOGS)
        checkpoints.delete()


def _record(work: Work, state: State, identity: Identity) -> dict[str, Any]:
    """How a model was made, as plain JSON."""
    return {
        "table": work.table.name,
        "rows": len(work.table),
        "split": work.how,
        "parts": list(sizes(work.parts).values()),
        "thin_classes": thin_classes(work.data.labels, work.parts),
        "seed": work.seed,
        "training": work.options.to_json(),
        "history": state.history,
        "best_epoch": state.best_epoch,
        "stopped": state.stopped,
        "objective": state.shares,
        "identity": identity.to_json(),
    }


def _finish(
    predictor: Predictor,
    work: Work,
    ledger: Ledger,
    checkpoints: Checkpoints | None,
    folder: Path | None,
    overwrite: bool,
) -> None:
    """Judges the model, and writes it where that is asked for."""
    if checkpoints is not None and checkpoints.changed:
        predictor.record["changed"] = checkpoints.changed  # of the data, while the run went on
        work.progress.say("The data have changed since the run was started:\n  " + "\n  ".join(checkpoints.changed))
    _, result = _judge(predictor, work.data, work.parts, ledger, work.progress)
    if folder is not None and checkpoints is not None:
        predictor.extra = _extra(predictor, work.table, result, work.parts)
        _write(predictor, folder, checkpoints, overwrite, work.progress)


def _judge(
    predictor: Predictor, data: Dataset, parts: np.ndarray, ledger: Ledger, progress: Progress
) -> tuple[Predictor, Evaluation]:
    """Judges on the test rows; without any on the validation rows, without these on the training rows, and says so."""
    record, model = predictor.record, predictor.model
    if record["stopped"]:
        progress.say(f"Stopped early: {record['stopped']}. Best epoch: {record['best_epoch'] + 1}.")
    data.targets = {t: y.cpu() for t, y in data.targets.items()}
    part = next(p for p in (2, 1, 0) if (parts == p).any())
    rows = np.flatnonzero(parts == part)
    with progress.timed(f"Judged on {len(rows)} {splits.PARTS[part]} rows"):
        result = evaluate(model, data, rows, columns=list(predictor.inputs), seed=record["seed"])
        result.missing = missing_cells(model, data, rows, columns=list(predictor.inputs), seed=record["seed"])
    result.bad_cells, result.unseen_names = ledger.to_json(), ledger.unseen_counts()
    record.update(
        judged_on=splits.PARTS[part], bad_cells=len(ledger), weights=model.weights(), evaluation=result.to_json()
    )
    progress.say(str(result))
    return predictor, result


def _extra(predictor: Predictor, table: Table, result: Evaluation, parts: np.ndarray) -> dict[str, bytes]:
    """The files beside the weights: report, model card, splits with the hash of each row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [splits.PARTS[p] if p >= 0 else None for p in parts]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"row": np.arange(len(table)), "part": names, "hash": table.row_hashes()}), buffer)
    return {
        "report.html": report_page(predictor, table, result).encode("utf-8"),
        "report.json": files.json_bytes(report_json(predictor, result)),
        "MODEL_CARD.md": model_card(predictor, result).encode("utf-8", "backslashreplace"),
        "splits.parquet": buffer.getvalue(),
    }
