"""plait.compare of fusions: what stands in it, that trials are kept, and the statistics against scipy and closed forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait.comparing.contest import Contest
from plait.comparing.standing import holm, tail
from plait.errors import PlaitError, UnknownNameError
from plait.fusion import EACH

SOME = ["concat", "average", "logistic", {"name": "blend", "rule": "product"}]


def planted(n: int = 240, seed: int = 0) -> pd.DataFrame:
    """Two number columns that tell of the class together, a third of noise; a tenth of the cells missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    frame = pd.DataFrame(x, columns=["left", "right", "noise"]).mask(rng.random((n, 3)) < 0.1)
    frame["kind"] = np.where(x[:, 0] + x[:, 1] + 0.3 * rng.normal(size=n) > 0, "up", "down")
    return frame


def compared(frame: pd.DataFrame, **options: Any) -> Any:
    settings: dict[str, Any] = {"fusions": SOME, "seeds": 2, "epochs": 2, "quiet": True, "jobs": 1}
    return plait.compare(frame, "kind", **{**settings, **options})


@pytest.fixture(scope="module")
def found() -> Any:
    return compared(planted())


def test_every_entry_stands_with_its_figures_and_costs(found: Any) -> None:
    facts = found.to_json()
    names = [e["name"] for e in facts["entries"]]
    alone = [f"{c} alone, {way}" for c in ("left", "right", "noise") for way in ("logistic", EACH)]
    assert sorted(names) == sorted([*alone, "concat", "average", "logistic", "blend, rule=product"])
    values = [e["value"] for e in facts["entries"]]
    assert values == sorted(values, reverse=True)
    for entry in facts["entries"]:
        assert entry["low"] <= entry["value"] <= entry["high"] and len(entry["seeds"]) == 2
        assert np.isclose(np.mean(entry["seeds"]), entry["value"])
        assert entry["seconds"] > 0 and entry["rows_per_second"] > 0 and entry["parameters"] > 0
    json.dumps(facts, allow_nan=False)
    assert facts["advice"] in str(found)


def test_the_planted_truth_is_what_comes_out(found: Any) -> None:
    facts = found.to_json()
    by = {e["name"]: e for e in facts["entries"]}
    assert by["logistic"]["value"] > 0.85 > 0.7 > by["noise alone, logistic"]["value"]
    assert by["logistic"]["value"] > by[facts["best_alone"]]["value"] + 0.05
    curves = {(c["column"], c["how"]): c for c in by["logistic"]["missing"]["curves"]}
    assert curves["noise", "at random"]["left"] > 0.9
    assert curves["left", "at random"]["left"] < 0.95
    every = curves[None, "at random"]["values"]
    assert every[0] == pytest.approx(by["logistic"]["value"]) and every[-1] < every[0] - 0.2


def test_differences_are_paired_and_against_the_best_input_alone(found: Any) -> None:
    facts = found.to_json()
    by = {e["name"]: e for e in facts["entries"]}
    entry, alone = by["logistic"], by[facts["best_alone"]]
    assert entry["over_alone"]["value"] == pytest.approx(np.mean(np.subtract(entry["seeds"], alone["seeds"])))
    assert "over_alone" not in alone and "over_plain" not in by[facts["plain"]]


def test_trials_are_kept_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, ran = planted(120), []
    run = Contest.trial

    def counted(self: Contest, entry: Any, place: int) -> Any:
        ran.append((entry.name, place))
        if len(ran) == 5:
            raise KeyboardInterrupt
        return run(self, entry, place)

    monkeypatch.setattr(Contest, "trial", counted)
    with pytest.raises(KeyboardInterrupt):
        compared(frame, keep=tmp_path / "kept")
    done = compared(frame, keep=tmp_path / "kept")
    assert len(ran) == 20 + 1 and len(set(ran)) == 20
    again = compared(frame, keep=tmp_path / "kept")
    assert len(ran) == 21 and again.to_json() == done.to_json()
    more = compared(frame, keep=tmp_path / "kept", seeds=3)
    assert len(ran) == 31 and len(more.to_json()["entries"][0]["seeds"]) == 3
    compared(planted(120, seed=1), keep=tmp_path / "kept")
    assert len(ran) == 31 + 20  # other data, other trials


def test_two_processes_say_what_one_says() -> None:
    frame = planted(120)
    one, two = (compared(frame, fusions=["concat", "logistic"], jobs=j).to_json() for j in (1, 2))
    for a, b in zip(sorted(one["entries"], key=lambda e: e["name"]), sorted(two["entries"], key=lambda e: e["name"])):
        assert a["name"] == b["name"] and np.allclose(a["seeds"], b["seeds"], atol=0.021)  # a row of the test part


def test_a_way_that_breaks_is_told_and_the_others_go_on() -> None:
    facts = compared(
        planted(120), fusions=["concat", {"name": "blend", "rule": "mean", "members": ["no such"]}]
    ).to_json()
    assert [e["name"] for e in facts["not_tried"]] == ["blend, rule=mean, members=['no such']"]
    assert "no such" in facts["not_tried"][0]["error"] and "concat" in {e["name"] for e in facts["entries"]}


def test_one_input_is_no_fusion_and_is_said_so() -> None:
    found = compared(planted(120), inputs=["left"], fusions=["concat", "logistic"])
    assert "one input only" in found.facts["advice"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"fusions": ["conkat"]}, UnknownNameError, "Did you mean 'concat'"),
        ({"fusions": [{"name": "concat", "drop": 1}]}, UnknownNameError, "drop"),
        ({"fusions": ["concat", "concat"]}, PlaitError, "twice"),
        ({"seeds": 0}, PlaitError, "seeds is 0"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        compared(planted(60), **options)


@pytest.mark.parametrize("freedom", [1, 2, 4, 30, 1000])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 8.0])
def test_tail_is_students(t: float, freedom: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-4, abs=1e-9)


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]  # against .05 / 4, / 3, then .03 > .05 / 2
    assert holm([0.2]) == [False] and holm([0.049]) == [True] and holm([]) == []
