"""plait.shots: what is planted rises with the examples, draws are nested, all rows are a plain fit, and the page stands alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait import fewshot
from plait.comparing.bench import Bench
from plait.comparing.figures import over_splits
from plait.comparing.shotspage import places, shots_page
from plait.errors import OutputError, PlaitError
from tests.cli.test_cli import call
from tests.inspection.test_page import Tags

CLASSES = ["ash", "birch", "cedar"]
EVIL = '"><script>alert(1)</script>'
SPLIT = {"valid": 0.15, "test": 0.3}


def planted(n: int = 180, spread: float = 1.0, seed: int = 0, names: list[str] = CLASSES) -> pd.DataFrame:
    """Six numbers around a centre of their own for each class, so spread that one example is a poor prototype."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(len(names), 6))
    kinds = np.arange(n) % len(names)
    x = centres[kinds] + spread * random.normal(size=(n, 6))
    frame = pd.DataFrame(x, columns=[f"n{i}" for i in range(6)])
    return frame.assign(tree=[names[k] for k in kinds], wood=[f"w{i // 6}" for i in range(n)])


def shots_of(table: Any, target: Any = "tree", **options: Any) -> fewshot.Shots:
    inputs = options.pop("inputs", [f"n{i}" for i in range(6)])
    return plait.shots(table, target, **{"inputs": inputs, "split": SPLIT, "quiet": True, **options})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> fewshot.Shots:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return shots_of(planted(), seeds=3)


def test_curves_rise_from_above_chance_with_the_examples(found: fewshot.Shots) -> None:
    facts = found.to_json()
    assert [c["name"] for c in facts["curves"]] == list(fewshot.WAYS)
    assert [s["shots"] for s in facts["shots"]] == [1, 2, 4, 8, 16, None]
    assert [s["rows"] for s in facts["shots"]] == [3, 6, 12, 24, 48, 126]
    for curve in facts["curves"]:
        values = [p["value"] for p in curve["points"]]
        assert facts["floor"]["value"] < values[0] < values[-1] - 0.1, curve["name"]
        assert np.polyfit(range(6), values, 1)[0] > 0.02
        assert all(p["low"] <= p["value"] <= p["high"] for p in curve["points"])
        assert all(np.mean(p["seeds"]) == pytest.approx(p["value"]) for p in curve["points"])


@pytest.mark.parametrize("way", ["prototypes", "logistic"])
def test_all_rows_are_a_plain_fit_by_the_learner(found: fewshot.Shots, way: str) -> None:
    curve = next(c for c in found.to_json()["curves"] if c["name"] == way)
    for seed in range(3):
        frame = planted().drop(columns="wood")
        model = plait.fit(frame, "tree", learner=way, encoders="auto", split=SPLIT, seed=seed, quiet=True)
        assert model.figures["tree"]["accuracy"] == curve["points"][-1]["seeds"][seed]


def test_a_point_is_a_fit_of_the_rows_that_were_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Bench, np.ndarray]] = []

    def watched(bench: Bench, spec: Any, specs: Any, data: Any, parts: np.ndarray, place: int) -> Any:
        seen.append((bench, parts.copy()))
        return before(bench, spec, specs, data, parts, place)

    before = fewshot.made
    monkeypatch.setattr(fewshot, "made", watched)
    found = shots_of(
        planted(), ways="prototypes", shots=(1, 3, 5), seeds=[4], split={**SPLIT, "group": "wood"}
    ).to_json()
    last = np.zeros(0, int)
    wood = planted()["wood"].to_numpy()
    for (bench, parts), step in zip(seen, found["shots"], strict=True):
        rows = np.flatnonzero(parts == 0)
        kinds = np.array([CLASSES.index(c) for c in planted()["tree"]])[rows]
        assert np.bincount(kinds).tolist() == [step["shots"]] * 3 and set(last) <= set(rows)
        assert (parts[parts != 0] == -1).all() and (bench.parts[0][rows] == 0).all()
        test = bench.parts[0] == 2
        assert test.sum() == found["judged_rows"][0] and not set(wood[rows]) & set(wood[test])
        last = rows
    whole = planted().drop(columns="wood").assign(part=None, own=np.where(bench.parts[0] == 2, "test", ""))
    whole["part"] = ["train" if i in set(last) else "test" if own else None for i, own in enumerate(whole.pop("own"))]
    model = plait.fit(whole, "tree", learner={"name": "knn", "k": 1}, split="part", quiet=True)
    again = shots_of(
        planted(),
        ways=[{"name": "knn", "k": 1}],
        shots=[5],
        seeds=[4],
        split={**SPLIT, "group": "wood"},
        encoders="auto",
    ).to_json()
    value = again["curves"][0]["points"][0]["value"]
    assert value == pytest.approx(model.figures["tree"]["accuracy"], abs=0.06)  # its scales are those of fewer rows


def test_fewer_rows_than_examples_are_said_and_nothing_beyond_is_drawn() -> None:
    frame = planted(60)
    frame = frame.drop(frame.index[(frame["tree"] == "ash") & (np.arange(60) > 20)])
    found = shots_of(frame, shots=(1, 8, 500, None), ways="knn", seeds=2)
    facts = found.to_json()
    assert facts["left_out"] == [500] and [s["shots"] for s in facts["shots"]] == [1, 8, None]
    few = facts["shots"][1]["short"]
    assert list(few) == ["ash"] and 0 < few["ash"] < 8 and facts["shots"][1]["rows"] < 24
    said = str(found)
    assert f"8 examples a class: fewer training rows, in some split, have ash ({few['ash']})" in said
    assert f"500 a class: left out, no class has so many training rows; the largest has {facts['largest']}" in said


def test_with_one_split_intervals_hold_the_draws_of_examples() -> None:
    frame = planted().assign(part=["test" if i % 10 < 3 else "train" for i in range(180)])
    facts = shots_of(frame, ways="knn", shots=(1, None), seeds=4, split="part").to_json()
    one, every = facts["curves"][0]["points"]
    assert facts["interval"] == "rows" and len(set(one["seeds"])) > 1 and len(set(every["seeds"])) == 1
    rows = np.sqrt(np.mean(one["value"] * (1 - one["value"]) / 54))
    assert one["high"] - one["low"] > every["high"] - every["low"] > 0 and one["high"] - one["low"] > 2 * rows


def test_spreads_add_up_as_variances() -> None:
    judge: Any = SimpleNamespace(bench=SimpleNamespace(drawn=False))
    values, draws = [0.5, 0.6, 0.7], [np.random.default_rng(s).normal(0.6, 0.05, 4000) for s in range(3)]
    figure = fewshot.spread(judge, values, draws)
    over_draws = 4.3027 * 0.1 / np.sqrt(3)
    span = np.quantile(np.mean(draws, 0), [0.025, 0.975])
    assert figure["low"] == pytest.approx(0.6 - np.hypot(0.6 - span[0], over_draws), abs=1e-3)
    assert figure["high"] == pytest.approx(0.6 + np.hypot(span[1] - 0.6, over_draws), abs=1e-3)
    judge = SimpleNamespace(bench=SimpleNamespace(drawn=True), share=0.2)
    assert fewshot.spread(judge, values, draws) == over_splits(values, 0.2, draws)


def test_the_same_call_gives_the_same_page_and_a_name_is_no_script(tmp_path: Path) -> None:
    frame = planted(90, names=["ash", EVIL, "cedar"]).rename(columns={"n0": EVIL})
    options: dict[str, Any] = {
        "inputs": [EVIL, "n1", "n2"],
        "ways": ["knn", {"name": "knn", "k": 1}],
        "shots": (1, 500, None),
    }
    pages = [shots_of(frame, **options, seeds=2).save_html(tmp_path / f"{i}.html").read_text("utf-8") for i in range(2)]
    assert pages[0] == pages[1] and EVIL not in pages[0] and "knn, k=1" in pages[0]
    tags = Tags()
    tags.feed(pages[0])
    assert tags.open == [] and all(link.startswith(("data:", "#")) for link in tags.links)
    assert not re.search(r"https?:|<script", pages[0])
    with pytest.raises(OutputError, match="Cannot write"):
        shots_of(frame, **options, seeds=1).save_html(tmp_path / "nowhere" / "page.html")


def test_the_picture_has_a_band_for_every_way_and_all_rows_stand_to_the_right(found: fewshot.Shots) -> None:
    facts = found.to_json()
    assert places(facts) == [1, 2, 4, 8, 16, 42]  # 126 rows of 3 classes
    facts = json.loads(json.dumps(facts))
    facts["shots"][-1]["rows"] = 30.0
    assert places(facts)[-1] == pytest.approx(16 * 1.6)
    page = shots_page(facts)
    assert page.count("fill-opacity: 0.13") >= 4 or page.count("opacity: 0.13") >= 4
    for curve in facts["curves"]:
        assert f"<bdi>{curve['name']}</bdi>" in page


def test_a_way_that_breaks_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fewshot.made

    def broken(bench: Bench, spec: Any, specs: Any, *rest: Any) -> Any:
        if specs["fusion"]["name"] == "ridge":
            raise RuntimeError("no ridge today")
        return before(bench, spec, specs, *rest)

    monkeypatch.setattr(fewshot, "made", broken)
    found = shots_of(planted(60), ways=("knn", "ridge"), shots=(1, None), seeds=1)
    assert [p["value"] is None for p in found.to_json()["curves"][1]["points"]] == [True, True]
    assert "ridge, 1 example a class: not tried: RuntimeError: no ridge today" in str(found)
    assert "knn comes out best" in found.to_json()["advice"]
    with pytest.raises(PlaitError, match=r"Nothing could be tried\. The first, ridge: RuntimeError: no ridge today"):
        shots_of(planted(60), ways="ridge", shots=(1,), seeds=1)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"shots": (0, 1)}, r"shots holds 0; expected whole numbers from 1"),
    ({"shots": ()}, "shots is empty"),
    ({"ways": ()}, "ways is empty"),
    ({"ways": "prototype"}, "Did you mean 'prototypes'"),
    ({"ways": ("knn", "knn")}, "Asked for twice: knn"),
    ({"seeds": 0}, "seeds is 0"),
    ({"split": {"test": 0.0}}, "leaves no test row to judge on"),
    ({"target": "n0", "inputs": ["n1"]}, r"expected one target of categories, found n0 \(number\)"),
    ({"target": ["tree", "wood"]}, r"one target of categories, found tree \(category\), wood"),
    ({"encoders": {"n0": "number_periodic"}}, "has to be trained"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=[w[1][:30] for w in WRONG])
def test_what_cannot_be_asked_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PlaitError, match=said):
        shots_of(planted(60), **options)


def test_the_command_prints_json_and_writes_the_page(tmp_path: Path) -> None:
    planted(90).to_csv(tmp_path / "trees.csv", index=False)
    page = tmp_path / "page.html"
    way = [
        "--way",
        "knn:k=1",
        "--way",
        "prototypes",
        "--shots",
        "1,4,all",
        "--seeds",
        2,
        "--group",
        "wood",
        "--input",
        "n1",
    ]
    done = call("shots", tmp_path / "trees.csv", "--target", "tree", *way, "--json", "-q", "--out", page)
    facts = json.loads(done.stdout)
    assert [c["name"] for c in facts["curves"]] == ["knn, k=1", "prototypes"] and facts["page"] == str(page)
    assert [s["shots"] for s in facts["shots"]] == [1, 4, None] and page.read_text("utf-8").startswith(
        "<!doctype html>"
    )
    wrong = call("shots", tmp_path / "trees.csv", "--target", "tree", "--shots", "1,many", code=2)
    assert "found 'many', expected whole numbers and 'all'" in wrong.stderr
