"""Concatenation: one vector a stream, side by side, then an MLP (early fusion; Ngiam et al. 2011)."""

from __future__ import annotations

import torch
from torch import nn

from plait.fusion.base import Fusion, row_present
from plait.nn.pooling import AttentionPool, mlp, present
from plait.types import Tokens


class Concat(Fusion):
    """h = MLP([pool(s_1); ...; pool(s_M)]); an absent stream is replaced by a learned vector."""

    def __init__(self, *, columns: list[str], width: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.pools = nn.ModuleList(AttentionPool(width) for _ in columns)
        self.absent = nn.Parameter(torch.zeros(len(columns), width))
        self.mlp = mlp(len(columns) * width, width, hidden=2 * width, dropout=dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        parts = [
            torch.where(present(streams[c])[:, None], pool(streams[c]), self.absent[i])
            for i, (c, pool) in enumerate(zip(self.columns, self.pools))
        ]
        return Tokens(self.norm(self.mlp(torch.cat(parts, 1)))[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return None
