"""One label of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plait import metrics
from plait.errors import TableError
from plait.heads.base import Head
from plait.nn.linear import Task
from plait.nn.pooling import AttentionPool
from plait.types import Tokens

UNKNOWN = -100


class CategoryHead(Head):
    """Cross-entropy over `classes`, with label smoothing (Szegedy et al. 2016). Output: logits (B, C). `values`: what stands in
    the user's table for each class, where that is not its name: true, 3."""

    modality: ClassVar[str] = "category"
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "balanced_accuracy",
        "precision_macro",
        "recall_macro",
        "f1_macro",
        "precision_weighted",
        "recall_weighted",
        "f1_weighted",
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "ece",
    )

    def __init__(
        self,
        *,
        width: int,
        classes: list[str],
        weights: list[float] | None = None,
        values: list[Any] | None = None,
        smoothing: float = 0.05,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.names = list(classes)
        self.values = list(values or classes)
        self.places = {c: i for i, c in enumerate(classes)}
        self.smoothing = smoothing
        self.pool = AttentionPool(width)
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, len(classes)))
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(weights or [1.0] * len(classes)), persistent=False)

    @classmethod
    def learn(cls, cells: Iterable[str | None], *, balance: float = 0.0) -> dict[str, Any]:
        """`balance`: 0 counts every row alike, 1 every class; between, classes weigh (rows / class rows)^balance."""
        counts = Counter(c for c in cells if c is not None)
        if len(counts) < 2:
            found = f"one class only, {next(iter(counts))!r}" if counts else "no label at all"
            raise TableError(f"the training rows hold {found}; expected at least two classes")
        classes = sorted(counts)
        scale = sum(counts.values()) / len(classes)
        weights = [(scale / counts[c]) ** balance for c in classes] if balance else None
        return {"classes": classes, **({"weights": weights} if weights else {})}

    def collate(self, cells: Sequence[str | None]) -> Tensor:
        return torch.tensor([UNKNOWN if c is None else self.places.get(c, UNKNOWN) for c in cells])

    def known(self, target: Tensor) -> Tensor:
        return target != UNKNOWN

    def task(self, target: Tensor) -> tuple[Task, np.ndarray]:
        return Task("category", len(self.names)), target.cpu().numpy()

    def forward(self, tokens: Tokens) -> Tensor:
        return self.out(self.pool(tokens))  # type: ignore[no-any-return]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            output.float(),
            target,
            weight=self.weights,
            ignore_index=UNKNOWN,
            reduction="none",
            label_smoothing=self.smoothing if self.training else 0.0,
        )

    def mix(self, outputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        mean = sum(o.float().softmax(-1) * w[:, None] for o, w in zip(outputs, weights))
        return torch.as_tensor(mean).clamp_min(1e-12).log()

    def answer(self, output: Tensor) -> Tensor:
        return output.float().softmax(-1)

    def decode(self, answer: np.ndarray) -> list[Any]:
        return [self.values[i] for i in answer.argmax(-1)]

    def share(self, figures: dict[str, float | None]) -> float:
        return (figures["log_loss"] or 0.0) / float(np.log(len(self.names)))

    def judge(self, answer: np.ndarray, target: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
        return metrics.classification(answer, target, weight)
