"""Experts: several networks over all streams, and a router that says which to believe (Jacobs et al. 1991; Shazeer 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.pooling import mlp
from plait.nn.streams import Pooled
from plait.types import Tokens


class Experts(Fusion):
    """h = sum_e g_e MLP_e(v), v = [x_1; ...; x_M; which are present], g = softmax(G v); x_i = 0 where absent. All experts
    answer every row (soft gates), so none starves and no balancing loss is needed."""

    def __init__(self, *, columns: list[str], width: int, experts: int = 4, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        size = len(columns) * (width + 1)
        self.pooled = Pooled(len(columns), width)
        self.experts = nn.ModuleList(mlp(size, width, hidden=width, dropout=dropout) for _ in range(experts))
        self.router = nn.Linear(size, experts)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        x, here = self.pooled([streams[c] for c in self.columns])
        v = torch.cat([x.flatten(1), here.to(x.dtype)], 1)
        each = torch.stack([expert(v) for expert in self.experts], 1)
        h = torch.einsum("be,bed->bd", self.gates(v).to(each.dtype), each)
        return Tokens(self.norm(h)[:, None], row_present(streams)[:, None])

    def gates(self, v: Tensor) -> Tensor:
        """(B, E), summing to 1."""
        return self.router(v).float().softmax(1)  # type: ignore[no-any-return]

    def weights(self) -> dict[str, float] | None:
        return None
