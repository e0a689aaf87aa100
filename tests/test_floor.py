"""Planted problems on which what plait chooses by itself must not be below plain logistic regression, the best input alone, or
knowing nothing; more of them stand in test_choosing.py and learners/test_blend.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait.drift import PlaitWarning

Frame = pd.DataFrame
TRAIN, TEST = 300, 600


def numbers(rng: np.random.Generator, n: int, count: int) -> Frame:
    return pd.DataFrame(rng.normal(size=(n, count)), columns=[f"x{i}" for i in range(count)])


def told(x: Any, rng: np.random.Generator, noise: float = 0.5) -> np.ndarray:
    return np.where(np.asarray(x) + noise * rng.normal(size=len(x)) > 0, "yes", "no")


def many_noise(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 40)
    return frame.assign(kind=told(frame.x0, rng))


def fifty_columns(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 50)
    return frame.assign(kind=told(frame.sum(axis=1) / 7, rng))


def one_in_fifty(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 4)
    return frame.assign(kind=np.where(frame.x0 + 0.3 * rng.normal(size=n) > 2.14, "rare", "common"))


def label_noise(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 4)
    kind, flip = told(frame.x0, rng, 0.1), rng.random(n) < 0.25
    return frame.assign(kind=np.where(flip, np.where(kind == "yes", "no", "yes"), kind))


def heavy_tails(rng: np.random.Generator, n: int) -> Frame:
    frame = pd.DataFrame(rng.standard_t(1.5, size=(n, 4)), columns=list("abcd"))
    return frame.assign(kind=told(np.sign(frame.a) * np.abs(frame.a) ** 0.3, rng))


def twins(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 2)
    return frame.assign(x2=frame.x0, x3=frame.x0, kind=told(frame.x0 + 0.5 * frame.x1, rng))


def half_missing(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 4)
    kind = told(frame.x0 + frame.x1, rng)
    return frame.where(rng.random((n, 4)) < 0.5).assign(kind=kind)


def names_only(rng: np.random.Generator, n: int) -> Frame:
    a, b = rng.integers(0, 6, n), rng.integers(0, 40, n)
    kind = told(np.array([1, -1, 1, -1, 0.5, -0.5])[a], rng)
    return pd.DataFrame({"a": [f"a{i}" for i in a], "b": [f"b{i}" for i in b], "kind": kind})


def rings(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 2)
    return frame.assign(kind=told(1.2 - np.hypot(frame.x0, frame.x1), rng, 0.1))


def texts(rng: np.random.Generator, n: int) -> Frame:
    words = np.array(["sun", "rain", "wind", "snow", "fog", "hail", "storm", "cloud"])
    drawn = [rng.choice(words, 5) for _ in range(n)]
    score = [(w == "sun").sum() - (w == "rain").sum() for w in drawn]
    return pd.DataFrame({"note": [" ".join(w) for w in drawn], "x": rng.normal(size=n), "kind": told(score, rng)})


def few_of_each(rng: np.random.Generator, n: int) -> Frame:
    kind = np.arange(n) % 60
    centre = np.random.default_rng(99).normal(size=(60, 5))
    x = pd.DataFrame(2 * centre[kind] + rng.normal(size=(n, 5)), columns=list("abcde"))
    return x.assign(kind=[f"k{i}" for i in kind])


def line(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 5)
    return frame.assign(kind=3 * frame.x0 - frame.x1 + rng.normal(size=n))


def bend(rng: np.random.Generator, n: int) -> Frame:
    frame = numbers(rng, n, 3)
    return frame.assign(kind=np.sin(2 * frame.x0) * frame.x1 + 0.2 * rng.normal(size=n))


def nothing_at_all(rng: np.random.Generator, n: int) -> Frame:
    return numbers(rng, n, 6).assign(kind=rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]))


PROBLEMS: list[Callable[[np.random.Generator, int], Frame]] = [
    many_noise,
    fifty_columns,
    one_in_fifty,
    label_noise,
    heavy_tails,
    twins,
    half_missing,
    names_only,
    rings,
    texts,
    few_of_each,
    line,
    bend,
    nothing_at_all,
]
BENT = {"rings": 0.5, "bend": 0.75}  # what no plane can do: at most this share of its loss


def loss(model: Any, rows: Frame) -> float:
    [judged] = model.evaluate(rows).targets.values()
    figures = judged.figures[tuple(model.inputs)]
    return float(figures["log_loss"]["value"] if "log_loss" in figures else figures["rmse"]["value"] / rows.kind.std())


def floor(train: Frame, test: Frame) -> float:
    """The loss of knowing nothing but the training labels."""
    if train.kind.dtype.kind == "f":
        return float(np.sqrt(((test.kind - train.kind.mean()) ** 2).mean()) / test.kind.std())
    share = train.kind.value_counts(normalize=True)
    return float(-np.log(test.kind.map(share)).mean())


def parts(inputs: list[str]) -> dict[str, Any]:
    """Encoders that need no weights."""
    return {"encoders": {"note": "text_tfidf"}} if "note" in inputs else {}


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.__name__)
def test_it_is_not_below_the_plain_learner_the_best_input_nor_nothing(problem: Any) -> None:
    train, test = problem(np.random.default_rng(0), TRAIN), problem(np.random.default_rng(1), TEST)
    inputs = [c for c in train if c != "kind"]
    options: dict[str, Any] = {"split": {"valid": 0.0, "test": 0.0}, "quiet": True}
    chosen = {"learner": {"name": "blend", "members": "auto", "on": "both", "rule": "auto"}}
    mine = loss(plait.fit(train, "kind", **parts(inputs), **options, **chosen), test)
    plain = loss(plait.fit(train, "kind", learner="logistic", **parts(inputs), **options), test)
    single = []
    for column in inputs[:2]:  # what tells stands first
        made = plait.fit(train, "kind", inputs=[column], learner="logistic", **parts([column]), **options)
        single.append(loss(made, test))
    best = min(plain, *single, floor(train, test))
    assert mine < best + 0.04, (mine, plain, single, floor(train, test))
    assert mine < BENT.get(problem.__name__, np.inf) * plain


@pytest.mark.slow
def test_two_thousand_classes_of_four_rows_are_learned_and_judged() -> None:
    """Where logistic regression is not tried any more: against the plain learner of a closed form, knowing nothing, and
    scikit-learn's nearest mean, which is hard to beat there."""
    from sklearn.neighbors import NearestCentroid

    classes, centres = 2000, 3 * np.random.default_rng(99).normal(size=(2000, 8))

    def drawn(of_each: int, seed: int) -> Frame:
        kind = np.arange(classes * of_each) % classes
        x = centres[kind] + np.random.default_rng(seed).normal(size=(len(kind), 8))
        return pd.DataFrame(x, columns=list("abcdefgh")).assign(kind=[f"k{i}" for i in kind])

    train, test = drawn(4, 0), drawn(1, 1)
    options: dict[str, Any] = {"split": {"column": "part"}, "quiet": True}
    split = pd.concat([train.assign(part="train"), drawn(1, 2).assign(part="test")], ignore_index=True)
    chosen = plait.fit(split, "kind", preset="fast", **options)
    plain = plait.fit(split, "kind", learner="ridge", **options)
    mine = loss(chosen, test)
    assert mine < min(loss(plain, test), 0.3 * floor(train, test))
    mean = NearestCentroid().fit(train[list("abcdefgh")], train.kind).score(test[list("abcdefgh")], test.kind)
    assert (chosen.predict(test)["kind"] == test.kind).mean() > mean - 0.01


def test_an_input_that_has_moved_is_told() -> None:
    rng = np.random.default_rng(0)
    frame = numbers(rng, 300, 3)
    frame = frame.assign(kind=told(frame.x0, rng))
    model = plait.fit(frame, "kind", quiet=True)
    moved = numbers(rng, 300, 3)
    moved["x1"] += 3
    with pytest.warns(PlaitWarning, match="'x1'"):
        model.predict(moved)
