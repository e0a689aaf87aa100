"""Which rows train, which say when to stop, and which judge."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data import split as splits
from plait.data.schema import Schema
from plait.data.table import Table
from plait.errors import TableError
from plait.modalities.base import missing


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
