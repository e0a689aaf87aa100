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
from plait.errors import PlaitError, TableError
from plait.heads.base import Head
from plait.nn.linear import Task
from plait.nn.pooling import AttentionPool
from plait.types import Tokens

UNKNOWN = -100
TINY = 1e-6  # 0 to a power below 1 has no gradient


class CategoryHead(Head):
    """Cross-entropy over `classes`, with label smoothing (Szegedy et al. 2016). `gamma`: times (1 - p)^gamma, p being the
    probability of the true class, so that what is known already counts less (focal loss; Lin et al. 2017); 0: as it is.
    Output: logits (B, C). `values`: what stands in the user's table for each class, where that is not its name: true, 3."""

    modality: ClassVar[str] = "category"
    logits: ClassVar[bool] = True
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
        gamma: float = 0.0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not 0 <= smoothing < 1 or not gamma >= 0:
            raise PlaitError(
                f"Head 'category': found smoothing={smoothing!r}, gamma={gamma!r}; expected a smoothing from 0 to below 1, and "
                f"a gamma from 0."
            )
        self.names = list(classes)
        self.values = list(values or classes)
        self.places = {c: i for i, c in enumerate(classes)}
        self.smoothing, self.gamma = smoothing, gamma
        self.pool = AttentionPool(width)
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, len(classes)))
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(weights or [1.0] * len(classes)), persistent=False)

    @classmethod
    def learn(cls, cells: Iterable[str | None], *, balance: float = 0.0, effective: float = 0.0) -> dict[str, Any]:
        """`balance`: 0 counts every row alike, 1 every class; between, classes weigh (rows / class rows)^balance. `effective`:
        the b of Cui et al. (2019), in place of balance: n rows of a class count as (1 - b^n) / (1 - b), as rows repeat
        each other; classes weigh the inverse, 1 in the mean. 0: all alike; towards 1: as balance=1."""
        if not 0 <= effective < 1 or (effective and balance):
            raise PlaitError(
                f"Head 'category': found effective={effective!r}, balance={balance!r}; expected an effective from 0 to below 1 "
                f"(0.99, 0.999), and only one of the two."
            )
        counts = Counter(c for c in cells if c is not None)
        if len(counts) < 2:
            found = f"one class only, {next(iter(counts))!r}" if counts else "no label at all"
            raise TableError(f"the training rows hold {found}; expected at least two classes")
        classes = sorted(counts)
        scale = sum(counts.values()) / len(classes)
        weights = [(scale / counts[c]) ** balance for c in classes] if balance else None
        if effective:
            inverse = [(1 - effective) / (1 - effective ** counts[c]) for c in classes]
            weights = [len(classes) * w / sum(inverse) for w in inverse]
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
        loss = F.cross_entropy(
            output.float(),
            target,
            weight=self.weights,
            ignore_index=UNKNOWN,
            reduction="none",
            label_smoothing=self.smoothing if self.training else 0.0,
        )
        if not self.gamma:
            return loss
        true = output.float().log_softmax(-1).gather(-1, target.clamp_min(0)[:, None]).squeeze(-1)
        return loss * (-true.expm1()).clamp_min(TINY) ** self.gamma

    def mix(self, outputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        mean = sum(o.float().softmax(-1) * w[:, None] for o, w in zip(outputs, weights))
        return torch.as_tensor(mean).clamp_min(1e-12).log()

    def multiply(self, outputs: Sequence[Tensor], weights: Sequence[Tensor], prior: Tensor) -> Tensor:
        start = prior.float().log_softmax(-1)
        moved = sum(w[:, None] * (o.float().log_softmax(-1) - start) for o, w in zip(outputs, weights))
        return (start + moved).log_softmax(-1)

    def answer(self, output: Tensor) -> Tensor:
        return output.float().softmax(-1)

    def decode(self, answer: np.ndarray) -> list[Any]:
        return [self.values[i] for i in answer.argmax(-1)]

    def share(self, figures: dict[str, float | None]) -> float:
        return (figures["log_loss"] or 0.0) / float(np.log(len(self.names)))

    def judge(
        self, answer: np.ndarray, target: np.ndarray, weight: np.ndarray, *, only: str | None = None
    ) -> dict[str, np.ndarray]:
        return metrics.classification(answer, target, weight, only=only)
