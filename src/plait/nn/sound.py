"""Sound for encoders without a parameter: at one rate, cut, frame by frame, and statistics over its frames."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from plait.errors import PlaitError
from plait.optional import need
from plait.types import Wave

SHARES = (0.1, 0.9)  # quantiles over time: unlike extremes they do not grow with the length of a sound
STATISTICS = 2 + len(SHARES)
_alone = threading.Lock()


def librosa() -> Any:
    """librosa (McFee et al. 2015). Its parts import each other when first used, which threads must not do at once."""
    with _alone:
        module = need("librosa", "classic")
        _ = module.stft, module.power_to_db, module.filters.mel, module.util.normalize
        _ = module.feature.mfcc, module.feature.delta, module.feature.rms
        return module


def check(seconds: float, **counts: int) -> None:
    """Raises PlaitError for a length that is not above 0 or not finite, or a count below 1."""
    if not 0 < seconds < np.inf:
        raise PlaitError(f"seconds is {seconds!r}, expected a finite number above 0.")
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise PlaitError(f"{name} is {count!r}, expected a whole number of at least 1.")


def samples_at(wave: Wave, rate: int, seconds: float, least: int) -> np.ndarray:
    """The first `seconds` at `rate` samples a second, float32 (T,); zeros after the end where T would be below `least`."""
    samples = wave.samples[: max(1, int(seconds * wave.rate))]
    if wave.rate != rate:
        import soxr

        samples = soxr.resample(samples, wave.rate, rate, quality="HQ")
    return np.pad(np.ascontiguousarray(samples, np.float32), (0, max(0, least - len(samples))))


def magnitudes(samples: np.ndarray, fft: int, hop: int) -> np.ndarray:
    """(1 + fft / 2, frames) float32: the short-time Fourier transform, Hann windows, the first around the first sample."""
    return np.abs(librosa().stft(samples, n_fft=fft, hop_length=hop))  # type: ignore[no-any-return]


def banded(filters: np.ndarray, power: np.ndarray) -> np.ndarray:
    """(K, F) filters on (F, frames) -> (K, frames). In numpy's own loops, whose result does not depend on the threads of
    a linear algebra library."""
    return np.einsum("kf,ft->kt", filters, power, optimize=False)  # type: ignore[no-any-return]


def over_time(x: np.ndarray) -> np.ndarray:
    """(K, frames) -> (4 K,) float64: the mean of each row, then the standard deviations, then the quantiles."""
    x = x.astype(np.float64)
    return np.concatenate([x.mean(1), x.std(1), *np.quantile(x, SHARES, axis=1)])
