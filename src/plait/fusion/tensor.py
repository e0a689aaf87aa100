"""Tensor fusion: the outer product of all streams, each with a 1 (Zadeh et al. 2017)."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.pooling import mlp
from plait.nn.streams import Pooled
from plait.types import Tokens

LEAST = 7  # fewer factors a stream than this, and the whole product gives way to pairs


class TensorFusion(Fusion):
    """h = MLP([1; h_1] x ... x [1; h_M]), x the outer product, h_i = tanh(W_i x_i) of `rank` factors, 0 where absent: what is
    left then is the product of the others. The product holds at most `size` numbers: rank is the largest, up to 16, that
    fits. Where not even 7 fit (five columns and more, by default), it is the outer products of all pairs instead."""

    def __init__(self, *, columns: list[str], width: int, size: int = 4096, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        m = len(columns)
        fits = [r for r in range(1, 17) if (r + 1) ** m <= size]
        self.groups = [tuple(range(m))]
        if m > 2 and max(fits, default=0) < LEAST:
            self.groups = list(combinations(range(m), 2))
            fits = [r for r in range(1, 17) if len(self.groups) * (r + 1) ** 2 <= size]
        self.rank = max(fits, default=1)
        self.pooled = Pooled(m, width)
        self.maps = nn.ModuleList(nn.Linear(width, self.rank) for _ in columns)
        total = sum((self.rank + 1) ** len(group) for group in self.groups)
        self.mlp = mlp(total, width, hidden=width, dropout=dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        x, here = self.pooled([streams[c] for c in self.columns])
        h = torch.stack([torch.tanh(m(x[:, i])) for i, m in enumerate(self.maps)], 1) * here[..., None]
        h = torch.cat([h.new_ones(*h.shape[:2], 1), h], 2)
        return Tokens(self.norm(self.mlp(self._product(h)))[:, None], row_present(streams)[:, None])

    def _product(self, h: Tensor) -> Tensor:
        """(B, M, r + 1) -> (B, groups times (r + 1) ** their size)."""
        members = torch.tensor(self.groups, device=h.device).T
        out = h[:, members[0]]
        for member in members[1:]:
            out = torch.einsum("bgi,bgj->bgij", out, h[:, member]).flatten(2)
        return out.flatten(1)

    def weights(self) -> dict[str, float] | None:
        return None
