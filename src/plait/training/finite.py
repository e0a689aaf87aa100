"""Numbers that are not finite end a run, with the step and the rows that they came from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from plait.errors import TrainingError


def finite(total: Tensor, norm: Tensor, step: int, rows: np.ndarray) -> float:
    """The loss of a step as a number. Raises TrainingError where it, or the norm of its gradient, is not finite."""
    loss = total.item()
    if not np.isfinite(loss) or not np.isfinite(float(norm)):
        raise TrainingError(
            f"Training broke at step {step}: loss {loss:g}, norm of the gradient {float(norm):g}, rows "
            f"{rows.tolist()[:64]}. Lower the learning rate, or look at these rows."
        )
    return loss


def finite_weights(weights: dict[str, Tensor], step: int) -> None:
    """Raises TrainingError where a weight is not finite after a step."""
    broken = [n for n, w in weights.items() if w.is_floating_point() and not bool(torch.isfinite(w).all())]
    if broken:
        raise TrainingError(
            f"Training broke at step {step - 1}: {len(broken)} weights are not finite after it, the first {broken[0]}. "
            f"Lower the learning rate."
        )
