"""A linear support vector machine on fixed vectors, one class against the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from plait.learners.base import Learner
from plait.nn.linear import Folds, Stream, Task
from plait.nn.planes import Plane, learn_plane


class LinearSVM(Learner):
    """Squared hinge loss, one class against the rest (Fan et al. 2008); least squares for numbers. Streams count
    as they are aligned with the labels, to the `power` (Cortes, Mohri & Rostamizadeh 2012). `c`: the inverse weight of the L2
    penalty, chosen over the folds where several are given; `l1`: the weight of an L1 penalty."""

    def __init__(
        self, *, kind: str, weight: np.ndarray, bias: np.ndarray, scales: dict[str, float], flags: list[str], c: float
    ) -> None:
        super().__init__()
        self.plane = Plane(kind=kind, weight=weight, bias=bias, scales=scales, flags=flags, loss="hinge")

    @classmethod
    def learn(
        cls,
        streams: Mapping[str, Stream],
        y: np.ndarray,
        *,
        task: Task,
        folds: Folds,
        seed: int,
        c: float | Sequence[float] = (0.03, 0.1, 0.3, 1.0, 3.0),
        l1: float = 0.0,
        power: float = 2.0,
    ) -> dict[str, Any]:
        return learn_plane(streams, y, task=task, folds=folds, seed=seed, c=c, l1=l1, power=power, loss="hinge")

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        return self.plane(streams)  # type: ignore[no-any-return]

    def weights(self) -> dict[str, float] | None:
        return self.plane.weights()
