"""What step s does, as a pure function of the seed and s: its rows, its random draws, its learning rate. Only "plateau"
looks at more: at the validation scores of the epochs before, which every checkpoint keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from plait.training.options import Options

START, END = 25.0, 1e4  # one-cycle: the peak is so many times the first rate, and the first so many times the last


def order(rows: np.ndarray, *, seed: int, epoch: int, lengths: np.ndarray | None = None) -> np.ndarray:
    """The training rows in the order of an epoch. With `lengths` (of these rows): the short ones first, those of one
    length in random order (a curriculum; Bengio et al. 2009)."""
    drawn = np.random.default_rng([seed, epoch]).permutation(len(rows))
    if lengths is not None:
        drawn = drawn[np.argsort(lengths[drawn], kind="stable")]
    return rows[drawn]


def step_seed(seed: int, step: int, process: int = 0) -> int:
    """The seed of every random draw of a step, in one of several processes."""
    where = [seed, step, process] if process else [seed, step]
    return int(np.random.SeedSequence(where).generate_state(1, np.uint64)[0] >> np.uint64(1))


def rate(
    step: int,
    total: int,
    *,
    peak: float,
    warmup: float,
    schedule: str = "cosine",
    decay: float = 0.1,
    period: float = 1.0,
    drops: int = 0,
) -> float:
    """The learning rate of a step of `total`: a linear warm-up to `peak` (Goyal et al. 2017), then

    cosine       half a cosine to zero (Loshchilov & Hutter 2017)
    constant     the peak
    step         times `decay` every `period` steps
    exponential  the same, smoothly
    plateau      times `decay` for each of `drops`
    one-cycle    up by half a cosine from a 25th of the peak, down by another to nearly nothing (Smith & Topin 2018)
    """
    rise = max(1, round(total * warmup))
    if schedule == "one-cycle":
        return _one_cycle(step, total, peak, warmup)
    if step < rise:
        return peak * (step + 1) / rise
    since = step - rise
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * since / max(1, total - rise)))
    falls = {"constant": 0, "step": since // period, "exponential": since / period, "plateau": drops}
    return float(peak * decay ** falls[schedule])


def _one_cycle(step: int, total: int, peak: float, warmup: float) -> float:
    top, last = max(0.0, warmup * total - 1), total - 1
    if step <= top:
        return _between(peak / START, peak, step / top if top else 1.0)
    return _between(peak, peak / START / END, min(1.0, (step - top) / max(1e-9, last - top)))


def _between(start: float, end: float, part: float) -> float:
    """Half a cosine from `start` to `end`."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def drops(scores: Sequence[float | None], *, patience: int) -> int:
    """How often `patience` epochs in a row were no better than the best before them; scores: higher is better."""
    best, waited, found = -math.inf, 0, 0
    for score in scores:
        if score is not None and score > best:
            best, waited = score, 0
        else:
            waited += 1
        if waited >= patience:
            found, waited = found + 1, 0
    return found


def planned(options: Options, step: int, *, steps: int, epochs: int, scores: Sequence[float | None]) -> float:
    """The learning rate of a step of a run of `epochs` epochs of `steps` steps, after epochs with these scores."""
    span = options.decay_epochs_for(epochs)
    return rate(
        step,
        epochs * steps,
        peak=options.learning_rate,
        warmup=options.warmup,
        schedule=options.schedule,
        decay=options.decay,
        period=float(span * steps),
        drops=drops(scores, patience=span) if options.schedule == "plateau" else 0,
    )
