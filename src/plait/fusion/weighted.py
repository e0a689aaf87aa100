"""Weighted sum: each stream counts as much as it learned to, the same in every row."""

from __future__ import annotations

import torch
from torch import nn

from plait.fusion.base import Fusion, row_present
from plait.nn.pooling import AttentionPool, mlp, present
from plait.types import Tokens


class Weighted(Fusion):
    """h = sum_i a_i MLP_i(pool(s_i)), a = softmax of learned scores over the streams present."""

    def __init__(self, *, columns: list[str], width: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.pools = nn.ModuleList(AttentionPool(width) for _ in columns)
        self.maps = nn.ModuleList(
            nn.Sequential(mlp(width, width, hidden=width, dropout=dropout), nn.LayerNorm(width)) for _ in columns
        )
        self.score = nn.Parameter(torch.zeros(len(columns)))

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        here = torch.stack([present(streams[c]) for c in self.columns], 1)
        weight = self.score.expand(len(here), -1).masked_fill(~here, -1e4).softmax(1) * here
        x = torch.stack([m(pool(streams[c])) for c, pool, m in zip(self.columns, self.pools, self.maps)], 1)
        return Tokens(torch.einsum("bm,bmd->bd", weight.to(x.dtype), x)[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return dict(zip(self.columns, self.score.detach().softmax(0).tolist()))
