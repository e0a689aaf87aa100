"""Sound without a parameter: the shape of its spectrum and its loudness, summed up over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.nn import fixed, sound
from plait.types import Inputs, Prepared, Tokens, Wave

RATE, FFT, HOP = 22_050, 2048, 512  # 93 ms every 23 ms
CONTRASTS = 7
SHAPES = 6 + CONTRASTS  # values a frame
SIZE = sound.STATISTICS * SHAPES + 1
FLOOR = 1e-5  # root mean square that counts as silence


class AudioSpectral(Encoder):
    """A sound -> one token (B, 1, 53). Of each frame centroid, bandwidth and 85 % rolloff in Hz and flatness (as a
    logarithm) of the spectrum (Peeters 2004), its contrast in seven bands (Jiang et al. 2002), the rate of zero
    crossings and the logarithm of the root mean square; of each the mean, standard deviation, 10 % and 90 % quantile
    over time; last the logarithm of the length. Standardised. What lies past `seconds` is not heard."""

    modality: ClassVar[str] = "audio"
    stored: ClassVar[bool] = True

    def __init__(self, *, mean: np.ndarray, scale: np.ndarray, seconds: float = 30.0) -> None:
        super().__init__()
        self.describer = _describer(seconds)
        sound.check(seconds)
        self.width, self.reading, self.seconds = SIZE, {}, seconds
        self.standard = fixed.Standard(mean, scale, SIZE)
        self.preparation = self.describer.preparation

    @classmethod
    def learn(cls, cells: Iterable[Wave | None], *, seconds: float = 30.0, most: int = 256) -> dict[str, Any]:
        """`most`: how many cells, drawn at random, the means and scales are learned from."""
        sound.check(seconds)
        return fixed.learn_standard(fixed.described(cells, _describer(seconds), most), SIZE)

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return self.describer.prepare(cells)  # type: ignore[no-any-return]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.standard(inputs)  # type: ignore[no-any-return]


def _describer(seconds: float) -> fixed.Describer:
    """What of a sound is kept: nothing that was learned."""
    preparation = {"kind": "spectral", "version": 1, "seconds": seconds}
    return fixed.Describer("audio", preparation, {}, lambda wave: _features(wave, seconds))


def _features(wave: Wave, seconds: float) -> np.ndarray:
    samples = sound.samples_at(wave, RATE, seconds, FFT)
    length = np.log2(min(seconds, len(wave.samples) / wave.rate) + 1 / RATE)
    return np.append(sound.over_time(_shapes(samples)), length).astype(np.float32)


def _shapes(samples: np.ndarray) -> np.ndarray:
    """(SHAPES, frames)."""
    feature, spectrum = sound.librosa().feature, sound.magnitudes(samples, FFT, HOP)
    centroid = feature.spectral_centroid(S=spectrum, sr=RATE)
    return np.concatenate(
        [
            centroid,
            feature.spectral_bandwidth(S=spectrum, sr=RATE, centroid=centroid),
            feature.spectral_rolloff(S=spectrum, sr=RATE),
            np.log10(feature.spectral_flatness(S=spectrum)),
            feature.spectral_contrast(S=spectrum, sr=RATE, n_bands=CONTRASTS - 1),
            feature.zero_crossing_rate(samples, frame_length=FFT, hop_length=HOP),
            np.log10(feature.rms(y=samples, frame_length=FFT, hop_length=HOP) + FLOOR),
        ]
    )
