"""One real number, learned in standardised units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plait import metrics
from plait.errors import PlaitError, TableError, unknown
from plait.heads.base import Head
from plait.nn.linear import Task
from plait.nn.numbers import learn_scale
from plait.nn.pooling import AttentionPool
from plait.types import Tokens

LOSSES = ("squared", "huber", "absolute", "quantile")


class NumberHead(Head):
    """Output: (B,), in standard deviations of the training labels from their mean. `loss` of an error e in these units:

    squared   e^2; learns the mean
    huber     e^2 / 2 up to `delta`, then delta (|e| - delta / 2) (Huber 1964); outliers pull less
    absolute  |e|; learns the median
    quantile  q e above the output, (q - 1) e below it, q being `quantile` (Koenker & Bassett 1978); learns that quantile
    """

    modality: ClassVar[str] = "number"
    logits: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("rmse", "mae", "r2")

    def __init__(
        self,
        *,
        width: int,
        mean: float,
        std: float,
        loss: str = "squared",
        delta: float = 1.0,
        quantile: float = 0.5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise unknown("loss of head 'number':", loss, LOSSES)
        if not delta > 0 or not 0 < quantile < 1:
            raise PlaitError(
                f"Head 'number': found delta={delta!r}, quantile={quantile!r}; expected a delta above 0, and a quantile between "
                f"0 and 1."
            )
        self.kind, self.delta, self.quantile = loss, delta, quantile
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
        return self._of(output.float(), z) * self.known(target)

    def _of(self, output: Tensor, z: Tensor) -> Tensor:
        if self.kind == "squared":
            return (output - z) ** 2
        if self.kind == "huber":
            return F.huber_loss(output, z, reduction="none", delta=self.delta)
        error = z - output
        return (
            error.abs()
            if self.kind == "absolute"
            else torch.maximum(self.quantile * error, (self.quantile - 1) * error)
        )

    def mix(self, outputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        return torch.as_tensor(sum(o.float() * w for o, w in zip(outputs, weights)))

    def multiply(self, outputs: Sequence[Tensor], weights: Sequence[Tensor], prior: Tensor) -> Tensor:
        """Normal densities of one prior variance: the variance of an output with weight w is 1 / (1 + w) of the prior's."""
        start, count = prior.float(), torch.stack(list(weights)).sum(0)
        moved = sum(((1 + w) * o.float() - start) * (w > 0) for o, w in zip(outputs, weights))
        return (start + torch.as_tensor(moved)) / (1 + count)

    def answer(self, output: Tensor) -> Tensor:
        return output.double() * self.std + self.mean

    def decode(self, answer: np.ndarray) -> list[Any]:
        return [float(v) for v in answer]

    def share(self, figures: dict[str, float | None]) -> float:
        return ((figures["rmse"] or 0.0) / self.std) ** 2

    def judge(
        self, answer: np.ndarray, target: np.ndarray, weight: np.ndarray, *, only: str | None = None
    ) -> dict[str, np.ndarray]:
        return metrics.regression(answer, target, weight, only=only)
