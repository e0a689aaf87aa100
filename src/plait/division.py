"""Which rows train, which say when to stop, and which judge."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data import split as splits
from plait.data.schema import Schema
from plait.data.table import Table
from plait.errors import TableError
from plait.modalities.base import missing

NAMED, LETTERS = 8, 40  # classes that a sentence names, characters of each


def draw_split(
    table: Table, schema: Schema, labels: dict[str, list[Any]], how: dict[str, Any], seed: int
) -> np.ndarray:
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
        groups = groups_of(table.column(how["group"]), rows) if how["group"] else None
        parts[rows] = splits.by_chance(len(rows), fractions=fractions, seed=seed, strata=strata, groups=groups)
    if not (parts == 0).any():
        raise TableError(
            f"{len(rows)} labelled rows leave none to train on. Give more rows, or smaller valid and test."
        )
    return parts


def groups_of(values: list[Any], rows: np.ndarray) -> list[Any]:
    """The group of each row; a row without one is a group of its own."""
    return [("row", int(r)) if missing(values[r]) else ("group", str(values[r])) for r in rows]


def sizes(parts: np.ndarray) -> dict[str, int]:
    return {name: int((parts == p).sum()) for p, name in enumerate(splits.PARTS)}


def parts_text(parts: np.ndarray) -> str:
    """How many rows each part has, and which rows take no part."""
    none = np.flatnonzero(parts < 0)
    first = ", ".join(map(str, none[:10])) + (", …" if len(none) > 10 else "")
    return (
        "Split: "
        + ", ".join(f"{n} {part}" for part, n in sizes(parts).items())
        + (f"; {len(none)} rows without a label or a part take none: {first}" if len(none) else "")
    )


def thin_classes(labels: dict[str, list[Any]], parts: np.ndarray) -> list[str]:
    """A sentence for each target some of whose classes a part lacks, or of which one row trains; parts without any row are
    not spoken of."""
    words = {0: "no training row of", 1: "no validation row of", 2: "no test row of"}
    said = []
    for target, cells in labels.items():
        counts: dict[str, list[int]] = {}
        for cell, part in zip(cells, parts.tolist()):
            for name in cell if isinstance(cell, tuple) else (cell,):
                if isinstance(name, str) and part >= 0:
                    counts.setdefault(name, [0, 0, 0])[part] += 1
        names = sorted(counts)
        found = [(word, [n for n in names if not counts[n][p]]) for p, word in words.items() if (parts == p).any()]
        found.append(("one training row only of", [n for n in names if counts[n][0] == 1]))
        if thin := [f"{word} {_shortened(these)}" for word, these in found if these]:
            said.append(f"Classes of {target!r}: {'; '.join(thin)}.")
    return said


def _shortened(names: list[str]) -> str:
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([repr(n[:LETTERS]) for n in names[:NAMED]] + more)
