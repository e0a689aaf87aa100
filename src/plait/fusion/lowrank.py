"""Low rank: tensor fusion whose weights are a sum of r products, so that the tensor is never made (LMF; Liu et al. 2018)."""

from __future__ import annotations

import torch
from torch import nn

from plait.fusion.base import Fusion, row_present
from plait.nn.streams import Pooled
from plait.types import Tokens


class LowRank(Fusion):
    """h = sum_r prod_i w_i^(r) [x_i; 1], products of D factors; the factor of an absent stream is 1, as if it were no column.
    The weights of the 1s begin at 1, so that gradients reach every stream however many there are."""

    def __init__(self, *, columns: list[str], width: int, rank: int = 4, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.rank = rank
        self.pooled = Pooled(len(columns), width)
        self.factors = nn.ModuleList(nn.Linear(width, rank * width) for _ in columns)
        with torch.no_grad():
            for factor in self.factors:
                factor.weight.mul_(len(columns) ** -0.5)  # type: ignore[operator]
                factor.bias.fill_(1)  # type: ignore[operator]
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        x, here = self.pooled([streams[c] for c in self.columns])
        each = torch.stack([factor(x[:, i]) for i, factor in enumerate(self.factors)], 1)
        h = torch.where(here[..., None], each, 1.0).prod(1).unflatten(1, (self.rank, -1)).sum(1)
        return Tokens(self.norm(self.dropout(h))[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return None
