"""Every objective: what training makes smaller. To add one: write its file, add its line."""

from __future__ import annotations

from typing import Any

from plait.errors import PlaitError
from plait.spec import Spec, Table

OBJECTIVES = Table(
    "objective",
    {
        "supervised": "plait.objectives.supervised:Supervised",
        "uncertainty": "plait.objectives.uncertainty:Uncertainty",
        "gradnorm": "plait.objectives.gradnorm:GradNorm",
    },
)
DEFAULT = "supervised"


def asked(objective: Spec, learner: Spec | None) -> dict[str, Any] | None:
    """The objective's spec as a dict; None where it is what it is unasked. Raises PlaitError where it is none, and where a
    learner leaves it nothing to do."""
    found = OBJECTIVES.normal(objective)
    if found == {"name": DEFAULT}:
        return None
    if learner is not None:
        raise PlaitError(
            f"objective={found['name']!r} weighs losses in the training loop, but a learner is given too, which has a loss of "
            f"its own. Give one or the other."
        )
    return found
