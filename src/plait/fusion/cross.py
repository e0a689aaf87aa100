"""Cross: the tokens of each stream attend over those of the others (MulT; Tsai et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.attention import MASKED
from plait.nn.pooling import AttentionPool, mlp
from plait.nn.skip import Skip
from plait.nn.streams import Tagged
from plait.types import Tokens


class Crossing(nn.Module):
    """y_i = x_i + O_i attention(Q_i x_i, K x_j, V x_j: all tokens of all j != i); x_i' = y_i + MLP_i(y_i), both pre-norm. Keys
    and values are of the first layer's tokens, as in the paper. What has nothing to attend to adds nothing."""

    def __init__(self, *, count: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        assert width % heads == 0, f"width {width} is not a multiple of heads {heads}"
        self.heads = heads
        self.norm, self.source, self.after = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.key_value = nn.Linear(width, 2 * width)
        self.query = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        self.out = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        self.mlps = nn.ModuleList(mlp(width, width, hidden=2 * width) for _ in range(count))
        self.dropout, self.skip = nn.Dropout(dropout), Skip()

    def forward(self, x: Tensor, first: Tensor, seen: Tensor, sizes: list[int]) -> Tensor:
        """x, first (B, N, D): tokens of all streams, `sizes` of each. seen (B, N, N): which token sees which."""
        query = each(self.query, self.norm(x), sizes)
        key, value = self.key_value(self.source(first)).chunk(2, -1)
        found = each(self.out, attend(query, key, value, seen, self.heads), sizes)
        x = x + self.skip(self.dropout(found.masked_fill(~seen.any(-1, keepdim=True), 0.0)))
        return x + self.skip(self.dropout(each(self.mlps, self.after(x), sizes)))  # type: ignore[no-any-return]


class Own(nn.Module):
    """A pre-norm Transformer block in which a token sees the tokens of its own stream."""

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.map = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = mlp(width, width, hidden=2 * width)
        self.dropout, self.skip = nn.Dropout(dropout), Skip()

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        query, key, value = self.map(self.norm(x)).chunk(3, -1)
        x = x + self.skip(self.dropout(self.out(attend(query, key, value, seen, self.heads))))
        return x + self.skip(self.dropout(self.mlp(self.after(x))))  # type: ignore[no-any-return]


def each(maps: nn.ModuleList, x: Tensor, sizes: list[int]) -> Tensor:
    """Every stream through its own map: (B, N, D) -> (B, N, D)."""
    return torch.cat([m(part) for m, part in zip(maps, x.split(sizes, 1))], 1)


def attend(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, heads: int) -> Tensor:
    """Multi-head attention without its maps; seen (B, N, N) bool. All (B, N, D)."""
    query, key, value = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (query, key, value))
    score = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).float().masked_fill(~seen[:, None], MASKED)
    return (score.softmax(-1).to(value.dtype) @ value).transpose(1, 2).flatten(2)  # type: ignore[no-any-return]


class Cross(Fusion):
    """x_i' = Crossing_i(x_i, all others), z_i = pool_i(Own(x_i')), h = MLP([z_1; ...; z_M]), zeros where absent. The
    paper has M (M - 1) crossings; here a stream attends over all the others at once, with queries of its own and keys and
    values made once, and the closing self-attention is the same for all. One column: its own Transformer."""

    def __init__(self, *, columns: list[str], width: int, depth: int = 1, heads: int = 4, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        m = len(columns)
        self.tagged = Tagged(m, width)
        self.crossings = nn.ModuleList(
            Crossing(count=m, width=width, heads=heads, dropout=dropout) for _ in range(depth if m > 1 else 0)
        )
        self.own = Own(width=width, heads=heads, dropout=dropout)
        self.pools = nn.ModuleList(AttentionPool(width) for _ in columns)
        self.mlp = mlp(m * width, width, hidden=2 * width, dropout=dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        own = [streams[c] for c in self.columns]
        sizes = [s.mask.shape[1] for s in own]
        first, mask = torch.cat(self.tagged(own), 1), torch.cat([s.mask for s in own], 1)
        owner = torch.arange(len(own), device=mask.device).repeat_interleave(torch.tensor(sizes, device=mask.device))
        same = owner[:, None] == owner
        x = first
        for crossing in self.crossings:
            x = crossing(x, first, ~same & mask[:, None], sizes)
        x = self.own(x, same & mask[:, None])
        pooled = [pool(Tokens(t, s.mask)) for t, s, pool in zip(x.split(sizes, 1), own, self.pools)]
        return Tokens(self.norm(self.mlp(torch.cat(pooled, 1)))[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return None
