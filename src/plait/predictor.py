"""What a user holds: a fitted model that predicts, judges, embeds, is saved and loaded as one folder of data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from plait import __version__, drift, files
from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.data.store import Store
from plait.data.table import Table, read_table
from plait.encoders import ENCODERS
from plait.errors import ModelFormatError, PlaitError, TableError, unknown
from plait.evaluation import Evaluation, evaluate
from plait.facts import insource, outsource
from plait.fusion import FUSIONS
from plait.heads import HEADS
from plait.inference import BATCH, answers, embeddings
from plait.learners import LEARNERS
from plait.model import Model
from plait.modelfile import Weights, check_names, parse
from plait.preparation import Dataset, prepare, read_labels
from plait.progress import Progress
from plait.tensors import packed

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1


def assemble(spec: dict[str, Any], *, outside: bool | Collection[str] = False) -> Model:
    """The model of a completed spec: {"inputs": {column: encoder}, "fusion": …, "outputs": {target: head}, "width": D,
    "temperature": {target: [one column present, all of them]} where it is calibrated}.
    `outside`: which "module:Class" names of others may be imported; True for all."""
    width = spec["width"]
    encoders = {c: ENCODERS.build(s, outside=outside) for c, s in spec["inputs"].items()}
    fusion: Any
    if "learner" in spec:
        fusion = {t: LEARNERS.build(s, outside=outside) for t, s in spec["learner"].items() if "wanted" not in s}
    else:
        fusion = FUSIONS.build(spec["fusion"], outside=outside, columns=list(encoders), width=width)
    return Model(
        encoders,
        fusion,
        lambda: {t: HEADS.build(s, outside=outside, width=width) for t, s in spec["outputs"].items()},
        width=width,
        temperature=spec.get("temperature"),
    )


class _Attached(list[Any]):
    """What hangs on a frame. pandas copies it deeply at each step, which takes long where it is long."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Attached:
        return self


class Predictor:
    """A fitted model. Made by `plait.fit` or `plait.load`."""

    def __init__(
        self,
        spec: dict[str, Any],
        model: Model,
        schema: Schema,
        record: dict[str, Any],
        extra: Mapping[str, bytes] | None = None,
    ) -> None:
        self.spec, self.model, self.schema = spec, model.eval(), schema
        self.extra = dict(extra or {})  # files that are saved with it: report, model card, splits
        self.record = record  # how it was made: data, splits, options, history, figures; plain JSON
        self.reference: drift.Reference = {}  # figures of some training rows, to tell when new rows differ from them

    @property
    def inputs(self) -> dict[str, str]:
        """Input column -> modality."""
        return self.schema.inputs

    @property
    def targets(self) -> dict[str, str]:
        """Target column -> modality."""
        return self.schema.targets

    @property
    def figures(self) -> dict[str, dict[str, float | None]]:
        """Target -> metric -> value, as judged on the rows that were held out when the model was made."""
        judged = self.record["evaluation"]["targets"]
        return {t: {name: f["value"] for name, f in by["metrics"].items()} for t, by in judged.items()}

    @property
    def leaderboard(self) -> dict[str, list[dict[str, Any]]]:
        """Target -> what was tried when plait chose by itself, the best first, with its loss on rows not learned from."""
        parts = self.spec.get("learner", {})
        return {target: part["board"] for target, part in parts.items() if part.get("board")}

    def predict(
        self,
        table: Any,
        *,
        base: str | Path | None = None,
        allow_missing: bool = False,
        batch_size: int = BATCH,
        quiet: bool = True,
    ) -> pd.DataFrame:
        """One row for each row of the table, in its order: a column for each target, and "status": "ok", or what was
        missing or broken, and names that training did not teach. Any cell may be missing; in a list of dicts any key may.
        Raises PlaitError."""
        return self._predict(table, base, allow_missing, batch_size, quiet, probabilities=False)

    def predict_proba(
        self,
        table: Any,
        *,
        base: str | Path | None = None,
        allow_missing: bool = False,
        batch_size: int = BATCH,
        quiet: bool = True,
    ) -> pd.DataFrame:
        """As `predict`, with a column "<target>: <class>" of probabilities for each class; numbers as they are."""
        return self._predict(table, base, allow_missing, batch_size, quiet, probabilities=True)

    def evaluate(
        self,
        table: Any,
        *,
        base: str | Path | None = None,
        allow_missing: bool = False,
        batch_size: int = BATCH,
        quiet: bool = True,
    ) -> Evaluation:
        """Metrics with 95 % bootstrap intervals over the labelled rows, for every subset of the inputs. allow_missing: input
        columns may be absent, and count as missing in every row."""
        source = read_table(table, base=base)
        for target in self.targets:
            source.column(target)  # raises, naming the nearest column
        progress = Progress(quiet=quiet)
        data, ledger = self._dataset(source, progress, allow_missing=allow_missing, labelled=True)
        result = evaluate(self.model, data, np.arange(len(source)), columns=list(self.inputs), batch_size=batch_size)
        if not result.targets:
            raise TableError(f"{source.name} holds no label that this model knows: nothing to judge.")
        result.bad_cells, result.drift = ledger.to_json(), self._drift(data, progress)
        result.unseen_names = ledger.unseen_counts()
        return result

    def embed(
        self,
        table: Any,
        *,
        base: str | Path | None = None,
        allow_missing: bool = False,
        batch_size: int = BATCH,
        quiet: bool = True,
    ) -> np.ndarray:
        """(rows, width) float32: one vector a row, from what is present in it."""
        source = read_table(table, base=base)
        data, _ = self._dataset(source, Progress(quiet=quiet), allow_missing=allow_missing or isinstance(table, list))
        return embeddings(self.model, data, np.arange(len(source)), batch_size=batch_size)

    def _predict(
        self,
        table: Any,
        base: str | Path | None,
        allow_missing: bool,
        batch_size: int,
        quiet: bool,
        *,
        probabilities: bool,
    ) -> pd.DataFrame:
        import pandas as pd

        source = read_table(table, base=base)
        progress = Progress(quiet=quiet)
        data, ledger = self._dataset(source, progress, allow_missing=allow_missing or isinstance(table, list))
        found = next(iter(answers(self.model, data, np.arange(len(source)), batch_size=batch_size).values()))
        columns: dict[str, Any] = {}
        for target in self.targets:
            head, answer = self.model.heads[target], found[target]
            if probabilities and head.names:
                columns.update({f"{target}: {name}": answer[:, i] for i, name in enumerate(head.names)})
            else:
                columns[target] = pd.Series(head.decode(answer), dtype=float if answer.ndim == 1 else object)
        columns["row_status" if "status" in columns else "status"] = self._status(data, ledger)
        frame = pd.DataFrame(columns)
        frame.index = source.index
        frame.attrs["drift"] = self._drift(data, progress)
        frame.attrs["unseen"], frame.attrs["bad_cells"] = ledger.unseen_counts(), _Attached(ledger.to_json())
        return frame

    def _drift(self, data: Dataset, progress: Progress) -> dict[str, float]:
        """Column -> AUC of telling these rows from those of the training; said where they differ much."""
        found = drift.drift(self.reference, data.columns)
        drift.tell(found, progress)
        return {column: round(test.auc, 4) for column, test in found.items()}

    def _status(self, data: Dataset, ledger: Ledger) -> list[str]:
        bad, odd, unseen = ledger.by_row(), ledger.by_row(odd=True), ledger.unseen_by_row()
        here = {c: cells.places >= 0 for c, cells in data.columns.items()}
        status = []
        for row in range(data.size):
            broken = {b.column: b.reason for b in bad.get(row, [])}
            gone = [c for c in here if not here[c][row] and c not in broken]
            parts = [f"bad {c}: {r}" for c, r in broken.items()] + ([f"missing {', '.join(gone)}"] if gone else [])
            parts += [f"note {b.column}: {b.reason}" for b in odd.get(row, []) + unseen.get(row, [])]
            if len(gone) + len(broken) == len(here):
                parts.append("nothing is present, this is the prior")
            status.append("; ".join(parts) or "ok")
        return status

    def _dataset(
        self, table: Table, progress: Progress, *, allow_missing: bool, labelled: bool = False
    ) -> tuple[Dataset, Ledger]:
        frame = table.frame
        absent = [c for c in self.inputs if c not in frame.columns]
        if absent and len(table) and (not allow_missing or len(absent) == len(self.inputs)):
            error = unknown(f"column of {table.name}: the model's input", absent[0], frame.columns)
            raise TableError(
                f"{table.name} has no column {absent[0]!r}, an input of this model. {error} Give the column, "
                f"with empty cells where there is nothing, or pass allow_missing=True (--allow-missing)."
            )
        for column in absent:
            frame = frame.assign(**{column: None})
        full = Table(frame, table.folder, table.name, table.index)
        ledger, encoders = Ledger(), dict(self.model.encoders.items())
        kinds = self.targets if labelled else {}
        how = self.schema.options
        labels = {target: read_labels(full, target, kind, ledger, how[target]) for target, kind in kinds.items()}
        targets = {target: self.model.heads[target].collate(cells) for target, cells in labels.items()}
        columns = prepare(full, encoders, store=Store(), ledger=ledger, progress=progress, options=how)
        if ledger.unseen:
            progress.say(ledger.unseen_text())
        return Dataset(columns, encoders, targets, len(full), labels), ledger

    def summary(self, table: Any = None, *, base: str | Path | None = None) -> str:
        """The model in words and, for the first row of a table, every step with its shapes."""
        lines = [
            f"plait model: {', '.join(self.inputs)} -> {', '.join(self.targets)}",
            f"  {sum(p.numel() for p in self.model.parameters()):,} parameters, fusion "
            f"{self.spec['fusion']['name']}, width {self.model.width}",
            str(self.schema),
        ]
        weights = self.model.weights()
        if weights:
            lines.append("  learned weights: " + ", ".join(f"{c} {w:.2f}" for c, w in weights.items()))
        if table is not None:
            lines += self._walk(read_table(table, base=base))
        return "\n".join(lines)

    @torch.no_grad()
    def _walk(self, table: Table) -> list[str]:
        one = table.take(np.array([0]))
        data, ledger = self._dataset(one, Progress(quiet=True), allow_missing=True)
        batch, shape = data.batch(np.array([0])), lambda t: "x".join(map(str, t.shape))
        lines = ["One row, step by step (B rows, N tokens, D width):"]
        for column, encoder in self.model.encoders.items():
            tokens = encoder(batch["inputs"][column])
            arrays = ", ".join(f"{k} {shape(v)} {str(v.dtype)[6:]}" for k, v in batch["inputs"][column].items())
            lines.append(
                f"  {column}: {str(one.frame[column][0])[:50]!r}\n    prepared {arrays}\n"
                f"    {self.spec['inputs'][column]['name']} -> tokens {shape(tokens.x)}, {int(tokens.mask.sum())} real"
                f" -> adapted to width {self.model.width}"
            )
        streams = self.model.encode(batch["inputs"])
        lines.append(f"  fusion {self.spec['fusion']['name']} -> embedding {shape(self.model.top.embedding(streams))}")
        for target, answer in self.model.answer(streams).items():
            head = self.model.heads[target]
            lines.append(f"  {target}: answer {shape(answer)} -> {head.decode(answer.numpy())[0]!r}")
        return lines + [f"  bad cell: {b}" for b in ledger]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the model folder as one atomic set: plait.json, weights.safetensors, learned facts, and the files that
        were made with the model. Holds data only. Raises OutputError."""
        folder = Path(folder).expanduser()
        files.check_writable(folder, replace=overwrite)
        facts = {drift.FILE: drift.packed(self.reference)} if self.reference else {}
        spec = outsource(self.spec, facts)
        about = {
            "format": FORMAT,
            "plait": __version__,
            "spec": spec,
            "schema": self.schema.to_json(),
            "record": self.record,
        }
        nets = {net.file: net.raw() for _, encoder in self.model.encoders.items() for net in encoder.nets}
        contents = {
            **self.extra,
            **facts,
            **nets,
            "plait.json": files.json_bytes(about),
            "weights.safetensors": packed(self.model.state_dict()),
        }
        files.write_set(folder, contents, replace=overwrite)
        return folder


def load(folder: str | Path, *, outside: Collection[str] = ()) -> Predictor:
    """The predictor of a model folder. Every file is checked against its hash; no code is run from it. `outside`: the
    "their_package.module:Class" names that the model may import, if it was made with parts of others. Raises
    ModelFormatError."""
    folder = Path(folder).expanduser()
    outside = [outside] if isinstance(outside, str) else outside  # not letters of it
    contents = files.read_set(folder)
    try:
        check_names(contents)
        about = parse(contents["plait.json"])
        if about["format"] > FORMAT:
            raise ModelFormatError(f"it was made by plait {about['plait']}; this is {__version__}. Update plait.")
        facts: set[str] = set()
        spec, weights = insource(about["spec"], contents, facts), Weights(contents["weights.safetensors"])
        with nullcontext() if outside else weights.bound():
            model = assemble(spec, outside=outside)
        weights.load_into(model)
        nets = [net for _, encoder in model.encoders.items() for net in encoder.nets]
        for net in nets:
            net.give(contents[net.file])
        own = {"plait.json", "weights.safetensors", drift.FILE, *facts, *(net.file for net in nets)}
        extra = {name: content for name, content in contents.items() if name not in own}
        predictor = Predictor(spec, model, Schema.from_json(about["schema"]), about["record"], extra)
        if drift.FILE in contents:
            predictor.reference = drift.unpacked(contents[drift.FILE])
        return predictor
    except ModelFormatError as error:
        raise ModelFormatError(f"{folder}: {error}") from None
    except PlaitError as error:
        raise ModelFormatError(f"{folder} cannot be built: {error}") from None
    except Exception as error:  # whatever a hostile or foreign folder brings about
        raise ModelFormatError(
            f"{folder} is not a plait model: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from None
