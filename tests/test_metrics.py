"""Metrics against scikit-learn, with and without weights; bootstrap intervals against a planted truth."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.preprocessing import label_binarize

from plait import metrics

Array = np.ndarray
SEEDS = pytest.mark.parametrize("seed", range(2))


def problem(seed: int, classes: int, n: int = 80, ties: bool = False, absent: int | None = None) -> tuple[Array, Array]:
    """Probabilities (n, C) that know something of the truth (n,); `absent` is a class that never occurs."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, n)
    if absent is not None:
        truth[truth == absent] = (absent + 1) % classes
    raw = generator.gamma(1.0, size=(n, classes)) + np.eye(classes)[truth] * generator.random((n, 1)) * 2
    if ties:
        raw = np.ceil(raw * 2)
    return raw / raw.sum(1, keepdims=True), truth


def weights(seed: int, n: int = 80) -> Array:
    """(3, n): ones, weights that are all positive, and a resample (with zeros)."""
    generator = np.random.default_rng(seed)
    return np.stack(
        [np.ones(n), generator.integers(1, 5, n), np.bincount(generator.integers(0, n, n), minlength=n)]
    ).astype(float)


def quietly(measure: Callable[..., float], *args: Array, **options: object) -> float:
    """A reference that warns where a class is absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(measure(*args, **options))


def expected_classification(p: Array, y: Array) -> dict[str, float]:
    """scikit-learn's figures over rows that each count once."""
    guess, classes = p.argmax(1), p.shape[1]
    f = {
        name: quietly(measure, y, guess, average=average, zero_division=0)
        for average in ("macro", "weighted")
        for name, measure in (
            (f"precision_{average}", reference.precision_score),
            (f"recall_{average}", reference.recall_score),
            (f"f1_{average}", reference.f1_score),
        )
    }
    columns = [1] if classes == 2 else [c for c in range(classes) if 0 < (y == c).sum() < len(y)]
    return {
        **f,
        "accuracy": reference.accuracy_score(y, guess),
        "balanced_accuracy": quietly(reference.balanced_accuracy_score, y, guess),
        "roc_auc": float(np.mean([reference.roc_auc_score(y == c, p[:, c]) for c in columns])),
        "average_precision": float(np.mean([reference.average_precision_score(y == c, p[:, c]) for c in columns])),
        "log_loss": reference.log_loss(y, p, labels=range(classes)),
        "brier": float(
            ((p - label_binarize(y, classes=range(classes)) if classes > 2 else p - np.eye(2)[y]) ** 2).sum(1).mean()
        ),
        "ece": calibration_error(p, y),
    }


def calibration_error(p: Array, y: Array, bins: int = 15) -> float:
    """Guo et al. 2017, equation 3, written as it stands there."""
    confidence, right, total = p.max(1), p.argmax(1) == y, 0.0
    for b in range(bins):
        inside = (confidence >= b / bins) & ((confidence < (b + 1) / bins) | (b == bins - 1))
        if inside.any():
            total += inside.sum() / len(y) * abs(right[inside].mean() - confidence[inside].mean())
    return total


def repeated(w: Array, *arrays: Array) -> list[Array]:
    """What whole-number weights mean: row i stands there w[i] times."""
    return [np.repeat(a, w.astype(int), axis=0) for a in arrays]


@SEEDS
@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("ties", [False, True], ids=["", "ties"])
def test_classification_equals_scikit_learn(seed: int, classes: int, ties: bool) -> None:
    p, y = problem(seed, classes, ties=ties)
    w = weights(seed)
    found = metrics.classification(p, y, w)
    for i, weight in enumerate(w):
        expected = expected_classification(*repeated(weight, p, y))
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-9), (name, i)


@SEEDS
@pytest.mark.parametrize("classes", [3, 6])
def test_classification_with_a_class_that_never_occurs(seed: int, classes: int) -> None:
    p, y = problem(seed, classes, absent=1)
    for weight in weights(seed):
        expected = expected_classification(*repeated(weight, p, y))
        for name, value in metrics.classification(p, y, weight[None]).items():
            assert value[0] == pytest.approx(expected[name], abs=1e-9), name


@SEEDS
def test_classification_with_sample_weights_of_scikit_learn(seed: int) -> None:
    p, y = problem(seed, 4)
    w = np.random.default_rng(seed).random(len(y)) + 0.1
    found = {k: v[0] for k, v in metrics.classification(p, y, w[None]).items()}
    guess = p.argmax(1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(y, guess, sample_weight=w))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, guess, sample_weight=w))
    assert found["f1_macro"] == pytest.approx(reference.f1_score(y, guess, average="macro", sample_weight=w))
    precision = reference.precision_score(y, guess, average="weighted", sample_weight=w)
    assert found["precision_weighted"] == pytest.approx(precision)
    assert found["log_loss"] == pytest.approx(reference.log_loss(y, p, sample_weight=w))
    areas = [reference.roc_auc_score(y == c, p[:, c], sample_weight=w) for c in range(4)]
    assert found["roc_auc"] == pytest.approx(np.mean(areas))
    assert found["average_precision"] == pytest.approx(
        np.mean([reference.average_precision_score(y == c, p[:, c], sample_weight=w) for c in range(4)])
    )


def test_one_class_alone_leaves_rankings_undefined_and_the_rest_defined() -> None:
    p, y = problem(0, 2)
    found = metrics.classification(p, np.zeros_like(y), np.ones((1, len(y))))
    assert {k for k, v in found.items() if not np.isfinite(v[0])} == {"roc_auc", "average_precision"}
    assert metrics.interval(found["roc_auc"]) is None


def test_certain_and_wrong_has_a_finite_log_loss() -> None:
    p, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1])
    assert np.isfinite(metrics.classification(p, y, np.ones((1, 2)))["log_loss"]).all()
    assert np.isfinite(metrics.multilabel(p, np.eye(2) == 0, np.ones((1, 2)))["log_loss"]).all()


def expected_multilabel(p: Array, y: Array) -> dict[str, float]:
    said, columns = p >= 0.5, [c for c in range(p.shape[1]) if 0 < y[:, c].sum() < len(y)]
    f1 = [
        quietly(reference.f1_score, y[:, c], said[:, c], zero_division=0)
        for c in range(p.shape[1])
        if (y | said)[:, c].any()
    ]
    return {
        "accuracy": reference.accuracy_score(y, said),
        "hamming_loss": reference.hamming_loss(y, said),
        "precision_micro": quietly(reference.precision_score, y, said, average="micro", zero_division=0),
        "recall_micro": quietly(reference.recall_score, y, said, average="micro", zero_division=0),
        "f1_micro": quietly(reference.f1_score, y, said, average="micro", zero_division=0),
        "f1_macro": float(np.mean(f1)),
        "roc_auc": float(np.mean([reference.roc_auc_score(y[:, c], p[:, c]) for c in columns])),
        "average_precision": float(np.mean([reference.average_precision_score(y[:, c], p[:, c]) for c in columns])),
        "log_loss": float(np.mean([reference.log_loss(a, b, labels=[False, True]) for a, b in zip(y.T, p.T)])),
    }


@SEEDS
@pytest.mark.parametrize("ties", [False, True], ids=["", "ties"])
def test_multilabel_equals_scikit_learn(seed: int, ties: bool) -> None:
    generator = np.random.default_rng(seed)
    y = generator.random((60, 4)) < [0.5, 0.3, 0.1, 0.7]
    y[:, 2] &= seed > 0  # a label that no row has
    p = (generator.random((60, 4)) + y * 0.4) / 1.4
    p = np.round(p, 1).clip(0.05, 0.95) if ties else p
    w = weights(seed, 60)
    found = metrics.multilabel(p, y, w)
    for i, weight in enumerate(w):
        expected = expected_multilabel(*repeated(weight, p, y))
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-9), (name, i)


@SEEDS
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
def test_regression_equals_scikit_learn(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    y = generator.normal(size=80) * scale + 3 * scale
    guess = y + generator.normal(size=80) * scale / 2
    w = np.concatenate([weights(seed), generator.random((1, 80))])
    found = metrics.regression(guess, y, w)
    for i, weight in enumerate(w):
        assert found["r2"][i] == pytest.approx(reference.r2_score(y, guess, sample_weight=weight))
        assert found["mae"][i] == pytest.approx(reference.mean_absolute_error(y, guess, sample_weight=weight))
        assert found["rmse"][i] == pytest.approx(reference.root_mean_squared_error(y, guess, sample_weight=weight))


def test_r2_is_not_defined_where_the_truth_is_constant() -> None:
    truth = np.array([0.1, 0.1, 0.1, 7.0])  # three tenths do not have a mean of exactly one tenth
    found = metrics.regression(np.array([0.0, 0.2, 0.1, 0.0]), truth, np.array([[1, 1, 1, 0], [1.0, 1, 1, 1]]))
    assert np.isnan(found["r2"][0]) and np.isfinite(found["r2"][1])
    assert found["mae"][0] == pytest.approx(0.2 / 3)


@SEEDS
def test_curves_equal_scikit_learn(seed: int) -> None:
    p, y = problem(seed, 2, ties=bool(seed % 2))
    false, true, _ = reference.roc_curve(y, p[:, 1], drop_intermediate=False)
    found = metrics.roc_curve(p[:, 1], y == 1)
    np.testing.assert_allclose(found, (false, true))
    p3, y3 = problem(seed, 3)
    np.testing.assert_array_equal(
        metrics.confusion_matrix(p3, y3), reference.confusion_matrix(y3, p3.argmax(1), labels=range(3))
    )


def test_the_calibration_curve_covers_every_row_once() -> None:
    p, y = problem(3, 3, n=500)
    p[0] = [1.0, 0.0, 0.0]
    confidence, hit = p.max(1), p.argmax(1) == y
    curve = metrics.calibration_curve(confidence, hit)
    assert sum(b["rows"] for b in curve) == len(y)
    assert sum(b["rows"] * b["accuracy"] for b in curve) == pytest.approx(hit.sum())
    assert sum(b["rows"] * b["confidence"] for b in curve) == pytest.approx(confidence.sum())
    spread = [b["confidence"] for b in curve]
    assert spread == sorted(spread) and len({int(c * 10) for c in spread}) >= len(curve) - 1


@pytest.mark.parametrize("n", [1, 2, 50])
def test_resamples_draw_as_many_rows_as_there_are(n: int) -> None:
    drawn = metrics.resamples(n)
    assert drawn.shape == (1000, n) and (drawn.sum(1) == n).all()
    assert np.array_equal(drawn, metrics.resamples(n)) and np.array_equal(drawn[:5], metrics.resamples(n, draws=5))
    if n > 2:
        assert not np.array_equal(drawn, metrics.resamples(n, seed=1))
        assert drawn.mean(0) == pytest.approx(np.ones(n), abs=6 / np.sqrt(1000))  # a count has variance 1 - 1/n


def test_resamples_are_fewer_for_many_rows() -> None:
    assert len(metrics.resamples(100_000, draws=None)) == 4_000_000 // 100_000


def test_intervals_cover_a_planted_accuracy_about_as_often_as_they_say() -> None:
    p, n, tables = 0.7, 60, 300
    generator = np.random.default_rng(0)
    weight, covered = metrics.resamples(n, draws=300), 0
    for _ in range(tables):
        right = generator.random(n) < p
        low, high = metrics.interval(weight @ right / n) or (0, 0)
        covered += low <= p <= high
    # percentile intervals of a share of 60 rows reach about 0.94; four standard errors of 300 tables are 0.055
    assert 0.885 <= covered / tables <= 0.995


def test_an_interval_is_a_pair_of_quantiles_over_what_is_defined() -> None:
    values = np.r_[np.arange(101.0), [np.nan] * 50]
    assert metrics.interval(values, level=0.9) == pytest.approx((5, 95))
    assert metrics.interval(np.r_[1.0, np.nan, np.nan]) is None
    assert metrics.interval(np.array([])) is None
