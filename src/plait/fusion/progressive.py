"""Progressive: streams keep their own layers, and a central one takes from all of them at each (CentralNet; Vielzeuf 2018)."""

from __future__ import annotations

import torch
from torch import nn

from plait.fusion.base import Fusion, row_present
from plait.nn.streams import Pooled
from plait.types import Tokens


class Layer(nn.Module):
    """LN(GELU(W x)), with dropout."""

    def __init__(self, *, width: int, dropout: float) -> None:
        super().__init__()
        self.map, self.norm, self.dropout = nn.Linear(width, width), nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.dropout(nn.functional.gelu(self.map(x))))  # type: ignore[no-any-return]


class Layers(nn.Module):
    """A layer for each of M streams: (B, M, D) -> (B, M, D)."""

    def __init__(self, *, count: int, width: int, dropout: float) -> None:
        super().__init__()
        self.each = nn.ModuleList(Layer(width=width, dropout=dropout) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([layer(x[:, i]) for i, layer in enumerate(self.each)], 1)


class Progressive(Fusion):
    """h_{l+1} = layer_l(a_l h_l + sum_i a_{i,l} s_{i,l}), s_{i,l+1} = layer_{i,l}(s_{i,l}), l = 0 ... L, h_0 = 0; an absent
    stream adds nothing. All a are learned numbers. Every s has the same scale, so |a| says how much a stream counts."""

    def __init__(self, *, columns: list[str], width: int, depth: int = 2, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.pooled = Pooled(len(columns), width)
        self.own = nn.ModuleList(Layers(count=len(columns), width=width, dropout=dropout) for _ in range(depth))
        self.central = nn.ModuleList(Layer(width=width, dropout=dropout) for _ in range(depth + 1))
        self.keep = nn.Parameter(torch.ones(depth))
        self.take = nn.Parameter(torch.full((depth + 1, len(columns)), len(columns) ** -0.5))

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        s, here = self.pooled([streams[c] for c in self.columns])
        take = self.take[:, None] * here  # (L + 1, B, M)
        h = self.central[0](torch.einsum("bm,bmd->bd", take[0].to(s.dtype), s))
        for own, central, keep, share in zip(self.own, self.central[1:], self.keep, take[1:]):
            s = own(s)
            h = central(keep * h + torch.einsum("bm,bmd->bd", share.to(s.dtype), s))
        return Tokens(h[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        share = self.take.detach().abs().sum(0) + 1e-12
        return dict(zip(self.columns, (share / share.sum()).tolist()))
