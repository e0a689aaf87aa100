"""The objective interface: one pass through the model -> named losses, which are summed and logged by name."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from plait.types import Pass


class Objective(nn.Module, ABC):
    """What no head can know alone: weights between heads, relations between streams. The constructor takes JSON values, and
    `targets`, the names of all targets, where it has that argument. Its parameters are trained with the model's, and its
    buffers are kept with them, while training lasts; they are no part of the model that is written."""

    inner: bool = False  # whether a pass takes gradients of its own
    rates: dict[str, float] = {}  # noqa: RUF012  # own parameter -> factor of the learning rate, 1 where not named

    @abstractmethod
    def forward(self, passed: Pass) -> dict[str, Tensor]:
        """{"<name>_loss": scalar}. That of a target is the mean over the rows labelled with it, any other over all rows."""

    @abstractmethod
    def shares(self) -> dict[str, float] | None:
        """Target -> by what its mean loss is multiplied; None: all alike."""


def mean_loss(passed: Pass, target: str) -> Tensor:
    """The mean loss of a target over the rows that are labelled with it; 0 without any."""
    return passed.losses[target].sum() / passed.known[target].sum().clamp_min(1)
