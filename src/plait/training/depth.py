"""Stochastic depth by an option of the loop: how likely a row goes past each residual block."""

from __future__ import annotations

from plait.errors import PlaitError
from plait.model import Model
from plait.nn.skip import deepen
from plait.training.options import Options


def set_depth(model: Model, options: Options) -> None:
    """Every encoder and the fusion by itself: the chance rises evenly to that of the option, at its last residual block. Raises
    PlaitError where nothing has one."""
    parts = [*(encoder for _, encoder in model.encoders.items()), model.top]
    found = sum(deepen(part, options.stochastic_depth) for part in parts)
    if options.stochastic_depth and not found:
        raise PlaitError(
            f"Training option stochastic_depth: found {options.stochastic_depth!r}, and nothing that is trained here has "
            f"residual blocks. Leave it out, or choose encoders such as 'image_resnet', or fusion='attention'."
        )
