"""Linear models of fixed streams: streams weighed by alignment, fitted by L-BFGS or in closed form, C chosen over folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 200  # of L-BFGS at most
FEW = 50  # of those that only choose a C, each begun where the smaller C ended
CHOSEN = 3000  # rows that hyperparameters are chosen on, at most
ROWWISE = 64  # a stream at least this wide is an embedding: each row is brought to unit length


class Stream(NamedTuple):
    """One column as a fixed vector for each row."""

    x: np.ndarray  # (n, F) float32
    present: np.ndarray  # (n,) bool


class Task(NamedTuple):
    """What is to be answered."""

    kind: str  # "category", "labels" or "number"
    classes: int = 1  # C


Folds = Sequence[tuple[np.ndarray, np.ndarray]]  # (rows to fit, rows to choose by)


def joined(streams: Mapping[str, tuple[Tensor, Tensor]], scales: Mapping[str, float], flags: Sequence[str]) -> Tensor:
    """(B, sum of F), by name: each stream at about unit length times its scale, zero where it is missing; then for each of
    `flags` a number, 1 where that stream is missing."""
    parts = []
    for column, scale in sorted(scales.items()):
        x, present = streams[column]
        x = F.normalize(x, dim=1) if x.shape[1] >= ROWWISE else x * x.shape[1] ** -0.5
        parts.append(x * (scale * present)[:, None])
    parts += [(~streams[c][1]).to(parts[0].dtype)[:, None] for c in sorted(flags)]
    return torch.cat(parts, 1)


def tensors(streams: Mapping[str, Stream]) -> dict[str, tuple[Tensor, Tensor]]:
    """The same as tensors."""
    return {c: (torch.from_numpy(s.x), torch.from_numpy(s.present)) for c, s in streams.items()}


def goals(y: np.ndarray, task: Task) -> np.ndarray:
    """(n, K) float64: what a least-squares model aims at."""
    if task.kind == "category":
        found: np.ndarray = np.eye(task.classes)[y]
        return found
    return y.reshape(len(y), -1).astype(np.float64)


def alignment(streams: Mapping[str, Stream], y: np.ndarray, task: Task, power: float) -> dict[str, float]:
    """Column -> scale. Each stream's kernel counts as it is aligned with the labels, centred (Cortes, Mohri & Rostamizadeh
    2012, equation 1), to the `power`; the mean of the squared scales is 1. Power 0 counts all alike."""
    goal = goals(y, task)
    goal = goal - goal.mean(0)
    size = np.linalg.norm(goal.T @ goal) or 1.0
    found = {}
    for column, pair in tensors(streams).items():
        x = joined({column: pair}, {column: 1.0}, []).numpy().astype(np.float64)
        x = x - x.mean(0)
        gram = np.linalg.norm(x.T @ x if x.shape[1] < len(x) else x @ x.T)
        found[column] = float(np.linalg.norm(x.T @ goal) ** 2 / (gram * size)) if gram > 0 else 0.0
    weights = np.array(list(found.values())) ** power if power else np.ones(len(found))
    weights = weights / weights.mean() if weights.sum() > 0 else np.ones(len(found))
    return {c: float(np.sqrt(w)) for c, w in zip(found, weights)}


def loss(out: Tensor, y: Tensor, task: Task, kind: str) -> Tensor:
    """Summed over the rows. `kind`: "log", "squared", or "hinge" (squared, one class against the rest)."""
    if kind == "hinge" and task.kind != "number":
        sign = 2 * (F.one_hot(y, task.classes) if task.kind == "category" else y).to(out.dtype) - 1
        return (1 - sign * out).clamp_min(0).square().sum()
    if kind == "squared" or task.kind == "number":
        goal = F.one_hot(y, task.classes) if task.kind == "category" else y.reshape(out.shape)
        return (out - goal.to(out.dtype)).square().sum()
    if task.kind == "category":
        return F.cross_entropy(out, y, reduction="sum")
    return F.binary_cross_entropy_with_logits(out, y.to(out.dtype), reduction="sum")


Plane = tuple[Tensor, Tensor]  # weights (F, K), bias (K,)


def fit(x: Tensor, y: Tensor, task: Task, kind: str, c: float, l1: float = 0.0) -> Plane:
    """The plane that minimises the loss + (1 / 2C) |W|^2, the bias free; squared loss in closed form. `l1` adds l1 |W|_1, by
    proximal steps (FISTA, Beck & Teboulle 2009)."""
    outs = task.classes if task.kind != "number" else 1
    if l1 > 0:
        return _proximal(x, y, task, kind, c, l1, outs)
    if kind == "squared" or task.kind == "number":
        return _closed(x, torch.from_numpy(goals(y.numpy(), task)), c)
    if x.shape[1] <= x.shape[0]:
        return _descended(x, y, task, kind, c)
    turned, back = _turned(x)
    w, b = _descended(turned, y, task, kind, c)
    return back @ w, b


def _descended(
    x: Tensor, y: Tensor, task: Task, kind: str, c: float, *, start: Plane | None = None, steps: int = STEPS
) -> Plane:
    """By L-BFGS, from zero or from another plane."""
    outs = task.classes
    with torch.enable_grad():
        w, b = (torch.zeros(x.shape[1], outs), torch.zeros(outs)) if start is None else (t.clone() for t in start)
        w.requires_grad_(True)
        b.requires_grad_(True)
        solver = torch.optim.LBFGS(
            [w, b],
            max_iter=steps,
            history_size=20,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-6,
            tolerance_change=1e-9,
        )

        def step() -> Tensor:
            solver.zero_grad()
            value = (loss(x @ w + b, y, task, kind) + w.square().sum() / (2 * c)) / len(x)
            value.backward()
            return value

        solver.step(step)
    return w.detach(), b.detach()


def _closed(x: Tensor, goal: Tensor, c: float) -> tuple[Tensor, Tensor]:
    """Ridge regression with a free bias, in the smaller of the primal and the dual."""
    x = x.double()
    mean, middle = x.mean(0), goal.mean(0)
    x, goal = x - mean, goal - middle
    n, f = x.shape
    if f <= n:
        w = torch.linalg.solve(x.T @ x + torch.eye(f, dtype=x.dtype) / (2 * c), x.T @ goal)
    else:
        w = x.T @ torch.linalg.solve(x @ x.T + torch.eye(n, dtype=x.dtype) / (2 * c), goal)
    return w.float(), (middle - mean @ w).float()


def _proximal(x: Tensor, y: Tensor, task: Task, kind: str, c: float, l1: float, outs: int) -> tuple[Tensor, Tensor]:
    wide = torch.cat([x, torch.ones(len(x), 1)], 1)
    rate = 1 / (2 * float(torch.linalg.matrix_norm(wide, 2)) ** 2 + 1 / c)
    v = torch.zeros(wide.shape[1], outs)
    ahead, t = v, 1.0
    for _ in range(5 * STEPS):
        point = ahead.clone().requires_grad_(True)
        with torch.enable_grad():
            value = loss(wide @ point, y, task, kind) + point[:-1].square().sum() / (2 * c)
            (slope,) = torch.autograd.grad(value, point)
        new = ahead - rate * slope
        new[:-1] = new[:-1].sign() * (new[:-1].abs() - rate * l1).clamp_min(0)
        after = (1 + (1 + 4 * t * t) ** 0.5) / 2
        ahead = new + (t - 1) / after * (new - v)
        moved, v, t = float((new - v).abs().max()), new, after
        if moved < 1e-7:
            break
    return v[:-1], v[-1]


def choose(x: Tensor, y: Tensor, task: Task, kind: str, folds: Folds, grid: Sequence[float]) -> float:
    """The C of the grid (ascending) whose models have the least loss on the rows they were not fitted on."""
    if len(grid) == 1 or not folds:
        return float(grid[len(grid) // 2])
    closed = kind == "squared" or task.kind == "number"
    sums, count = np.zeros(len(grid)), 0
    for train, held in folds:
        plane: Plane | None = None
        for i, c in enumerate(grid):
            if closed:
                plane = fit(x[train], y[train], task, kind, c)
            else:
                plane = _descended(x[train], y[train], task, kind, c, start=plane, steps=FEW)
            sums[i] += float(loss(x[held] @ plane[0] + plane[1], y[held], task, kind))
        count += len(held)
    return float(grid[int(np.argmin(sums))])


def small(x: Tensor) -> Tensor:
    """(n, r): the same rows turned into the space they span: models with an L2 penalty are the same there, and cheaper where
    there are fewer rows than features."""
    return x if x.shape[1] <= x.shape[0] else _turned(x)[0]


def _turned(x: Tensor) -> Plane:
    """(n, r) rows in the space they span, and (F, r) which turns weights there into weights here."""
    lam, u = torch.linalg.eigh((x @ x.T).double())
    keep = lam > 1e-9 * lam.max().clamp_min(1e-30)
    lam, u = lam[keep].sqrt(), u[:, keep]
    return (u * lam).float(), (x.T @ (u / lam).float())


def subset(folds: Folds, rows: np.ndarray) -> Folds:
    """The folds among these rows, which are numbered anew."""
    place = {int(r): i for i, r in enumerate(rows)}
    parts = [
        [np.array([place[r] for r in part.tolist() if r in place], dtype=np.int64) for part in fold] for fold in folds
    ]
    return [(a, b) for a, b in parts if len(a) and len(b)]
