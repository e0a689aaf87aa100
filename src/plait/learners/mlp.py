"""An ensemble of small networks in one: shared layers, each member with its own view of the inputs and its own answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.learners.base import Learner
from plait.nn import linear
from plait.nn.linear import Folds, Stream, Task

MEMBERS = 16
EPOCHS, PATIENCE, BATCH = 200, 20, 128


class Network(nn.Module):
    """x (B, F) -> (B, members, K): TabM-mini (Gorishniy, Kotelnikov & Babenko 2024, section 3.3)."""

    def __init__(self, size: int, outs: int, hidden: int) -> None:
        super().__init__()
        self.view = nn.Parameter(torch.ones(MEMBERS, size))
        self.body = nn.Sequential(
            nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.2)
        )
        self.heads = nn.Parameter(torch.zeros(MEMBERS, hidden, outs))
        self.bias = nn.Parameter(torch.zeros(MEMBERS, outs))

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x[:, None] * self.view)
        return torch.einsum("bmh,mhk->bmk", h, self.heads) + self.bias


class Ensemble(Learner):
    """16 members of a multilayer perceptron that share their layers (TabM, Gorishniy et al. 2024), trained with AdamW; their
    probabilities are averaged. The number of epochs is the best over the first fold."""

    def __init__(
        self,
        *,
        kind: str,
        parameters: np.ndarray,
        size: int,
        outs: int,
        hidden: int,
        scales: dict[str, float],
        flags: list[str],
    ) -> None:
        super().__init__()
        self.kind, self.scales, self.flags = kind, scales, flags
        self.network = Network(size, outs, hidden)
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
        hidden: int = 256,
        rate: float = 1e-3,
        decay: float = 1e-2,
        power: float = 2.0,
    ) -> dict[str, Any]:
        scales = linear.alignment(streams, y, task, power)
        flags = [c for c, s in streams.items() if not s.present.all() and s.present.any()]
        x, target = linear.joined(linear.tensors(streams), scales, flags), torch.from_numpy(y)
        factor = float(x.square().mean().clamp_min(1e-12).rsqrt())
        x = x * factor
        outs = task.classes if task.kind != "number" else 1
        with torch.random.fork_rng(devices=[]):
            epochs = EPOCHS // 4
            if folds:
                epochs = _trained(x, target, task, folds[0], seed, (hidden, outs, rate, decay, EPOCHS))[1]
            network, _ = _trained(x, target, task, None, seed, (hidden, outs, rate, decay, epochs))
        with torch.no_grad():
            network.view.mul_(factor)  # what the inputs were multiplied with
        return {
            "kind": task.kind,
            "parameters": nn.utils.parameters_to_vector(network.parameters()).detach().numpy(),
            "size": x.shape[1],
            "outs": outs,
            "hidden": hidden,
            "scales": scales,
            "flags": flags,
        }

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        out = self.network.eval()(linear.joined(streams, self.scales, self.flags))
        if self.kind == "number":
            return out.mean(1)[:, 0]  # type: ignore[no-any-return]
        if self.kind == "category":
            return out.log_softmax(-1).logsumexp(1)  # type: ignore[no-any-return]
        return torch.logit(out.sigmoid().mean(1), 1e-7)

    def weights(self) -> dict[str, float] | None:
        most = max(self.scales.values()) or 1.0
        return {c: (s / most) ** 2 for c, s in self.scales.items()}


def _trained(
    x: Tensor,
    y: Tensor,
    task: Task,
    fold: tuple[np.ndarray, np.ndarray] | None,
    seed: int,
    how: tuple[int, int, float, float, int],
) -> tuple[Network, int]:
    """The network and the number of epochs that were best on the rows held out; without a fold, after all of them."""
    hidden, outs, rate, decay, epochs = how
    torch.manual_seed(seed)
    network = Network(x.shape[1], outs, hidden)
    with torch.no_grad():
        network.view.copy_(torch.randint(0, 2, network.view.shape) * 2.0 - 1)
        nn.init.normal_(network.heads, std=hidden**-0.5)
    solver = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    train = np.arange(len(x)) if fold is None else fold[0]
    best, at = float("inf"), epochs
    for epoch in range(epochs):
        network.train()
        for rows in torch.from_numpy(train)[torch.randperm(len(train))].split(BATCH):
            solver.zero_grad()
            with torch.enable_grad():
                _loss(network(x[rows]), y[rows], task).backward()
            solver.step()
        if fold is not None:
            with torch.no_grad():
                now = float(_loss(network.eval()(x[fold[1]]), y[fold[1]], task))
            if now < best:
                best, at = now, epoch + 1
            elif epoch + 1 - at >= PATIENCE:
                break
    return network.eval(), at


def _loss(out: Tensor, y: Tensor, task: Task) -> Tensor:
    """The mean of the members' losses."""
    b, m, k = out.shape
    return linear.loss(out.reshape(b * m, k), y.repeat_interleave(m, 0), task, "log") / (b * m)
