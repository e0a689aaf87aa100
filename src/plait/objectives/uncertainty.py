"""Uncertainty: each target's loss is weighed by a learned variance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.errors import PlaitError
from plait.objectives.base import Objective, mean_loss
from plait.types import Pass

RATE = 10.0  # of the log variances: numbers of the size of 1, where weights of a network are much smaller


class Uncertainty(Objective):
    """sum_t exp(-s_t) * mean loss of t + s_t, s_t being a learned log variance, 0 at first (Kendall, Gal & Cipolla 2018,
    eq. 7 and 10). One form for all losses: it is twice what the paper has for squared ones, exp(-s) L / 2 + s / 2, and has
    the same optimum as that, exp(s) = L, where every target's term has the same size. A target without a label in a batch
    leaves its s alone.

    `targets`: those weighed so; others count as they are. `rate`: factor of the learning rate for s. Raises PlaitError."""

    def __init__(self, *, targets: list[str] | None = None, rate: float = RATE) -> None:
        super().__init__()
        if not rate > 0:
            raise PlaitError(
                f"Objective 'uncertainty': found rate={rate!r}, expected a factor above 0, such as {RATE:g}."
            )
        self.targets = sorted(targets or [])
        self.log_variance = nn.Parameter(torch.zeros(len(self.targets)))
        self.rates = {"log_variance": float(rate)}

    def forward(self, passed: Pass) -> dict[str, Tensor]:
        found = {}
        for target in passed.losses:
            loss = mean_loss(passed, target)
            if target in self.targets:
                s = self.log_variance[self.targets.index(target)]
                loss = (-s).exp() * loss + s * passed.known[target].any()
            found[f"{target}_loss"] = loss
        return found

    def shares(self) -> dict[str, float] | None:
        return dict(zip(self.targets, (-self.log_variance.detach()).exp().tolist())) or None
