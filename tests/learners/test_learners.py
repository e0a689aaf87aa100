"""Learners of fixed vectors: each against its formula or scikit-learn, with missing streams, and through a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from plait.errors import PlaitError
from plait.learners import LEARNERS
from plait.learning import folds
from plait.nn import linear
from plait.nn.linear import Stream, Task
from plait.spec import dumps, loads

CLASSES = 3
INPUTS = ["note", "size", "place"]
every_learner = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "mlp" else n for n in LEARNERS]
)
ONE: dict[str, dict[str, Any]] = {  # an option of each
    "logistic": {"c": 3.0},
    "ridge": {"power": 0.0},
    "svm": {"l1": 0.01},
    "kernel": {"ridge": [0.1]},
    "knn": {"k": 3},
    "trees": {"leaves": 5},
    "prototypes": {"temperature": 0.05},
    "blend": {"rule": "mean"},
    "mlp": {"hidden": 32},
    "fused": {"fusion": "concat"},
}
KINDS = ["category", "labels", "number"]
NO_NUMBERS = pytest.mark.skip(reason="prototypes are means of classes; a number has none, and the learner says so")
every_kind_of_learner = pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(
            n, k, marks=[pytest.mark.slow] * (n == "mlp") + [NO_NUMBERS] * ((n, k) == ("prototypes", "number"))
        )
        for n in LEARNERS
        for k in KINDS
    ],
)


def planted(kind: str, n: int = 240, seed: int = 0, missing: float = 0.2) -> tuple[dict[str, Stream], np.ndarray, Task]:
    """Three columns: a wide one and a narrow one that tell of the label, and a wide one of noise; cells missing at random."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 4))
    wide = np.hstack([hidden, rng.normal(size=(n, 2))]) @ rng.normal(size=(6, 80)) + 0.1 * rng.normal(size=(n, 80))
    parts = {"wide": wide, "narrow": hidden[:, :3] + 0.3 * rng.normal(size=(n, 3)), "noise": rng.normal(size=(n, 70))}
    present = {c: rng.random(n) >= missing for c in parts}
    streams = {c: Stream((x * present[c][:, None]).astype(np.float32), present[c]) for c, x in parts.items()}
    if kind == "category":
        return streams, hidden[:, :CLASSES].argmax(1), Task("category", CLASSES)
    if kind == "labels":
        return streams, (hidden[:, :CLASSES] > 0).astype(np.float32), Task("labels", CLASSES)
    return streams, hidden[:, 0].astype(np.float32), Task("number")


def thirds(n: int) -> Any:
    fold = np.arange(n) % 3
    return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(3)]


def learned(name: str, kind: str, **options: Any) -> dict[str, Any]:
    streams, y, task = planted(kind)
    return LEARNERS.complete({"name": name, **options}, streams, y, task=task, folds=thirds(len(y)), seed=0)


def answer(spec: dict[str, Any], streams: dict[str, Stream]) -> np.ndarray:
    with torch.no_grad():
        return LEARNERS.build(spec)(linear.tensors(streams)).numpy()


@every_kind_of_learner
def test_a_learner_beats_knowing_nothing_by_far_on_rows_it_has_not_seen(name: str, kind: str) -> None:
    streams, y, task = planted(kind, n=480)
    first = {c: Stream(s.x[:240], s.present[:240]) for c, s in streams.items()}
    spec = LEARNERS.complete({"name": name}, first, y[:240], task=task, folds=thirds(240), seed=0)
    new, truth = {c: Stream(s.x[240:], s.present[240:]) for c, s in streams.items()}, y[240:]
    out = answer(spec, new)
    if kind == "category":
        assert out.shape == (240, CLASSES) and (out.argmax(1) == truth).mean() > 0.6  # by chance 1/3
    elif kind == "labels":
        assert out.shape == (240, CLASSES) and ((out > 0) == (truth > 0)).mean() > 0.65
    else:
        assert out.shape == (240,) and np.mean((out - truth) ** 2) < 0.55 * truth.var()


@every_kind_of_learner
def test_a_spec_goes_through_json_and_rows_do_not_depend_on_each_other(name: str, kind: str) -> None:
    spec = learned(name, kind)
    streams, _, _ = planted(kind, seed=5)
    whole = answer(loads(dumps(spec)), streams)
    assert np.array_equal(whole, answer(spec, streams))
    for row in (0, 17, 101):
        one = {c: Stream(s.x[row : row + 1], s.present[row : row + 1]) for c, s in streams.items()}
        assert np.allclose(answer(spec, one)[0], whole[row], atol=1e-4)
    nothing = {c: Stream(np.zeros_like(s.x[:2]), np.zeros(2, bool)) for c, s in streams.items()}
    assert np.isfinite(answer(spec, nothing)).all()


@every_learner
def test_the_same_seed_learns_the_same(name: str) -> None:
    assert dumps(learned(name, "category")) == dumps(learned(name, "category"))


@every_learner
def test_noise_counts_least(name: str) -> None:
    weights = LEARNERS.build(learned(name, "category")).weights()
    if weights is not None:
        assert weights["noise"] < 0.2 < weights["narrow"] and max(weights.values()) == 1.0


def test_alignment_is_the_formula_of_cortes() -> None:
    streams, y, task = planted("category", missing=0.0)
    scales = linear.alignment(streams, y, task, power=1.0)
    n = len(y)
    centre = np.eye(n) - 1 / n
    goal = np.eye(CLASSES)[y]
    found = {}
    for column, s in streams.items():
        x = s.x.astype(np.float64)
        x = x / np.linalg.norm(x, axis=1, keepdims=True) if x.shape[1] >= linear.ROWWISE else x / x.shape[1] ** 0.5
        k, target = centre @ x @ x.T @ centre, centre @ goal @ goal.T @ centre
        found[column] = (k * target).sum() / np.sqrt((k * k).sum() * (target * target).sum())
    mean = np.mean(list(found.values()))
    for column in streams:
        assert scales[column] ** 2 == pytest.approx(found[column] / mean, rel=1e-4)


def test_logistic_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    streams, y, task = planted("category")
    x = linear.joined(linear.tensors(streams), {c: 1.0 for c in streams}, list(streams))
    w, b = linear.fit(x, torch.from_numpy(y), task, "log", c=3.0)
    own = (x @ w + b).softmax(1).numpy()
    theirs = LogisticRegression(C=3.0, max_iter=5000, tol=1e-8).fit(x.numpy(), y).predict_proba(x.numpy())
    assert np.abs(own - theirs).max() < 2e-3


@pytest.mark.parametrize("rows", [40, 240])  # fewer and more than features
def test_ridge_is_that_of_scikit_learn(rows: int) -> None:
    from sklearn.linear_model import Ridge

    streams, y, task = planted("number", n=rows)
    x = linear.joined(linear.tensors(streams), {c: 1.0 for c in streams}, [])
    w, b = linear.fit(x, torch.from_numpy(y), task, "squared", c=2.0)
    theirs = Ridge(alpha=1 / 4).fit(x.double().numpy(), y.astype(np.float64))
    assert np.allclose(w[:, 0].numpy(), theirs.coef_, atol=1e-4) and b.item() == pytest.approx(
        theirs.intercept_, abs=1e-4
    )


def test_the_hinge_is_that_of_liblinear() -> None:
    from sklearn.svm import LinearSVC

    streams, y, task = planted("category")
    x = linear.joined(linear.tensors(streams), {c: 1.0 for c in streams}, [])
    w, b = linear.fit(x, torch.from_numpy(y), task, "hinge", c=0.5)
    theirs = LinearSVC(C=0.5, tol=1e-8, max_iter=100_000, intercept_scaling=100.0).fit(x.numpy(), y)
    assert np.abs((x @ w + b).numpy() - theirs.decision_function(x.numpy())).max() < 0.05


def test_an_l1_penalty_makes_weights_zero_as_scikit_learn_does() -> None:
    from sklearn.linear_model import LogisticRegression

    streams, y, task = planted("category")
    x = linear.joined(linear.tensors(streams), {c: 1.0 for c in streams}, [])
    w, _ = linear.fit(x, torch.from_numpy(y), task, "log", c=1e6, l1=2.0)
    theirs = LogisticRegression(C=0.5, l1_ratio=1.0, solver="saga", max_iter=20_000, tol=1e-6).fit(x.numpy(), y)
    zero, also = w.numpy().T == 0, theirs.coef_ == 0
    assert 0.2 < zero.mean() < 0.99 and (zero == also).mean() > 0.95


def test_the_space_of_the_rows_gives_the_same_model() -> None:
    streams, y, task = planted("category", n=60)
    x = linear.joined(linear.tensors(streams), {c: 1.0 for c in streams}, [])
    turned = linear.small(x)
    assert turned.shape == (60, 60)
    outs = []
    for z in (x, turned):
        w, b = linear.fit(z, torch.from_numpy(y), task, "log", c=1.0)
        outs.append((z @ w + b).numpy())
    assert np.abs(outs[0] - outs[1]).max() < 5e-3


@pytest.mark.slow
def test_kernels_and_networks_and_trees_solve_what_a_line_cannot() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 400))
    x = {
        c: Stream((2.0 * v[:, None] - 1 + 0.1 * rng.normal(size=(400, 2))).astype(np.float32), np.ones(400, bool))
        for c, v in (("a", a), ("b", b))
    }
    y, task = (a ^ b).astype(np.int64), Task("category", 2)
    score = {}
    for name in LEARNERS:
        given = {} if name in ("trees", "blend", "fused") else {"power": 0.0}
        spec = LEARNERS.complete({"name": name, **given}, x, y, task=task, folds=thirds(400), seed=0)
        score[name] = (answer(spec, x).argmax(1) == y).mean()
    assert min(score[n] for n in ("kernel", "knn", "mlp", "trees", "fused")) > 0.97, score
    assert max(score[n] for n in ("logistic", "ridge", "svm", "prototypes", "blend")) < 0.7, score


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_hold_every_row_out_once_and_no_group_twice(grouped: bool) -> None:
    rng = np.random.default_rng(0)
    parts = rng.choice([0, 1, 2], 300)
    rows = np.flatnonzero(parts < 2)
    groups = [f"g{g}" for g in rng.integers(0, 30, len(rows))] if grouped else None
    classes = rng.integers(0, 4, len(rows))
    pairs = folds(parts, rows, groups, classes, {"column": None, "time": None, "group": "g" if grouped else None}, 0)
    assert len(pairs) == 5 and sorted(np.concatenate([h for _, h in pairs]).tolist()) == list(range(len(rows)))
    for train, held in pairs:
        assert not set(train.tolist()) & set(held.tolist())
        if groups is not None:
            assert not {groups[i] for i in train} & {groups[i] for i in held}
        share = np.bincount(classes[held], minlength=4) / np.bincount(classes, minlength=4)
        assert (np.abs(share - 0.2) < (0.12 if grouped else 0.04)).all()
    fixed = folds(parts, rows, None, classes, {"column": "part", "time": None, "group": None}, 0)
    assert len(fixed) == 1 and (parts[rows][fixed[0][1]] == 1).all() and (parts[rows][fixed[0][0]] == 0).all()


@pytest.fixture
def table() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(120):
        kind = "abc"[i % 3]
        rows.append(
            {
                "note": {"a": "red apple", "b": "blue sky", "c": "green leaf"}[kind] + f" number {i}"
                if i % 7
                else None,
                "size": float({"a": 1, "b": 5, "c": 9}[kind] + rng.normal()),
                "place": {"a": "x", "b": "y", "c": "x"}[kind],
                "kind": kind,
                "price": float({"a": 10, "b": 50, "c": 90}[kind] + rng.normal()),
            }
        )
    return rows


@every_learner
def test_a_fit_by_a_learner_goes_through_its_folder(name: str, table: list[dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "model"
    targets = ["kind"] if name == "prototypes" else ["kind", "price"]  # prototypes answer no numbers
    model = plait.fit(table, targets, inputs=INPUTS, learner=name, encoders="classic", out=out, quiet=True)
    assert model.figures["kind"]["accuracy"] == 1.0
    assert name == "prototypes" or (model.figures["price"]["r2"] or 0) > 0.8
    again = plait.load(out)
    other = plait.fit(table, "kind", learner={"name": name, **ONE[name]}, encoders="classic", quiet=True)
    assert other.figures["kind"]["accuracy"] == 1.0
    rows = [{"note": "blue sky"}, {"size": 9.0, "place": "x"}, {}]
    first, second = model.predict(rows), again.predict(rows)
    assert first.equals(second) and list(first.kind)[:2] == ["b", "c"]
    assert again.embed(rows).shape[0] == 3 and np.isfinite(again.embed(rows)).all()
    assert name in again.summary(table)


def test_encoders_to_be_trained_are_refused_before_any_work(table: list[dict[str, Any]]) -> None:
    with pytest.raises(PlaitError, match=r"text_transformer.*has to be trained.*encoders='classic'"):
        plait.fit(
            table,
            "kind",
            inputs=["note", "size"],
            learner="logistic",
            encoders={"note": "text_transformer"},
            quiet=True,
        )
    with pytest.raises(PlaitError, match="Did you mean 'logistic'"):
        plait.fit(table, "kind", learner="logistik", quiet=True)
    with pytest.raises(PlaitError, match="Did you mean 'classic'"):
        plait.fit(table, "kind", encoders="clasic", quiet=True)


def by_hand(x: np.ndarray, y: np.ndarray, new: np.ndarray, shrink: float, temperature: float) -> np.ndarray:
    """Mensink's and Snell's formula, row by row, class by class."""
    logits = np.zeros((len(new), CLASSES))
    for c in range(CLASSES):
        own = x[y == c]
        mean = (own.sum(0) + shrink * x.mean(0)) / (len(own) + shrink)
        share = (len(own) + 1) / (len(x) + CLASSES)
        logits[:, c] = [-np.sum((row - mean) ** 2) / temperature + np.log(share) for row in new]
    return logits


def whole(streams: dict[str, Stream], spec: dict[str, Any]) -> np.ndarray:
    """The joined streams, rows with some missing as long as the others."""
    x = linear.joined(linear.tensors(streams), spec["scales"], spec["flags"]).double().numpy()
    there = sum(streams[c].present * scale**2 for c, scale in spec["scales"].items())
    return x / np.sqrt(np.where(there > 0, there, 1.0))[:, None]


def test_prototypes_are_the_formula_of_snell() -> None:
    streams, y, task = planted("category")
    spec = learned("prototypes", "category", shrink=2.0, temperature=0.3, prior=1.0)
    x = whole(streams, spec)
    assert np.abs(answer(spec, streams) - by_hand(x, y, x, 2.0, 0.3)).max() < 1e-4


def test_prototypes_of_labels_are_those_of_one_against_the_rest() -> None:
    streams, y, _ = planted("labels")
    spec = learned("prototypes", "labels", shrink=0.0, temperature=0.5, prior=0.0)
    out = answer(spec, streams)
    x = whole(streams, spec)
    for label in range(CLASSES):
        has = y[:, label] > 0
        far, near = (((x - x[rows].mean(0)) ** 2).sum(1) for rows in (~has, has))
        assert np.abs(out[:, label] - (far - near) / 0.5).max() < 1e-4


def test_prototypes_are_those_of_scikit_learn_where_nothing_is_shrunk() -> None:
    from sklearn.neighbors import NearestCentroid

    streams, y, _ = planted("category")
    spec = learned("prototypes", "category", shrink=0.0, prior=0.0)
    x = whole(streams, spec)
    theirs = NearestCentroid().fit(x, y).predict(x)
    assert (answer(spec, streams).argmax(1) == theirs).mean() > 0.995


def test_prototypes_choose_what_says_most_of_rows_held_out() -> None:
    streams, y, task = planted("category")
    spec = learned("prototypes", "category", prior=1.0, shrink=[0.0, 200.0])
    x = whole(streams, spec)
    losses = {}
    for shrink in (0.0, 200.0):
        for temperature in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0):
            logits = [by_hand(x[a], y[a], x[b], shrink, temperature) for a, b in thirds(len(y))]
            shown = np.concatenate([y[b] for _, b in thirds(len(y))])
            out = np.concatenate(logits)
            log = (
                out - np.log(np.exp(out - out.max(1, keepdims=True)).sum(1, keepdims=True)) - out.max(1, keepdims=True)
            )
            losses[shrink, temperature] = -log[np.arange(len(y)), shown].sum()
    shrink, temperature = min(losses, key=lambda pair: losses[pair])
    assert spec["sharpness"] == pytest.approx(1 / temperature)
    assert np.abs(answer(spec, streams) - by_hand(x, y, x, shrink, temperature)).max() < 2e-3


def test_prototypes_see_how_large_numbers_are() -> None:
    """Classes that lie in one direction, each further than the one before: at unit length they would be one."""
    random = np.random.default_rng(0)
    y = np.arange(300) % 6
    x = (y[:, None] + 0.1 * random.standard_normal((300, 2))).astype(np.float32)
    streams, task = {"x": Stream(x, np.ones(300, bool))}, Task("category", 6)
    spec = LEARNERS.complete("prototypes", streams, y, task=task, folds=thirds(300), seed=0)
    assert (answer(spec, streams).argmax(1) == y).mean() > 0.99


def test_prototypes_learn_from_one_row_a_class_and_say_no_to_numbers() -> None:
    streams, y, task = planted("category", missing=0.0)
    rows = np.array([int(np.flatnonzero(y == c)[0]) for c in range(CLASSES)])
    few = {c: Stream(s.x[rows], s.present[rows]) for c, s in streams.items()}
    alone = [(np.delete(np.arange(3), i), np.array([i])) for i in range(3)]
    spec = LEARNERS.complete("prototypes", few, y[rows], task=task, folds=alone, seed=0)
    assert spec["sharpness"] == 10.0  # nothing could be chosen by
    assert (answer(spec, few).argmax(1) == y[rows]).all()
    streams, y, task = planted("number")
    with pytest.raises(PlaitError, match=r"no classes\. Take 'knn', 'ridge' or 'kernel'"):
        LEARNERS.complete("prototypes", streams, y, task=task, folds=thirds(len(y)), seed=0)
    with pytest.raises(PlaitError, match="temperature=0"):
        learned("prototypes", "category", temperature=0)
