"""Intervals of one rung and of the difference between two, over rows or over splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait import metrics

Figure = dict[str, "float | None"]  # value, low, high
STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)  # 97.5 %, 1 to 10 degrees
NORMAL = 1.959964


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t (beyond the table by Cornish and Fisher's expansion)."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z = NORMAL
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2) + third


def over_rows(values: Sequence[float], draws: Sequence[np.ndarray]) -> Figure:
    """The mean over the seeds, which share one split, with a bootstrap interval over its test rows. `draws`: (R,) a seed."""
    each = [d for d in draws if len(d)]
    span = metrics.interval(np.mean(each, 0)) if each else None
    return _figure(float(np.mean(values)), span)


def over_splits(values: Sequence[float], share: float, draws: Sequence[np.ndarray] = ()) -> Figure:
    """The mean over splits with the corrected interval of Nadeau & Bengio 2003: splits of the same rows overlap, so that
    their variance counts 1/S + test rows / training rows times. `share`: that ratio. A few splits may agree by luck: the
    interval is at least as wide as their test rows, were they all different ones, leave it by bootstrap (`draws`)."""
    each = np.asarray(values, float)
    mean = float(each.mean())
    if len(each) < 2 or not np.isfinite(each).all():
        return _figure(mean, None)
    half = student(len(each) - 1) * float(np.sqrt((1 / len(each) + share) * each.var(ddof=1)))
    spreads = [float(np.std(d)) for d in draws if len(d)]
    if spreads:
        half = max(half, NORMAL * float(np.mean(spreads)) / float(np.sqrt(len(each))))
    return _figure(mean, (mean - half, mean + half))


def within(figure: Figure, low: float, high: float) -> Figure:
    """An interval kept to what a metric can be."""
    cut = lambda v: None if v is None else min(max(v, low), high)  # noqa: E731
    return {"value": figure["value"], "low": cut(figure["low"]), "high": cut(figure["high"])}


def _figure(value: float, span: tuple[float, float] | None) -> Figure:
    return {
        "value": value if np.isfinite(value) else None,
        "low": span[0] if span else None,
        "high": span[1] if span else None,
    }


def clear(gap: Figure) -> int:
    """1 where a difference is surely above zero, -1 where it is surely below, 0 where it may be chance."""
    low, high = gap["low"], gap["high"]
    if low is None or high is None:
        return 0
    return 1 if low > 0 else -1 if high < 0 else 0
