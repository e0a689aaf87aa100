"""Metrics, each one formula over weighted rows, so that a figure and its bootstrap interval come from the same code.

`weight` is (R, n): R rows of weights, one for the figure itself (ones), or R resamples (how often each row was drawn;
Efron 1979). Every metric is (R,), NaN where it is not defined (a class without rows, say). With unit weights they equal
scikit-learn's, which the tests hold them to; scikit-learn computes one resample at a time, a call each. `only`: the name of the
one metric that is wanted; those of rankings are not computed for another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
RANKINGS = ("roc_auc", "average_precision")  # these take the most time: every class is sorted
LOWER_IS_BETTER = {"log_loss", "ece", "brier", "mae", "rmse", "hamming_loss"}


def resamples(n: int, *, seed: int = 0, draws: int | None = None) -> Array:
    """(draws, n) weights: bootstrap resamples of n rows. 1000 draws, fewer above 4,000 rows."""
    draws = draws or int(np.clip(4_000_000 // max(n, 1), 30, 1000))
    generator = np.random.default_rng([seed, n])
    return np.stack([np.bincount(generator.integers(0, n, n), minlength=n) for _ in range(draws)]).astype(np.float64)


def classification(probability: Array, truth: Array, weight: Array, *, only: str | None = None) -> dict[str, Array]:
    """probability (n, C), truth (n,) class ids. Precision, recall and F1 are over the classes that occur or are
    predicted; ROC AUC and average precision are means over classes, each against the rest (binary: of class 1)."""
    n, classes = probability.shape
    guess = probability.argmax(1)
    if only == "accuracy":
        return {only: weight @ (guess == truth) / weight.sum(1)}
    true, claimed = np.eye(classes)[truth], np.eye(classes)[guess]
    hit, actual, said = weight @ (true * claimed), weight @ true, weight @ claimed
    total = weight.sum(1)
    recall, precision = _ratio(hit, actual), _ratio(hit, said)
    f1 = _ratio(2 * hit, actual + said)
    known = (actual + said) > 0
    chosen = probability[np.arange(n), truth]
    auc, ap = _rankings(probability, truth[:, None] == np.arange(classes), weight, binary=classes == 2, only=only)
    found = {
        "accuracy": hit.sum(1) / total,
        "balanced_accuracy": _mean(recall, actual > 0),
        "precision_macro": _mean(np.nan_to_num(precision), known),
        "recall_macro": _mean(np.nan_to_num(recall), known),
        "f1_macro": _mean(np.nan_to_num(f1), known),
        "precision_weighted": (np.nan_to_num(precision) * actual).sum(1) / total,
        "recall_weighted": (np.nan_to_num(recall) * actual).sum(1) / total,
        "f1_weighted": (np.nan_to_num(f1) * actual).sum(1) / total,
        "roc_auc": auc,
        "average_precision": ap,
        "log_loss": weight @ -np.log(chosen.clip(1e-15)) / total,
        "brier": weight @ ((probability - true) ** 2).sum(1) / total,
        "ece": _calibration_error(probability.max(1), guess == truth, weight),
    }
    return found if only is None else {only: found[only]}


def multilabel(probability: Array, truth: Array, weight: Array, *, only: str | None = None) -> dict[str, Array]:
    """probability and truth (n, C), truth bool; a label is said where its probability reaches one half."""
    said = probability >= 0.5
    if only == "accuracy":
        return {only: weight @ (said == truth).all(1) / weight.sum(1)}
    true = weight @ (said & truth)
    actual, claimed = weight @ truth, weight @ said
    total = weight.sum(1)
    f1 = _ratio(2 * true, actual + claimed)
    known = (actual + claimed) > 0
    auc, ap = _rankings(probability, truth.astype(bool), weight, binary=False, only=only)
    loss = -np.where(truth, np.log(probability.clip(1e-15)), np.log((1 - probability).clip(1e-15))).mean(1)
    found = {
        "accuracy": weight @ (said == truth).all(1) / total,
        "hamming_loss": weight @ (said != truth).mean(1) / total,
        "precision_micro": np.nan_to_num(_ratio(true.sum(1), claimed.sum(1))),
        "recall_micro": np.nan_to_num(_ratio(true.sum(1), actual.sum(1))),
        "f1_micro": np.nan_to_num(_ratio(2 * true.sum(1), (actual + claimed).sum(1))),
        "f1_macro": _mean(np.nan_to_num(f1), known),
        "roc_auc": auc,
        "average_precision": ap,
        "log_loss": weight @ loss / total,
    }
    return found if only is None else {only: found[only]}


def regression(value: Array, truth: Array, weight: Array, *, only: str | None = None) -> dict[str, Array]:
    """value and truth (n,), in the user's units. R2 is not defined where all truths are the same."""
    total = weight.sum(1)
    error = value - truth
    mean = weight @ truth / total
    varies = np.where(weight > 0, truth, np.inf).min(1) < np.where(weight > 0, truth, -np.inf).max(1)
    spread = np.where(varies, (weight * (truth - mean[:, None]) ** 2).sum(1), 0)  # rounding is no spread
    square = weight @ error**2
    found = {"r2": 1 - _ratio(square, spread), "mae": weight @ np.abs(error) / total, "rmse": np.sqrt(square / total)}
    return found if only is None else {only: found[only]}


def interval(values: Array, level: float = 0.95) -> tuple[float, float] | None:
    """The percentile interval of bootstrap values; None where fewer than half of them are defined."""
    known = values[np.isfinite(values)]
    if len(known) * 2 < len(values) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def confusion_matrix(probability: Array, truth: Array) -> Array:
    """(C, C) counts: rows are the truth, columns the prediction."""
    classes = probability.shape[1]
    return np.bincount(truth * classes + probability.argmax(1), minlength=classes**2).reshape(classes, classes)


def roc_curve(score: Array, truth: Array) -> tuple[Array, Array]:
    """False and true positive rates from (0, 0) to (1, 1), one point a distinct score."""
    order, starts = _ties(-score)
    positive = np.add.reduceat(truth[order].astype(float), starts)
    size = np.add.reduceat(np.ones(len(order)), starts)
    true, false = np.cumsum(positive), np.cumsum(size - positive)
    return np.r_[0, false / max(false[-1], 1)], np.r_[0, true / max(true[-1], 1)]


def calibration_curve(confidence: Array, hit: Array, bins: int = 10) -> list[dict[str, Any]]:
    """For each filled bin of confidence: its mean confidence, the share that was right, and the rows in it."""
    place = _bins(confidence, bins)
    return [
        {
            "confidence": float(confidence[place == b].mean()),
            "accuracy": float(hit[place == b].mean()),
            "rows": int((place == b).sum()),
        }
        for b in range(bins)
        if (place == b).any()
    ]


def _ratio(top: Array, bottom: Array) -> Array:
    undefined = np.full(np.broadcast(top, bottom).shape, np.nan)
    ratio: Array = np.divide(top, bottom, out=undefined, where=bottom > 0)
    return ratio


def _mean(values: Array, known: Array) -> Array:
    return _ratio(np.where(known, values, 0).sum(1), known.sum(1).astype(float))


def _ties(values: Array) -> tuple[Array, Array]:
    """The order that sorts values, and where each run of equal ones starts."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _rankings(score: Array, truth: Array, weight: Array, *, binary: bool, only: str | None) -> tuple[Array, Array]:
    """ROC AUC and average precision, each the mean over columns that have both kinds of rows; NaN where neither is wanted."""
    if only is not None and only not in RANKINGS:
        return np.full(len(weight), np.nan), np.full(len(weight), np.nan)
    columns = [1] if binary else range(score.shape[1])
    pairs = [_ranking(score[:, c], truth[:, c], weight) for c in columns]
    auc, ap = (np.stack(v, 1) for v in zip(*pairs))
    return _mean(np.nan_to_num(auc), np.isfinite(auc)), _mean(np.nan_to_num(ap), np.isfinite(ap))


def _ranking(score: Array, truth: Array, weight: Array) -> tuple[Array, Array]:
    order, starts = _ties(-score)
    ordered = weight[:, order]
    positive = np.add.reduceat(ordered * truth[order], starts, axis=1)
    every = np.add.reduceat(ordered, starts, axis=1)
    true, seen = positive.cumsum(1), every.cumsum(1)
    positives, negatives = true[:, -1], (every - positive).sum(1)
    above = seen - true - (every - positive) / 2  # negatives ranked above, ties counted half
    auc = 1 - _ratio((positive * above).sum(1), positives * negatives)
    ap = _ratio((positive * np.nan_to_num(_ratio(true, seen))).sum(1), positives)
    return auc, np.where(negatives > 0, ap, np.nan)


def _bins(confidence: Array, bins: int) -> Array:
    place: Array = np.minimum((confidence * bins).astype(int), bins - 1)
    return place


def _calibration_error(confidence: Array, hit: Array, weight: Array, bins: int = 15) -> Array:
    """Expected calibration error over equal bins (Guo et al. 2017)."""
    place = np.eye(bins)[_bins(confidence, bins)]
    gap = weight @ (place * (confidence - hit)[:, None])
    error: Array = np.abs(gap).sum(1) / weight.sum(1)
    return error
