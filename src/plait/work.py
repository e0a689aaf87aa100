"""What a model is made from, and how: facts learned from the training rows, cells prepared, then the loop, or learners."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.calibration import calibrate
from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.data.store import Store
from plait.data.table import Table
from plait.division import groups_of
from plait.encoders import ENCODERS
from plait.errors import TableError
from plait.heads import HEADS
from plait.learning import learn
from plait.model import Model
from plait.objectives import OBJECTIVES
from plait.predictor import assemble
from plait.preparation import Dataset, prepare, read_cells
from plait.progress import Progress
from plait.spec import Spec
from plait.training.checkpoint import Checkpoints
from plait.training.loop import train
from plait.training.options import Options
from plait.training.parallel import ALONE, Team
from plait.training.schedule import step_seed
from plait.training.state import State
from plait.training.tracking import Log

WIDTH = 128
STEPS, EPOCHS = 300, 10  # of a pretrained network that is trained on, at most


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

    def train(self, checkpoints: Checkpoints | None, deadline: float | None, stop: Any) -> State:
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
        return state

    def learn(self, deadline: float | None = None, folder: Path | None = None) -> State:
        """By the learners; the spec takes up what they have learned, and the model is made anew of it."""
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
        self.model = made.eval()
        return State()


def begun(spec: dict[str, Any], seed: int, team: Team = ALONE) -> Model:
    """The model of a spec, as the seed draws it, and as the modules that the first process was given begin."""
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 2**32 - 1))
        model = assemble(spec, outside=True)
        team.only_first(model.begin)
        team.same(model)
    return model


def tuned_epochs(rows: int, batch_size: int) -> int:
    """How long a pretrained network is trained on: ten epochs, fewer of a large table, but one at least."""
    return max(1, min(EPOCHS, -(-STEPS * batch_size // max(rows, 1))))


def _originals(classes: list[str] | None, cells: list[Any], values: list[Any]) -> dict[str, list[Any]]:
    """What stands in the table for each class, where it is not text: predictions then are of the same kind."""
    if classes is None:
        return {}
    first = {cell: value for cell, value in zip(reversed(cells), reversed(values)) if not isinstance(cell, tuple)}
    plain = [getattr(first.get(c, c), "tolist", lambda v=first.get(c, c): v)() for c in classes]
    kinds = {type(v) for v in plain}
    return {"values": plain} if kinds in ({bool}, {int}) else {}


def learned(
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


def prepared(
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
