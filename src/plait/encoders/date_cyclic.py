"""Dates as one token: how long ago, and the season, weekday and hour as points on circles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from torch import nn

from plait.encoders.base import Encoder
from plait.nn import dates
from plait.types import Inputs, Prepared, Tokens


class DateCyclic(Encoder):
    """features (B, 1 + 2 parts) -> one token (B, 1, D): relu(linear(features)). `parts`: of "year", "month", "day",
    "weekday" and "hour" those that count; by default those that vary in training."""

    modality: ClassVar[str] = "date"
    stored: ClassVar[bool] = False

    def __init__(
        self, *, mean: float = 0.0, std: float = 1.0, parts: list[str] = list(dates.PARTS), width: int = 32
    ) -> None:
        super().__init__()
        self.width, self.reading = width, {}
        self.calendar = dates.Calendar(mean=mean, std=std, parts=parts)
        self.preparation = self.calendar.preparation
        self.out = nn.Sequential(nn.Linear(self.calendar.size, width), nn.ReLU())

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
        return Tokens(self.out(inputs["features"])[:, None], inputs["present"][:, None])
