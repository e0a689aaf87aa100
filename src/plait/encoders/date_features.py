"""Dates without a parameter: how long ago, and the season, weekday and hour as points on circles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch

from plait.encoders.base import Encoder
from plait.nn import dates, fixed
from plait.types import Inputs, Prepared, Tokens


class DateFeatures(Encoder):
    """A time -> one token (B, 1, 1 + 2 parts): standard deviations from the mean, within 10, then the sine and cosine of
    each part times sqrt(2), so that the mean square of the entries is about 1. `parts`: of "year", "month", "day",
    "weekday" and "hour" those that count; by default those that vary in training."""

    modality: ClassVar[str] = "date"
    stored: ClassVar[bool] = False

    def __init__(self, *, mean: float = 0.0, std: float = 1.0, parts: list[str] = list(dates.PARTS)) -> None:
        super().__init__()
        self.calendar = dates.Calendar(mean=mean, std=std, parts=parts)
        self.width, self.reading = self.calendar.size, {}
        self.preparation = self.calendar.preparation

    @classmethod
    def learn(cls, cells: Iterable[float | None]) -> dict[str, Any]:
        return dates.learn(cells)

    def prepare(self, cells: Sequence[float]) -> list[Prepared]:
        return self.calendar.prepare(cells) if cells else []

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.calendar.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        since, circles = inputs["features"].clamp(-fixed.CLIP, fixed.CLIP).split([1, self.width - 1], 1)
        return fixed.tokens({**inputs, "features": torch.cat([since, circles * 2**0.5], 1)})
