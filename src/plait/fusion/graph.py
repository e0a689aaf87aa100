"""Graph: attention along the edges of a graph, a node for each stream, one for each token (GATv2; Brody et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.attention import MASKED
from plait.nn.pooling import AttentionPool, present
from plait.nn.streams import Tagged
from plait.types import Tokens


class GraphAttention(nn.Module):
    """n_i <- LN(n_i + ELU(sum_j a_ij S n_j)), a_ij = softmax over the neighbours j of i of a . LeakyReLU(S n_j + R n_i),
    several heads side by side. Tokens (B, N, D) are neighbours of themselves and of their stream's node; those of streams
    (B, M, D) of their tokens and of each other and themselves."""

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        assert width % heads == 0, f"width {width} is not a multiple of heads {heads}"
        self.heads = heads
        self.source, self.target = nn.Linear(width, width), nn.Linear(width, width)
        self.score = nn.Parameter(torch.randn(heads, width // heads) * (width // heads) ** -0.5)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, nodes: Tensor, tokens: Tensor, owner: Tensor, here: Tensor, mask: Tensor, *, last: bool
    ) -> tuple[Tensor, Tensor]:
        """owner (N,): the stream of each token. here (B, M), mask (B, N): what is present. `last`: tokens stay."""
        split = lambda t: t.unflatten(-1, (self.heads, -1))  # noqa: E731
        value, value_up = split(self.source(tokens)), split(self.source(nodes))
        goal_up = split(self.target(nodes))
        of_tokens = self._score(value + goal_up[:, owner])[:, None]  # (B, 1, N, heads)
        of_nodes = self._score(value_up[:, None] + goal_up[:, :, None])  # (B, M, M, heads)
        own = (owner == torch.arange(nodes.shape[1], device=owner.device)[:, None]) & mask[:, None]
        score = torch.cat(
            [
                of_tokens.masked_fill(~own[..., None], MASKED),
                of_nodes.masked_fill(~here[:, None, :, None], MASKED),
            ],
            2,
        )
        weight = score.softmax(2).to(value.dtype)
        found = torch.einsum("bmkh,bkhd->bmhd", weight, torch.cat([value, value_up], 1)).flatten(2)
        if last:
            return self._step(nodes, found), tokens
        goal = split(self.target(tokens))
        above = value_up[:, owner]
        two = torch.stack([self._score(value + goal), self._score(above + goal)]).softmax(0)[..., None]
        below = (two[0] * value + two[1] * above).flatten(2)
        return self._step(nodes, found), self._step(tokens, below)

    def _score(self, pair: Tensor) -> Tensor:
        return (nn.functional.leaky_relu(pair, 0.2) * self.score).sum(-1).float()

    def _step(self, x: Tensor, found: Tensor) -> Tensor:
        return self.norm(x + self.dropout(nn.functional.elu(found)))  # type: ignore[no-any-return]


class Graph(Fusion):
    """L layers of graph attention; the node of a stream begins as the pool of its tokens; h = LN(pool of the nodes present).
    Tokens of different streams meet through their streams' nodes only: the cost grows as the number of tokens. One wide head
    by default: scores that add match keys to a query only over many numbers."""

    def __init__(self, *, columns: list[str], width: int, depth: int = 3, heads: int = 1, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.tagged = Tagged(len(columns), width)
        self.pools = nn.ModuleList(AttentionPool(width) for _ in columns)
        self.layers = nn.ModuleList(GraphAttention(width=width, heads=heads, dropout=dropout) for _ in range(depth))
        self.pool = AttentionPool(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        own = [streams[c] for c in self.columns]
        parts = self.tagged(own)
        nodes = torch.stack([pool(Tokens(x, s.mask)) for x, s, pool in zip(parts, own, self.pools)], 1)
        here, mask = torch.stack([present(s) for s in own], 1), torch.cat([s.mask for s in own], 1)
        sizes = torch.tensor([s.mask.shape[1] for s in own], device=mask.device)
        owner = torch.arange(len(own), device=mask.device).repeat_interleave(sizes)
        tokens = torch.cat(parts, 1)
        for i, layer in enumerate(self.layers):
            nodes, tokens = layer(nodes, tokens, owner, here, mask, last=i + 1 == len(self.layers))
        return Tokens(self.norm(self.pool(Tokens(nodes, here)))[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return None
