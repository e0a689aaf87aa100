"""The learner interface: fixed vectors of the columns and the labels -> a model that answers, in place of fusion and heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from plait.nn.linear import Folds, Stream, Task


class Learner(nn.Module, ABC):
    """Answers one target. What `learn` returns, JSON and arrays, are constructor arguments, keyword-only: a learner has no
    other state."""

    @classmethod
    @abstractmethod
    def learn(
        cls, streams: Mapping[str, Stream], y: np.ndarray, *, task: Task, folds: Folds, seed: int
    ) -> dict[str, Any]:
        """`y`: (n,) whole numbers, (n, C) of 0 and 1, or (n,) standardised numbers, all known. `folds`: among these rows, for
        choosing hyperparameters. Options of the user are further keyword arguments."""

    @abstractmethod
    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        """Column -> (x (B, F), present (B,)) to the output of the target's head: logits (B, C), or values (B,)."""

    @abstractmethod
    def weights(self) -> dict[str, float] | None:
        """How much each column counts, where that can be said; the largest is 1."""
