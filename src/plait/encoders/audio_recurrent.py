"""Sound from scratch: a bidirectional LSTM or GRU over the log-mel spectrogram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.recurrent import Recurrent
from plait.nn.spectrum import HOP, RATE, LogMel
from plait.types import Inputs, Prepared, Tokens, Wave

STRIDE = 4  # frames read as one step


class AudioRecurrent(Encoder):
    """mel (B, T, bands) -> tokens (B, T / 4, D), one for each 64 ms. `cell`: "lstm" or "gru"."""

    modality: ClassVar[str] = "audio"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        width: int = 128,
        bands: int = 64,
        seconds: float = 10.0,
        cell: str = "lstm",
        depth: int = 1,
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
        self.norm = nn.LayerNorm(STRIDE * bands)
        self.layers = Recurrent(STRIDE * bands, width, cell=cell, depth=depth, dropout=dropout)
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

    def forward(self, inputs: Inputs) -> Tokens:
        mel, steps = inputs["mel"].float(), (inputs["lengths"] + STRIDE - 1) // STRIDE
        mel = nn.functional.pad(mel, (0, 0, 0, -mel.shape[1] % STRIDE), value=self.mel.floor)
        x = self.layers(self.norm(mel.unflatten(1, (-1, STRIDE)).flatten(2)), steps)
        seconds = (torch.arange(x.shape[1], device=x.device) + 0.5) * STRIDE * HOP / RATE
        nowhere = torch.full_like(seconds, torch.nan)
        place = torch.stack([seconds, nowhere, nowhere], 1).expand(len(x), -1, -1)
        return Tokens(self.dropout(x), rows.length_mask(steps, x.shape[1]), place)
