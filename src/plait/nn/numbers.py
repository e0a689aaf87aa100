"""Numbers for encoders: standardised in float64, clipped, kept as float32."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from plait.nn import rows
from plait.types import Inputs, Prepared

CLIP = 20.0  # standard deviations; what lies further is an outlier, not a number twice as large


def learn_scale(cells: Iterable[float | None]) -> dict[str, float]:
    """The mean and standard deviation of the cells that are present."""
    values = np.array([c for c in cells if c is not None], dtype=np.float64)
    if not len(values):
        return {"mean": 0.0, "std": 1.0}
    top = np.abs(values).max() or 1.0  # 1e308 squared is not a number
    std = float((values / top).std() * top)
    return {"mean": float((values / top).mean() * top), "std": std if std > 0 and np.isfinite(std) else 1.0}


class Scale:
    """A number -> value float32 (1,), in standard deviations from the mean, within 20."""

    def __init__(self, *, mean: float, std: float) -> None:
        self.mean, self.std = mean, std
        self.preparation: dict[str, Any] = {"kind": "number", "mean": mean, "std": std}

    def prepare(self, cells: Sequence[float]) -> list[Prepared]:
        with np.errstate(over="ignore"):  # infinity is clipped too
            values = (np.array(cells, dtype=np.float64) - self.mean) / self.std
        return [{"value": v} for v in values.clip(-CLIP, CLIP).astype(np.float32)[:, None]]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.stack(cells, value=np.zeros(1, np.float32))
