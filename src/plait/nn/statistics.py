"""Series in about thirty numbers a channel: moments, memory, spectrum, runs and symbols, in NumPy.

In the spirit of catch22 (Lubba et al. 2019), whose names are in brackets. Each function takes z (T, C), the channels with
mean 0 and standard deviation 1 (all 0 where constant), and gives (C,) or (C, several). Counts of steps are logarithms to
the base of 2 of one more.
"""

from __future__ import annotations

import itertools

import numpy as np

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
BIG = 0.04  # an increment above, in standard deviations
BINS = 10
LETTERS = 3
SCALES, SHORTEST = 10, 4  # lengths of the pieces in which fluctuations are told, and the least
TINY = 1e-300
SMALL = 1e-9  # of the largest value: what varies less is constant
NAMES = (
    "skewness",
    "kurtosis",
    *(f"quantile_{share}" for share in SHARES),
    "mode",
    "trend",
    "middle",
    "memory_1",
    "memory_falls",
    "memory_turns",
    "power_low",
    "power_centre",
    "power_peak",
    "power_entropy",
    "longest_above",
    "longest_fall",
    "crossings",
    "change",
    "big_increments",
    "reversal",
    "words",
    "fluctuation",
    "surprise",
)


def standard(x: np.ndarray) -> np.ndarray:
    """(T, C) without gaps -> z."""
    std = x.std(0)
    return (x - x.mean(0)) / np.where(std > SMALL * np.abs(x).max(0), std, np.inf)  # type: ignore[no-any-return]


def describe(x: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Channels without gaps (T, C) at times (T,) -> (C, statistics), as in NAMES; 0 throughout where a channel is
    constant."""
    z = standard(x)
    columns = [
        (z**3).mean(0),
        (z**4).mean(0) - 3,
        *np.quantile(z, SHARES, axis=0),
        mode(z),
        *place(z, times),
        *memory(z),
        *spectrum(z),
        np.log2(1 + longest(z > 0)),
        np.log2(1 + longest(np.diff(z, axis=0) < 0)),
        *increments(z),
        words(z),
        fluctuation(z),
        surprise(z),
    ]
    found = np.where(z.any(0), np.stack(columns), 0.0)
    assert len(found) == len(NAMES)
    return found.T


def mode(z: np.ndarray) -> np.ndarray:
    """The middle of the fullest of ten bins of equal width, the first of several [DN_HistogramMode_10]."""
    low, span = z.min(0), np.ptp(z, axis=0)
    bins = np.floor((z - low) / np.where(span > 0, span, 1) * BINS).clip(0, BINS - 1)
    fullest = (bins == np.arange(BINS)[:, None, None]).sum(1).argmax(0)
    return low + (fullest + 0.5) * span / BINS  # type: ignore[no-any-return]


def place(z: np.ndarray, times: np.ndarray) -> list[np.ndarray]:
    """The correlation with time, and where the squares of z are centred: 0 at the beginning, 1 at the end."""
    clock = times / 2 - times[0] / 2  # huge times stay finite
    clock = standard((clock / max(clock[-1], TINY))[:, None])
    share = np.linspace(0, 1, len(z))[:, None]
    square = z**2
    return [(z * clock).mean(0), (square * share).sum(0) / np.maximum(square.sum(0), 1e-12)]


def memory(z: np.ndarray) -> list[np.ndarray]:
    """The autocorrelation at one step; the steps until it falls below 1 / e, between steps on a straight line
    [CO_f1ecac]; the steps until its first minimum [CO_FirstMin_ac]. As many steps as there are where it never does."""
    steps = len(z)
    spectrum = np.fft.rfft(z, 2 * steps, axis=0)
    acf = np.fft.irfft(np.abs(spectrum) ** 2, 2 * steps, axis=0)[:steps]
    acf = acf / np.maximum(acf[:1], 1e-12)
    falls = np.maximum(_first(acf < 1 / np.e), 1)
    before, after = (np.take_along_axis(acf, np.minimum(k, steps - 1)[None], 0)[0] for k in (falls - 1, falls))
    partly = ((before - 1 / np.e) / np.maximum(before - after, 1e-12)).clip(0, 1)
    crossing = np.where(falls < steps, falls - 1 + partly, steps)
    turns = _first((acf[1:-1] < acf[:-2]) & (acf[1:-1] <= acf[2:])) + 1 if steps > 2 else np.full(z.shape[1], steps)
    turns = np.where(turns > steps - 2, steps, turns)
    return [acf[min(1, steps - 1)] if steps > 1 else np.zeros(z.shape[1]), np.log2(1 + crossing), np.log2(1 + turns)]


def spectrum(z: np.ndarray) -> list[np.ndarray]:
    """Of the periodogram without the mean: the share of power in the lowest fifth of the frequencies
    [SP_Summaries_welch_rect_area_5_1]; the mean and the strongest frequency, in cycles a step; its entropy, 1 for white
    noise and 0 for one frequency."""
    if len(z) < 3:
        return [np.zeros(z.shape[1])] * 4
    frequency = np.fft.rfftfreq(len(z))[1:, None]
    power = np.abs(np.fft.rfft(z, axis=0)[1:]) ** 2
    power = power / np.maximum(power.sum(0), 1e-12)
    low = (power * (frequency <= 0.1)).sum(0)
    entropy = -(power * np.log(np.maximum(power, 1e-300))).sum(0) / np.log(max(2, len(power)))
    return [low, (power * frequency).sum(0), frequency[power.argmax(0), 0], entropy]


def longest(true: np.ndarray) -> np.ndarray:
    """The longest run of True in each column (T, C) [SB_BinaryStats_mean_longstretch1, _diff_longstretch0]."""
    if not len(true):
        return np.zeros(true.shape[1])
    at = np.arange(1, len(true) + 1)[:, None]
    last = np.maximum.accumulate(np.where(true, 0, at), axis=0)
    return (at - last).max(0)  # type: ignore[no-any-return]


def increments(z: np.ndarray) -> list[np.ndarray]:
    """The share of steps that cross the mean; the mean size of an increment; the share above 0.04
    [MD_hrv_classic_pnn40]; the mean cube, 0 for what looks the same backwards [CO_trev_1_num]."""
    if len(z) < 2:
        return [np.zeros(z.shape[1])] * 4
    step = np.diff(z, axis=0)
    crossed = (z[1:] > 0) != (z[:-1] > 0)
    return [crossed.mean(0), np.abs(step).mean(0), (np.abs(step) > BIG).mean(0), (step**3).mean(0)]


def words(z: np.ndarray) -> np.ndarray:
    """The entropy of words of two letters, of three that are equally frequent [SB_MotifThree_quantile_hh]: from 0 to
    the logarithm of 9."""
    if len(z) < 2:
        return np.zeros(z.shape[1])
    limits = np.quantile(z, np.arange(1, LETTERS) / LETTERS, axis=0)
    letters = (z > limits[:, None]).sum(0)
    pairs = letters[:-1] * LETTERS + letters[1:]
    share = (pairs == np.arange(LETTERS**2)[:, None, None]).mean(1)
    return -(share * np.log(np.maximum(share, 1e-300))).sum(0)  # type: ignore[no-any-return]


def fluctuation(z: np.ndarray) -> np.ndarray:
    """The exponent with which fluctuations of the running sum around straight lines grow with the length of a piece
    (detrended fluctuation analysis; Peng et al. 1994): 0.5 for white noise, 1.5 for a random walk; 0 below 32 steps."""
    if len(z) < 8 * SHORTEST:
        return np.zeros(z.shape[1])
    profile = np.cumsum(z, axis=0)
    sizes = np.unique(np.geomspace(SHORTEST, len(z) // 4, SCALES).round().astype(int))
    spread = []
    for size in sizes:
        pieces = profile[: len(z) // size * size].reshape(-1, size, z.shape[1])
        pieces = pieces - pieces.mean(1, keepdims=True)
        line = np.linspace(-1, 1, size)[:, None]
        slope = (pieces * line).sum(1, keepdims=True) / (line**2).sum()
        spread.append(np.log(np.maximum(((pieces - slope * line) ** 2).mean((0, 1)), 1e-24)) / 2)
    scale = np.log(sizes) - np.log(sizes).mean()
    return (scale[:, None] * np.array(spread)).sum(0) / (scale**2).sum()  # type: ignore[no-any-return]


def surprise(z: np.ndarray) -> np.ndarray:
    """The standard deviation of what differs from the mean of the three steps before [FC_LocalSimple_mean3_stderr]."""
    if len(z) < 5:
        return np.zeros(z.shape[1])
    return (z[3:] - (z[:-3] + z[1:-2] + z[2:-1]) / 3).std(0)  # type: ignore[no-any-return]


def correlations(x: np.ndarray) -> np.ndarray:
    """(pairs,): the correlation of each two channels (T, C), 0 where one is constant."""
    z = standard(x)
    return np.array([(z[:, a] * z[:, b]).mean() for a, b in itertools.combinations(range(z.shape[1]), 2)])


def _first(true: np.ndarray) -> np.ndarray:
    """The first True of each column (T, C); T where there is none."""
    return np.where(true.any(0), true.argmax(0), len(true))
