"""Sound without a parameter: the twelve pitch classes, summed up over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.nn import fixed, sound
from plait.types import Inputs, Prepared, Tokens, Wave

RATE, FFT, HOP = 22_050, 4096, 2048  # 186 ms every 93 ms
CLASSES = 12  # C, C sharp, ... B, of equal temperament with A at 440 Hz


class AudioChroma(Encoder):
    """A sound -> one token (B, 1, 48): how strong each pitch class is in a frame, the strongest 1 (Müller 2015,
    Fundamentals of Music Processing, chapter 3; tuned to 440 Hz); of each the mean, standard deviation, 10 % and 90 %
    quantile over time; standardised. What lies past `seconds` is not heard."""

    modality: ClassVar[str] = "audio"
    stored: ClassVar[bool] = True

    def __init__(self, *, mean: np.ndarray, scale: np.ndarray, seconds: float = 30.0) -> None:
        super().__init__()
        self.describer = _describer(seconds)
        sound.check(seconds)
        self.width, self.reading, self.seconds = sound.STATISTICS * CLASSES, {}, seconds
        self.standard = fixed.Standard(mean, scale, self.width)
        self.preparation = self.describer.preparation

    @classmethod
    def learn(cls, cells: Iterable[Wave | None], *, seconds: float = 30.0, most: int = 256) -> dict[str, Any]:
        """`most`: how many cells, drawn at random, the means and scales are learned from."""
        sound.check(seconds)
        vectors = fixed.described(cells, _describer(seconds), most)
        return fixed.learn_standard(vectors, sound.STATISTICS * CLASSES)

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return self.describer.prepare(cells)  # type: ignore[no-any-return]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.standard(inputs)  # type: ignore[no-any-return]


@cache
def _filters() -> np.ndarray:
    """(CLASSES, 1 + FFT / 2): how much each frequency counts for each pitch class."""
    return sound.librosa().filters.chroma(sr=RATE, n_fft=FFT, n_chroma=CLASSES, tuning=0.0)  # type: ignore[no-any-return]


def _describer(seconds: float) -> fixed.Describer:
    """What of a sound is kept: nothing that was learned."""
    preparation = {"kind": "chroma", "version": 1, "seconds": seconds}
    return fixed.Describer("audio", preparation, {}, lambda wave: _features(wave, seconds))


def _features(wave: Wave, seconds: float) -> np.ndarray:
    power = sound.magnitudes(sound.samples_at(wave, RATE, seconds, FFT), FFT, HOP) ** 2
    chroma = sound.librosa().util.normalize(sound.banded(_filters(), power), norm=np.inf, axis=0)
    return sound.over_time(chroma).astype(np.float32)
