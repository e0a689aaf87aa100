"""plait.fit: declare, split, prepare, train, judge, report."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait import drift, files
from plait.calibration import calibrate
from plait.choosing import encoders_for, top_for
from plait.data import split as splits
from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.data.store import Store
from plait.data.table import Table, read_table
from plait.division import draw_split, groups_of, parts_text, sizes
from plait.encoders import ENCODERS
from plait.errors import OutputError, PlaitError, TableError
from plait.evaluation import Evaluation, evaluate, missing_cells
from plait.heads import HEADS
from plait.learning import check as check_fixed
from plait.learning import learn
from plait.model import Model
from plait.objectives import OBJECTIVES, asked
from plait.predictor import Predictor, assemble
from plait.preparation import Dataset, prepare, read_cells, read_labels
from plait.progress import Progress
from plait.report import model_card, report_json, report_page
from plait.request import check_metric, read_schema, read_specs, split_options, with_own_split
from plait.spec import Spec
from plait.training.checkpoint import Checkpoints
from plait.training.identity import Identity
from plait.training.lock import only_one
from plait.training.loop import INTERRUPTED, train
from plait.training.options import Options
from plait.training.parallel import ALONE, Team, joined
from plait.training.schedule import step_seed
from plait.training.signals import heeded
from plait.training.state import State
from plait.training.tracking import FOLDER as LOGS
from plait.training.tracking import Log
from plait.training.tracking import asked as asked_trackers

WIDTH = 128


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
        from; "balanced", "best": and 40 or 300 trials of their hyperparameters and of fusions (docs/choosing.md). "fast" is
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
    training: options of the loop (training/options.py). epochs: overrides its epochs. time_limit: seconds for all of it.
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
        specs = read_specs(schema, encoders_for(preset, encoders), fusion, heads or {}, learner, progress)
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
        progress.say(parts_text(parts))
        known = team.of_first(lambda: Checkpoints.spec(run) if run is not None and allow_data_change else None)
        spec = known or team.of_first(lambda: _learn(source, schema, labels, specs, np.flatnonzero(parts == 0)))
        model = _begun(spec, seed, team)
        if learner is not None:
            check_fixed(model, specs)
        team.only_first(lambda: _check_room(run, model, options))
        data = team.in_turns(lambda: _prepare(source, schema, model, labels, ledger, max_bad, progress))
        declared = {**specs, "objective": OBJECTIVES.normal(objective)}
        identity = Identity.of(source, data, declared=declared, spec=spec, parts=parts, options=options, seed=seed)
        checkpoints = team.only_first(lambda: _checkpoints(run, identity, allow_data_change))
        logged = Log(trackers, run and run / LOGS) if team.first else Log()
        work = Work(spec, model, data, source, parts, how, options, seed, progress, objective, team, logged)
        model, state = work.learn(deadline, run) if learner is not None else work.train(checkpoints, deadline, stop)
        predictor = Predictor(spec, model.to("cpu"), schema, _record(work, state, identity))
        predictor.reference = drift.reference(data.columns, np.flatnonzero(parts == 0))
        team.only_first(lambda: _finish(predictor, work, ledger, checkpoints, folder, overwrite))
        predictor.record, predictor.extra = team.of_first(lambda: (predictor.record, predictor.extra))
        return predictor


def _reserved(folder: Path | None, run: Path | None, overwrite: bool) -> bool:
    """Whether the folder may be replaced. Raises OutputError where model or checkpoints could not be written."""
    if folder is None or run is None:
        return overwrite
    overwrite = overwrite or Checkpoints.started(run)  # killed after writing: the same run ends again
    files.check_writable(folder, replace=overwrite)
    Checkpoints.check(run)
    return overwrite


def _begun(spec: dict[str, Any], seed: int, team: Team) -> Model:
    """The model of a spec, as the seed draws it, and as the modules that the first process was given begin."""
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 2**32 - 1))
        model = assemble(spec, outside=True)
        team.only_first(model.begin)
        team.same(model)
    return model


def _check_room(run: Path | None, model: Model, options: Options) -> None:
    if run is not None:
        Checkpoints.check_room(run, model, copies=options.copies)


def _checkpoints(run: Path | None, identity: Identity, allow_data_change: bool) -> Checkpoints | None:
    return None if run is None else Checkpoints(run, identity, allow_data_change=allow_data_change)


@dataclass
class Work:
    """All that a model is made from."""

    spec: dict[str, Any]
    model: Model
    data: Dataset
    table: Table
    parts: np.ndarray
    how: dict[str, Any]
    options: Options
    seed: int
    progress: Progress
    objective: Spec = "supervised"
    team: Team = ALONE
    log: Log = field(default_factory=Log)

    def train(self, checkpoints: Checkpoints | None, deadline: float | None, stop: Any) -> tuple[Model, State]:
        """By the loop, then brought to its temperatures; the spec takes them up."""
        valid = np.flatnonzero(self.parts == 1)
        state = train(
            self.model,
            OBJECTIVES.build(self.objective, outside=True, targets=list(self.spec["outputs"])),
            self.data,
            train_rows=np.flatnonzero(self.parts == 0),
            valid_rows=valid,
            options=self.options,
            seed=self.seed,
            checkpoints=checkpoints,
            deadline=deadline,
            progress=self.progress,
            stop=stop,
            team=self.team,
            log=self.log,
        )
        self.spec["temperature"] = self.team.of_first(lambda: calibrate(self.model, self.data, valid, seed=self.seed))
        self.model.temperature = dict(self.spec["temperature"])
        return self.model, state

    def learn(self, deadline: float | None = None, folder: Path | None = None) -> tuple[Model, State]:
        """By the learners; the spec takes up what they have learned."""
        groups = (
            groups_of(self.table.column(self.how["group"]), np.arange(len(self.table))) if self.how["group"] else None
        )
        options: dict[str, Any] = {"how": self.how, "seed": self.seed, "progress": self.progress, "deadline": deadline}
        options["folder"] = folder
        self.spec["learner"] = self.team.of_first(
            lambda: learn(self.model, self.data, self.spec, parts=self.parts, groups=groups, **options)
        )
        made = assemble(self.spec, outside=True)
        made.encoders.load_state_dict(self.model.encoders.state_dict())  # what they hold beside what stands in the spec
        return made.eval(), State()


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


def _originals(classes: list[str] | None, cells: list[Any], values: list[Any]) -> dict[str, list[Any]]:
    """What stands in the table for each class, where it is not text: predictions then are of the same kind."""
    if classes is None:
        return {}
    first = {cell: value for cell, value in zip(reversed(cells), reversed(values)) if not isinstance(cell, tuple)}
    plain = [getattr(first.get(c, c), "tolist", lambda v=first.get(c, c): v)() for c in classes]
    kinds = {type(v) for v in plain}
    return {"values": plain} if kinds in ({bool}, {int}) else {}


def _learn(
    table: Table, schema: Schema, labels: dict[str, list[Any]], specs: dict[str, Any], rows: np.ndarray
) -> dict[str, Any]:
    """The completed spec: facts learned from the training rows only."""
    spec: dict[str, Any] = {**specs, "inputs": {}, "outputs": {}, "width": 1 if "learner" in specs else WIDTH}
    for target, part in specs["outputs"].items():
        try:
            done = HEADS.complete(part, [labels[target][r] for r in rows])
            spec["outputs"][target] = {**done, **_originals(done.get("classes"), labels[target], table.column(target))}
        except TableError as error:
            counts = Counter(str(v) for v in labels[target] if v is not None).most_common(3)
            raise TableError(
                f"Target {target!r}: {error}. In the whole table: {', '.join(f'{v!r} x {n}' for v, n in counts)}."
            ) from None
    for column, part in specs["inputs"].items():
        spec["inputs"][column] = ENCODERS.complete(
            part, read_cells(table, column, schema.inputs[column], rows.tolist(), schema.options[column])
        )
    return spec


def _prepare(
    table: Table,
    schema: Schema,
    model: Any,
    labels: dict[str, list[Any]],
    ledger: Ledger,
    max_bad: float,
    progress: Progress,
) -> Dataset:
    encoders = dict(model.encoders.items())
    columns = prepare(table, encoders, store=Store(), ledger=ledger, progress=progress, options=schema.options)
    if len(ledger):
        progress.say(f"{len(ledger)} bad cells, counted as missing:\n{ledger.first()}")
    if ledger.odd:
        progress.say(f"{len(ledger.odd)} cells used with a remark:\n{ledger.first(odd=True)}")
    if ledger.unseen:
        progress.say(ledger.unseen_text())
    ledger.check(max_bad=max_bad)
    targets = {t: model.heads[t].collate(cells) for t, cells in labels.items()}
    return Dataset(columns, encoders, targets, len(table), labels)


def _extra(predictor: Predictor, table: Table, result: Evaluation, parts: np.ndarray) -> dict[str, bytes]:
    """The files beside the weights: report, model card, splits with the hash of each row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [splits.PARTS[p] if p >= 0 else None for p in parts]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"row": np.arange(len(table)), "part": names, "hash": table.row_hashes()}), buffer)
    return {
        "report.html": report_page(predictor, table, result).encode("utf-8"),
        "report.json": (json.dumps(report_json(predictor, result), indent=1, ensure_ascii=False) + "\n").encode(
            "utf-8"
        ),
        "MODEL_CARD.md": model_card(predictor, result).encode("utf-8"),
        "splits.parquet": buffer.getvalue(),
    }
