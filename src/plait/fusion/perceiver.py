"""Perceiver: a few latents read the tokens of all streams, again and again (Jaegle et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.attention import Attention, Block
from plait.nn.pooling import mlp
from plait.nn.streams import Tagged
from plait.types import Tokens


class Reading(nn.Module):
    """z <- z + attention(z over x), z <- z + MLP(z), both pre-norm; then a Block among the latents."""

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.source, self.after = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = mlp(width, width, hidden=2 * width)
        self.block = Block(width, heads, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        z = z + self.dropout(self.attention(self.norm(z), mask, self.source(x)))
        z = z + self.dropout(self.mlp(self.after(z)))
        return self.block(z, mask.new_ones(z.shape[:2]))  # type: ignore[no-any-return]


class Perceiver(Fusion):
    """z_l = Reading_l(z_{l-1}, all tokens + the embedding of their column + their position), h = mean of z_L. What the first
    reading finds is what the second one looks with. The cost grows as the number of tokens, not as its square."""

    def __init__(
        self, *, columns: list[str], width: int, depth: int = 2, latents: int = 4, heads: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.tagged = Tagged(len(columns), width)
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.02)
        self.readings = nn.ModuleList(Reading(width=width, heads=heads, dropout=dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        own = [streams[c] for c in self.columns]
        x, mask = torch.cat(self.tagged(own), 1), torch.cat([s.mask for s in own], 1)
        z = self.latents.expand(len(x), -1, -1)
        for reading in self.readings:
            z = reading(z, x, mask)
        return Tokens(self.norm(z.mean(1))[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return None
