"""Series without a parameter: about thirty statistics of each channel, and how channels go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fixed, statistics
from plait.nn.series import bridged, pooled
from plait.types import Inputs, Prepared, Series, Tokens

TOGETHER = 8  # channels of which each two are correlated
BLOCK = 16  # channels described at once
OWN = 3  # mean, standard deviation, share of gaps
CLOCK = 3


class SeriesStatistics(Encoder):
    """A series -> one token (B, 1, D). Of each channel the mean and standard deviation of its known values, the share of
    gaps, and the statistics of plait.nn.statistics (in the spirit of catch22; Lubba et al. 2019); the correlations of
    the first eight channels; the logarithms of the length and of the usual interval, and how uneven the times are.
    Standardised. Gaps are bridged by straight lines; of the times only the trend is told. Cells of more than `steps` are
    shortened to as many means."""

    modality: ClassVar[str] = "series"
    stored: ClassVar[bool] = True

    def __init__(self, *, mean: np.ndarray, scale: np.ndarray, channels: int, steps: int = 8192) -> None:
        super().__init__()
        _check(steps)
        self.channels, self.steps, self.width = channels, steps, _size(channels)
        self.standard = fixed.Standard(mean, scale, self.width)
        self.reading = {"channels": channels} if channels else {}
        self.preparation = {"kind": "series statistics", "version": 1, "channels": channels, "steps": steps}

    @classmethod
    def learn(cls, cells: Iterable[Series | None], *, steps: int = 8192, most: int = 1024) -> dict[str, Any]:
        """`most`: how many cells, drawn at random, the commonest number of channels, the means and the scales are
        learned from."""
        _check(steps)
        found = fixed.sample(cells, most, make=lambda c: (c.values.shape[1], _features(c, steps)))
        channels = Counter(c for c, _ in found).most_common(1)[0][0] if found else 0
        vectors = [vector for c, vector in found if c == channels]
        return {"channels": channels, **fixed.learn_standard(vectors, _size(channels))}

    def prepare(self, cells: Sequence[Series]) -> list[Prepared]:
        return [{"features": self._prepared(c)} for c in cells]

    def _prepared(self, cell: Series) -> np.ndarray:
        if not self.channels:  # nothing could be learned
            cell = cell._replace(values=np.zeros((len(cell.times), 0), np.float32))
        assert cell.values.shape[1] == self.channels, f"{cell.values.shape[1]} channels, expected {self.channels}"
        return _features(cell, self.steps)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.standard(inputs)  # type: ignore[no-any-return]


def _check(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise PlaitError(f"steps is {steps!r}, expected a whole number of at least 1.")


def _size(channels: int) -> int:
    pairs = min(channels, TOGETHER) * (min(channels, TOGETHER) - 1) // 2
    return channels * (OWN + len(statistics.NAMES)) + pairs + CLOCK


def _features(cell: Series, steps: int) -> np.ndarray:
    """(D,): channel after channel, then the correlations, then the clock."""
    values, times = pooled(cell, -(-len(cell.times) // steps))
    known = ~np.isnan(values)
    x = bridged(values, times)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, values, 0).sum(0) / count
    std = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(0) / count)
    own = np.stack([mean, std, 1 - known.mean(0)], 1)
    blocks = [statistics.describe(x[:, i : i + BLOCK], times) for i in range(0, x.shape[1], BLOCK)]
    each = np.concatenate([own, np.concatenate(blocks)], 1).ravel() if blocks else np.zeros(0)
    return np.concatenate([each, statistics.correlations(x[:, :TOGETHER]), _clock(cell.times)]).astype(np.float32)


def _clock(times: np.ndarray) -> np.ndarray:
    """(CLOCK,): the logarithms of the number of steps and of the median interval, and the standard deviation of the
    intervals over their mean."""
    length, span = np.log2(len(times)), (times[-1] / 2 - times[0] / 2) / max(1, len(times) - 1)
    if span <= 0:
        return np.array([length, 0.0, 0.0])
    between = np.diff(times / 2) / span  # of the mean interval; huge times stay finite
    usual = np.log2(max(np.median(between), 2.0**-10)) + np.log2(span) + 1
    return np.array([length, usual, between.std()])
