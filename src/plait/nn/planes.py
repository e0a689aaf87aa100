"""A linear model of fixed streams as a module, and how it is learned: what logistic, ridge and linear SVM share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.nn import linear
from plait.nn.linear import Folds, Stream, Task

SHARP = 4.0  # the margins of least squares and hinges, which are about -1 to 1, as logits


class Plane(nn.Module):
    """streams -> x W + b: logits (B, C), or values (B,) for a number."""

    def __init__(
        self, *, kind: str, weight: np.ndarray, bias: np.ndarray, scales: dict[str, float], flags: list[str], loss: str
    ) -> None:
        super().__init__()
        self.kind, self.scales, self.flags, self.loss = kind, scales, flags, loss
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", torch.from_numpy(weight), persistent=False)
        self.register_buffer("bias", torch.from_numpy(bias), persistent=False)

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        out = linear.joined(streams, self.scales, self.flags) @ self.weight + self.bias
        if self.kind == "number":
            return out[:, 0]
        if self.loss == "squared" and self.kind == "labels":
            out = 2 * out - 1  # aimed at 0 and 1
        return out if self.loss == "log" else SHARP * out

    def weights(self) -> dict[str, float]:
        """The share of each stream in the kernel; the largest is 1."""
        most = max(self.scales.values()) or 1.0
        return {c: (s / most) ** 2 for c, s in self.scales.items()}


def learn_plane(
    streams: Mapping[str, Stream],
    y: np.ndarray,
    *,
    task: Task,
    folds: Folds,
    seed: int,
    c: float | Sequence[float],
    l1: float,
    power: float,
    loss: str,
) -> dict[str, Any]:
    """The constructor arguments of a linear learner."""
    scales = linear.alignment(streams, y, task, power)
    flags = [column for column, s in streams.items() if not s.present.all() and s.present.any()]
    x, target = linear.joined(linear.tensors(streams), scales, flags), torch.from_numpy(y)
    grid = [float(c)] if isinstance(c, (int, float)) else sorted(map(float, c))
    rows = np.arange(len(y))
    if len(rows) > linear.CHOSEN:
        rows = np.sort(np.random.default_rng(seed).choice(rows, linear.CHOSEN, replace=False))
    best = linear.choose(linear.small(x[rows]), target[rows], task, loss, linear.subset(folds, rows), grid)
    weight, bias = linear.fit(x, target, task, loss, best, l1)
    return {
        "kind": task.kind,
        "weight": weight.numpy(),
        "bias": bias.numpy(),
        "scales": scales,
        "flags": flags,
        "c": best,
    }
