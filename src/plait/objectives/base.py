"""The objective interface: one pass through the model -> named losses, which are summed and logged by name."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from plait.types import Pass


class Objective(nn.Module, ABC):
    """What no head can know alone: weights between heads, relations between streams."""

    @abstractmethod
    def forward(self, passed: Pass) -> dict[str, Tensor]:
        """{"<name>_loss": scalar}."""
