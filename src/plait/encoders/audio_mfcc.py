"""Sound without a parameter: mel-frequency cepstral coefficients and how they change, summed up over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fixed, sound
from plait.types import Inputs, Prepared, Tokens, Wave

RATE, FFT, HOP = 16_000, 512, 256  # 32 ms every 16 ms
BANDS = 40
AROUND = 9  # frames from which a change is told: 144 ms


class AudioMfcc(Encoder):
    """A sound -> one token (B, 1, 12 K): its K `coefficients` (Davis & Mermelstein 1980; 40 mel bands of 32 ms at
    16 kHz), their first and second derivatives (Furui 1986; over nine frames, the ends repeated), of each the mean,
    standard deviation, 10 % and 90 % quantile over time; standardised. What lies past `seconds` is not heard."""

    modality: ClassVar[str] = "audio"
    stored: ClassVar[bool] = True

    def __init__(self, *, mean: np.ndarray, scale: np.ndarray, coefficients: int = 20, seconds: float = 30.0) -> None:
        super().__init__()
        self.describer = _describer(coefficients, seconds)
        self.width, self.reading = _size(coefficients, seconds), {}
        self.coefficients, self.seconds = coefficients, seconds
        self.standard = fixed.Standard(mean, scale, self.width)
        self.preparation = self.describer.preparation

    @classmethod
    def learn(
        cls, cells: Iterable[Wave | None], *, coefficients: int = 20, seconds: float = 30.0, most: int = 256
    ) -> dict[str, Any]:
        """`most`: how many cells, drawn at random, the means and scales are learned from."""
        size = _size(coefficients, seconds)
        return fixed.learn_standard(fixed.described(cells, _describer(coefficients, seconds), most), size)

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return self.describer.prepare(cells)  # type: ignore[no-any-return]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.standard(inputs)  # type: ignore[no-any-return]


def _size(coefficients: int, seconds: float) -> int:
    sound.check(seconds, coefficients=coefficients)
    if coefficients > BANDS:
        raise PlaitError(f"{coefficients} coefficients, expected at most {BANDS}, the number of mel bands.")
    return 3 * sound.STATISTICS * coefficients


@cache
def _filters() -> np.ndarray:
    """(BANDS, 1 + FFT / 2) triangles of the mel scale of Slaney, each of the same area."""
    return sound.librosa().filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS)  # type: ignore[no-any-return]


def _describer(coefficients: int, seconds: float) -> fixed.Describer:
    """What of a sound is kept: nothing that was learned."""
    preparation = {"kind": "mfcc", "version": 1, "coefficients": coefficients, "seconds": seconds}
    return fixed.Describer("audio", preparation, {}, lambda wave: _features(wave, coefficients, seconds))


def _features(wave: Wave, coefficients: int, seconds: float) -> np.ndarray:
    librosa = sound.librosa()
    samples = sound.samples_at(wave, RATE, seconds, FFT)
    mel = sound.banded(_filters(), sound.magnitudes(samples, FFT, HOP) ** 2)
    first = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=coefficients)
    changes = [librosa.feature.delta(first, width=AROUND, order=order, mode="nearest") for order in (1, 2)]
    return sound.over_time(np.concatenate([first, *changes])).astype(np.float32)
