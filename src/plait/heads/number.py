"""One real number, learned in standardised units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from plait import metrics
from plait.errors import TableError
from plait.heads.base import Head
from plait.nn.linear import Task
from plait.nn.numbers import learn_scale
from plait.nn.pooling import AttentionPool
from plait.types import Tokens


class NumberHead(Head):
    """Squared error in standard deviations of the training labels. Output: (B,), in those units."""

    modality: ClassVar[str] = "number"
    metrics: ClassVar[tuple[str, ...]] = ("rmse", "mae", "r2")

    def __init__(self, *, width: int, mean: float, std: float, dropout: float = 0.1) -> None:
        super().__init__()
        self.names: list[str] = []
        self.mean, self.std = mean, std
        self.pool = AttentionPool(width)
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, 1))

    @classmethod
    def learn(cls, cells: Iterable[float | None]) -> dict[str, Any]:
        values = [c for c in cells if c is not None]
        if len(set(values)) < 2:
            raise TableError(
                f"the training rows hold {f'only the value {values[0]:g}' if values else 'no label at all'}"
                f"; expected at least two different numbers"
            )
        return learn_scale(values)

    def collate(self, cells: Sequence[float | None]) -> Tensor:
        return torch.tensor([torch.nan if c is None else c for c in cells], dtype=torch.float64)

    def known(self, target: Tensor) -> Tensor:
        return ~target.isnan()

    def task(self, target: Tensor) -> tuple[Task, np.ndarray]:
        return Task("number"), ((target - self.mean) / self.std).clamp(-1e4, 1e4).float().cpu().numpy()

    def forward(self, tokens: Tokens) -> Tensor:
        return self.out(self.pool(tokens)).squeeze(-1)  # type: ignore[no-any-return]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        z = ((target - self.mean) / self.std).nan_to_num().clamp(-1e4, 1e4).to(torch.float32)
        return (output.float() - z) ** 2 * self.known(target)

    def mix(self, outputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        return torch.as_tensor(sum(o.float() * w for o, w in zip(outputs, weights)))

    def answer(self, output: Tensor) -> Tensor:
        return output.double() * self.std + self.mean

    def decode(self, answer: np.ndarray) -> list[Any]:
        return [float(v) for v in answer]

    def share(self, figures: dict[str, float | None]) -> float:
        return ((figures["rmse"] or 0.0) / self.std) ** 2

    def judge(self, answer: np.ndarray, target: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
        return metrics.regression(answer, target, weight)
