"""Bottleneck: streams keep to themselves but for a few tokens that they share (MBT; Nagrani et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.attention import Block
from plait.nn.pooling import AttentionPool, present
from plait.nn.streams import Tagged
from plait.types import Tokens


class Exchange(nn.Module):
    """[x_i; f_i] = Block_i([x_i; f]) for each stream, then f = the sum of f_i, each by its share."""

    def __init__(self, *, count: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(count))

    def forward(
        self, parts: list[Tensor], f: Tensor, masks: list[Tensor], share: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """parts: M x (B, N_i, D). f (B, K, D). masks: M x (B, N_i + K). share (M, B, 1)."""
        k = f.shape[1]
        both = [block(torch.cat([x, f], 1), m) for block, x, m in zip(self.blocks, parts, masks)]
        return [y[:, :-k] for y in both], torch.stack([y[:, -k:] * a[..., None] for y, a in zip(both, share)]).sum(0)


class Bottleneck(Fusion):
    """[x_i; f_i] <- Block_i,l([x_i; f]) for each stream, then f <- the mean of f_i over the streams present, L times;
    h = mean of f + mean over the streams present of pool_i(x_i)."""

    def __init__(
        self, *, columns: list[str], width: int, depth: int = 2, tokens: int = 2, heads: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.tagged = Tagged(len(columns), width)
        self.shared = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.layers = nn.ModuleList(
            Exchange(count=len(columns), width=width, heads=heads, dropout=dropout) for _ in range(depth)
        )
        self.pools = nn.ModuleList(AttentionPool(width) for _ in columns)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        own = [streams[c] for c in self.columns]
        parts = self.tagged(own)
        here = torch.stack([present(s) for s in own]).to(parts[0].dtype)[..., None]  # (M, B, 1)
        share = here / here.sum(0).clamp_min(1)
        f = self.shared.expand(len(own[0].mask), -1, -1)
        masks = [torch.cat([s.mask, s.mask.new_ones(f.shape[:2])], 1) for s in own]
        for layer in self.layers:
            parts, f = layer(parts, f, masks, share)
        pooled = [pool(Tokens(x, s.mask)) for x, s, pool in zip(parts, own, self.pools)]
        h = f.mean(1) + (torch.stack(pooled) * share).sum(0)
        return Tokens(self.norm(h)[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return None
