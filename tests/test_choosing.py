"""What plait chooses by itself: when it does, what it says to contradictions, its floor; that the model is a normal one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait.choosing import FAST, LARGE, encoders_for, top_for
from plait.data.schema import Column, Schema
from plait.errors import PlaitError, UnknownNameError
from plait.presets import choose
from plait.progress import Progress
from plait.request import read_specs


def planted(kind: str, n: int = 240, seed: int = 0) -> pd.DataFrame:
    """A class told by "useful" and, where kind is "redundant", by "other" too; "bent": by the product of both; "few": 30 rows;
    "lopsided": 1 row in 15."""
    rng = np.random.default_rng(seed)
    n = 30 if kind == "few" else n
    useful, other = rng.normal(size=n), rng.normal(size=n)
    told = useful * other if kind == "bent" else useful - (1.5 if kind == "lopsided" else 0)
    if kind == "redundant":
        other = useful + 0.1 * other
    label = np.where(told + 0.2 * rng.normal(size=n) > 0, "yes", "no")
    noise = {f"noise{i}": rng.normal(size=n) for i in range(3)}
    return pd.DataFrame({"useful": useful, "other": other, **noise, "word": rng.choice(["a", "b"], n), "kind": label})


def fit(frame: Any, **options: Any) -> Any:
    return plait.fit(frame, "kind", quiet=True, **options)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (None, FAST)),
        ({"preset": "fast"}, (None, FAST)),
        ({"rows": LARGE + 1}, (None, None)),
        ({"preset": "fast", "rows": LARGE + 1}, (None, FAST)),
        ({"fusion": "concat"}, ("concat", None)),
        ({"learner": "knn"}, (None, "knn")),
        ({"said": {"epochs": 3}}, (None, None)),
    ],
    ids=str,
)
def test_when_it_chooses(given: dict[str, Any], expected: tuple[Any, Any]) -> None:
    settings: dict[str, Any] = {
        "preset": None,
        "fusion": None,
        "learner": None,
        "said": {},
        "rows": 100,
        "kinds": ["number", "text"],
    }
    settings |= given
    first = [settings.pop(k) for k in ("preset", "fusion", "learner", "said")]
    found = top_for(*first, **settings)
    assert found == expected


def test_without_the_libraries_of_a_column_the_loop_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.presets.find", lambda name: None)
    monkeypatch.setattr("plait.presets.find_spec", lambda name: None)
    assert top_for(None, None, None, {}, rows=9, kinds=["text", "number"]) == (None, None)
    assert top_for(None, None, None, {}, rows=9, kinds=["series", "number"]) == (None, FAST)


@pytest.mark.parametrize(
    ("encoders", "fusion"),
    [
        ({"note": "text_transformer", "size": "number_periodic"}, "average"),
        ({"note": "text_tfidf", "size": "number_periodic"}, "gated"),
        ({"note": ["text_tfidf", "text_recurrent"], "size": "number_scaled"}, "average"),
        ({"pictures": "image_set", "size": "number_scaled"}, "average"),
        ({"pictures": {"name": "image_set", "encoder": "image_hog"}, "size": "number_scaled"}, "gated"),
        ({"size": "number_linear"}, "average"),
    ],
    ids=str,
)
def test_columns_learn_by_themselves_where_a_deep_network_knows_nothing(encoders: Any, fusion: str) -> None:
    kinds = {"note": "text", "size": "number", "pictures": "images"}
    columns = [Column(c, kinds[c], "input", "") for c in encoders] + [Column("kind", "category", "target", "")]
    specs = read_specs(Schema(tuple(columns)), encoders, None, {}, None, Progress(quiet=True))
    assert specs["fusion"] == {"name": fusion}


def test_balanced_and_best_take_all_networks_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ["all-MiniLM-L6-v2", "gemma-3-270m"]
    monkeypatch.setattr("plait.presets.find", lambda name: name in here)
    each = [{"name": "text_pretrained", "weights": name} for name in here]
    kinds = {"note": "text", "size": "number"}
    chosen, _ = choose(kinds, encoders_for("balanced", "auto"), fixed=True)
    assert chosen == {"note": {"name": "text_union", "parts": each}, "size": "number_scaled"}
    assert choose(kinds, encoders_for("fast", "auto"), fixed=True)[0]["note"] == each[0]
    here.pop()
    assert choose(kinds, encoders_for("best", "auto"), fixed=True)[0]["note"] == each[0]
    assert encoders_for("best", {"note": "text_tfidf"}) == {"note": "text_tfidf"}


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"preset": "fastt"}, UnknownNameError, "fast"),
        ({"preset": "fast", "fusion": "concat"}, PlaitError, "fusion is given too"),
        ({"preset": "fast", "learner": "knn", "epochs": 2}, PlaitError, "learner and epochs are given too"),
        ({"learner": {"name": "blend", "search": -5}}, PlaitError, "search is -5; expected a whole number"),
    ],
)
def test_contradictions_are_said(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        fit(planted("unique", 60), **options)


def test_the_model_is_a_normal_one_and_keeps_its_leaderboard(tmp_path: Path) -> None:
    frame = planted("redundant", 150)
    model = fit(frame, out=tmp_path / "m")
    board = model.leaderboard["kind"]
    assert board[0]["loss"] < next(e["loss"] for e in board if e["name"] == "knowing nothing")
    assert {"logistic of all columns", "logistic of useful", "kernel of all columns"} <= {e["name"] for e in board}
    again = plait.load(tmp_path / "m")
    rows = [*frame.drop(columns="kind").head(5).to_dict("records"), {"useful": 3.0}, {}]
    pd.testing.assert_frame_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert again.leaderboard == model.leaderboard
    twin = fit(frame, out=tmp_path / "twin")
    plain = [[{k: v for k, v in e.items() if k != "seconds"} for e in m.leaderboard["kind"]] for m in (model, twin)]
    assert plain[0] == plain[1] and all(e["seconds"] > 0 for e in board if e["name"] != "knowing nothing")
    for name in (
        "kernel of all columns",
        "logistic of useful",
        "weights over each column alone",
        "product over every member",
    ):
        entry = next(e for e in board if e["name"] == name)
        alone = fit(frame, inputs=entry["inputs"], learner=entry["learner"])  # the same candidate, a model of its own
        single = alone.spec["learner"]["kind"]
        assert single["name"] == (name.split()[0] if "over" not in name else "blend")
        if "over" in name:
            assert single["joint"] == entry["rule"] and len(single["experts"]) == len(entry["members"])
    page = (tmp_path / "m" / "report.html").read_text()
    assert "What was tried" in page and "kernel of all columns" in page and board[0]["why"] in page
    kept = [(tmp_path / n / "facts.safetensors").read_bytes() for n in ("m", "twin")]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("kind", ["unique", "redundant", "bent", "few", "lopsided"])
def test_it_is_not_below_plain_logistic_regression_nor_the_best_column_nor_the_majority(kind: str) -> None:
    frame = planted(kind, 300)
    test = planted(kind if kind != "few" else "unique", 600, seed=1)
    loss = lambda model: model.evaluate(test).targets["kind"].figures[tuple(model.inputs)]["log_loss"]["value"]  # noqa: E731
    options: dict[str, Any] = {"split": {"valid": 0.0, "test": 0.0}}
    mine = loss(fit(frame, **options))
    plain = loss(fit(frame, learner="logistic", **options))
    best = loss(fit(frame, inputs=["useful"], learner="logistic", **options))
    share = (frame.kind == "yes").mean()
    nothing = -(np.log(share) * (test.kind == "yes") + np.log(1 - share) * (test.kind == "no")).mean()
    slack = 0.25 if kind == "few" else 0.04  # 30 rows, all of them told apart by every candidate
    assert mine < min(plain, best, nothing) + slack, (mine, plain, best, nothing)
    if kind == "bent":
        assert mine < 0.75 * plain  # what no plane can do


def test_a_time_limit_ends_the_trying_and_there_is_a_model_all_the_same() -> None:
    model = fit(planted("unique", 150), time_limit=0.01)
    assert model.leaderboard["kind"][0]["name"] == "logistic of all columns" and len(model.leaderboard["kind"]) <= 2
    assert model.figures["kind"]["accuracy"] > 0.7


@pytest.mark.parametrize("target", ["size", "tags"])
def test_numbers_and_sets_of_labels(target: str) -> None:
    frame = planted("unique", 150)
    frame["size"] = 10 * frame.useful + 3
    frame["tags"] = [["up"] * (u > 0) + ["other"] * (o > 0) for u, o in zip(frame.useful, frame.other)]
    model = plait.fit(frame, target, inputs=["useful", "other", "noise0"], quiet=True)
    figures = model.figures[target]
    assert figures["r2"] > 0.95 if target == "size" else figures["f1_micro"] > 0.85


def test_comparisons_are_refused_in_one_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for run in (plait.compare, plait.shots):
        with pytest.raises(PlaitError, match="Start it without torchrun"):
            run(planted("unique", 40), "kind", quiet=True)
