"""Numbers as one token: how far the value fills each of its quantile bins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.types import Inputs, Prepared, Tokens


class NumberPiecewise(Encoder):
    """A number -> filled (B, bins), 1 in bins below it, 0 above, the share in its own -> one token (B, 1, D)
    (Gorishniy et al. 2022, equation 1, quantile bins)."""

    modality: ClassVar[str] = "number"
    stored: ClassVar[bool] = False

    def __init__(self, *, edges: list[float], width: int = 32) -> None:
        super().__init__()
        assert len(edges) >= 2 and sorted(set(edges)) == list(edges), "edges must rise and be at least two"
        self.width, self.reading = width, {}
        self.edges = np.array(edges, dtype=np.float64)
        self.preparation = {"kind": "piecewise", "edges": list(edges)}
        self.out = nn.Sequential(nn.Linear(len(edges) - 1, width), nn.ReLU())

    @classmethod
    def learn(cls, cells: Iterable[float | None], *, bins: int = 16) -> dict[str, Any]:
        values = np.array([c for c in cells if c is not None] or [0.0, 1.0], dtype=np.float64)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
        return {"edges": edges.tolist() if len(edges) > 1 else [float(edges[0]) - 1, float(edges[0]) + 1]}

    def prepare(self, cells: Sequence[float]) -> list[Prepared]:
        low, high = self.edges[:-1] / 2, self.edges[1:] / 2  # halves: the span of huge numbers stays finite
        filled = ((np.array(cells, dtype=np.float64)[:, None] / 2 - low) / (high - low)).clip(0, 1)
        return [{"filled": f} for f in filled.astype(np.float32)]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.stack(cells, filled=np.zeros(len(self.edges) - 1, np.float32))

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return Tokens(self.out(inputs["filled"])[:, None], inputs["present"][:, None])
