"""Sound from scratch: a residual CNN over the log-mel spectrogram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from plait.encoders.base import Encoder
from plait.nn.hearing import Hearing
from plait.nn.spectrum import LogMel
from plait.types import Inputs, Prepared, Tokens, Wave


class AudioCNN(Encoder):
    """mel (B, T, bands) -> tokens (B, T / 16, D), one for each 256 ms (after Kong et al. 2020, PANNs)."""

    modality: ClassVar[str] = "audio"
    scratch: ClassVar[bool] = True
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
        self.hearing = Hearing(width=width, bands=bands, channels=channels, dropout=dropout)

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
        tokens: Tokens = self.hearing(inputs["mel"], inputs["lengths"])
        return tokens
