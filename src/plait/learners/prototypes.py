"""The nearest class mean: one prototype a class, which needs few examples and learns in one pass."""

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

SHRINKS = (0.0, 1.0, 3.0)
MOST = 1_000_000  # answers, rows times classes, of a fold that these are chosen by
TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
USUAL = (0.0, 0.1, 1.0)  # shrink, temperature and prior, where there are no rows to choose by


class Prototypes(Learner):
    """Softmax of -|x - m_c|^2 / temperature + prior * log share of class c, where m_c is the mean of the rows of c (Mensink et
    al. 2013; Snell, Swersky & Zemel 2017), x the joined streams, each row as long as if nothing were missing; labels: with a
    mean of the rows that have the label and one of those that have not. A mean counts its rows and `shrink` rows
    more, which lie at the mean of all (Tibshirani et al. 2002). `shrink`, `temperature` and `prior` (0: classes alike):
    one, or several to be chosen from over the folds by log loss."""

    def __init__(
        self,
        *,
        kind: str,
        means: np.ndarray,
        offsets: np.ndarray,
        sharpness: float,
        scales: dict[str, float],
        flags: list[str],
    ) -> None:
        super().__init__()
        self.kind, self.sharpness, self.scales, self.flags = kind, sharpness, scales, flags
        self.means: Tensor
        self.offsets: Tensor
        self.register_buffer("means", torch.from_numpy(means), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(offsets), persistent=False)

    @classmethod
    def learn(
        cls,
        streams: Mapping[str, Stream],
        y: np.ndarray,
        *,
        task: Task,
        folds: Folds,
        seed: int,
        shrink: float | Sequence[float] = SHRINKS,
        temperature: float | Sequence[float] = TEMPERATURES,
        prior: float | Sequence[float] = (0.0, 1.0),
        power: float = 2.0,
    ) -> dict[str, Any]:
        if task.kind == "number":
            raise PlaitError(
                "The prototypes learner has a mean for each class, and a number has no classes. Take 'knn', 'ridge' or "
                "'kernel', or give the target the modality 'category' if its values are names."
            )
        scales = linear.alignment(streams, y, task, power)
        flags = [c for c, s in streams.items() if not s.present.all() and s.present.any()]
        x, goal = _unit(linear.tensors(streams), scales, flags), torch.from_numpy(linear.goals(y, task)).float()
        grids = [_grid("shrink", shrink, 0.0), _grid("temperature", temperature, 1e-6), _grid("prior", prior, 0.0)]
        rows = np.arange(len(y))
        if len(rows) > linear.CHOSEN:
            rows = np.sort(np.random.default_rng(seed).choice(rows, linear.CHOSEN, replace=False))
        best, heat, share = _chosen(x[rows], goal[rows], task, linear.subset(folds, rows), grids)
        return {
            "kind": task.kind,
            "means": means_of(x, goal, task, best).numpy(),
            "offsets": (share * offsets_of(goal, task)).numpy(),
            "sharpness": 1 / heat,
            "scales": scales,
            "flags": flags,
        }

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        near = closeness(_unit(streams, self.scales, self.flags), self.means, self.kind)
        return self.sharpness * near + self.offsets

    def weights(self) -> dict[str, float] | None:
        most = max(self.scales.values()) or 1.0
        return {c: (s / most) ** 2 for c, s in self.scales.items()}


def means_of(x: Tensor, goal: Tensor, task: Task, shrink: float) -> Tensor:
    """(C, F), or (2, C, F) of those without and with each label, of rows x (n, F) and goals (n, C) of 0 and 1. A class without
    a row lies at the mean of all."""
    middle = x.mean(0)
    each = [goal] if task.kind == "category" else [1 - goal, goal]
    found = []
    for member in each:
        count = member.sum(0)[:, None]
        mean = (member.T @ x + shrink * middle) / (count + shrink).clamp_min(1e-9)
        found.append(torch.where(count > 0, mean, middle))
    return found[0] if task.kind == "category" else torch.stack(found)


def closeness(x: Tensor, means: Tensor, kind: str) -> Tensor:
    """(B, C): minus the squared distance to each mean; of labels, how much nearer the mean of those with it is."""
    if kind == "category":
        return -_squares(x, means)
    return _squares(x, means[0]) - _squares(x, means[1])


def offsets_of(goal: Tensor, task: Task) -> Tensor:
    """(C,): log shares of the classes, or log odds of the labels, each counted once more than it was seen."""
    count = goal.sum(0) + 1
    if task.kind == "category":
        return (count / count.sum()).log()
    return (count / (len(goal) + 2)).logit()


def _unit(streams: Mapping[str, tuple[Tensor, Tensor]], scales: Mapping[str, float], flags: Sequence[str]) -> Tensor:
    """(B, F), as long as if nothing were missing: at unit length but for streams of a few numbers, whose length tells; zero where
    nothing is present and nothing tells of it."""
    there = torch.stack([streams[c][1] * scale**2 for c, scale in scales.items()]).sum(0)
    return linear.joined(streams, scales, flags) * torch.where(there > 0, there.rsqrt(), 1.0)[:, None]


def _squares(x: Tensor, means: Tensor) -> Tensor:
    return x.square().sum(1, keepdim=True) - 2 * x @ means.T + means.square().sum(1)


def _grid(name: str, given: float | Sequence[float], least: float) -> list[float]:
    values = [float(v) for v in ([given] if isinstance(given, (int, float)) else given)]
    if not values or min(values) < least:
        raise PlaitError(f"Learner 'prototypes': found {name}={given!r}, expected a number from {least:g}, or several.")
    return values


def _chosen(x: Tensor, goal: Tensor, task: Task, folds: Folds, grids: list[list[float]]) -> tuple[float, float, float]:
    """The shrink, temperature and prior of least log loss on the rows held out; of a category only those whose class is among
    the other rows, as no prototype could be right about the rest."""
    sums = np.zeros([len(g) for g in grids])
    told = 0
    for train, held in folds:
        if task.kind == "category":
            held = held[(goal[train].sum(0)[goal[held].argmax(1)] > 0).numpy()]
        held = held[:: -(-len(held) * goal.shape[1] // MOST)] if len(held) else held
        told += len(held)
        offsets = offsets_of(goal[train], task)
        for i, shrink in enumerate(grids[0]):
            near = closeness(x[held], means_of(x[train], goal[train], task, shrink), task.kind)
            for j, temperature in enumerate(grids[1]):
                for k, prior in enumerate(grids[2]):
                    out = near / temperature + prior * offsets
                    target = goal[held].argmax(1) if task.kind == "category" else goal[held]
                    sums[i, j, k] += float(linear.loss(out, target, task, "log"))
    if not told:
        found = [min(g, key=lambda v, u=u: abs(v - u)) for g, u in zip(grids, USUAL)]  # type: ignore[misc]
    else:
        found = [g[p] for g, p in zip(grids, np.unravel_index(int(sums.argmin()), sums.shape))]
    return found[0], found[1], found[2]
