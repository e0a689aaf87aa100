"""A residual CNN over log-mel spectrograms, the sounds of a batch laid one behind the other instead of padded."""

from __future__ import annotations

import itertools
from typing import TypeVar

import torch
from torch import Tensor, nn

from plait.nn import rows
from plait.nn.convolution import BatchNorm, Residual, channels_last, hold
from plait.nn.spectrum import HOP, RATE
from plait.types import Tokens

STRIDE = 16  # frames a token
Count = TypeVar("Count", int, Tensor)


class Hearing(nn.Module):
    """mel (B, T, bands) and lengths (B,), 0 for a missing sound -> tokens (B, T / 16, width), one for each 256 ms (after Kong
    et al. 2020, PANNs). Each sound is convolved as if alone: what is computed grows with the sum of the lengths and not
    with the longest, three times less for one second of speech beside ten."""

    def __init__(self, *, width: int, bands: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.norm = BatchNorm(bands)
        steps = [channels, 2 * channels, 4 * channels, width]
        self.stem = nn.Conv2d(1, channels, 3, 2, 1, bias=False)
        self.stem_norm = BatchNorm(channels)
        self.stages = nn.ModuleList(Residual(a, b, stride=2) for a, b in itertools.pairwise(steps))
        channels_last(self)
        self.dropout = nn.Dropout(dropout)

    def _tokens(self, mel: Tensor, lengths: Tensor) -> Tensor:
        real = rows.length_mask(lengths, mel.shape[1])
        slots = tokens_of(lengths) * STRIDE + STRIDE
        starts = slots.cumsum(0) - slots
        x, line = in_line(self.norm(mel[real].float()), real, starts, int(slots.sum()))
        x = x[None, None].contiguous(memory_format=torch.channels_last)
        x = hold(torch.relu(self.stem_norm(self.stem(x))), line[:, :, ::2])
        line = line[:, :, ::2]
        for stage in self.stages:
            x, line = stage(x, line)
        tokens = (x.mean(3) + x.amax(3))[0].T
        return out_of_line(tokens, starts // STRIDE, rows.length_mask(tokens_of(lengths), tokens_of(mel.shape[1])))

    def forward(self, mel: Tensor, lengths: Tensor) -> Tokens:
        x = rows.over_present(self, self._tokens, lengths > 0, mel, lengths)
        seconds = (torch.arange(x.shape[1], device=x.device) + 0.5) * STRIDE * HOP / RATE
        return Tokens(
            self.dropout(x), rows.length_mask(tokens_of(lengths), x.shape[1]), moments(seconds.expand(len(x), -1))
        )


def in_line(flat: Tensor, real: Tensor, starts: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The frames flat (N, C) of B sounds, as the mask real (B, T) picks them, each sound from its place in starts (B,) on ->
    (size, C), zeros between them, and (1, 1, size, 1), 1 where a frame is."""
    place = (starts[:, None] + torch.arange(real.shape[1], device=flat.device))[real]
    taken = flat.new_zeros(size).index_fill(0, place, 1.0)
    return flat.new_zeros(size, flat.shape[1]).index_copy(0, place, flat), taken[None, None, :, None]


def out_of_line(line: Tensor, starts: Tensor, real: Tensor) -> Tensor:
    """The way back: (S, C) -> (B, T, C), zeros where the mask real (B, T) is False."""
    place = (starts[:, None] + torch.arange(real.shape[1], device=line.device))[real]
    out = line.new_zeros(real.numel(), line.shape[1])
    return out.index_copy(0, real.flatten().nonzero()[:, 0], line[place]).view(*real.shape, -1)


def tokens_of(frames: Count) -> Count:
    """How many tokens that many frames of a spectrogram give."""
    return (frames + STRIDE - 1) // STRIDE


def moments(seconds: Tensor) -> Tensor:
    """(B, N) seconds -> positions (B, N, 3), without a place."""
    nowhere = torch.full_like(seconds, torch.nan)
    return torch.stack([seconds, nowhere, nowhere], -1)
