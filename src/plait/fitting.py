"""plait.fit: declare, split, prepare, train, judge, report."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait import __version__, files
from plait.data import split as splits
from plait.data.ledger import Ledger
from plait.data.schema import Schema, infer
from plait.data.store import Store
from plait.data.table import Table, read_table
from plait.encoders import DEFAULTS as ENCODER_OF
from plait.encoders import ENCODERS
from plait.errors import PlaitError, TableError, unknown
from plait.evaluation import Evaluation, evaluate
from plait.fusion import DEFAULT as FUSION
from plait.fusion import FUSIONS
from plait.heads import DEFAULTS as HEAD_OF
from plait.heads import HEADS
from plait.modalities.base import missing
from plait.objectives.supervised import Supervised
from plait.predictor import Predictor, assemble
from plait.preparation import Dataset, prepare, read_cells, read_labels
from plait.progress import Progress
from plait.report import model_card, report_json, report_page
from plait.spec import Spec
from plait.training.checkpoint import Checkpoints
from plait.training.loop import State, train
from plait.training.options import Options
from plait.training.schedule import step_seed

WIDTH = 128
SPLIT = {"valid": 0.15, "test": 0.15, "stratify": True, "group": None, "time": None, "column": None}


def fit(
    table: Any,
    targets: str | Sequence[str],
    *,
    inputs: str | Sequence[str] | Mapping[str, str | None] | None = None,
    modalities: Mapping[str, str] | None = None,
    encoders: Mapping[str, Spec] | None = None,
    fusion: Spec = FUSION,
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
    quiet: bool = False,
) -> Predictor:
    """Trains a multimodal model on a table and judges it on rows that were held out.

    table: a path (.csv .tsv .jsonl .parquet), DataFrame, Arrow table or list of dicts; paths in cells are taken from the
        table's folder, or from `base`.
    targets: the column or columns to predict. inputs: the columns to predict from; None takes every other column.
    modalities, encoders, heads: by column, to override what is inferred: {"note": "text"}, {"note": "text_recurrent"} or
        {"note": {"name": "text_recurrent", "cell": "lstm"}}. fusion: a name or such a dict. See `plait list`.
    split: the name of a column that says train, valid or test; or a dict of {"valid": 0.15, "test": 0.15, "stratify":
        True, "group": column, "time": column, "column": column}.
    training: options of the loop (training/options.py). epochs: overrides its epochs. time_limit: seconds for all of it.
    max_bad: the largest share of a column's cells that may be unreadable; they count as missing.
    out: the folder to write: model, model card, report.html, report.json, splits. A fit that was killed goes on from its
        last checkpoint when it is called again with the same arguments. None: nothing is written.

    Raises PlaitError, before anything is trained or written, when the table or an option cannot be used.
    """
    deadline = None if time_limit is None else time.monotonic() + time_limit
    if time_limit is not None and time_limit <= 0:
        raise PlaitError(f"time_limit is {time_limit:g} seconds; expected more than 0.")
    if not isinstance(seed, int) or seed < 0:
        raise PlaitError(f"seed is {seed!r}; expected a whole number from 0.")
    progress, options, how = Progress(quiet=quiet), Options.of(training or {}, epochs=epochs), _split_options(split)
    folder = None if out is None else Path(out).expanduser()
    if folder is not None:
        overwrite = overwrite or Checkpoints.started(
            _run_folder(folder)
        )  # killed after writing: the same run ends again
        files.check_writable(folder, replace=overwrite)
        Checkpoints.check(_run_folder(folder))
    source = read_table(table, base=base)
    inputs = [inputs] if isinstance(inputs, str) else inputs
    schema = infer(
        source,
        targets=_target_names(targets),
        inputs=inputs,
        modalities=modalities,
        keys={"group": how["group"], "time": how["time"], "split": how["column"]},
    )
    specs = _specs(schema, encoders or {}, fusion, heads or {})
    _check_metric(options.metric, specs["outputs"])
    progress.say(f"{source.name}: {len(source)} rows\n{schema}")

    ledger = Ledger()
    labels = {t: read_labels(source, t, kind, ledger, schema.options[t]) for t, kind in schema.targets.items()}
    parts = _split(source, schema, labels, how, seed)
    progress.say("Split: " + ", ".join(f"{n} {part}" for part, n in _sizes(parts).items()))
    spec = _learn(source, schema, labels, specs, np.flatnonzero(parts == 0))
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 2**32 - 1))
        model = assemble(spec, outside=True)
    data = _prepare(source, schema, model, labels, ledger, max_bad, progress)
    identity = _identity(spec, data, parts, options, seed)
    checkpoints = None if folder is None else Checkpoints(_run_folder(folder), identity)
    state = train(
        model,
        Supervised(),
        data,
        train_rows=np.flatnonzero(parts == 0),
        valid_rows=np.flatnonzero(parts == 1),
        options=options,
        seed=seed,
        checkpoints=checkpoints,
        deadline=deadline,
        progress=progress,
    )
    record = _record(source, how, parts, options, seed, state, identity)
    predictor, result = _judge(Predictor(spec, model, schema, record), data, parts, ledger, progress)
    if folder is not None:
        with progress.timed(f"Written to {folder}"):
            predictor.save(folder, overwrite=overwrite, extra=_extra(predictor, source, result, parts))
        if checkpoints is not None:
            checkpoints.delete()
    return predictor


def _record(
    table: Table,
    how: dict[str, Any],
    parts: np.ndarray,
    options: Options,
    seed: int,
    state: State,
    identity: dict[str, Any],
) -> dict[str, Any]:
    """How a model was made, as plain JSON."""
    return {
        "table": table.name,
        "rows": len(table),
        "split": how,
        "parts": list(_sizes(parts).values()),
        "seed": seed,
        "training": options.to_json(),
        "history": state.history,
        "best_epoch": state.best_epoch,
        "stopped": state.stopped,
        "identity": identity,
    }


def _judge(
    predictor: Predictor, data: Dataset, parts: np.ndarray, ledger: Ledger, progress: Progress
) -> tuple[Predictor, Evaluation]:
    """Judges on the test rows; without any on the validation rows, without these on the training rows, and says so."""
    record, model = predictor.record, predictor.model.to("cpu")
    if record["stopped"]:
        progress.say(f"Stopped early: {record['stopped']}. Best epoch: {record['best_epoch'] + 1}.")
    data.targets = {t: y.cpu() for t, y in data.targets.items()}
    part = next(p for p in (2, 1, 0) if (parts == p).any())
    rows = np.flatnonzero(parts == part)
    with progress.timed(f"Judged on {len(rows)} {splits.PARTS[part]} rows"):
        result = evaluate(model, data, rows, columns=list(predictor.inputs), seed=record["seed"])
    result.bad_cells = ledger.to_json()
    record.update(
        judged_on=splits.PARTS[part], bad_cells=len(ledger), weights=model.weights(), evaluation=result.to_json()
    )
    progress.say(str(result))
    return predictor, result


def _sizes(parts: np.ndarray) -> dict[str, int]:
    return {name: int((parts == p).sum()) for p, name in enumerate(splits.PARTS)}


def _split_options(split: str | Mapping[str, Any] | None) -> dict[str, Any]:
    if split is not None and not isinstance(split, (str, Mapping)):
        raise PlaitError(
            f"split is {split!r}; expected a column's name, or a dict such as {{'valid': 0.15, 'test': 0.15}}."
        )
    given = {"column": split} if isinstance(split, str) else dict(split or {})
    for key in given:
        if key not in SPLIT:
            raise unknown("split option", key, SPLIT)
    ways = [k for k in ("column", "group", "time") if given.get(k)]
    if len(ways) > 1:
        raise PlaitError(f"A split is by one of column, group and time; found {' and '.join(ways)}. Choose one.")
    for key in ("valid", "test"):
        if not isinstance(given.get(key, 0.0), (int, float)):
            raise PlaitError(f"split: {key} is {given[key]!r}; expected a share of the rows, such as 0.15.")
    return {**SPLIT, **given}


def _target_names(targets: Any) -> list[str]:
    if isinstance(targets, str):
        return [targets]
    if not isinstance(targets, Iterable):
        raise PlaitError(f"targets is {targets!r}; expected the name of a column, or a list of names.")
    return [str(t) for t in targets]


def _specs(schema: Schema, encoders: Mapping[str, Spec], fusion: Spec, heads: Mapping[str, Spec]) -> dict[str, Any]:
    """The specs of all parts, checked by name, option and modality before any work is done."""
    for column in encoders:
        if column not in schema.inputs:
            raise unknown("input column", column, schema.inputs)
    for target in heads:
        if target not in schema.targets:
            raise unknown("target", target, schema.targets)
    chosen = {c: ENCODERS.normal(encoders.get(c, ENCODER_OF[kind])) for c, kind in schema.inputs.items()}
    for column, part in chosen.items():
        reads = ENCODERS.load(part["name"], outside=True).modality
        if reads != schema.inputs[column]:
            fitting = [n for n in ENCODERS if ENCODERS.load(n).modality == schema.inputs[column]]
            raise PlaitError(
                f"Column {column!r} is {schema.inputs[column]} ({_reason(schema, column)}), but encoder "
                f"{part['name']!r} reads {reads}. Choose one of {', '.join(fitting)}, or give the column "
                f"another modality."
            )
    for target, kind in schema.targets.items():
        if kind not in HEAD_OF:
            raise PlaitError(
                f"Target {target!r} is {kind} ({_reason(schema, target)}); it can be an input, not yet a "
                f"target. Expected a target of {', '.join(HEAD_OF)}; give its modality if it is one."
            )
    tops = {t: HEADS.normal(heads.get(t, HEAD_OF[kind])) for t, kind in schema.targets.items()}
    for target, part in tops.items():
        wants = HEADS.load(part["name"], outside=True).modality
        if wants != schema.targets[target]:
            raise PlaitError(
                f"Target {target!r} is {schema.targets[target]} ({_reason(schema, target)}), but head "
                f"{part['name']!r} answers {wants}. Give the target another modality, or no head."
            )
    return {"inputs": chosen, "fusion": FUSIONS.normal(fusion), "outputs": tops}


def _check_metric(metric: str | None, outputs: dict[str, Any]) -> None:
    if metric in (None, "loss"):
        return
    if len(outputs) > 1:
        raise PlaitError(
            f"metric is {metric!r}, but there are {len(outputs)} targets: what is watched then is the loss."
        )
    part = next(iter(outputs.values()))
    known = HEADS.load(part["name"], outside=True).metrics
    if metric not in known:
        raise unknown("metric", metric, [*known, "loss"])


def _reason(schema: Schema, column: str) -> str:
    return next(c.reason for c in schema.columns if c.name == column)


def _split(table: Table, schema: Schema, labels: dict[str, list[Any]], how: dict[str, Any], seed: int) -> np.ndarray:
    """(rows,) of 0 train, 1 valid, 2 test, -1 none. Rows without any label take no part."""
    labelled = np.array([any(cells[row] is not None for cells in labels.values()) for row in range(len(table))])
    if not labelled.any():
        raise TableError(f"All {len(table)} labels of {', '.join(labels)} are missing. Nothing can be learned.")
    fractions = (float(how["valid"]), float(how["test"]))
    parts = np.full(len(table), -1, dtype=np.int8)
    rows = np.flatnonzero(labelled)
    if how["column"]:
        parts = splits.by_column(table.column(how["column"]), name=how["column"])
        parts[~labelled] = -1
    elif how["time"]:
        times = table.column(how["time"])
        parts[rows] = splits.by_time(
            [times[r] for r in rows], fractions=fractions, name=how["time"], rows=rows.tolist()
        )
    else:
        stratum = (
            next((t for t, kind in schema.targets.items() if kind == "category"), None) if how["stratify"] else None
        )
        strata = [labels[stratum][r] for r in rows] if stratum else None
        groups = _groups(table.column(how["group"]), rows) if how["group"] else None
        parts[rows] = splits.by_chance(len(rows), fractions=fractions, seed=seed, strata=strata, groups=groups)
    if not (parts == 0).any():
        raise TableError(
            f"{len(rows)} labelled rows leave none to train on. Give more rows, or smaller valid and test."
        )
    return parts


def _originals(classes: list[str] | None, cells: list[Any], values: list[Any]) -> dict[str, list[Any]]:
    """What stands in the table for each class, where it is not text: predictions then are of the same kind."""
    if classes is None:
        return {}
    first = {cell: value for cell, value in zip(reversed(cells), reversed(values)) if not isinstance(cell, tuple)}
    plain = [getattr(first.get(c, c), "tolist", lambda v=first.get(c, c): v)() for c in classes]
    kinds = {type(v) for v in plain}
    return {"values": plain} if kinds in ({bool}, {int}) else {}


def _groups(values: list[Any], rows: np.ndarray) -> list[Any]:
    """The group of each row; a row without one is a group of its own."""
    return [("row", int(r)) if missing(values[r]) else ("group", str(values[r])) for r in rows]


def _learn(
    table: Table, schema: Schema, labels: dict[str, list[Any]], specs: dict[str, Any], rows: np.ndarray
) -> dict[str, Any]:
    """The completed spec: facts learned from the training rows only."""
    spec: dict[str, Any] = {"inputs": {}, "fusion": specs["fusion"], "outputs": {}, "width": WIDTH}
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
    ledger.check(max_bad=max_bad)
    targets = {t: model.heads[t].collate(cells) for t, cells in labels.items()}
    return Dataset(columns, encoders, targets, len(table), labels)


def _identity(spec: dict[str, Any], data: Dataset, parts: np.ndarray, options: Options, seed: int) -> dict[str, Any]:
    """Everything the bytes of a run depend on, as hashes: a run is only gone on with when all are the same."""
    mark = lambda raw: hashlib.sha256(raw).hexdigest()[:16]  # noqa: E731
    labels = b"".join(t.encode() + y.cpu().numpy().tobytes() for t, y in data.targets.items())
    return {
        "plait": __version__,
        "torch": torch.__version__.split("+")[0],
        "seed": seed,
        "spec": mark(json.dumps(spec, sort_keys=True).encode()),
        "training": mark(json.dumps(options.to_json()).encode()),
        "split": mark(parts.tobytes()),
        "labels": mark(labels),
        **{f"column {c}": cells.digest() for c, cells in data.columns.items()},
    }


def _run_folder(folder: Path) -> Path:
    """Where the checkpoints of a fit lie until its folder is written."""
    return folder.with_name(f"{folder.name}.run")


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
