"""Averages of the weights: a moving one over steps (EMA), and one over the best epochs (soup)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def copied(model: nn.Module, average: Weights | None = None) -> Weights:
    """A copy of the average, where there is one, else of the model's weights."""
    return {k: v.detach().clone() for k, v in (average or model.state_dict()).items()}


@torch.no_grad()
def moved(average: Weights, model: nn.Module, *, decay: float, step: int) -> None:
    """The moving average after a step (Polyak & Juditsky 1992), in place: average <- d average + (1 - d) weights. Young
    averages forget faster, d = min(decay, (1 + step) / (10 + step)), so that the first weights do not stay in it; step:
    from 0. Counters are taken over."""
    decay = min(decay, (1 + step) / (10 + step))
    for name, weight in model.state_dict().items():
        if weight.is_floating_point():
            average[name].lerp_(weight, 1 - decay)
        else:
            average[name].copy_(weight)


class Soup:
    """The weights after the `size` best epochs, and their mean (a uniform soup; Wortsman et al. 2022; of one run, as
    Izmailov et al. 2018)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.held: dict[int, Weights] = {}

    def offer(self, epoch: int, weights: Weights, scores: Sequence[float | None]) -> None:
        """The weights after an epoch, and the scores of all epochs so far. Of equal ones the later is kept."""
        self.held[epoch] = weights

        def worth(epoch: int) -> tuple[float, int]:
            score = scores[epoch]
            return -np.inf if score is None else score, epoch

        best = sorted(self.held, key=worth)[-self.size :]
        self.held = {e: self.held[e] for e in sorted(best)}

    def mean(self) -> Weights:
        last = self.held[max(self.held)]
        return {
            k: torch.stack([w[k].double() for w in self.held.values()]).mean(0).to(v.dtype)
            if v.is_floating_point()
            else v
            for k, v in last.items()
        }

    def tensors(self) -> dict[str, Weights]:
        """What a checkpoint keeps of it."""
        return {f"soup-{epoch}": weights for epoch, weights in self.held.items()}

    def restore(self, tensors: Mapping[str, Weights]) -> None:
        held = {int(name.removeprefix("soup-")): w for name, w in tensors.items() if name.startswith("soup-")}
        self.held = {epoch: held[epoch] for epoch in sorted(held)}
