"""Decision level: what the streams say is multiplied, the prior divided out (naive Bayes over streams; Kittler et al. 1998,
equation 7; with learned powers a logarithmic opinion pool, Genest & Zidek 1986)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plait.fusion.base import Decision

ONE = 0.5413248546129181  # softplus of it is 1


class ProductOfExperts(Decision):
    """log p = log prior + sum_i a_i (log p_i - log prior) over the streams present, normalised. With a_i = 1 this is exact where
    the streams are independent given the label; streams that repeat each other then count twice, so the powers a_i, 1 at
    the start, are learned from the loss of p (unless `learned` is false)."""

    rule = "product"

    def __init__(self, *, columns: list[str], learned: bool = True) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.power = nn.Parameter(torch.full((len(columns),), ONE), requires_grad=learned)

    def forward(self, present: dict[str, Tensor]) -> dict[str, Tensor]:
        power = F.softplus(self.power)
        return {c: power[i] * present[c] for i, c in enumerate(self.columns)}

    def weights(self) -> dict[str, float] | None:
        power = F.softplus(self.power.detach())
        return dict(zip(self.columns, (power / power.sum()).tolist()))
