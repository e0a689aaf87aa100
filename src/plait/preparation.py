"""From columns of a table to prepared cells by row: each distinct cell read once, on all cores, the bad ones noted."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.columncells import ColumnCells, fingerprint
from plait.data.ledger import Ledger
from plait.data.store import Pack, Shelf, Store
from plait.data.table import Table
from plait.encoders.base import Encoder
from plait.errors import MediaError
from plait.modalities import modality
from plait.nn.fixed import Described, Describer
from plait.progress import Bar, Progress
from plait.types import Batch, Cell, Note, Prepared

__all__ = ["ColumnCells", "Dataset", "fingerprint", "prepare", "read_cells", "read_labels"]

Options = Mapping[str, Any]  # of a column: keyword arguments of its modality's load

CHUNK = 16  # cells a worker takes at once, where an encoder does not say
HELD_BYTES = 64 * 2**20  # of cells that a worker has read and not yet prepared
PLAIN = 16_384  # plain cells prepared at once
REMEMBERED = 100_000  # texts of a column that are loaded once only
PACK_CELLS, PACK_BYTES, PACK_SECONDS = 4096, 64 * 2**20, 10.0  # a killed preparation loses at most this much


@dataclass
class Dataset:
    """Rows ready to be batched: prepared inputs, and labels as tensors."""

    columns: dict[str, ColumnCells]
    encoders: Mapping[str, Encoder]
    targets: dict[str, Tensor]
    size: int
    labels: dict[str, list[Cell]] = field(default_factory=dict)  # what the targets say, as read

    def batch(self, rows: np.ndarray) -> Batch:
        """The batch of these rows, in this order. Opens no media file."""
        return {
            "inputs": {c: self.encoders[c].collate(cells.rows(rows)) for c, cells in self.columns.items()},
            "targets": {t: y[rows] for t, y in self.targets.items()},
        }


@dataclass
class Reading(Described):
    """The cells of a column one after the other, read when asked for, each time anew; None where missing or bad. What a
    describer makes of them is kept: what they are encoded from afterwards."""

    table: Table
    column: str
    kind: str
    rows: Sequence[int] | None = None
    options: Options = field(default_factory=dict)
    store: Store | None = None

    def __iter__(self) -> Iterator[Cell]:
        part, values = modality(self.kind), self.table.column(self.column)
        for row in range(len(values)) if self.rows is None else self.rows:
            try:
                raw = part.load(values[row], self.table.folder, **self.options)
                yield None if raw is None else part.read(raw)
            except MediaError:
                yield None

    def described(self, describer: Describer) -> Iterator[np.ndarray | None]:
        rows = np.arange(len(self.table)) if self.rows is None else np.asarray(self.rows, dtype=np.int64)
        source = _Source(self.table.take(rows), self.column, describer, self.options)
        cells = _prepare_stored(source, self.store or Store(), Ledger(), Progress(quiet=True))
        for row in range(len(rows)):
            (found,) = cells.rows(np.array([row]))
            yield None if found is None else found[describer.name]


def read_cells(
    table: Table,
    column: str,
    kind: str,
    rows: Sequence[int] | None = None,
    options: Options = {},
    store: Store | None = None,
) -> Reading:
    """The cells of a column, or of some rows of it. `store`: where what is described of them is kept, if not in the cache."""
    return Reading(table, column, kind, rows, options, store)


def read_labels(table: Table, column: str, kind: str, ledger: Ledger, options: Options = {}) -> list[Cell]:
    """The labels of a target; unreadable ones are noted and count as missing."""
    part, cells = modality(kind), []
    for row, value in enumerate(table.column(column)):
        try:
            raw = part.load(value, table.folder, **options)
            cells.append(None if raw is None else part.read(raw))
        except MediaError as error:
            ledger.note(column, value, [row], str(error))
            cells.append(None)
    ledger.filled[column] = sum(c is not None for c in cells) + sum(b.column == column for b in ledger.bad)
    return cells


def prepare(
    table: Table,
    encoders: Mapping[str, Encoder],
    *,
    store: Store,
    ledger: Ledger,
    progress: Progress,
    options: Mapping[str, Options] = {},
) -> dict[str, ColumnCells]:
    """Every input column of a table, prepared. Bad cells are entered in the ledger and count as missing. `options`: by
    column, how its cells are loaded."""
    columns = {}
    for column, encoder in encoders.items():
        found = []
        for part in encoder.parts or [encoder]:
            work, own = _prepare_plain, Ledger()
            if part.stored:
                work = _prepare_stored if part.finish is None else _prepare_described
            found.append(work(_Source(table, column, part, options.get(column, {})), store, own, progress))
            _enter(own, ledger)
        columns[column] = ColumnCells.joined(found) if encoder.parts else found[0]
    used: dict[str, set[str]] = {}
    for column, encoder in encoders.items():
        for shelf, packs in columns[column].shelved(encoder).items():
            used.setdefault(shelf, set()).update(packs)
    store.trim(keep=used)
    return columns


def _enter(own: Ledger, ledger: Ledger) -> None:
    """What was met while one encoder prepared a column, but for what another one of it has met already."""
    bad = {(b.row, b.column) for b in ledger.bad}
    ledger.bad += [b for b in own.bad if (b.row, b.column) not in bad]
    odd = set(ledger.odd)
    ledger.odd += [b for b in own.odd if b not in odd]
    ledger.filled.update(own.filled)
    ledger.unseen.update(own.unseen)


class _Source:
    """One column: where its values come from, and how a cell of it is loaded and read."""

    def __init__(self, table: Table, column: str, encoder: Encoder | Describer, options: Options) -> None:
        self.column, self.encoder, self.values = column, encoder, table.column(column)
        self._folder, self._options, self._part = Path(table.folder), options, modality(encoder.modality)
        self._table = table

    def by(self, describer: Describer) -> _Source:
        """The same column, described."""
        return _Source(self._table, self.column, describer, self._options)

    def load(self, row: int) -> Any:
        return self._part.load(self.values[row], self._folder, **self._options)

    def read(self, raw: Any, note: Note) -> Cell:
        return self._part.read(raw, note=note, **self.encoder.reading)


def _prepare_plain(source: _Source, store: Store, ledger: Ledger, progress: Progress) -> ColumnCells:
    """Cells that are quick to prepare: in memory, in this run."""
    values, column, encoder = source.values, source.column, source.encoder
    places, raws = _distinct(source, ledger)
    remarks: dict[int, list[str]] = {}
    strange: dict[str, list[int]] = {}  # name -> places
    packs = []
    for start in range(0, len(raws), PLAIN):
        cells = [
            source.read(raw, lambda said, i=i: remarks.setdefault(i, []).append(said))  # type: ignore[misc]
            for i, raw in enumerate(raws[start : start + PLAIN], start)
        ]
        packs.append(Pack.of(encoder.prepare(cells)))
        if encoder.known is not None:
            for place, cell in enumerate(cells, start):
                for name in cell if isinstance(cell, tuple) else (cell,):
                    if name not in encoder.known:
                        strange.setdefault(name, []).append(place)
    rows = _rows_of(places, {*remarks, *(place for held in strange.values() for place in held)})
    for place, said in remarks.items():
        ledger.remark(column, values[rows[place][0]], rows[place], said)
    if strange:
        ledger.unseen[column] = {n: sorted(r for place in held for r in rows[place]) for n, held in strange.items()}
    return ColumnCells(places, Pack.joined(packs))


def _distinct(source: _Source, ledger: Ledger) -> tuple[np.ndarray, list[Any]]:
    """(rows,) which of the distinct values each row holds, -1 where it is missing or bad; and these, as loaded."""
    places: list[int] = []
    distinct: dict[Any, int] = {}
    met: dict[str, int] = {}  # a text as it stands in the table -> the place of what it says
    empty = 0
    for row, value in enumerate(source.values):
        if type(value) is str and value in met:
            places.append(met[value])
            continue
        try:
            raw = source.load(row)
        except MediaError as error:
            ledger.note(source.column, value, [row], str(error))
            places.append(-1)
            continue
        places.append(-1 if raw is None else distinct.setdefault(raw, len(distinct)))
        empty += raw is None
        if type(value) is str and raw is not None and len(met) < REMEMBERED:
            met[value] = places[-1]
    ledger.filled[source.column] = len(places) - empty
    return np.array(places, dtype=np.int64), list(distinct)


def _rows_of(places: np.ndarray, wanted: Collection[int]) -> dict[int, list[int]]:
    """Place -> the rows that hold it, in order, of those that are wanted."""
    if not wanted:
        return {}
    order = np.argsort(places, kind="stable")
    asked = np.array(sorted(wanted))
    begin, end = (np.searchsorted(places[order], asked, side) for side in ("left", "right"))
    return {int(p): order[a:b].tolist() for p, a, b in zip(asked, begin, end)}


def _prepare_stored(source: _Source, store: Store, ledger: Ledger, progress: Progress) -> ColumnCells:
    """Cells that cost: each distinct content once, kept on a shelf."""
    values, column, encoder = source.values, source.column, source.encoder
    where: dict[Any, list[int]] = {}
    for row, value in enumerate(values):
        where.setdefault(value if isinstance(value, (str, bytes, type(None))) else (row,), []).append(row)
    firsts = [rows[0] for rows in where.values()]
    size = _share(len(firsts), encoder.chunk or CHUNK, os.cpu_count() or 1)
    chunks = [firsts[i : i + size] for i in range(0, len(firsts), size)]
    shelf = store.shelf(fingerprint(encoder.modality, encoder))
    places, once = np.full(len(values), -1, dtype=np.int64), _Once()
    keys: dict[bytes, int] = {}
    ledger.filled[column] = 0
    began, before = time.perf_counter(), len(shelf)
    with progress.bar(f"Preparing {column}", len(firsts)) as bar, _workers() as pool:
        results = pool.map(lambda chunk: _read_chunk(source, shelf, once, chunk), chunks)
        try:
            outcomes = list(_shelve(results, shelf, once, bar))
        except BaseException:  # a full disk, Ctrl-C: what is queued is not waited for
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for outcome, rows in zip(outcomes, where.values()):
        if outcome is None:
            continue
        ledger.filled[column] += len(rows)
        if isinstance(outcome, bytes) and outcome not in once.bad:
            places[rows] = keys.setdefault(outcome, len(keys))
            ledger.remark(column, values[rows[0]], rows, shelf.remarks(outcome))
        else:
            ledger.note(column, values[rows[0]], rows, outcome if isinstance(outcome, str) else once.bad[outcome])
    new = len(shelf) - before
    progress.say(
        f"  {column}: {ledger.filled[column]} cells, {len(keys)} distinct, {new} prepared now"
        f" in {time.perf_counter() - began:.1f} s"
    )
    if once.pieces:
        progress.say(
            f"  {column}: {len(once.pieces)} cells are longer than their encoder takes at once: they are read in pieces, up to"
            f" {max(once.pieces.values())}"
        )
    return ColumnCells(places, None, shelf, list(keys))


def _prepare_described(source: _Source, store: Store, ledger: Ledger, progress: Progress) -> ColumnCells:
    """Cells that are described first, each decoded once, and finished by what was learned of them."""
    encoder: Any = source.encoder
    cells = _prepare_stored(source.by(encoder.describer), store, ledger, progress)
    described, keys = store.shelf(fingerprint(encoder.modality, encoder.describer)), cells.keys
    shelf = store.shelf(fingerprint(encoder.modality, encoder))
    fresh = [key for key in keys if key not in shelf]
    with _workers() as pool:
        for start in range(0, len(fresh), PACK_CELLS):
            some = fresh[start : start + PACK_CELLS]
            shelf.add(some, list(pool.map(lambda key: encoder.finish(described.get(key)), some)))
    return ColumnCells(cells.places, None, shelf, keys, before=cells)


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """A thread for each core, and one core for each thread: torch would start as many again in each of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _share(cells: int, most: int, workers: int) -> int:
    """How many cells a worker takes at once, at most `most`: so that all workers end together."""
    turns = -(-cells // (most * workers))
    return max(1, -(-cells // (max(1, turns) * workers)))


Outcome = bytes | str | None  # the key of a cell; why it cannot be loaded; or that it is missing


class _Once:
    """Which worker reads a content that several cells have: the first that meets it. Which contents are bad, and which
    are odd."""

    def __init__(self) -> None:
        self.bad: dict[bytes, str] = {}
        self.odd: dict[bytes, list[str]] = {}
        self.pieces: dict[bytes, int] = {}  # of those that are read in several
        self._met: set[bytes] = set()
        self._lock = threading.Lock()

    def first(self, key: bytes) -> bool:
        with self._lock:
            new = key not in self._met
            self._met.add(key)
            return new


def _read_chunk(source: _Source, shelf: Shelf, once: _Once, rows: list[int]) -> list[tuple[Outcome, Prepared | None]]:
    """In a worker: load, and read and prepare what the shelf does not hold yet."""
    outcomes: list[Outcome] = []
    fresh: dict[int, Cell] = {}
    prepared: dict[int, Prepared] = {}
    held = 0  # bytes
    for i, row in enumerate(rows):
        try:
            raw = source.load(row)
            key = None if raw is None else _key(raw)
        except MediaError as error:
            outcomes.append(str(error))
            continue
        outcomes.append(key)
        if key is not None and key not in shelf and once.first(key):
            try:
                fresh[i] = source.read(raw, once.odd.setdefault(key, []).append)
                if source.encoder.pieces is not None and (pieces := source.encoder.pieces(fresh[i])) > 1:
                    once.pieces[key] = pieces
                held += _size(fresh[i])
            except MediaError as error:
                once.bad[key] = str(error)
        if held > HELD_BYTES:
            prepared.update(zip(fresh, source.encoder.prepare(list(fresh.values()))))
            fresh, held = {}, 0
    if fresh:
        prepared.update(zip(fresh, source.encoder.prepare(list(fresh.values()))))
    return [(outcome, prepared.get(i)) for i, outcome in enumerate(outcomes)]


def _key(raw: Any) -> bytes:
    """A hash of what a cell holds: bytes, those of a mapped file too, or a plain value."""
    content = raw if isinstance(raw, (bytes, mmap)) else repr(raw).encode()
    return hashlib.sha256(content).digest()[:16]  # chips have instructions for it


def _size(cell: Cell) -> int:
    """The bytes of the arrays in a cell."""
    return sum(map(_size, cell)) if isinstance(cell, tuple) else int(getattr(cell, "nbytes", 0))


def _shelve(
    results: Iterator[list[tuple[Outcome, Prepared | None]]], shelf: Shelf, once: _Once, bar: Bar
) -> Iterator[Outcome]:
    """Passes outcomes on, writing what was prepared in packs."""
    waiting: dict[bytes, Prepared] = {}
    size, last = 0, time.monotonic()
    for chunk in results:
        for outcome, prepared in chunk:
            if prepared is not None and isinstance(outcome, bytes):
                waiting[outcome] = prepared
                size += sum(v.nbytes for v in prepared.values())
            yield outcome
        bar.advance(len(chunk))
        if len(waiting) >= PACK_CELLS or size >= PACK_BYTES or time.monotonic() - last > PACK_SECONDS:
            shelf.add(list(waiting), list(waiting.values()), once.odd)
            waiting, size, last = {}, 0, time.monotonic()
    shelf.add(list(waiting), list(waiting.values()), once.odd)
