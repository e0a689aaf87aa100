"""Numbers as one token: standardised, then a linear layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from torch import nn

from plait.encoders.base import Encoder
from plait.nn.numbers import Scale, learn_scale
from plait.types import Inputs, Prepared, Tokens


class NumberLinear(Encoder):
    """value (B, 1) -> one token (B, 1, D)."""

    modality: ClassVar[str] = "number"
    stored: ClassVar[bool] = False

    def __init__(self, *, mean: float = 0.0, std: float = 1.0, width: int = 32) -> None:
        super().__init__()
        self.width, self.reading = width, {}
        self.scale = Scale(mean=mean, std=std)
        self.preparation = self.scale.preparation
        self.out = nn.Linear(1, width)

    @classmethod
    def learn(cls, cells: Iterable[float | None]) -> dict[str, Any]:
        return learn_scale(cells)

    def prepare(self, cells: Sequence[float]) -> list[Prepared]:
        return self.scale.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.scale.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return Tokens(self.out(inputs["value"])[:, None], inputs["present"][:, None])
