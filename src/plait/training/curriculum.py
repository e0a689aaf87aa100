"""How long each row is, for a curriculum: short rows first (Bengio et al. 2009)."""

from __future__ import annotations

import numpy as np

from plait.preparation import Dataset

CHUNK = 1024


def row_lengths(data: Dataset, rows: np.ndarray) -> np.ndarray:
    """(rows,) the sum over columns of the length of the prepared cell, as a multiple of the column's mean; 0 where missing.
    The length of a cell is that of its arrays: tokens of a text, frames of a sound."""
    total = np.zeros(len(rows))
    for cells in data.columns.values():
        found = np.zeros(len(rows))
        for start in range(0, len(rows), CHUNK):
            for i, cell in enumerate(cells.rows(rows[start : start + CHUNK]), start):
                found[i] = 0 if cell is None else sum(len(array) for array in cell.values())
        if found.any():
            total += found / found[found > 0].mean()
    return total
