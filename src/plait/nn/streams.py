"""What fusions begin with: each stream as one vector, or as tokens that say which column they are of and where they lie."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.nn.pooling import AttentionPool, present
from plait.types import Tokens

WAVES = 8  # sines, and as many cosines, for each of seconds, row and column
SCALE = (1.0, 30.0, 30.0)


class Pooled(nn.Module):
    """x_i = norm_i(pool_i(s_i)), zeros where absent. M streams -> x (B, M, D), present (B, M) bool."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(AttentionPool(width) for _ in range(count))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(count))

    def forward(self, streams: list[Tokens]) -> tuple[Tensor, Tensor]:
        here = torch.stack([present(s) for s in streams], 1)
        x = torch.stack([norm(pool(s)) for s, pool, norm in zip(streams, self.pools, self.norms)], 1)
        return torch.where(here[..., None], x, 0.0), here


class Tagged(nn.Module):
    """norm_i(x) + an embedding of column i + one of seconds, row and column, given as sines, so that tokens of the same time
    or place can find each other. M streams -> M tensors (B, N_i, D)."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(count))
        self.column = nn.Parameter(torch.randn(count, width) * 0.02)
        self.place = nn.Linear(3 * 2 * WAVES, width)
        nn.init.zeros_(self.place.weight)
        nn.init.zeros_(self.place.bias)

    def forward(self, streams: list[Tokens]) -> list[Tensor]:
        return [n(s.x) + c + self.place(waves(s)) for s, n, c in zip(streams, self.norms, self.column)]


def waves(tokens: Tokens) -> Tensor:
    """(B, N, 48): sines and cosines of the position, zeros for an axis without meaning; (48,) where none has any."""
    if tokens.position is None:
        return tokens.x.new_zeros(6 * WAVES)
    position = tokens.position.float()
    rates = 1000.0 ** -(torch.arange(WAVES, device=position.device) / (WAVES - 1))
    angle = (position.nan_to_num() * position.new_tensor(SCALE))[..., None] * rates
    return (torch.cat([angle.sin(), angle.cos()], -1) * position.isfinite()[..., None]).flatten(-2)
