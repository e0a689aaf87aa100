"""Stochastic depth: in training, what a residual block adds is left out for some rows (Huang et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Skip(nn.Module):
    """x (B, ...) -> zero with `chance` a row, else x / (1 - chance), so that the mean is x (the paper scales in use instead).
    x as it is outside of training. Without any chance nothing is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.chance):
            return x
        kept = torch.rand(len(x), device=x.device) >= self.chance
        return x * (kept / (1 - self.chance)).to(x.dtype).view(-1, *[1] * (x.ndim - 1))


def deepen(part: nn.Module, chance: float) -> int:
    """Sets the chances of the residual blocks of a part, in their order: l / L of `chance` for the l-th of L, as in the paper's
    linear decay. Returns L."""
    found = [m for m in part.modules() if isinstance(m, Skip)]
    for place, skip in enumerate(found, start=1):
        skip.chance = chance * place / len(found)
    return len(found)
