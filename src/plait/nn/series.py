"""Time series for encoders: of one scale, shortened where they are long, with marks for gaps; augmented as a batch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.nn import rows
from plait.types import Inputs, Prepared, Series

CLIP = 20.0  # standard deviations
OCTAVES = 8.0  # an interval is told from the usual one within a factor of 2^8
SMALL = 1e-6  # of a channel's standard deviation: what varies less within a cell is constant

Facts = dict[str, Any]  # what was learned of a column, as JSON


def learn_facts(cells: Iterable[Series | None], *, steps: int) -> dict[str, Facts]:
    """{"facts": ...}: mean and standard deviation of each channel over the known values of the training cells with the
    commonest number of channels; their longest length, and the usual interval between steps (the median of medians);
    how many steps are taken together so that the longest has at most `steps`."""
    assert steps >= 1, f"steps is {steps}, expected at least 1"
    moments: dict[int, _Moments] = defaultdict(_Moments)
    for cell in cells:
        if cell is not None:
            moments[cell.values.shape[1]].add(cell)
    if not moments:
        return {"facts": {"mean": [], "std": [], "interval": 1.0, "longest": 1, "pool": 1, "steps": steps}}
    usual = Counter({c: len(m.lengths) for c, m in moments.items()}).most_common(1)[0][0]
    found = moments[usual]
    longest = max(found.lengths)
    facts = {"longest": longest, "pool": -(-longest // steps), "steps": steps}
    return {"facts": {"mean": found.mean.tolist(), "std": found.std().tolist(), "interval": found.interval(), **facts}}


class _Moments:
    """Mean and sum of squares of each channel, cell after cell (Chan et al. 1983), lengths and intervals."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = np.zeros(1), np.zeros(1), np.zeros(1)
        self.lengths: list[int] = []
        self.intervals: list[float] = []

    def add(self, cell: Series) -> None:
        values = cell.values.astype(np.float64)
        known = ~np.isnan(values)
        count = known.sum(0)
        mean = np.where(known, values, 0).sum(0) / np.maximum(count, 1)
        squares = np.where(known, values - mean, 0) ** 2
        total = np.maximum(self.count + count, 1)
        apart = mean - self.mean
        self.squares = self.squares + squares.sum(0) + apart**2 * self.count * count / total
        self.mean = self.mean + apart * count / total
        self.count = self.count + count
        self.lengths.append(len(values))
        if len(values) > 1:
            self.intervals.append(float(np.median(np.diff(cell.times))))

    def std(self) -> np.ndarray:
        std = np.sqrt(self.squares / np.maximum(self.count, 1))
        return np.where(std > SMALL * np.abs(self.mean), std, 1.0)

    def interval(self) -> float:
        usual = float(np.median(self.intervals)) if self.intervals else 1.0
        return usual if usual > 0 else 1.0


def pooled(cell: Series, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The means of each `size` steps: values float64 (T / size, C), NaN where none is known, and times."""
    values, times = cell.values.astype(np.float64), cell.times
    if size == 1:
        return values, times
    starts = np.arange(0, len(times), size)
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.int64), starts)
    total = np.add.reduceat(np.where(known, values, 0), starts)
    lengths = np.diff([*starts, len(times)])
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), np.add.reduceat(times, starts) / lengths


def standard(values: np.ndarray) -> np.ndarray:
    """Each channel with mean 0 and standard deviation 1 over its known values; only mean 0 where it is constant."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(0), 1)
    values = values - np.where(known, values, 0).sum(0) / count
    std = np.sqrt((np.where(known, values, 0) ** 2).sum(0) / count)
    return values / np.where(std > SMALL, std, 1.0)


def bridged(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Gaps filled on a straight line between their neighbours in time, at the ends with the nearest known value;
    channels without any with 0."""
    filled = values.copy()
    for c in np.flatnonzero(np.isnan(values).any(0)):
        known = ~np.isnan(values[:, c])
        filled[:, c] = np.interp(times, times[known], values[known, c]) if known.any() else 0.0
    return filled


class Scaled:
    """A series -> values (T, C) in standard deviations from the mean of the channel, after means over as many steps as
    `facts` say (more for a cell that would still have more than `steps`). `normalise`: each cell by its own mean and
    standard deviation, which are lost."""

    def __init__(self, facts: Facts, *, normalise: bool) -> None:
        self.facts, self.normalise, self.channels = facts, normalise, len(facts["mean"])
        self.preparation = {"facts": facts, "normalise": normalise}
        self.reading = {"channels": self.channels} if self.channels else {}

    def __call__(self, cell: Series) -> tuple[np.ndarray, np.ndarray, int]:
        """values float64 (T, C) with NaN for gaps, times (T,), steps taken together. Where nothing could be learned
        there is one channel, all gaps."""
        size = max(self.facts["pool"], -(-len(cell.times) // self.facts["steps"]))
        values, times = pooled(cell, size)
        if not self.channels:
            return np.full((len(times), 1), np.nan), times, size
        assert values.shape[1] == self.channels, f"{values.shape[1]} channels, expected {self.channels}"
        values = (values - self.facts["mean"]) / self.facts["std"]
        return (standard(values) if self.normalise else values).clip(-CLIP, CLIP), times, size


class Waves:
    """A series -> values (T, C), 0 in gaps; known (T, C); clock (T, 2): seconds since the first step, and the logarithm
    of the time since the step before, 0 where that is the usual interval."""

    def __init__(self, facts: Facts, *, normalise: bool, jitter: float, scale: float, hide: float) -> None:
        self.scaled = Scaled(facts, normalise=normalise)
        self.jitter, self.scale, self.hide = jitter, scale, hide
        self.channels = max(1, self.scaled.channels)
        self.features = 2 * self.channels + 1
        self.preparation: dict[str, Any] = {"kind": "series", "version": 1, **self.scaled.preparation}

    def prepare(self, cells: Sequence[Series]) -> list[Prepared]:
        return [self._prepared(c) for c in cells]

    def _prepared(self, cell: Series) -> Prepared:
        values, times, size = self.scaled(cell)
        known = ~np.isnan(values)
        usual = self.scaled.facts["interval"] * size
        between = np.maximum(np.diff(times) / usual, 2**-OCTAVES)
        late = np.concatenate([[0.0], np.log2(between).clip(-OCTAVES, OCTAVES)])
        late[np.abs(late) < 1e-6] = 0.0
        return {
            "values": np.where(known, values, 0).astype(np.float32),
            "known": known.astype(np.float32),
            "clock": np.stack([times - times[0], late], 1).astype(np.float32),
        }

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        shapes = {"values": (self.channels,), "known": (self.channels,), "clock": (2,)}
        parts = [rows.pad(cells, name, fill=0.0, shape=shape) for name, shape in shapes.items()]
        return {name: tensor for part in parts for name, tensor in part.items()}

    def augment(self, inputs: Inputs) -> Inputs:
        """Each channel of a row times up to 1 ± `scale`; noise of `jitter` standard deviations on each value; one
        stretch of up to the share `hide` of the steps made a gap (Um et al. 2017; Park et al. 2019)."""
        values, known = inputs["values"], inputs["known"]
        b, t, c = values.shape
        device = values.device
        factor = 1 + (2 * torch.rand(b, 1, c, device=device) - 1) * self.scale
        values = values * factor + torch.randn(b, t, c, device=device) * self.jitter
        length = inputs["lengths"].float()
        long = torch.rand(b, device=device) * self.hide * length
        start = torch.rand(b, device=device) * (length - long)
        place = torch.arange(t, device=device) + 0.5
        seen = (place < start[:, None]) | (place >= (start + long)[:, None])
        known = known * seen[..., None]
        return {**inputs, "values": values * known, "known": known}


def channels_of(inputs: Inputs) -> Tensor:
    """What an encoder reads of a batch: values, known, and the time since the step before, (B, T, 2 C + 1)."""
    return torch.cat([inputs["values"], inputs["known"], inputs["clock"][..., 1:] / 4], 2)


def places(inputs: Inputs, size: int) -> Tensor:
    """(B, N, 3): the mean time of each `size` steps in seconds since the first; NaN row and column."""
    seconds, lengths = inputs["clock"][..., 0], inputs["lengths"]
    seconds = torch.nn.functional.pad(seconds, (0, -seconds.shape[1] % size)).unflatten(1, (-1, size))
    place = torch.arange(seconds.shape[1] * size, device=seconds.device).unflatten(0, (-1, size))
    real = place < lengths[:, None, None]
    mean = (seconds * real).sum(2) / real.sum(2).clamp_min(1)
    nowhere = torch.full_like(mean, torch.nan)
    return torch.stack([mean, nowhere, nowhere], 2)
