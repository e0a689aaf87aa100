"""Supervised: the mean loss of each target over the rows that are labelled."""

from __future__ import annotations

from torch import Tensor

from plait.objectives.base import Objective
from plait.types import Pass


class Supervised(Objective):
    """sum_t w_t * mean loss of t. `weights`: target -> w, 1 where not given."""

    def __init__(self, *, weights: dict[str, float] | None = None) -> None:
        super().__init__()
        self.weights = dict(weights or {})

    def forward(self, passed: Pass) -> dict[str, Tensor]:
        return {
            f"{name}_loss": self.weights.get(name, 1.0) * loss.sum() / passed.known[name].sum().clamp_min(1)
            for name, loss in passed.losses.items()
        }

    def shares(self) -> dict[str, float] | None:
        return dict(self.weights) or None
