"""Sound from scratch: a residual CNN over the log-mel spectrogram."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.convolution import BatchNorm, Residual, channels_last, hold
from plait.nn.spectrum import HOP, RATE, LogMel
from plait.types import Inputs, Prepared, Tokens, Wave

STRIDE = 16  # frames a token


class AudioCNN(Encoder):
    """mel (B, T, bands) -> tokens (B, T / 16, D), one for each 256 ms (after Kong et al. 2020, PANNs)."""

    modality: ClassVar[str] = "audio"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        width: int = 128,
        bands: int = 64,
        seconds: float = 10.0,
        channels: int = 16,
        gain: float = 6.0,
        noise: float = 0.1,
        time_mask: float = 0.2,
        band_mask: float = 0.2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.width, self.reading = width, {}
        self.mel = LogMel(
            bands=bands, seconds=seconds, gain=gain, noise=noise, time_mask=time_mask, band_mask=band_mask
        )
        self.preparation = self.mel.preparation
        self.norm = BatchNorm(bands)
        steps = [channels, 2 * channels, 4 * channels, width]
        self.stem = nn.Conv2d(1, channels, 3, 2, 1, bias=False)
        self.stem_norm = BatchNorm(channels)
        self.stages = nn.ModuleList(Residual(a, b, stride=2) for a, b in itertools.pairwise(steps))
        channels_last(self)
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def learn(cls, cells: Iterable[Wave | None]) -> dict[str, Any]:
        return {}

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return self.mel.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.mel.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.mel.augment(inputs)

    def _tokens(self, mel: Tensor, lengths: Tensor) -> Tensor:
        real = rows.length_mask(lengths, mel.shape[1])[:, None, :, None].to(self.stem.weight.dtype)
        x = hold(self.norm(mel.float().transpose(1, 2)).transpose(1, 2)[:, None], real)
        x = x.contiguous(memory_format=torch.channels_last)
        real = real[:, :, ::2]
        x = hold(torch.relu(self.stem_norm(self.stem(x))), real)
        for stage in self.stages:
            x, real = stage(x, real)
        return (x.mean(3) + x.amax(3)).transpose(1, 2)

    def forward(self, inputs: Inputs) -> Tokens:
        lengths = inputs["lengths"]
        x = rows.over_present(self, self._tokens, lengths > 0, inputs["mel"], lengths)
        mask = rows.length_mask((lengths + STRIDE - 1) // STRIDE, x.shape[1])
        seconds = (torch.arange(x.shape[1], device=x.device) + 0.5) * STRIDE * HOP / RATE
        nowhere = torch.full_like(seconds, torch.nan)
        return Tokens(self.dropout(x), mask, torch.stack([seconds, nowhere, nowhere], 1).expand(len(x), -1, -1))
