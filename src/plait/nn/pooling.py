"""From tokens to one vector a row, missing rows giving zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.types import Tokens


def mean(tokens: Tokens) -> Tensor:
    """The mean of the tokens that are present: (B, N, D) -> (B, D); zeros where none is."""
    weight = tokens.mask.unsqueeze(-1).to(tokens.x.dtype)
    return (tokens.x * weight).sum(1) / weight.sum(1).clamp_min(1)


def present(tokens: Tokens) -> Tensor:
    """(B,) bool: whether a row has any token."""
    return tokens.mask.any(1)


class AttentionPool(nn.Module):
    """A learned query weighs the tokens (Ilse et al. 2018); at the start all weights are equal. (B, N, D) -> (B, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, tokens: Tokens) -> Tensor:
        score = self.score(tokens.x).squeeze(-1).float().masked_fill(~tokens.mask, -1e4)
        weight = (score.softmax(1) * tokens.mask).to(tokens.x.dtype)
        return torch.einsum("bn,bnd->bd", weight, tokens.x)


def mlp(width_in: int, width_out: int, *, hidden: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear, GELU, dropout, linear."""
    return nn.Sequential(nn.Linear(width_in, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width_out))
