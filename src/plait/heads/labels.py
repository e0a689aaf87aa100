"""Any number of labels at once."""

from __future__ import annotations

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

TINY = 1e-6  # 0 to a power below 1 has no gradient


class LabelsHead(Head):
    """Binary cross-entropy for each of `classes`. `gamma`: times (1 - p)^gamma, p being the probability of the truth, so that
    what is known already counts less (focal loss; Lin et al. 2017); 0: as it is. Output: logits (B, C). A label is said at
    probability one half."""

    modality: ClassVar[str] = "labels"
    logits: ClassVar[bool] = True
    metrics: ClassVar[tuple[str, ...]] = (
        "f1_micro",
        "f1_macro",
        "precision_micro",
        "recall_micro",
        "accuracy",
        "hamming_loss",
        "roc_auc",
        "average_precision",
        "log_loss",
    )

    def __init__(self, *, width: int, classes: list[str], gamma: float = 0.0, dropout: float = 0.2) -> None:
        super().__init__()
        if not gamma >= 0:
            raise PlaitError(f"Head 'labels': found gamma={gamma!r}; expected a number from 0.")
        self.gamma = gamma
        self.names = list(classes)
        self.places = {c: i for i, c in enumerate(classes)}
        self.pool = AttentionPool(width)
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, len(classes)))

    @classmethod
    def learn(cls, cells: Iterable[tuple[str, ...] | None]) -> dict[str, Any]:
        classes = sorted({name for c in cells if c is not None for name in c})
        if not classes:
            raise TableError("the training rows hold no label at all; expected at least one")
        return {"classes": classes}

    def collate(self, cells: Sequence[tuple[str, ...] | None]) -> Tensor:
        target = torch.zeros(len(cells), len(self.names))
        for i, cell in enumerate(cells):
            if cell is None:
                target[i] = torch.nan
            else:
                target[i, [self.places[n] for n in cell if n in self.places]] = 1
        return target

    def known(self, target: Tensor) -> Tensor:
        return ~target[:, 0].isnan()

    def task(self, target: Tensor) -> tuple[Task, np.ndarray]:
        return Task("labels", len(self.names)), target.cpu().numpy()

    def forward(self, tokens: Tokens) -> Tensor:
        return self.out(self.pool(tokens))  # type: ignore[no-any-return]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(output.float(), target.nan_to_num(), reduction="none")
        if self.gamma:  # the loss is -log p
            loss = loss * (-(-loss).expm1()).clamp_min(TINY) ** self.gamma
        return loss.mean(-1) * self.known(target)

    def mix(self, outputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        mean = sum(o.float().sigmoid() * w[:, None] for o, w in zip(outputs, weights))
        return torch.as_tensor(mean).clamp(1e-6, 1 - 1e-6).logit()

    def multiply(self, outputs: Sequence[Tensor], weights: Sequence[Tensor], prior: Tensor) -> Tensor:
        return prior.float() + sum(w[:, None] * (o.float() - prior.float()) for o, w in zip(outputs, weights))

    def answer(self, output: Tensor) -> Tensor:
        return output.float().sigmoid()

    def decode(self, answer: np.ndarray) -> list[Any]:
        return [[n for n, p in zip(self.names, row) if p >= 0.5] for row in answer]

    def share(self, figures: dict[str, float | None]) -> float:
        return (figures["log_loss"] or 0.0) / float(np.log(2))

    def judge(
        self, answer: np.ndarray, target: np.ndarray, weight: np.ndarray, *, only: str | None = None
    ) -> dict[str, np.ndarray]:
        return metrics.multilabel(answer, target > 0.5, weight, only=only)
