"""A fusion of plait trained on fixed vectors: a network over what each column says, one token a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plait.errors import PlaitError
from plait.fusion import FUSIONS
from plait.learners.base import Learner
from plait.nn import linear, pooling
from plait.nn.linear import Folds, Stream, Task
from plait.spec import Spec
from plait.types import Tokens

EPOCHS, PATIENCE, BATCH = 120, 15, 64
HIDDEN = 0.25  # share of the cells that a step does not show, where there are several columns


class Network(nn.Module):
    """Column -> (x (B, F), present (B,)) to outputs (B, K). A row with nothing present is a learned token."""

    def __init__(self, fusion: Spec, sizes: Mapping[str, int], outs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.columns = sorted(sizes)
        self.adapters = nn.ModuleList(nn.Linear(sizes[c], width) for c in self.columns)
        self.fusion = FUSIONS.build(fusion, columns=self.columns, width=width)
        self.null = nn.Parameter(torch.zeros(width))
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, outs))

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        tokens = {}
        for column, adapter in zip(self.columns, self.adapters):
            x, present = streams[column]
            x = F.normalize(x, dim=1) * x.shape[1] ** 0.5 if x.shape[1] >= linear.ROWWISE else x
            tokens[column] = Tokens(adapter(x)[:, None], present[:, None], None)
        fused = self.fusion(tokens)
        x = torch.where(fused.mask.any(1)[:, None], pooling.mean(fused), self.null)
        return self.out(x)  # type: ignore[no-any-return]


class Plan(NamedTuple):
    """How a network is trained."""

    fusion: Spec
    width: int
    dropout: float
    rate: float
    decay: float


class Fused(Learner):
    """A feature-level `fusion` by name, over one token a column, and a linear answer; trained with AdamW, a quarter of the cells
    hidden in each step (modality dropout, Neverova et al. 2016). The number of epochs is the best over the first fold."""

    def __init__(
        self, *, kind: str, fusion: Spec, parameters: np.ndarray, sizes: dict[str, int], outs: int, width: int
    ) -> None:
        super().__init__()
        self.kind = kind
        with torch.random.fork_rng(devices=[]):
            self.network = Network(fusion, sizes, outs, width, 0.0)
        nn.utils.vector_to_parameters(torch.from_numpy(parameters), self.network.parameters())
        self.network.requires_grad_(False)

    @classmethod
    def learn(
        cls,
        streams: Mapping[str, Stream],
        y: np.ndarray,
        *,
        task: Task,
        folds: Folds,
        seed: int,
        fusion: Spec = "gated",
        width: int = 128,
        dropout: float = 0.2,
        rate: float = 2e-3,
        decay: float = 0.05,
    ) -> dict[str, Any]:
        name = FUSIONS.normal(fusion)["name"]
        if FUSIONS.load(name, outside=True).level != "feature":
            names = [n for n in FUSIONS if FUSIONS.load(n).level == "feature"]
            raise PlaitError(
                f"Learner 'fused': fusion {name!r} is one of decisions; expected one of {', '.join(names)}."
            )
        plan = Plan(fusion, width, dropout, rate, decay)
        cells, target = linear.tensors(streams), torch.from_numpy(y)
        with torch.random.fork_rng(devices=[]):
            epochs = EPOCHS // 4
            if folds:
                epochs = _trained(cells, target, task, folds[0], seed, plan, EPOCHS)[1]
            network, _ = _trained(cells, target, task, None, seed, plan, epochs)
        return {
            "kind": task.kind,
            "fusion": FUSIONS.normal(fusion),
            "parameters": nn.utils.parameters_to_vector(network.parameters()).detach().numpy(),
            "sizes": {c: s.x.shape[1] for c, s in streams.items()},
            "outs": _outs(task),
            "width": width,
        }

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        out = self.network.eval()(streams)
        return out[:, 0] if self.kind == "number" else out  # type: ignore[no-any-return]

    def weights(self) -> dict[str, float] | None:
        found: dict[str, float] | None = self.network.fusion.weights()
        return found


def _outs(task: Task) -> int:
    return task.classes if task.kind != "number" else 1


def _trained(
    cells: Mapping[str, tuple[Tensor, Tensor]],
    y: Tensor,
    task: Task,
    fold: tuple[np.ndarray, np.ndarray] | None,
    seed: int,
    plan: Plan,
    epochs: int,
) -> tuple[Network, int]:
    """The network and the number of epochs that were best on the rows held out; without a fold, after all of them."""
    torch.manual_seed(seed)
    network = Network(
        plan.fusion, {c: x.shape[1] for c, (x, _) in cells.items()}, _outs(task), plan.width, plan.dropout
    )
    matrices = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": plan.decay},
        {"params": others, "weight_decay": 0.0},
    ]
    solver = torch.optim.AdamW(groups, lr=plan.rate)
    train = torch.arange(len(y)) if fold is None else torch.from_numpy(fold[0])
    steps = -(-len(train) // BATCH)
    warm = min(20, steps)
    best, at = float("inf"), epochs
    for epoch in range(epochs):
        network.train()
        for i, rows in enumerate(train[torch.randperm(len(train))].split(BATCH)):
            for group in solver.param_groups:
                group["lr"] = plan.rate * min(1.0, (epoch * steps + i + 1) / warm)
            solver.zero_grad()
            with torch.enable_grad():
                linear.loss(network(_shown(cells, rows)), y[rows], task, "log").div(len(rows)).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            solver.step()
        if fold is not None:
            now = _held(network, cells, torch.from_numpy(fold[1]), y, task)
            if now < best:
                best, at = now, epoch + 1
            elif epoch + 1 - at >= PATIENCE:
                break
    return network.eval(), at


def _shown(cells: Mapping[str, tuple[Tensor, Tensor]], rows: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """These rows, some cells hidden, never all of a row."""
    show = torch.rand(len(cells), len(rows)) >= HIDDEN if len(cells) > 1 else torch.ones(1, len(rows)).bool()
    show = show | ~(show & torch.stack([p[rows] for _, p in cells.values()])).any(0)
    return {c: (x[rows], p[rows] & keep) for (c, (x, p)), keep in zip(cells.items(), show)}


@torch.no_grad()
def _held(network: Network, cells: Mapping[str, tuple[Tensor, Tensor]], rows: Tensor, y: Tensor, task: Task) -> float:
    parts = [
        float(linear.loss(network.eval()({c: (x[r], p[r]) for c, (x, p) in cells.items()}), y[r], task, "log"))
        for r in rows.split(1024)
    ]
    return sum(parts)
