"""What the validation rows say of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.inference import answers
from plait.metrics import LOWER_IS_BETTER
from plait.model import Model
from plait.preparation import Dataset
from plait.training.options import Options


def validate(model: Model, data: Dataset, rows: np.ndarray, options: Options) -> dict[str, Any]:
    """Metrics of every target over the validation rows, the score that early stopping watches (higher is better), and
    how much of it is chance: one standard error, as of a share of so many rows."""
    if not rows.size:
        return {"score": None, "slack": 0.0, "watched": None}
    found = next(iter(answers(model, data, rows).values()))
    figures: dict[str, dict[str, float | None]] = {}
    shares, sizes = [], {}
    for target, answer in found.items():
        head = model.heads[target]
        known = head.known(data.targets[target][rows]).cpu().numpy()
        if not known.any():
            continue
        labels = data.targets[target][rows].cpu().numpy()[known]
        judged = head.judge(answer[known], labels, np.ones((1, int(known.sum()))))
        figures[target] = {name: float(v[0]) if np.isfinite(v[0]) else None for name, v in judged.items()}
        shares.append(head.share(figures[target]))
        sizes[target] = int(known.sum())
    if not figures:
        return {"score": None, "slack": 0.0, "watched": None, "valid": figures}
    target, first = next(iter(figures.items()))
    watched = options.metric or model.heads[target].metrics[0]
    value = first.get(watched)
    if len(figures) > 1 or value is None:
        loss = float(np.mean(shares))
        return {"score": -loss if np.isfinite(loss) else None, "slack": 0.0, "watched": "loss", "valid": figures}
    lower = watched in LOWER_IS_BETTER
    slack = 0.0 if lower else float(np.sqrt(max(0.0, value * (1 - value)) / sizes[target]))
    return {"score": -value if lower else value, "slack": slack, "watched": watched, "valid": figures}
