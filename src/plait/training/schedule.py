"""What step s does, as a pure function of the seed and s: its rows, its random draws, its learning rate."""

from __future__ import annotations

import math

import numpy as np


def order(rows: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """The training rows in the order of an epoch."""
    return rows[np.random.default_rng([seed, epoch]).permutation(len(rows))]


def step_seed(seed: int, step: int) -> int:
    """The seed of every random draw of a step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def rate(step: int, total: int, *, peak: float, warmup: float) -> float:
    """Linear warm-up to `peak`, then half a cosine to zero (Loshchilov and Hutter 2017)."""
    rise = max(1, round(total * warmup))
    if step < rise:
        return peak * (step + 1) / rise
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))
