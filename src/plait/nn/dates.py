"""Dates for encoders: how long ago, and where in the year, month, week and day, as points on circles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from plait.nn import rows
from plait.nn.numbers import CLIP, learn_scale
from plait.types import Inputs, Prepared

PARTS = ("year", "month", "day", "weekday", "hour")
DAY = 86_400.0
LIMIT = 2.5e11  # seconds from 1970 to the year 9892: what NumPy's calendar is asked about at most


def phases(seconds: np.ndarray) -> dict[str, np.ndarray]:
    """Where times (n,), in seconds since 1970 UTC, lie in their year (by days), in its twelve months, and in their month,
    week (Monday is 0) and day: part -> (n,) from 0 to below 1."""
    seconds = seconds.clip(-LIMIT, LIMIT)
    days = np.floor(seconds / DAY)
    day = days.astype(np.int64).astype("datetime64[D]")
    month, year = day.astype("datetime64[M]"), day.astype("datetime64[Y]")
    days_in_month = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.float64)
    days_in_year = ((year + 1).astype("datetime64[D]") - year.astype("datetime64[D]")).astype(np.float64)
    return {
        "year": (day - year.astype("datetime64[D]")).astype(np.float64) / days_in_year,
        "month": (month - year.astype("datetime64[M]")).astype(np.float64) / 12,
        "day": (day - month.astype("datetime64[D]")).astype(np.float64) / days_in_month,
        "weekday": (days + 3) % 7 / 7,  # the first of January 1970 was a Thursday
        "hour": seconds / DAY - days,
    }


def learn(cells: Iterable[float | None]) -> dict[str, Any]:
    """The mean and standard deviation of the times that are present, and the parts that vary."""
    values = np.array([c for c in cells if c is not None], dtype=np.float64)
    where = phases(values)
    return {**learn_scale(values.tolist()), "parts": [p for p in PARTS if len(np.unique(where[p])) > 1]}


class Calendar:
    """A time -> features float32 (1 + 2 parts,): standard deviations from the mean, within 20, then the sine and cosine of
    each part (a period known beforehand; Time2Vec, Kazemi et al. 2019, learns such). Half past twelve is near noon and
    December near January."""

    def __init__(self, *, mean: float, std: float, parts: Sequence[str]) -> None:
        assert set(parts) <= set(PARTS), f"parts are {parts}, expected some of {PARTS}"
        self.mean, self.std, self.parts = mean, std, list(parts)
        self.size = 1 + 2 * len(self.parts)
        self.preparation: dict[str, Any] = {"kind": "date", "mean": mean, "std": std, "parts": self.parts}

    def prepare(self, cells: Sequence[float]) -> list[Prepared]:
        seconds = np.array(cells, dtype=np.float64)
        where = phases(seconds)
        columns = [((seconds - self.mean) / self.std).clip(-CLIP, CLIP)]
        for part in self.parts:
            columns += [np.sin(2 * np.pi * where[part]), np.cos(2 * np.pi * where[part])]
        return [{"features": f} for f in np.stack(columns, 1).astype(np.float32)]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.stack(cells, features=np.zeros(self.size, np.float32))
