"""Balance between columns: which of them a step shows, and by how much the gradient of each counts.

A column that is learned fast leaves the loss little to teach the others. They are helped by being shown alone for a while
(modality dropout, alone first, alternately), or by slowing down the one that leads (OGM-GE).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from plait.heads.base import Head
from plait.model import Model
from plait.training.options import Options
from plait.training.parallel import Team
from plait.types import Pass, Tokens


class Show(NamedTuple):
    """Which of the present cells a step shows."""

    dropout: float = 0.0  # chance that a cell is hidden; a row that would be hidden altogether is shown whole
    alone: bool = False  # each row shows one of its columns, drawn at random ...
    column: str | None = None  # ... or this one; rows without it are shown whole


def shown(options: Options, step: int, *, total: int, columns: list[str]) -> Show:
    """What a step of `total` shows: a function of the step alone.

    modality_dropout  cells hidden with a chance that goes evenly from the first step to the last (Neverova et al. 2016)
    alone_first       the first steps: one column of each row, so that every encoder learns before they are fused (the
                      stages of ModDrop, Neverova et al. 2016; Du et al. 2023); then as without it
    alternate         step s: column s mod (M + 1) of `columns`, alone; the last of such a cycle as without it (MLA,
                      Zhang et al. 2024)
    """
    place = step % (len(columns) + 1)
    if step < round(options.alone_first * total):
        return Show(alone=True)
    if options.alternate and place < len(columns):
        return Show(alone=True, column=columns[place])
    hidden = options.modality_dropout
    if isinstance(hidden, tuple):
        first, last = hidden
        hidden = first + (last - first) * step / max(1, total - 1)
    return Show(dropout=hidden)


def keep(here: dict[str, Tensor], show: Show) -> Tensor:
    """(M, B) bool, which cells are shown. `here`: column -> (B,) bool, which are present."""
    present = torch.stack(list(here.values()))
    if not show.alone:
        found = torch.rand(present.shape, device=present.device) >= show.dropout
        return found | ~(found & present).any(0)
    place = torch.arange(len(present), device=present.device)[:, None]
    if show.column is not None:
        return (place == list(here).index(show.column)) | ~here[show.column]
    drawn = torch.rand(present.shape, device=present.device)
    return place == torch.where(present, drawn, -1.0).argmax(0)


def only(streams: dict[str, Tokens], column: str) -> dict[str, Tokens]:
    """The streams with every other column masked out."""
    return {c: s if c == column else Tokens(s.x, torch.zeros_like(s.mask), s.position) for c, s in streams.items()}


class Modulation:
    """On-the-fly gradient modulation with generalisation enhancement, OGM-GE (Peng et al. 2022, eq. 8 to 12), of one step."""

    def __init__(self, model: Model, alpha: float) -> None:
        self.model, self.alpha = model, alpha
        self.sums = {c: 0.0 for c in model.encoders}
        self.counts = {c: 0 for c in model.encoders}

    @torch.no_grad()
    def see(self, passed: Pass, targets: dict[str, Tensor]) -> None:
        """Counts a batch: for each column how much of the truth is told by it alone, over the rows where it is present."""
        training = [m for m in self.model.top.modules() if m.training]
        self.model.top.eval()
        for column, stream in passed.streams.items():
            present = stream.mask.any(1)
            outputs, _ = self.model.top(only(passed.streams, column), {})
            for target, y in targets.items():
                rows = present & passed.known[target]
                truth = belief(self.model.heads[target], outputs[target], y)
                self.sums[column] += float(truth[rows].sum())
                self.counts[column] += int(rows.sum())
        for module in training:  # not train(): a part of it may be frozen
            module.training = True

    def share(self, team: Team) -> None:
        """Counts what all processes have seen, and draws the same noise in all of them."""
        seen = team.total(torch.tensor([[*self.sums.values()], [*self.counts.values()]], dtype=torch.float64))
        self.sums = dict(zip(self.sums, seen[0].tolist()))
        self.counts = dict(zip(self.counts, map(round, seen[1].tolist())))
        torch.manual_seed(team.of_first(lambda: torch.initial_seed() + 1))

    def factors(self) -> dict[str, float]:
        """Column -> k, by which its gradient is multiplied: 1 - tanh(alpha rho) where rho > 1, else 1 (eq. 10)."""
        scores = {c: self.sums[c] / n for c, n in self.counts.items() if n}
        return {c: coefficient(ratio, self.alpha) for c, ratio in ratios(scores).items()}

    def apply(self) -> None:
        """Scales the gradients of encoder and adapter of each column, and adds to each normal noise of its own standard
        deviation (eq. 12)."""
        for column, k in self.factors().items():
            for part in (self.model.encoders[column], self.model.adapters[column]):
                _modulate(part, k)


def belief(head: Head, output: Tensor, y: Tensor) -> Tensor:
    """(B,) from 0 to 1: the probability of the true class; exp(-loss) where a target is not one class of many."""
    if y.is_floating_point():
        return (-head.loss(output, y)).exp()
    return head.answer(output).gather(-1, y.clamp_min(0)[:, None]).squeeze(-1)


def ratios(scores: dict[str, float]) -> dict[str, float]:
    """rho of each column: its score over the mean score of the others (eq. 9, which is of two)."""
    found = {}
    for column, score in scores.items():
        others = [s for c, s in scores.items() if c != column]
        mean = sum(others) / len(others) if others else 0.0
        found[column] = score / mean if mean else 1.0
    return found


def coefficient(ratio: float, alpha: float) -> float:
    return 1.0 - math.tanh(alpha * ratio) if ratio > 1 else 1.0


@torch.no_grad()
def _modulate(part: nn.Module, k: float) -> None:
    for parameter in part.parameters():
        if parameter.grad is not None:
            noise = torch.randn_like(parameter.grad) * parameter.grad.std(correction=0)
            parameter.grad.mul_(k).add_(noise)
