"""Bilinear: every two streams multiplied factor by factor, summed in groups, brought to one scale (MFB; Yu et al. 2017)."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.streams import Pooled
from plait.types import Tokens

SMALL = 1e-6  # keeps the root's slope finite


class Bilinear(Fusion):
    """z_ij = SumPool_k(U_i x_i * V_j x_j) for i < j, then sign(z) sqrt|z|, then z / |z|; h = W [all z_ij; all A_i x_i]; what an
    absent stream takes part in is 0. A stream has one U and one V, whichever stream it meets. With a single column only A is
    left."""

    def __init__(
        self, *, columns: list[str], width: int, size: int = 32, factors: int = 5, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.size, self.factors = size, factors
        m = len(columns)
        self.pairs = list(combinations(range(m), 2))
        self.pooled = Pooled(m, width)
        self.left = nn.ModuleList(nn.Linear(width, size * factors) for _ in range(m - 1))  # U_1 ... U_{M-1}
        self.right = nn.ModuleList(nn.Linear(width, size * factors) for _ in range(m - 1))  # V_2 ... V_M
        self.alone = nn.ModuleList(nn.Linear(width, size) for _ in columns)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear((len(self.pairs) + m) * size, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        x, here = self.pooled([streams[c] for c in self.columns])
        parts = [torch.stack([a(x[:, i]) for i, a in enumerate(self.alone)], 1) * here[..., None]]
        if self.pairs:
            parts.append(self._met(x, here))
        h = self.out(torch.cat(parts, 1).flatten(1))
        return Tokens(self.norm(h)[:, None], row_present(streams)[:, None])

    def _met(self, x: Tensor, here: Tensor) -> Tensor:
        """(B, M, D), (B, M) -> (B, pairs, size)."""
        first, second = torch.tensor(self.pairs, device=x.device).T
        left = torch.stack([u(x[:, i]) for i, u in enumerate(self.left)], 1)
        right = torch.stack([v(x[:, i + 1]) for i, v in enumerate(self.right)], 1)
        z = self.dropout(left[:, first] * right[:, second - 1]).unflatten(2, (self.size, self.factors)).sum(-1).float()
        z = z.sign() * (z.abs() + SMALL).sqrt()
        z = z * (z.square().sum(-1, keepdim=True) + SMALL).rsqrt()
        return z * (here[:, first] & here[:, second])[..., None]  # type: ignore[no-any-return]

    def weights(self) -> dict[str, float] | None:
        return None
