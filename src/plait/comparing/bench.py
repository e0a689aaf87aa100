"""What all rungs share: the rows, the labels, the splits, and every column prepared once for each way of preparing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.data.store import Store
from plait.data.table import Table
from plait.division import draw_split
from plait.encoders import ENCODERS
from plait.heads import HEADS
from plait.heads.base import Head
from plait.preparation import ColumnCells, fingerprint, prepare, read_cells, read_labels
from plait.progress import Progress
from plait.request import read_specs
from plait.spec import Spec
from plait.training.options import Options
from plait.work import WIDTH

QUIET = Progress(quiet=True)  # under a bar of our own


@dataclass
class Ready:
    """One column, encoded in one way for one split."""

    spec: dict[str, Any]  # completed with what the training rows teach
    cells: ColumnCells
    fact_seconds: float  # to learn from the training rows what the encoder has to know
    load_seconds: float  # until the first cell was prepared: libraries, weights
    prepare_seconds: float  # for all cells that were prepared now
    fresh: int  # how many these are
    held: int  # bytes of the cells on disk


@dataclass
class Bench:
    """One table with its labels and splits, and what has been prepared of it."""

    table: Table
    schema: Schema
    target: str
    how: dict[str, Any]
    options: Options
    learner: Spec
    seeds: Sequence[int]
    root: Path  # of the shelves, empty at first
    max_bad: float
    cached: bool = False  # prepared cells are taken from the cache and left in it; else they go to `root`, to be timed
    given: Sequence[np.ndarray] = ()  # the parts by seed, where they are not to be drawn for this target alone
    labels: list[Any] = field(default_factory=list)
    parts: list[np.ndarray] = field(default_factory=list)  # by seed
    outputs: list[dict[str, Any]] = field(default_factory=list)  # by seed: the head, completed
    heads: list[Head] = field(default_factory=list)
    targets: list[torch.Tensor] = field(default_factory=list)
    _ready: dict[tuple[str, str, int], Ready] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = self.schema.targets[self.target]
        own = self.schema.options[self.target]
        self.labels = read_labels(self.table, self.target, kind, Ledger(), own)
        for place, seed in enumerate(self.seeds):
            if self.given:
                parts = self.given[place]
            else:
                parts = draw_split(self.table, self.schema, {self.target: self.labels}, self.how, seed)
            specs = read_specs(self.schema, None, None, {}, None, QUIET)
            rows = np.flatnonzero(parts == 0)
            head = HEADS.complete(specs["outputs"][self.target], [self.labels[r] for r in rows])
            self.parts.append(parts)
            self.outputs.append(head)
            self.heads.append(HEADS.build(head, width=1))
            self.targets.append(self.heads[-1].collate(self.labels))

    @property
    def drawn(self) -> bool:
        """Whether each seed has a split of its own."""
        return len(self.seeds) > 1 and any((p != self.parts[0]).any() for p in self.parts[1:])

    def judged(self, place: int) -> tuple[int, np.ndarray]:
        """The part that is judged on, as in plait.fit: test, else validation, else training; and its labelled rows."""
        part = next(p for p in (2, 1, 0) if (self.parts[place] == p).any())
        return part, self.known(place, part)

    def known(self, place: int, part: int) -> np.ndarray:
        """The rows of a part that have a label which training showed."""
        rows = np.flatnonzero(self.parts[place] == part)
        known: np.ndarray = rows[self.heads[place].known(self.targets[place][rows]).numpy()]
        return known

    def specs(self, encoders: Mapping[str, Spec], learner: Spec | None, fusion: Spec = None) -> dict[str, Any]:
        """The specs of a model of these columns alone."""
        columns = [c for c in self.schema.columns if c.role != "input" or c.name in encoders]
        return read_specs(replace(self.schema, columns=tuple(columns)), encoders, fusion, {}, learner, QUIET)

    def ready(self, column: str, part: dict[str, Any], place: int) -> Ready:
        """A column encoded for the split of a seed. What has been prepared already is not prepared again."""
        place = next(i for i, parts in enumerate(self.parts) if (parts == self.parts[place]).all())
        name = json.dumps(part, sort_keys=True)
        key = (column, name, place)
        if key not in self._ready:
            ways = list(dict.fromkeys((c, n) for c, n, _ in self._ready))
            way = ways.index((column, name)) if (column, name) in ways else len(ways)
            self._ready[key] = self._prepared(column, part, place, self.root / str(way))
        return self._ready[key]

    def _prepared(self, column: str, part: dict[str, Any], place: int, root: Path) -> Ready:
        kind, options = self.schema.inputs[column], self.schema.options
        rows = np.flatnonzero(self.parts[place] == 0).tolist()
        began = time.perf_counter()
        with suppress(Exception):  # from two cells, so that libraries are loaded; what breaks breaks again
            ENCODERS.complete(
                part, read_cells(self.table, column, kind, rows[:2], options[column], Store(root / "first"))
            )
        loaded = time.perf_counter()
        apart = None if self.cached else Store(root / "facts")  # so that preparing is timed from nothing
        spec = ENCODERS.complete(part, read_cells(self.table, column, kind, rows, options[column], apart))
        learned = time.perf_counter()
        with torch.random.fork_rng():
            encoder = ENCODERS.build(spec, outside=True)
        store, encoders = Store() if self.cached else Store(root), {column: encoder}

        def run(table: Table, where: Store, ledger: Ledger) -> ColumnCells:
            return prepare(table, encoders, store=where, ledger=ledger, progress=QUIET, options=options)[column]

        if not self.cached:
            first = next((r for r, v in enumerate(self.table.column(column)) if v not in (None, "")), 0)
            run(self.table.take(np.array([first])), Store(root / "first"), Ledger())
        load_seconds = loaded - began + time.perf_counter() - learned
        shelves = [fingerprint(part.modality, part) for part in encoder.parts or [encoder] if part.stored]
        before = sum(len(store.shelf(shelf)) for shelf in shelves)
        ledger, start = Ledger(), time.perf_counter()
        cells = run(self.table, store, ledger)
        seconds = time.perf_counter() - start
        ledger.check(max_bad=self.max_bad)
        plain = int(cells.places.max(initial=-1)) + 1
        count = sum(len(store.shelf(shelf)) for shelf in shelves) if shelves else plain
        held = sum(store.sizes().get(shelf, 0) for shelf in shelves)
        return Ready(spec, cells, learned - loaded, load_seconds, seconds, count - before, held)

    def spec(self, ready: Mapping[str, Ready], specs: dict[str, Any], place: int) -> dict[str, Any]:
        """The completed spec of a model of these columns, as plait.fit makes it."""
        return {
            **specs,
            "inputs": {c: r.spec for c, r in ready.items()},
            "outputs": {self.target: self.outputs[place]},
            "width": 1 if "learner" in specs else WIDTH,
        }
