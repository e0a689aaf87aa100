"""Every cell of a table read once, on all cores: which cells are the same, which are broken, and the figures of each."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.data.ledger import Ledger
from plait.data.schema import Column
from plait.data.table import Table
from plait.errors import MediaError
from plait.inspection.cells import Seen, folded, measured
from plait.modalities import modality
from plait.progress import Progress
from plait.types import Cell

CHUNK = 16  # files a worker takes at once
LONG = 40  # characters of a text that is no name
STEP = 20_000  # values between two movements of the bar
RECURRING = {"category", "labels", "number", "date"}  # kinds whose values return without being the same thing
KEPT = {"text", *RECURRING}  # kinds whose cells stand in the table: they are kept, of all others the figures only


def is_filed(kind: str) -> bool:
    """Whether cells of this kind are files, or lists of pictures or texts: told apart by their bytes, and not kept."""
    return kind not in KEPT


@dataclass
class Scanned:
    """One column: the distinct contents of its cells, and which of them each row holds."""

    column: Column
    places: np.ndarray  # (rows,) the distinct content of each row; -1 where missing or broken
    bad: np.ndarray  # (rows,) bool
    firsts: np.ndarray  # (distinct,) the first row of each content
    cells: list[Cell]  # (distinct,) what was read; empty for files and lists, which are not kept
    figures: dict[str, np.ndarray] = field(default_factory=dict)  # name -> (distinct,)
    marks: np.ndarray | None = None  # (distinct,) uint64; with `known`: where there is one
    known: np.ndarray | None = None
    smalls: np.ndarray | None = None  # (distinct, 16, 16, 3) uint8
    ratios: np.ndarray | None = None
    words: np.ndarray | None = None  # (distinct, hashed words), of lists of texts

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def here(self) -> np.ndarray:
        """(rows,) bool: where there is a cell that can be read."""
        return self.places >= 0

    @property
    def counts(self) -> np.ndarray:
        """(distinct,) how many rows hold each content."""
        return np.bincount(self.places[self.here], minlength=len(self.firsts))

    @property
    def content(self) -> bool:
        """Whether two equal cells are the same thing: files, lists and texts, but not names and numbers, which return.
        Texts that are short and mostly return are names."""
        if is_filed(self.column.modality or "text"):
            return True
        if self.column.modality in RECURRING or not self.cells:
            return False
        return 2 * len(self.cells) >= self.here.sum() or float(np.median(self.figures["characters"])) >= LONG

    def part(self, start: int, stop: int) -> Scanned:
        """The same of some of the rows, which then count from 0."""
        places, bad = self.places[start:stop], self.bad[start:stop]
        kept, inverse = np.unique(places[places >= 0], return_inverse=True)
        own = np.full(len(places), -1, dtype=np.int64)
        own[places >= 0] = inverse
        firsts = np.full(len(kept), len(places), dtype=np.int64)
        np.minimum.at(firsts, inverse, np.flatnonzero(places >= 0))
        pick = lambda a: None if a is None else a[kept]  # noqa: E731
        return Scanned(
            self.column,
            own,
            bad,
            firsts,
            [self.cells[i] for i in kept] if self.cells else [],
            {name: values[kept] for name, values in self.figures.items()},
            pick(self.marks),
            pick(self.known),
            pick(self.smalls),
            pick(self.ratios),
            pick(self.words),
        )

    def row_values(self, figure: str) -> np.ndarray:
        """(rows,) a figure of each row's cell; NaN where there is none."""
        values = np.full(len(self.places), np.nan)
        values[self.here] = self.figures[figure][self.places[self.here]]
        return values


def scan(
    tables: Sequence[Table], columns: Mapping[str, Column], ledger: Ledger, progress: Progress
) -> dict[str, Scanned]:
    """Every one of these columns, read; the rows of the tables follow each other. Bad cells, and cells with a remark, are
    entered in the ledger."""
    return {
        name: _files(_Reader(tables, column), column, ledger, progress)
        if is_filed(column.modality or "text")
        else _values(_Reader(tables, column), column, ledger, progress)
        for name, column in columns.items()
    }


class _Reader:
    """Loads and reads the cells of one column of one table or several."""

    def __init__(self, tables: Sequence[Table], column: Column) -> None:
        self.kind, self._options = column.modality or "text", column.options
        self._part = modality(self.kind)
        self.values = [value for table in tables for value in table.column(column.name)]
        self._folders = [table.folder for table in tables]
        self._starts = np.cumsum([0, *(len(table) for table in tables[:-1])]).tolist()

    def table(self, row: int) -> int:
        """Which table a row is from."""
        return bisect_right(self._starts, row) - 1

    def load(self, row: int) -> tuple[Any, Any]:
        """(what was loaded, what identifies it). Raises MediaError."""
        raw = self._part.load(self.values[row], self._folders[self.table(row)], **self._options)
        if raw is None or isinstance(raw, (str, float, int, tuple)):
            return raw, raw
        return raw, hashlib.blake2b(raw, digest_size=16).digest()

    def read(self, raw: Any, said: list[str]) -> Cell:
        """The cell, and what is odd about it."""
        return self._part.read(raw, note=said.append)


def _files(reader: _Reader, column: Column, ledger: Ledger, progress: Progress) -> Scanned:
    """A column of files or lists: each distinct path loaded, each distinct content read, in threads; no content is kept."""
    values = reader.values
    where: dict[Any, list[int]] = {}
    for row, value in enumerate(values):
        plain = isinstance(value, (str, bytes, type(None)))
        where.setdefault((reader.table(row), value) if plain else (row,), []).append(row)
    firsts = [rows[0] for rows in where.values()]
    chunks = [firsts[i : i + CHUNK] for i in range(0, len(firsts), CHUNK)]
    met: dict[Any, tuple[Seen | str, list[str]]] = {}
    found = _Found(len(values))
    ledger.filled[column.name] = 0
    with progress.bar(f"Reading {column.name}", len(firsts)) as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        work: Iterator[list[Any]] = pool.map(lambda rows: [_look(reader, row, met) for row in rows], chunks)
        outcomes: list[Any] = []
        for chunk in work:
            outcomes += chunk
            bar.advance(len(chunk))
    for outcome, rows in zip(outcomes, where.values()):
        if outcome is None:
            continue
        ledger.filled[column.name] += len(rows)
        seen, said = (outcome, []) if isinstance(outcome, str) else met[outcome[0]]
        if isinstance(seen, str):
            ledger.note(column.name, values[rows[0]], rows, seen)
            found.bad[rows] = True
        else:
            found.add(outcome[0], rows, seen)
            ledger.remark(column.name, values[rows[0]], rows, said)
    return found.scanned(column, keep=False)


def _look(reader: _Reader, row: int, met: dict[Any, tuple[Seen | str, list[str]]]) -> Any:
    """In a worker: None for a missing cell, why it cannot be loaded, or the key of what was read as a tuple of one. Two
    workers that meet the same content at once both read it, to the same end."""
    try:
        raw, key = reader.load(row)
    except MediaError as error:
        return str(error)
    if raw is None:
        return None
    if key not in met:
        said: list[str] = []
        try:
            met[key] = (measured(reader.read(raw, said), reader.kind), said)
        except MediaError as error:
            met[key] = (str(error), said)
    return (key,)


def _values(reader: _Reader, column: Column, ledger: Ledger, progress: Progress) -> Scanned:
    """A column of values that stand in the table: each distinct one loaded and read once."""
    values = reader.values
    found, outcomes = _Found(len(values)), dict[Any, Any]()
    filled = 0
    with progress.bar(f"Reading {column.name}", len(values)) as bar:
        for row, value in enumerate(values):
            if row % STEP == STEP - 1:
                bar.advance(STEP)
            kind = type(value)
            key = (kind, value) if kind in (str, int, float, bool, type(None)) else (row,)
            if key not in outcomes:
                outcomes[key] = found.value(reader, row)
            outcome = outcomes[key]
            if outcome is None:
                continue
            filled += 1
            if isinstance(outcome, str):
                ledger.note(column.name, value, [row], outcome)
                found.bad[row] = True
            else:
                found.places[row] = outcome[0]
                ledger.remark(column.name, value, [row], outcome[1])
    ledger.filled[column.name] = filled
    return found.scanned(column, keep=True)


class _Found:
    """What has been found in a column so far."""

    def __init__(self, rows: int) -> None:
        self.places, self.bad = np.full(rows, -1, dtype=np.int64), np.zeros(rows, dtype=bool)
        self._keys: dict[Any, int] = {}
        self._firsts: list[int] = []
        self._seen: list[Seen] = []
        self._cells: list[Cell] = []

    def add(self, key: Any, rows: list[int], seen: Seen) -> None:
        """The rows that hold one path; other paths may lead to the same content."""
        if key not in self._keys:
            self._keys[key] = len(self._keys)
            self._firsts.append(rows[0])
            self._seen.append(seen)
        self.places[rows] = self._keys[key]

    def value(self, reader: _Reader, row: int) -> tuple[int, list[str]] | str | None:
        """The place of one value and its remarks; or why it is bad; or None where it is missing."""
        said: list[str] = []
        try:
            raw, key = reader.load(row)
            if raw is None:
                return None
            cell = reader.read(raw, said)
        except MediaError as error:
            return str(error)
        place = self._keys.setdefault(key, len(self._keys))
        if place == len(self._firsts):
            self._firsts.append(row)
            self._cells.append(cell)
        return place, said

    def scanned(self, column: Column, *, keep: bool) -> Scanned:
        places, bad, firsts = self.places, self.bad, np.array(self._firsts, dtype=np.int64)
        if keep:
            size = {name: np.zeros(len(firsts)) for name in (measured(self._cells[0]).figures if self._cells else ())}
            done = Scanned(column, places, bad, firsts, self._cells, size)
            for name, into in size.items():
                into[:] = [measured(cell).figures.get(name, np.nan) for cell in self._cells]
            return done
        names = sorted({name for seen in self._seen for name in seen.figures})
        figures = {n: np.array([s.figures.get(n, np.nan) for s in self._seen], dtype=np.float64) for n in names}
        done = Scanned(column, places, bad, firsts, [], figures)
        words = [seen.words for seen in self._seen if seen.words is not None]
        done.words = np.stack(words) if words else None
        if any(seen.mark is not None for seen in self._seen):
            blank = np.zeros((16, 16, 3), np.uint8)
            done.known = np.array([seen.mark is not None for seen in self._seen])
            done.marks = np.array([seen.mark or 0 for seen in self._seen], dtype=np.uint64)
            done.smalls = np.stack([blank if seen.small is None else seen.small for seen in self._seen])
            done.ratios = np.array([seen.ratio for seen in self._seen])
        return done


def same_text(scanned: Scanned) -> np.ndarray:
    """(distinct,) a number for each text, the same for texts that differ in case, spaces and the form of letters only."""
    names: dict[str, int] = {}
    return np.array([names.setdefault(folded(str(c)), len(names)) for c in scanned.cells], dtype=np.int64)
