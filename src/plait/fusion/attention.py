"""Attention: one Transformer over the tokens of all streams (one-stream; Li et al. 2019, VisualBERT; Kim et al. 2021)."""

from __future__ import annotations

import torch
from torch import nn

from plait.fusion.base import Fusion, row_present
from plait.nn.attention import Transformer, sinusoid
from plait.types import Tokens


class AttentionFusion(Fusion):
    """[summary; all tokens + the embedding of their column + their position] -> Transformer -> all tokens, the summary
    first. Seconds, rows and columns are given as sines, so that tokens of the same time or place can find each other."""

    def __init__(self, *, columns: list[str], width: int, depth: int = 1, heads: int = 4, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.width = width
        self.column = nn.Parameter(torch.randn(len(columns), width) * 0.02)
        self.summary = nn.Parameter(torch.randn(width) * 0.02)
        self.place = nn.Linear(3 * 16, width)
        nn.init.zeros_(self.place.weight)
        nn.init.zeros_(self.place.bias)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in columns)
        self.blocks = Transformer(width, depth, heads, dropout)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        parts = [
            norm(streams[c].x) + self.column[i] + self._where(streams[c])
            for i, (c, norm) in enumerate(zip(self.columns, self.norms))
        ]
        masks = [streams[c].mask for c in self.columns]
        b = len(masks[0])
        x = torch.cat([self.summary.to(parts[0].dtype).expand(b, 1, -1), *parts], 1)
        mask = torch.cat([masks[0].new_ones(b, 1), *masks], 1)
        x = self.blocks(x, mask)
        return Tokens(x[:, :1], row_present(streams)[:, None])

    def _where(self, tokens: Tokens) -> torch.Tensor:
        if tokens.position is None:
            return tokens.x.new_zeros(())
        known = tokens.position.isfinite()[..., None]
        scale = tokens.position.new_tensor([1.0, 30.0, 30.0])
        waves = sinusoid(tokens.position.nan_to_num() * scale, 16) * known
        return self.place(waves.flatten(-2))  # type: ignore[no-any-return]

    def weights(self) -> dict[str, float] | None:
        return None
