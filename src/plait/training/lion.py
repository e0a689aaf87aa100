"""Lion: the sign of a moving average of the gradient (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of the paper, for each parameter w with gradient g and moment m:

    w <- w - rate * (sign(b1 m + (1 - b1) g) + weight_decay w);   m <- b2 m + (1 - b2) g
    """

    def __init__(
        self, params: Any, *, lr: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "the loop computes the gradient"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (first, second) = self.state[parameter], group["betas"]
        if not state:
            state["moment"] = torch.zeros_like(parameter)
        moment = state["moment"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(torch.lerp(gradient, moment, first).sign_(), alpha=-group["lr"])
        moment.lerp_(gradient, 1 - second)
