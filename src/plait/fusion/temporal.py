"""Temporal: streams are brought onto one clock and summed moment by moment, S(t) = a S_v(t) + b S_a(t); then a GRU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import Fusion, row_present
from plait.nn.attention import MASKED
from plait.nn.pooling import AttentionPool, mlp
from plait.nn.recurrent import Recurrent
from plait.types import Tokens

FAINT = 1e-3  # a stream whose tokens weigh less than this at a moment is not present at it


class Temporal(Fusion):
    """S(t) = sum_i a_i(t) W_i s_i(t), a(t) = softmax of learned scores over the streams present at t; h = MLP(pool over t of
    S + GRU(S)). s_i(t) = sum_n w_n(t) x_n / sum_n w_n(t), w_n(t) = max(0, 1 - |t - t_n| / r): linear interpolation for even
    times, a mean where tokens are denser than the clock; r is the clock's step, or the stream's mean one if longer. A token
    without seconds weighs 1 at every time. The clock of a row runs from its first second to its last, in as many steps as
    its best resolved stream has moments, at most `steps`. (Triangular kernel: Nadaraya 1964, Watson 1964.)"""

    def __init__(self, *, columns: list[str], width: int, steps: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.columns = sorted(columns)
        self.steps = steps
        self.maps = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)) for _ in columns)
        self.score = nn.Parameter(torch.zeros(len(columns)))
        self.time = Recurrent(width, width, cell="gru", depth=1, dropout=0.0)
        self.pool = AttentionPool(width)
        self.mlp = mlp(width, width, hidden=2 * width, dropout=dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        own = [streams[c] for c in self.columns]
        x, here, lengths = on_one_clock(own, self.steps)
        score = self.score.expand(*here.shape).masked_fill(~here, MASKED)
        weight = (score.softmax(-1) * here).to(x.dtype)
        x = torch.stack([m(x[:, :, i]) for i, m in enumerate(self.maps)], 2)
        total = torch.einsum("btm,btmd->btd", weight, x)
        total = total + self.time(total, lengths)
        during = torch.arange(here.shape[1], device=here.device) < lengths[:, None]
        h = self.norm(self.mlp(self.pool(Tokens(total, during & here.any(-1)))))
        return Tokens(h[:, None], row_present(streams)[:, None])

    def weights(self) -> dict[str, float] | None:
        return dict(zip(self.columns, self.score.detach().softmax(0).tolist()))


def on_one_clock(streams: list[Tokens], steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """-> s (B, T, M, D), present (B, T, M), and how many of the T moments each row has (B,), from 1 to `steps`."""
    seconds = [_seconds(s) for s in streams]
    known = [t.isfinite() for t in seconds]
    low = torch.stack([t.nan_to_num(torch.inf).amin(1) for t in seconds], 1)  # (B, M)
    high = torch.stack([t.nan_to_num(-torch.inf).amax(1) for t in seconds], 1)
    moments = torch.stack([_distinct(t) for t in seconds], 1)
    start = low.amin(1).nan_to_num(posinf=0.0)
    lengths = moments.amax(1).clamp(1, steps)
    step = (high.amax(1) - start).clamp_min(0).nan_to_num(0.0) / (lengths - 1).clamp_min(1)
    clock = step[:, None] * torch.arange(int(lengths.max()), device=step.device)  # (B, T), from the row's start
    even = (high - low).clamp_min(0).nan_to_num(0.0) / (moments - 1).clamp_min(1)
    reach = torch.maximum(even, step[:, None]).clamp_min(1e-6)
    values, here = [], []
    for i, (s, t, k) in enumerate(zip(streams, seconds, known)):
        far = ((t.nan_to_num() - start[:, None])[:, None] - clock[..., None]).abs() / reach[:, i, None, None]
        weight = torch.where(k[:, None], (1 - far).clamp_min(0), 1.0) * s.mask[:, None]  # (B, T, N)
        sums = weight.sum(-1)
        share = weight / sums.clamp_min(FAINT)[..., None]
        values.append(share.to(s.x.dtype) @ s.x)
        here.append(sums > FAINT)
    return torch.stack(values, 2), torch.stack(here, 2), lengths


def _seconds(tokens: Tokens) -> Tensor:
    """(B, N), NaN where a token is absent or has none."""
    if tokens.position is None:
        return torch.full_like(tokens.mask, torch.nan, dtype=torch.float32)
    seconds = tokens.position[..., 0].float()
    return torch.where(tokens.mask & seconds.isfinite(), seconds, torch.nan)


def _distinct(seconds: Tensor) -> Tensor:
    """(B, N) -> (B,): how many different times there are."""
    ordered = seconds.nan_to_num(torch.inf).sort(1).values
    return (ordered.diff(dim=1) > 0).sum(1) + seconds.isfinite().all(1)
