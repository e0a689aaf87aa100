"""Numbers as one token: sines and cosines of learned frequencies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn.numbers import Scale, learn_scale
from plait.types import Inputs, Prepared, Tokens


class NumberPeriodic(Encoder):
    """value (B, 1) -> one token (B, 1, D): relu(linear([v, sin(2 pi c v), cos(2 pi c v)])), c learned, drawn from
    N(0, sigma) (Gorishniy et al. 2022, "On Embeddings for Numerical Features", PLR; the value itself is ours)."""

    modality: ClassVar[str] = "number"
    stored: ClassVar[bool] = False

    def __init__(
        self, *, mean: float = 0.0, std: float = 1.0, width: int = 32, frequencies: int = 16, sigma: float = 0.1
    ) -> None:
        super().__init__()
        self.width, self.reading = width, {}
        self.scale = Scale(mean=mean, std=std)
        self.preparation = self.scale.preparation
        self.frequency = nn.Parameter(torch.randn(frequencies) * sigma)
        self.out = nn.Linear(2 * frequencies + 1, width)

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
        value = inputs["value"]
        angle = 2 * torch.pi * value * self.frequency
        x = self.out(torch.cat([value, angle.sin(), angle.cos()], 1)).relu()
        return Tokens(x[:, None], inputs["present"][:, None])
