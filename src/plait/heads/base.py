"""The head interface: fused tokens -> output; output and target -> loss; output -> what a person reads; its metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn

from plait.nn.linear import Task
from plait.types import Cell, Tokens


class Beside(NamedTuple):
    """A second label for each row of a batch (training/mixing.py)."""

    rows: Tensor  # (B,) whose label it is
    share: Tensor  # (B,) how much the first counts, of 1


class Head(nn.Module, ABC):
    """One target. The constructor takes `width` and JSON values, keyword-only. An answer is an output in the user's
    terms: probabilities (B, C), or values (B,)."""

    modality: ClassVar[str]  # of the target column
    metrics: ClassVar[tuple[str, ...]]  # what `judge` gives; the first is the default for early stopping
    logits: ClassVar[bool]  # whether outputs divided by a temperature give the same answer, less or more surely
    names: list[str]  # of the columns of an answer that is (B, C); empty where it is (B,)
    beside: Beside | None = None  # while rows are mixed in training

    @classmethod
    @abstractmethod
    def learn(cls, cells: Iterable[Cell]) -> dict[str, Any]:
        """Constructor arguments learned from the training labels; raises PlaitError when nothing can be learned."""

    @abstractmethod
    def collate(self, cells: Sequence[Cell]) -> Tensor:
        """Labels as a tensor (B, ...), with a value of its own where a label is missing or unknown to this head."""

    @abstractmethod
    def known(self, target: Tensor) -> Tensor:
        """(B,) bool: which labels are there."""

    @abstractmethod
    def task(self, target: Tensor) -> tuple[Task, np.ndarray]:
        """Known labels as a learner takes them: class numbers (n,), 0 and 1 (n, C), or standardised numbers (n,)."""

    @abstractmethod
    def forward(self, tokens: Tokens) -> Tensor:
        """(B, N, D) -> output (B, ...)."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,), zero where the label is missing."""

    @final
    def loss_of_row(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,): the loss; where a row has a second label, of both, each by its share."""
        own = self.loss(output, target)
        if self.beside is None:
            return own
        second = target[self.beside.rows]
        share = torch.where(self.known(target) & self.known(second), self.beside.share, 1.0)
        return share * own + (1 - share) * self.loss(output, second)

    @abstractmethod
    def mix(self, outputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        """One output from several, each with a weight (B,) a row: the mean of the answers."""

    @abstractmethod
    def multiply(self, outputs: Sequence[Tensor], weights: Sequence[Tensor], prior: Tensor) -> Tensor:
        """One output from several that are independent evidence, each with a weight (B,) a row: how far it moves `prior`, the
        output of knowing nothing (B, ...)."""

    @abstractmethod
    def answer(self, output: Tensor) -> Tensor:
        """Probabilities (B, C), or values (B,)."""

    @abstractmethod
    def decode(self, answer: np.ndarray) -> list[Any]:
        """What a person reads, one a row."""

    @abstractmethod
    def share(self, figures: dict[str, float | None]) -> float:
        """From the metrics that `judge` gave: a loss without units, about 1 for knowing nothing, to add up over targets."""

    @abstractmethod
    def judge(
        self, answer: np.ndarray, target: np.ndarray, weight: np.ndarray, *, only: str | None = None
    ) -> dict[str, np.ndarray]:
        """Metrics over the rows whose label is known: answer (n, ...), target (n, ...), weight (R, n) -> (R,) each. `only`: this
        one, where the others would take time for nothing."""
