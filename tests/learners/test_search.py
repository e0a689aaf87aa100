"""A search over learners: what it keeps, whose turn it is, that nothing is lost when it is cut short; and what it finds."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.test_choosing import planted
from torch import Tensor

import plait
from plait.learners import LEARNERS, search
from plait.learners.search import ALIKE, KEPT, SPACES, TRIES, kinds_for, signed
from plait.nn import linear
from plait.nn.linear import Stream, Task

COLUMNS = ["a", "b", "c"]
WIDTH = 0.7  # what is planted: the kernel of this width, without column c, is best


class Judge:
    """A made-up worth of each trial, and how often it was asked for."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[tuple[dict[str, Any], list[str]]] = []
        self.fails_at = fails_at

    def __call__(self, spec: dict[str, Any], columns: list[str]) -> Tensor:
        if len(self.asked) == self.fails_at:
            raise KeyboardInterrupt
        self.asked.append((spec, columns))
        if spec["name"] == "knn":
            raise ValueError("too few rows")
        worth = 1 + abs(np.log(spec["width"] / WIDTH)) if spec["name"] == "kernel" else 3.0
        return torch.tensor([worth + 0.3 * ("c" in columns)])


def run(judge: Judge, trials: int, *, kinds: tuple[str, ...] = ("kernel", "logistic", "knn"), **options: Any) -> Any:
    options = {"until": None, "seed": 0, **options}
    return search.search(kinds, COLUMNS, judge, lambda out: float(out[0]), trials=trials, **options)


def test_it_finds_what_is_best_and_keeps_the_best_first_not_too_many_alike() -> None:
    judge = Judge()
    found = run(judge, 60)
    assert len(judge.asked) == 60
    losses = [f.loss for f in found]
    assert losses == sorted(losses) and len(found) <= KEPT
    best = found[0]
    assert best.spec["name"] == "kernel" and best.columns == ["a", "b"]
    assert best.spec["width"] == pytest.approx(WIDTH, rel=0.15)
    assert sum(f.spec["name"] == "kernel" for f in found) == ALIKE
    assert min(f.loss for f in found) == min(float(Judge()(s, c)[0]) for s, c in judge.asked if s["name"] != "knn")


def test_those_far_behind_have_no_more_turns() -> None:
    judge = Judge()
    run(judge, 60)
    count = {k: sum(s["name"] == k for s, _ in judge.asked) for k in ("kernel", "logistic", "knn")}
    assert count["logistic"] == count["knn"] == TRIES and count["kernel"] == 60 - 2 * TRIES


def test_it_ends_when_trials_gain_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flat(Judge):
        def __call__(self, spec: dict[str, Any], columns: list[str]) -> Tensor:
            self.asked.append((spec, columns))
            return torch.tensor([2.0 if len(self.asked) < 5 else 1.0])

    monkeypatch.setattr(search, "PATIENCE", 12)
    judge = Flat()
    run(judge, 60, kinds=("kernel",))
    assert len(judge.asked) == 5 + 12  # the fifth gained; twelve more did not
    monkeypatch.setattr(search, "PATIENCE", 100)
    again = Flat()
    run(again, 30, kinds=("kernel",))
    assert len(again.asked) == 30


def test_what_was_tried_is_not_tried_again_and_the_end_is_the_same(tmp_path: Path) -> None:
    whole = Judge()
    expected = run(whole, 24, study=str(tmp_path / "whole.log"), sign="x")
    first, second = Judge(fails_at=9), Judge()
    with pytest.raises(KeyboardInterrupt):
        run(first, 24, study=str(tmp_path / "cut.log"), sign="x")
    found = run(second, 24, study=str(tmp_path / "cut.log"), sign="x")
    assert first.asked == whole.asked[:9] and second.asked == whole.asked[9:]
    assert [(f.spec, f.columns, f.loss) for f in found] == [(f.spec, f.columns, f.loss) for f in expected]
    third = Judge()
    again = run(third, 24, study=str(tmp_path / "cut.log"), sign="x")
    assert not third.asked and [f.spec for f in again] == [f.spec for f in expected]
    assert all(f.out is None for f in again)
    other = Judge()
    run(other, 5, study=str(tmp_path / "cut.log"), sign="other data")
    assert len(other.asked) == 5


def test_two_processes_share_a_search(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from plait.learners import search\n"
        "judge = lambda spec, columns: torch.tensor([spec['width']])\n"
        "found = search.search(['kernel'], ['a'], judge, lambda o: float(o[0]), trials=20, until=None, seed=int(sys.argv[2]),"
        " study=sys.argv[1], sign='s')\n"
        "print(min(f.loss for f in found))"
    )
    path = str(tmp_path / "study.log")
    both = [
        subprocess.Popen([sys.executable, "-c", code, path, seed], stdout=subprocess.PIPE, text=True) for seed in "12"
    ]
    said = [float(p.communicate(timeout=120)[0]) for p in both]
    assert [p.returncode for p in both] == [0, 0]
    judge = Judge()
    found = run(judge, 20, kinds=("kernel",), study=path, sign="s")
    assert not judge.asked and found[0].loss == min(said) == max(said)  # each ends with the trials of both
    run(judge, 25, kinds=("kernel",), study=path, sign="s")
    assert 3 <= len(judge.asked) <= 5  # two may begin the last one at once


def test_what_has_no_worth_is_not_kept_and_a_broken_file_is_mended_or_told(tmp_path: Path) -> None:
    found = search.search(
        ["kernel"],
        COLUMNS,
        Judge(),
        lambda out: float("nan") if float(out[0]) > 1.5 else float(out[0]),
        trials=12,
        until=None,
        seed=0,
        study=str(tmp_path / "s.log"),
    )
    assert found and all(np.isfinite(f.loss) for f in found)
    whole = (tmp_path / "s.log").read_bytes()
    (tmp_path / "s.log").write_bytes(whole[:-12])
    judge = Judge()
    run(judge, 20, kinds=("kernel",), study=str(tmp_path / "s.log"))
    run(judge, 20, kinds=("kernel",), study=str(tmp_path / "s.log"))
    assert 8 <= len(judge.asked) <= 9
    (tmp_path / "s.log").write_bytes(b"no search\n" + whole)
    with pytest.raises(plait.PlaitError, match=r"s\.log.*Delete it"):
        run(Judge(), 20, kinds=("kernel",), study=str(tmp_path / "s.log"))


def test_time_ends_it() -> None:
    judge = Judge()
    assert run(judge, 60, until=time.monotonic() - 1) == [] and not judge.asked


def test_one_search_is_told_from_another() -> None:
    x, y = np.ones((6, 2), np.float32), np.arange(6) % 2
    streams, folds = {"a": Stream(x, np.ones(6, bool))}, [(np.arange(3), np.arange(3, 6))]
    task = Task("category", 2)
    own = signed(streams, y, folds, task, 0)
    assert own == signed({"a": Stream(x.copy(), np.ones(6, bool))}, y.copy(), folds, task, 0)
    assert own != signed(streams, 1 - y, folds, task, 0) and own != signed(streams, y, folds, task, 1)
    assert own != signed({"a": Stream(2 * x, np.ones(6, bool))}, y, folds, task, 0)


@pytest.mark.parametrize("kind", SPACES)
def test_every_space_is_one_of_options_that_the_learner_takes(kind: str) -> None:
    optuna = pytest.importorskip("optuna")
    trial = optuna.create_study().ask()
    spec = {"name": kind, **SPACES[kind](trial)}
    LEARNERS.normal(spec)
    assert len(spec) > 1 and kinds_for([kind], 99)[0] == kind


def half_moons(kind: str, n: int = 240, seed: int = 0) -> tuple[dict[str, Stream], np.ndarray]:
    """Two columns of three numbers each; the label is whether their first numbers agree in sign ("xor"), or the first's."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, n, 3)).astype(np.float32)
    y = (x[0, :, 0] * x[1, :, 0] > 0) if kind == "xor" else x[0, :, 0] > 0
    return {c: Stream(x[i], np.ones(n, bool)) for i, c in enumerate("ab")}, y.astype(np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["gated", "concat", "progressive"])
def test_a_fusion_learns_what_only_both_columns_say(fusion: str) -> None:
    right = {}
    for spec in ({"name": "fused", "fusion": fusion}, {"name": "logistic"}):
        streams, y = half_moons("xor", 600)
        folds = [(np.arange(400), np.arange(400, 600))]
        done = LEARNERS.complete(spec, streams, y, task=Task("category", 2), folds=folds, seed=0)
        others, truth = half_moons("xor", 500, seed=1)
        with torch.no_grad():
            right[spec["name"]] = float(
                (LEARNERS.build(done)(linear.tensors(others)).argmax(1).numpy() == truth).mean()
            )
    assert right["fused"] > 0.85 and right["logistic"] < 0.6


def test_a_fusion_of_decisions_is_refused() -> None:
    streams, y = half_moons("one", 30)
    with pytest.raises(plait.PlaitError, match="one of decisions; expected one of concat"):
        LEARNERS.complete(
            {"name": "fused", "fusion": "average"}, streams, y, task=Task("category", 2), folds=[], seed=0
        )


@pytest.mark.slow
def test_the_whole_of_it_from_a_table_to_a_model_and_on_after_a_cut(tmp_path: Path) -> None:
    frame = planted("bent", 200)
    learner = {"name": "blend", "members": "auto", "on": "both", "rule": "auto", "search": 14}
    options: dict[str, Any] = {"inputs": ["useful", "other"], "learner": learner, "quiet": True}
    whole = plait.fit(frame, "kind", out=tmp_path / "whole", **options)
    code = (
        "import os, sys, plait\n"
        "from plait.learners import search\n"
        "space, count = search.SPACES['kernel'], []\n"
        "def cut(t):\n"
        "    count.append(1)\n"
        "    if len(count) == 3: os._exit(9)\n"
        "    return space(t)\n"
        "search.SPACES['kernel'] = cut\n"
        f"plait.fit(sys.argv[1], 'kind', out=sys.argv[2], **{options!r})"
    )
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True, double_precision=15)
    again = plait.fit(tmp_path / "t.jsonl", "kind", out=tmp_path / "again", **options)
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "t.jsonl"), str(tmp_path / "killed")])
    assert killed.returncode == 9 and (tmp_path / "killed.run" / "search-0.log").exists()
    after = plait.fit(tmp_path / "t.jsonl", "kind", out=tmp_path / "killed", **options)
    assert not (tmp_path / "killed.run").exists()
    assert after.leaderboard.keys() == again.leaderboard.keys() == whole.leaderboard.keys()
    tuned = [e["name"] for e in after.leaderboard["kind"] if "width=" in e["name"] or "fusion=" in e["name"]]
    assert tuned and after.figures["kind"]["accuracy"] > 0.75
