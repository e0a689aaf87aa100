"""The blend of learners: its rules against NumPy and scikit-learn, what it chooses by itself, and its floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.learners.test_learners import thirds

from plait.errors import PlaitError, UnknownNameError
from plait.learners import LEARNERS
from plait.learners.blend import held_out, prior_of
from plait.nn import linear, opinions
from plait.nn.linear import Stream, Task

AUTO = {"name": "blend", "members": "auto", "on": "both", "rule": "auto"}


def said(n: int = 50, members: int = 3, classes: int = 4, seed: int = 0) -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(seed)
    out = torch.randn(n, members, classes, generator=generator)
    here = torch.rand(n, members, generator=generator) < 0.8
    here[0] = False
    prior = torch.randn(classes, generator=generator).log_softmax(0)
    return out, here, prior


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    found: np.ndarray = e / e.sum(-1, keepdims=True)
    return found


@pytest.mark.parametrize("rule", ["mean", "weights", "best", "product"])
def test_a_rule_is_its_formula(rule: str) -> None:
    out, here, prior = said()
    weight = np.array([0.2, 0.5, 1.3])
    raw = {"mean": [[2.0]], "weights": [weight, [2.0]], "best": [weight, [2.0]], "product": [weight]}[rule]
    coefficients = [torch.tensor(np.asarray(c), dtype=torch.float32) for c in raw]
    found = opinions.joint(out, here, "category", rule, coefficients, prior).softmax(-1).numpy()
    p, q = softmax(out.numpy().astype(np.float64)), softmax(prior.numpy().astype(np.float64))
    for row in range(len(p)):
        m = here[row].numpy()
        if not m.any():
            exact = q
        elif rule == "product":
            exact = q * np.prod([(p[row, i] / q) ** weight[i] for i in np.flatnonzero(m)], axis=0)
        else:
            w = {"mean": np.ones(3), "weights": weight, "best": np.eye(3)[np.argmax(np.where(m, weight, -1))]}[rule] * m
            exact = (w[:, None] * p[row]).sum(0) / w.sum()
            exact = exact**0.5  # the temperature
        assert np.allclose(found[row], exact / exact.sum(), atol=1e-5), row


def test_stacking_is_a_logistic_regression_on_what_the_members_say() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    out = torch.from_numpy(np.eye(3)[y][:, None] * [[1.0], [0.3]] + rng.normal(size=(300, 2, 3))).float()
    here, prior = torch.ones(300, 2, dtype=torch.bool), torch.zeros(3).log_softmax(0)
    task = Task("category", 3)
    weight, bias = opinions.learn(
        out, here, torch.from_numpy(y), task=task, rule="stack", prior=prior, folds=thirds(300)
    )
    x = np.hstack([(out.log_softmax(-1) - prior).flatten(1).numpy(), np.zeros((300, 2))])
    mine = softmax(x @ weight + bias)
    best = min(
        np.abs(LogisticRegression(C=2 * c, tol=1e-8, max_iter=5000).fit(x, y).predict_proba(x) - mine).max()
        for c in [0.5 * g for g in opinions.GRID] + list(opinions.GRID)
    )
    assert best < 5e-3


def test_a_temperature_is_found_and_changes_no_argmax() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 3000)
    true = 2 * np.eye(3)[y] + rng.normal(size=(3000, 3))  # its posterior is the softmax of 2 x
    out = torch.from_numpy(6 * true).float()[:, None]  # three times as sure as it may be
    here, prior, task = torch.ones(3000, 1, dtype=torch.bool), torch.zeros(3), Task("category", 3)
    (scale,) = opinions.learn(out, here, torch.from_numpy(y), task=task, rule="mean", prior=prior, folds=thirds(3000))
    assert scale[0] == pytest.approx(3.0, rel=0.1)
    joint = opinions.joint(out, here, "category", "mean", [torch.from_numpy(scale)], prior)
    assert (joint.argmax(1) == out[:, 0].argmax(1)).all()


def test_temperatures_are_found_at_both_ends_and_between() -> None:
    draw = torch.Generator().manual_seed(0)
    z, share = 2 * torch.randn(6000, 4, generator=draw), torch.rand(6000, generator=draw)
    y = torch.distributions.Categorical(logits=z).sample()
    alone, together = opinions.temperatures(
        z * (0.5 ** (1 - share) * 3.0**share)[:, None], share, y, Task("category", 4)
    )
    assert alone == pytest.approx(0.5, rel=0.1) and together == pytest.approx(3.0, rel=0.1)


def test_members_are_judged_on_rows_they_have_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 100)).astype(np.float32), rng.integers(0, 2, 90)
    streams = {"noise": Stream(x, np.ones(90, bool))}
    task = Task("category", 2)
    spec, out = held_out("knn", streams, y, task=task, folds=thirds(90), seed=0)
    assert (out.argmax(1).numpy() == y).mean() < 0.65  # by chance one half; on rows it knows it would be right
    with torch.no_grad():
        known = LEARNERS.build({**spec, "k": 1})(linear.tensors(streams)).argmax(1).numpy()
    assert (known == y).mean() > 0.95


def table(kind: str, n: int = 360, seed: int = 0) -> tuple[dict[str, Stream], np.ndarray]:
    """Planted problems: "unique" (one column tells), "redundant" (both do), "noise" (neither), "imbalanced" (1 : 30)."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < (1 / 30 if kind == "imbalanced" else 0.5)).astype(np.int64)
    y[:4] = [0, 1, 0, 1]
    tell = lambda: np.outer(2 * y - 1, rng.normal(size=12)) + 2 * rng.normal(size=(n, 12))  # noqa: E731
    noise = lambda: rng.normal(size=(n, 70))  # noqa: E731
    left = noise() if kind == "noise" else tell()
    right = tell() if kind == "redundant" else noise()
    return {c: Stream(x.astype(np.float32), np.ones(n, bool)) for c, x in (("left", left), ("right", right))}, y


@pytest.mark.parametrize("kind", ["unique", "redundant", "noise", "imbalanced"])
def test_what_it_chooses_is_not_below_the_best_column_nor_the_plain_learner_nor_nothing(kind: str) -> None:
    streams, y = table(kind)
    half = 180
    first = {c: Stream(s.x[:half], s.present[:half]) for c, s in streams.items()}
    task = Task("category", 2)
    rest = linear.tensors({c: Stream(s.x[half:], s.present[half:]) for c, s in streams.items()})
    truth = torch.from_numpy(y[half:])

    def loss(spec: dict[str, Any], columns: list[str]) -> float:
        with torch.no_grad():
            out = LEARNERS.build(spec)({c: rest[c] for c in columns})
        return float(torch.nn.functional.cross_entropy(out, truth))

    def learn(part, columns):
        return LEARNERS.complete(part, {c: first[c] for c in columns}, y[:half], task=task, folds=thirds(half), seed=0)

    found = learn(AUTO, ["left", "right"])
    mine = loss(found, ["left", "right"])
    others = [loss(learn("logistic", columns), columns) for columns in (["left"], ["right"], ["left", "right"])]
    nothing = float(torch.nn.functional.cross_entropy(prior_of(y[:half], task).expand(half, 2), truth))
    assert mine < min(*others, nothing) + 0.05, (mine, others, nothing, found["board"][:3])
    board = found["board"]
    losses = [entry["loss"] for entry in board[1:]]
    assert "knowing nothing" in {entry["name"] for entry in board} and losses == sorted(losses)


def test_one_column_and_missing_cells() -> None:
    streams, y = table("unique")
    streams["left"].present[::3] = False
    spec = LEARNERS.complete(AUTO, {"left": streams["left"]}, y, task=Task("category", 2), folds=thirds(360), seed=0)
    with torch.no_grad():
        out = LEARNERS.build(spec)(linear.tensors({"left": streams["left"]}))
    gone = out[::3]
    assert torch.allclose(gone, gone[:1].expand_as(gone)) and out.isfinite().all()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"rule": "stak"}, UnknownNameError, "stack"),
        ({"on": "al"}, UnknownNameError, "all"),
        ({"members": ["x"]}, PlaitError, "x"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, Any], error: type[Exception], text: str) -> None:
    streams, y = table("unique", 60)
    with pytest.raises(error, match=text):
        LEARNERS.complete({"name": "blend", **options}, streams, y, task=Task("category", 2), folds=thirds(60), seed=0)
