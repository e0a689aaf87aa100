"""Transformer blocks with a key mask, written out as matmul, softmax, matmul.

torch's fused attention is slower backwards on CPUs in bf16, and returns NaN for rows with every key masked; here such a
row attends evenly over nothing of meaning and stays finite, so a missing cell needs no branch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.nn.skip import Skip

MASKED = -1e4  # finite, and representable in bf16 and fp16: an all-masked row stays finite


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017). x (B, N, D) attends over `memory` (B, K, D) or itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        assert width % heads == 0, f"width {width} is not a multiple of heads {heads}"
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None = None) -> Tensor:
        memory = x if memory is None else memory
        split = lambda t: t.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # noqa: E731
        query = split(self.query(x))
        key, value = (split(t) for t in self.key_value(memory).chunk(2, dim=-1))
        score = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        score = score.masked_fill(~mask[:, None, None, :], MASKED)
        weight = score.float().softmax(-1).to(value.dtype)
        return self.out((weight @ value).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A pre-norm Transformer block (Xiong et al. 2020). Dropout is on what each half adds to the stream only: drawing it
    for attention weights and hidden units too took an eighth of a step on CPUs."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0, expand: int = 2) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, expand * width), nn.GELU(), nn.Linear(expand * width, width))
        self.dropout, self.skip = nn.Dropout(dropout), Skip()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.skip(self.dropout(self.attention(self.norm1(x), mask)))
        return x + self.skip(self.dropout(self.mlp(self.norm2(x))))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A stack of blocks and a last norm: x (B, N, D), mask (B, N) -> (B, N, D)."""

    def __init__(self, width: int, depth: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)  # type: ignore[no-any-return]


def sinusoid(position: Tensor, width: int, *, longest: float = 1000.0) -> Tensor:
    """Sine and cosine features of positions (...,) -> (..., width), wavelengths 2 pi to 2 pi `longest` in geometric
    steps (Vaswani et al. 2017, 3.5)."""
    half = width // 2
    rates = torch.exp(
        torch.arange(half, device=position.device) * (-torch.log(torch.tensor(longest)).item() / max(half - 1, 1))
    )
    angle = position.float()[..., None] * rates
    features = torch.cat([angle.sin(), angle.cos()], -1)
    return nn.functional.pad(features, (0, width - features.shape[-1]))
