"""Product: streams agree factor by factor (Hadamard product; Kim et al. 2017, low-rank bilinear pooling)."""

from __future__ import annotations

import torch
from torch import nn

from plait.fusion.base import Fusion, row_present
from plait.nn.pooling import AttentionPool, mlp, present
from plait.types import Tokens


class Product(Fusion):
    """h = MLP(prod_i (1 + tanh(W_i pool(s_i)))); the factor of an absent stream is 1. The 1 keeps what one stream says
    when another is silent, and lets gradients through at the start."""

    def __init__(self, *, columns: list[str], width: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.pools = nn.ModuleList(AttentionPool(width) for _ in columns)
        self.maps = nn.ModuleList(nn.Linear(width, width) for _ in columns)
        self.mlp = mlp(width, width, hidden=2 * width, dropout=dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        factors = [
            torch.where(present(streams[c])[:, None], 1 + torch.tanh(m(pool(streams[c]))), 1.0)
            for c, pool, m in zip(self.columns, self.pools, self.maps)
        ]
        x = torch.stack(factors).prod(0)
        return Tokens(self.norm(self.mlp(x - 1))[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return None
