"""From columns of a table to prepared cells by row: each distinct cell read once, on all cores, the bad ones noted."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.data.ledger import Ledger
from plait.data.store import Pack, Shelf, Store
from plait.data.table import Table
from plait.encoders.base import Encoder
from plait.errors import MediaError
from plait.modalities import modality
from plait.nn import sides
from plait.progress import Bar, Progress
from plait.types import Batch, Cell, Note, Prepared

Options = Mapping[str, Any]  # of a column: keyword arguments of its modality's load

CHUNK = 16  # cells a worker takes at once
HELD_BYTES = 64 * 2**20  # of cells that a worker has read and not yet prepared
PLAIN = 16_384  # plain cells prepared at once
PACK_CELLS, PACK_BYTES, PACK_SECONDS = 4096, 64 * 2**20, 10.0  # a killed preparation loses at most this much


class ColumnCells:
    """The prepared cells of one column, by row. Cells live in a pack in memory, memory-mapped on a shelf, or in `parts`: the
    same cells as several encoders have them, missing where one of them could not read it."""

    def __init__(
        self,
        places: np.ndarray,
        pack: Pack | None,
        shelf: Shelf | None = None,
        keys: Sequence[bytes] = (),
        parts: Sequence[ColumnCells] = (),
    ) -> None:
        self.places = places  # (rows,) index of each row's distinct cell; -1 where missing
        self._pack, self._shelf, self._keys, self._parts = pack, shelf, keys, parts

    @classmethod
    def joined(cls, parts: Sequence[ColumnCells]) -> ColumnCells:
        """The cells of one column as several encoders have them."""
        whole = np.logical_and.reduce([part.places >= 0 for part in parts])
        return cls(np.where(whole, parts[0].places, -1), None, parts=parts)

    def rows(self, rows: np.ndarray) -> list[Prepared | None]:
        """The cells of these rows; None where missing."""
        if self._parts:
            each = zip(self.places[rows].tolist(), *(part.rows(rows) for part in self._parts))
            return [None if place < 0 else sides.together(cells) for place, *cells in each]
        return [None if p < 0 else self._cell(p) for p in self.places[rows].tolist()]

    def _cell(self, place: int) -> Prepared:
        if self._pack is not None:
            return self._pack.get(place)
        assert self._shelf is not None
        return self._shelf.get(self._keys[place])

    def packs(self) -> set[str]:
        """The names of the packs on the shelf that hold these cells."""
        return self._shelf.packs(self._keys) if self._shelf else set()

    def shelved(self, encoder: Encoder) -> dict[str, set[str]]:
        """Shelf -> the names of its packs that hold these cells, as this encoder has prepared them."""
        found: dict[str, set[str]] = {}
        for cells, part in zip(self._parts or [self], encoder.parts or [encoder]):
            if part.stored:
                found.setdefault(fingerprint(part.modality, part), set()).update(cells.packs())
        return found

    def marks(self) -> np.ndarray | None:
        """(rows,) uint64: a hash of the content of each row, 0 where missing; None for cells that have no content of their
        own on a shelf."""
        if self._parts:
            return next((marks for part in self._parts if (marks := part.marks()) is not None), None)
        if not self._keys:
            return None
        distinct = np.frombuffer(b"".join(key[:8] for key in self._keys), np.uint64)
        return np.where(self.places < 0, np.uint64(0), distinct[np.maximum(self.places, 0)])

    def digest(self) -> str:
        """A hash of the content of every row, for telling whether the data of a run have changed."""
        mark = hashlib.blake2b(self.places.tobytes(), digest_size=16)
        for key in self._keys:
            mark.update(key)
        for part in self._parts:
            mark.update(part.digest().encode())
        for values, offsets in self._pack.fields.values() if self._pack else ():
            mark.update(values.tobytes())
            mark.update(offsets.tobytes())
        return mark.hexdigest()


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
class Reading:
    """The cells of a column one after the other, read when asked for, each time anew; None where missing or bad."""

    table: Table
    column: str
    kind: str
    rows: Sequence[int] | None = None
    options: Options = field(default_factory=dict)

    def __iter__(self) -> Iterator[Cell]:
        part, values = modality(self.kind), self.table.column(self.column)
        for row in range(len(values)) if self.rows is None else self.rows:
            try:
                raw = part.load(values[row], self.table.folder, **self.options)
                yield None if raw is None else part.read(raw)
            except MediaError:
                yield None


def read_cells(
    table: Table, column: str, kind: str, rows: Sequence[int] | None = None, options: Options = {}
) -> Reading:
    """The cells of a column, or of some rows of it."""
    return Reading(table, column, kind, rows, options)


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


def fingerprint(kind: str, encoder: Encoder) -> str:
    """The name of the shelf that holds cells of this modality prepared this way."""
    text = json.dumps([kind, encoder.preparation, encoder.reading], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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
            work, own = _prepare_stored if part.stored else _prepare_plain, Ledger()
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


class _Source:
    """One column: where its values come from, and how a cell of it is loaded and read."""

    def __init__(self, table: Table, column: str, encoder: Encoder, options: Options) -> None:
        self.column, self.encoder, self.values = column, encoder, table.column(column)
        self._folder, self._options, self._part = Path(table.folder), options, modality(encoder.modality)

    def load(self, row: int) -> Any:
        return self._part.load(self.values[row], self._folder, **self._options)

    def read(self, raw: Any, note: Note) -> Cell:
        return self._part.read(raw, note=note, **self.encoder.reading)


def _prepare_plain(source: _Source, store: Store, ledger: Ledger, progress: Progress) -> ColumnCells:
    """Cells that are quick to prepare: in memory, in this run."""
    values, column, encoder = source.values, source.column, source.encoder
    places = np.full(len(values), -1, dtype=np.int64)
    distinct: dict[Any, int] = {}
    filled = 0
    for row, value in enumerate(values):
        try:
            raw = source.load(row)
        except MediaError as error:
            ledger.note(column, value, [row], str(error))
            filled += 1
            continue
        if raw is not None:
            places[row] = distinct.setdefault(raw, len(distinct))
            filled += 1
    ledger.filled[column] = filled
    remarks: dict[int, list[str]] = {}
    raws, packs = list(distinct), []
    for start in range(0, len(raws), PLAIN):
        cells = [
            source.read(raw, lambda said, i=i: remarks.setdefault(i, []).append(said))  # type: ignore[misc]
            for i, raw in enumerate(raws[start : start + PLAIN], start)
        ]
        packs.append(Pack.of(encoder.prepare(cells)))
    for place, said in remarks.items():
        rows = np.flatnonzero(places == place).tolist()
        ledger.remark(column, values[rows[0]], rows, said)
    return ColumnCells(places, Pack.joined(packs))


def _prepare_stored(source: _Source, store: Store, ledger: Ledger, progress: Progress) -> ColumnCells:
    """Cells that cost: each distinct content once, kept on a shelf."""
    values, column, encoder = source.values, source.column, source.encoder
    where: dict[Any, list[int]] = {}
    for row, value in enumerate(values):
        where.setdefault(value if isinstance(value, (str, bytes, type(None))) else (row,), []).append(row)
    firsts = [rows[0] for rows in where.values()]
    size = max(CHUNK, min(encoder.chunk, -(-len(firsts) // (os.cpu_count() or 1))))
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
    return ColumnCells(places, None, shelf, list(keys))


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


Outcome = bytes | str | None  # the key of a cell; why it cannot be loaded; or that it is missing


class _Once:
    """Which worker reads a content that several cells have: the first that meets it. Which contents are bad, and which
    are odd."""

    def __init__(self) -> None:
        self.bad: dict[bytes, str] = {}
        self.odd: dict[bytes, list[str]] = {}
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
            except MediaError as error:
                once.bad[key] = str(error)
        if sum(map(_size, fresh.values())) > HELD_BYTES:
            prepared.update(zip(fresh, source.encoder.prepare(list(fresh.values()))))
            fresh = {}
    if fresh:
        prepared.update(zip(fresh, source.encoder.prepare(list(fresh.values()))))
    return [(outcome, prepared.get(i)) for i, outcome in enumerate(outcomes)]


def _key(raw: Any) -> bytes:
    """A hash of what a cell holds: bytes, or a plain value."""
    content = raw if isinstance(raw, bytes) else repr(raw).encode()
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
