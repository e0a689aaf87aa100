"""The labels of the nearest training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.learners.base import Learner
from plait.nn import linear
from plait.nn.linear import Folds, Stream, Task

LEAST = 1e-3  # of every class, so that no answer is impossible


class KNearest(Learner):
    """k nearest neighbours by the distance of the joined streams (Cover & Hart 1967), each vote weighted by
    exp(-distance^2); streams count as they are aligned with the labels. `k`: chosen from a list over the folds."""

    def __init__(
        self,
        *,
        kind: str,
        memory: np.ndarray,
        goals: np.ndarray,
        width: float,
        k: int,
        scales: dict[str, float],
        flags: list[str],
    ) -> None:
        super().__init__()
        self.kind, self.k, self.width, self.scales, self.flags = kind, k, width, scales, flags
        self.memory: Tensor
        self.goals: Tensor
        self.register_buffer("memory", torch.from_numpy(memory), persistent=False)
        self.register_buffer("goals", torch.from_numpy(goals), persistent=False)

    @classmethod
    def learn(
        cls,
        streams: Mapping[str, Stream],
        y: np.ndarray,
        *,
        task: Task,
        folds: Folds,
        seed: int,
        k: int | Sequence[int] = (1, 3, 5, 10, 20),
        power: float = 2.0,
    ) -> dict[str, Any]:
        scales = linear.alignment(streams, y, task, power)
        flags = [c for c, s in streams.items() if not s.present.all() and s.present.any()]
        x = linear.joined(linear.tensors(streams), scales, flags)
        goal = torch.from_numpy(linear.goals(y, task)).float()
        grid = [k] if isinstance(k, int) else list(k)
        rows = np.arange(len(y))
        if len(rows) > linear.CHOSEN:
            rows = np.sort(np.random.default_rng(seed).choice(rows, linear.CHOSEN, replace=False))
        chosen = linear.subset(folds, rows)
        errors = [0.0] * len(grid)
        for train, held in chosen:
            for i, size in enumerate(grid):
                mean, _ = _vote(x[rows][held], x[rows][train], goal[rows][train], min(size, len(train)), None)
                errors[i] += float((mean - goal[rows][held]).square().sum())
        best = int(grid[int(np.argmin(errors))]) if chosen else int(grid[len(grid) // 2])
        best = min(best, len(y))
        _, width = _vote(x[rows], x, goal, best, None)
        return {
            "kind": task.kind,
            "memory": x.numpy(),
            "goals": goal.numpy(),
            "width": float(width),
            "k": best,
            "scales": scales,
            "flags": flags,
        }

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        x = linear.joined(streams, self.scales, self.flags)
        mean, _ = _vote(x, self.memory, self.goals, self.k, self.width)
        if self.kind == "number":
            return mean[:, 0]
        mean = (1 - LEAST) * mean + LEAST / (mean.shape[1] if self.kind == "category" else 2)
        return mean.log() if self.kind == "category" else torch.logit(mean)

    def weights(self) -> dict[str, float] | None:
        most = max(self.scales.values()) or 1.0
        return {c: (s / most) ** 2 for c, s in self.scales.items()}


def _vote(x: Tensor, memory: Tensor, goals: Tensor, k: int, width: float | None) -> tuple[Tensor, Tensor]:
    """(B, K) weighted mean of the goals of the k nearest, and the mean squared distance of the k-th."""
    found = []
    for block in x.split(1024):
        near, place = torch.cdist(block, memory).topk(k, largest=False)
        found.append((near.square(), place))
    squares, places = torch.cat([f[0] for f in found]), torch.cat([f[1] for f in found])
    scale = squares[:, -1].mean() if width is None else torch.tensor(width)
    weight = torch.softmax(-squares / scale.clamp_min(1e-9), 1)
    return (goals[places] * weight[..., None]).sum(1), scale
