"""Gated: each stream passes a gate that looks at all of them (GMU; Arevalo et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.attention import MASKED
from plait.nn.streams import Pooled
from plait.types import Tokens


class Gated(Fusion):
    """h = sum_i z_i * tanh(W_i x_i), z = softmax over the streams present of U V [x_1; ...; x_M], one gate for each stream
    and each of D factors. With two streams the softmax is the paper's z and 1 - z; with one the gate is open. The matrix of
    all gates is of rank D at most: parameters grow as M, not as M squared."""

    def __init__(self, *, columns: list[str], width: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        m = len(columns)
        self.pooled = Pooled(m, width)
        self.maps = nn.ModuleList(nn.Linear(width, width) for _ in columns)
        self.look = nn.Linear(m * width, width, bias=False)
        self.gate = nn.Linear(width, m * width)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        x, here = self.pooled([streams[c] for c in self.columns])
        z = self.gates(x, here)
        h = torch.stack([torch.tanh(m(x[:, i])) for i, m in enumerate(self.maps)], 1)
        return Tokens(self.norm(self.dropout((z * h).sum(1)))[:, None], row_present(streams)[:, None])

    def gates(self, x: Tensor, here: Tensor) -> Tensor:
        """(B, M, D), summing to 1 over the streams present, zero for the others."""
        score = self.gate(self.look(x.flatten(1))).unflatten(1, (len(self.columns), -1))
        return score.float().masked_fill(~here[..., None], MASKED).softmax(1) * here[..., None]  # type: ignore[no-any-return]

    def weights(self) -> dict[str, float] | None:
        return None
