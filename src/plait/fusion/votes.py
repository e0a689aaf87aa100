"""Decision level: a mean of what each stream's own head says, with learned weights (linear opinion pool; Stone 1961)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Decision


class Votes(Decision):
    """p = sum_i a_i p_i, a = softmax of learned scores over the streams present. The scores learn from the loss of p alone; the
    streams' heads learn as if each were alone."""

    def __init__(self, *, columns: list[str]) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.score = nn.Parameter(torch.zeros(len(columns)))

    def forward(self, present: dict[str, Tensor]) -> dict[str, Tensor]:
        here = torch.stack([present[c] for c in self.columns], 1)
        weight = self.score.expand(len(here), -1).masked_fill(~here, -1e4).softmax(1) * here
        return dict(zip(self.columns, weight.unbind(1)))

    def weights(self) -> dict[str, float] | None:
        return dict(zip(self.columns, self.score.detach().softmax(0).tolist()))
