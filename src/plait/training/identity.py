"""What a run was started with: hashes of everything its bytes depend on, and of each row, to say what has changed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy
import torch

from plait import __version__
from plait.data.table import Table
from plait.preparation import ColumnCells, Dataset
from plait.spec import dumps, loads
from plait.training.options import Options

SPLIT = "the split"
NAMED = 10  # rows that a difference names
MIX = np.uint64(
    0x9E3779B97F4A7C15
)  # 2^64 / golden ratio (Knuth 1973): spreads the marks of columns before they are added


def digest(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


@dataclass(frozen=True)
class Identity:
    """One run. With other `options` it never goes on; with other `data` only when that is allowed."""

    options: dict[str, Any]
    data: dict[str, str]  # name -> hash
    spec: dict[str, Any]  # the completed one: what was learned from the data is in it
    parts: np.ndarray  # (rows,) of 0 train, 1 valid, 2 test, -1 none
    marks: dict[str, np.ndarray]  # "column 'x'", "labels of 'y'" -> (rows,) uint64: a hash of each row's cell

    @classmethod
    def of(
        cls,
        table: Table,
        data: Dataset,
        *,
        declared: Mapping[str, Any],
        spec: dict[str, Any],
        parts: np.ndarray,
        options: Options,
        seed: int,
    ) -> Identity:
        """`declared`: the parts as they were asked for, before anything was learned."""
        marks = {f"column {c!r}": _marks(table, c, cells) for c, cells in data.columns.items()}
        marks |= {f"labels of {t!r}": _hashes([repr(v) for v in cells]) for t, cells in data.labels.items()}
        return cls(
            {
                "plait": __version__,
                "torch": torch.__version__.split("+")[0],
                "seed": seed,
                "parts": digest(json.dumps(declared, sort_keys=True).encode()),
                "training": digest(json.dumps(options.to_json()).encode()),
            },
            {
                **{f"column {c!r}": cells.digest() for c, cells in data.columns.items()},
                **{f"labels of {t!r}": digest(y.cpu().numpy().tobytes()) for t, y in data.targets.items()},
                "what was learned from the rows": digest(dumps(spec).encode()),
                SPLIT: digest(parts.astype(np.int8).tobytes()),
            },
            spec,
            parts.astype(np.int8),
            marks,
        )

    @property
    def mark(self) -> str:
        """One hash of all data."""
        return digest(json.dumps(self.data, sort_keys=True).encode())

    def to_json(self) -> dict[str, Any]:
        return {**self.options, **self.data}

    def contents(self) -> dict[str, bytes]:
        """The files that keep it."""
        about = {"options": self.options, "data": self.data, "names": list(self.marks)}
        arrays = {"parts": self.parts, **{f"marks-{i}": m for i, m in enumerate(self.marks.values())}}
        return {
            "run.json": json.dumps(about, indent=1).encode(),
            "spec.json": dumps(self.spec).encode(),
            "rows.safetensors": safetensors.numpy.save(arrays),
        }

    @classmethod
    def read(cls, contents: Mapping[str, bytes]) -> Identity:
        about, arrays = json.loads(contents["run.json"]), safetensors.numpy.load(contents["rows.safetensors"])
        marks = {name: arrays[f"marks-{i}"] for i, name in enumerate(about["names"])}
        return cls(about["options"], about["data"], loads(contents["spec.json"].decode()), arrays["parts"], marks)

    def other_options(self, new: Identity) -> list[str]:
        """The options that are not the same in `new`."""
        return sorted(k for k in {**self.options, **new.options} if self.options.get(k) != new.options.get(k))

    def difference(self, new: Identity) -> list[str]:
        """What of the data is not the same in `new`, a line each; the rows are counted from 0."""
        changed = [k for k in {**self.data, **new.data} if self.data.get(k) != new.data.get(k)]
        if not changed:
            return []
        lines = _rows_between(self._whole(), new._whole())
        if not lines:
            for name, mark in new.marks.items():
                rows = np.flatnonzero(self.marks[name] != mark) if name in self.marks else np.arange(len(mark))
                lines += [f"{name}: {_named(rows)}"] if rows.size else []
        if not lines:  # the same rows, used otherwise: what was learned from them follows from the split
            lines = [SPLIT] if SPLIT in changed else changed
        return [*lines, *self._leaks(new)]

    def _whole(self) -> np.ndarray:
        """(rows,) uint64: a hash of each row."""
        whole = np.zeros(len(self.parts), np.uint64)
        for name in sorted(self.marks):
            whole = whole * MIX + self.marks[name]
        return whole

    def _leaks(self, new: Identity) -> list[str]:
        trained = set(self._whole()[self.parts == 0].tolist())
        judged = [r for r, mark in enumerate(new._whole().tolist()) if new.parts[r] > 0 and mark in trained]
        if not judged:
            return []
        return [f"held out now, but trained on before (their figures will flatter): {_named(np.array(judged))}"]


def _rows_between(old: np.ndarray, new: np.ndarray) -> list[str]:
    """Rows added, taken away, or in another order; nothing when rows stand where they stood."""
    before, after = Counter(old.tolist()), Counter(new.tolist())
    if before == after:
        return ["the rows stand in another order"] if (old != new).any() else []
    if len(old) == len(new):
        return []
    lines = []
    for word, rows, others in (("added", new, before), ("taken away", old, after)):
        left, found = Counter(others), []
        for row, mark in enumerate(rows.tolist()):
            if left[mark]:
                left[mark] -= 1
            else:
                found.append(row)
        lines += [f"rows {word}: {_named(np.array(found))}"] if found else []
    return lines


def _named(rows: np.ndarray) -> str:
    first = ", ".join(map(str, rows[:NAMED].tolist()))
    return f"{len(rows)} row{'s' if len(rows) > 1 else ''} ({first}{', …' if len(rows) > NAMED else ''})"


def _hashes(texts: list[str]) -> np.ndarray:
    raw = b"".join(hashlib.blake2b(t.encode("utf-8", "replace"), digest_size=8).digest() for t in texts)
    return np.frombuffer(raw, np.uint64)


def _marks(table: Table, column: str, cells: ColumnCells) -> np.ndarray:
    """(rows,) uint64: a hash of what each cell holds, of a media file its content; 0 where it is missing."""
    marks = cells.marks()
    return _hashes([repr(v) for v in table.column(column)]) if marks is None else marks
