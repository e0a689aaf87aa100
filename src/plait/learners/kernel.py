"""Kernel ridge regression with a Gaussian kernel over the joined streams: what a linear model cannot bend to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.errors import PlaitError
from plait.learners.base import Learner
from plait.nn import linear
from plait.nn.linear import Folds, Stream, Task

MOST = 10_000  # rows: the kernel is a square of them
SHARP = 4.0  # margins of about 0 to 1, as logits


class KernelRidge(Learner):
    """Least squares in the space of exp(-width |x - z|^2) (Saunders, Gammerman & Vovk 1998), a category by its indicators;
    streams count as they are aligned with the labels. `ridge` and `width` (in units of the mean squared distance of the
    training rows): chosen from lists over the folds."""

    def __init__(
        self,
        *,
        kind: str,
        memory: np.ndarray,
        dual: np.ndarray,
        middle: np.ndarray,
        gamma: float,
        ridge: float,
        width: float,
        scales: dict[str, float],
        flags: list[str],
    ) -> None:
        super().__init__()
        self.kind, self.gamma, self.scales, self.flags = kind, gamma, scales, flags
        self.memory: Tensor
        self.dual: Tensor
        self.middle: Tensor
        for name, array in {"memory": memory, "dual": dual, "middle": middle}.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    @classmethod
    def learn(
        cls,
        streams: Mapping[str, Stream],
        y: np.ndarray,
        *,
        task: Task,
        folds: Folds,
        seed: int,
        ridge: float | Sequence[float] = (0.003, 0.01, 0.03, 0.1, 0.3),
        width: float | Sequence[float] = (0.25, 0.5, 1.0, 2.0),
        power: float = 2.0,
    ) -> dict[str, Any]:
        if len(y) > MOST:
            raise PlaitError(
                f"The kernel learner takes at most {MOST:,} training rows; found {len(y):,}. Use 'logistic'."
            )
        scales = linear.alignment(streams, y, task, power)
        flags = [c for c, s in streams.items() if not s.present.all() and s.present.any()]
        x = linear.joined(linear.tensors(streams), scales, flags)
        squares = torch.cdist(x, x).square().double()
        unit = float(squares.mean()) or 1.0
        goal = torch.from_numpy(linear.goals(y, task))
        rows = np.arange(len(y))
        if len(rows) > linear.CHOSEN:
            rows = np.sort(np.random.default_rng(seed).choice(rows, linear.CHOSEN, replace=False))
        ridges, widths = ([v] if isinstance(v, (int, float)) else list(v) for v in (ridge, width))
        best = ridges[0], widths[0]
        if len(ridges) * len(widths) > 1:
            best = _search(squares[rows][:, rows] / unit, goal[rows], linear.subset(folds, rows), ridges, widths)
        middle = goal.mean(0)
        kernel = torch.exp(-squares / unit * best[1])
        dual = torch.linalg.solve(kernel + best[0] * torch.eye(len(y), dtype=kernel.dtype), goal - middle)
        return {
            "kind": task.kind,
            "memory": x.numpy(),
            "dual": dual.float().numpy(),
            "middle": middle.float().numpy(),
            "gamma": best[1] / unit,
            "ridge": float(best[0]),
            "width": float(best[1]),
            "scales": scales,
            "flags": flags,
        }

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        x = linear.joined(streams, self.scales, self.flags)
        out = torch.exp(-self.gamma * torch.cdist(x, self.memory).square()) @ self.dual + self.middle
        return out[:, 0] if self.kind == "number" else SHARP * (out if self.kind == "category" else 2 * out - 1)

    def weights(self) -> dict[str, float] | None:
        most = max(self.scales.values()) or 1.0
        return {c: (s / most) ** 2 for c, s in self.scales.items()}


def _search(
    squares: Tensor, goal: Tensor, folds: Folds, ridges: Sequence[float], widths: Sequence[float]
) -> tuple[float, float]:
    """(ridge, width) with the least squared error on the rows held out; one eigenvalue problem a width and fold."""
    errors = {(r, w): 0.0 for r in ridges for w in widths}
    for width in widths:
        kernel = torch.exp(-squares * width)
        for train, held in folds:
            lam, u = torch.linalg.eigh(kernel[train][:, train])
            middle = goal[train].mean(0)
            turned, across = u.T @ (goal[train] - middle), kernel[held][:, train] @ u
            for ridge in ridges:
                out = across @ (turned / (lam + ridge)[:, None]) + middle
                errors[ridge, width] += float((out - goal[held]).square().sum())
    if not folds:
        return ridges[len(ridges) // 2], widths[len(widths) // 2]
    return min(errors, key=lambda k: errors[k])
