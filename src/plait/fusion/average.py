"""Decision level: the mean of what each stream's own head says (late fusion; Kittler et al. 1998, sum rule)."""

from __future__ import annotations

import torch
from torch import Tensor

from plait.fusion.base import Decision


class Average(Decision):
    """p = mean of p_i over the streams present."""

    def __init__(self, *, columns: list[str]) -> None:
        super().__init__()
        self.columns = sorted(columns)

    def forward(self, present: dict[str, Tensor]) -> dict[str, Tensor]:
        here = torch.stack([present[c] for c in self.columns], 1).float()
        share = here / here.sum(1, keepdim=True).clamp_min(1)
        return dict(zip(self.columns, share.unbind(1)))

    def weights(self) -> dict[str, float] | None:
        return None
