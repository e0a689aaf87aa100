"""Ensemble: K small MLPs over the streams side by side, which share their matrices (TabM, Gorishniy et al. 2025; BatchEnsemble,
Wen et al. 2020)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from plait.fusion.base import Fusion, row_present
from plait.nn.pooling import AttentionPool, present
from plait.types import Tokens


class Ensemble(Fusion):
    """h_k = norm(B_k(gelu(A_k x))), A_k x = (A(x * r_k)) * s_k + b_k, k = 1..K: a member scales what goes into a layer and what
    comes out of it, by numbers of its own; the first r_k are random signs, so that members differ. Each learns by itself,
    and their answers are averaged."""

    def __init__(self, *, columns: list[str], width: int, members: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns, self.members = sorted(columns), members
        self.pools = nn.ModuleList(AttentionPool(width) for _ in columns)
        self.absent = nn.Parameter(torch.zeros(len(columns), width))
        sizes = [len(columns) * width, 2 * width, width]
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes))
        self.scale_in = nn.ParameterList(
            torch.randn(members, a).sign() if i == 0 else torch.ones(members, a) for i, a in enumerate(sizes[:-1])
        )
        self.scale_out = nn.ParameterList(torch.ones(members, b) for b in sizes[1:])
        self.bias = nn.ParameterList(torch.zeros(members, b) for b in sizes[1:])
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        parts = [
            torch.where(present(streams[c])[:, None], pool(streams[c]), self.absent[i])
            for i, (c, pool) in enumerate(zip(self.columns, self.pools))
        ]
        x = torch.cat(parts, 1)[:, None].expand(-1, self.members, -1)
        for i, (layer, r, s, b) in enumerate(zip(self.layers, self.scale_in, self.scale_out, self.bias)):
            x = layer(x * r) * s + b
            x = self.dropout(F.gelu(x)) if i + 1 < len(self.layers) else x
        return Tokens(self.norm(x), row_present(streams)[:, None].expand(-1, self.members))

    def weights(self) -> dict[str, float] | None:
        return None
