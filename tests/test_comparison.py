"""The encoder ladder: every rung, on the same rows, with the figures of plait.fit; what is planted is found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import plait
from plait import comparison, work
from plait.cli import main
from plait.comparing import trial
from plait.comparing.advice import column_advice, gap_text
from plait.comparing.figures import clear, over_splits, student
from plait.comparing.page import comparison_page
from plait.comparing.picture import AXIS, _points
from plait.comparing.rungs import CLASSIC, ladder
from plait.encoders import DEFAULTS, ENCODERS
from plait.encoders.text_pretrained import TextPretrained
from plait.encoders.text_word2vec import TextWord2Vec
from plait.errors import MissingExtraError, PlaitError, UnknownNameError
from plait.presets import CLASSIC as PRESET
from plait.weights.catalogue import CATALOGUE
from tests import tiny
from tests.cli.test_cli import call
from tests.conftest import cells_of
from tests.inspection.test_page import Tags

WORDS = {"red": ["ripe", "tomato", "cherry"], "green": ["grass", "leaf", "frog"], "blue": ["sea", "sky", "deep"]}
SPLIT = {"valid": 0.2, "test": 0.3}
WEIGHTS = "all-MiniLM-L6-v2"
LEARNER = "ridge"  # quick
EVIL = '"><script>alert(1)</script>'


def planted(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """ "note" tells the kind in nine rows of ten, "junk" never does; "value" goes with the kind."""
    random = np.random.default_rng(seed)
    kinds = [list(WORDS)[i % 3] for i in range(n)]
    told = [k if random.random() < 0.9 else list(WORDS)[random.integers(3)] for k in kinds]
    every = [word for words in WORDS.values() for word in words]
    return pd.DataFrame(
        {
            "note": [" ".join(random.choice(WORDS[k], 3)) + f" a{i}" for i, k in enumerate(told)],
            "junk": [" ".join(random.choice(every, 3)) + f" b{i}" for i in range(n)],
            "kind": kinds,
            "value": [10.0 * list(WORDS).index(k) + random.normal() for k in kinds],
            "part": ["test" if i % 10 < 3 else "valid" if i % 10 == 3 else "train" for i in range(n)],
        }
    )


def ladder_of(table: Any, target: str = "kind", **options: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"inputs": ["note", "junk"], "split": SPLIT, "epochs": 1, "quiet": True}
    settings["learner"] = LEARNER
    return plait.compare(table, target, encoders=True, **{**settings, **options}).to_json()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of weights in which a tiny network has the name of a well-known one."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / WEIGHTS).mkdir()
    tiny.bert(folder / WEIGHTS)
    yield folder


@pytest.fixture(autouse=True)
def own_weights(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_WEIGHTS", str(weights))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def found(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("PLAIT_WEIGHTS", str(weights))
        patch.setenv("PLAIT_CACHE", str(cache))
        facts = ladder_of(planted())
        assert not list(cache.glob("*/used"))  # nothing is left in the user's cache
        return facts


def rung(facts: dict[str, Any], column: str, name: str) -> dict[str, Any]:
    group = next((c for c in facts["columns"] if c["name"] == column), facts["together"])
    return next(r for r in group["rungs"] if r["name"] == name)


SCRATCH = "text_transformer, from scratch"
TUNED = f"{WEIGHTS}, LoRA"
RUNGS = [SCRATCH, "text_tfidf", "text_word2vec", WEIGHTS, TUNED]


def test_every_rung_is_there_with_its_costs(found: dict[str, Any]) -> None:
    assert [c["name"] for c in found["columns"]] == ["note", "junk"]
    groups = [*found["columns"], found["together"]]
    assert [[r["name"] for r in g["rungs"]] for g in groups[:2]] == [RUNGS, RUNGS]
    assert [r["name"] for r in groups[2]["rungs"]] == ["best classic of each", "best pretrained of each"]
    for one in (r for g in groups for r in g["rungs"]):
        assert one["error"] is None and one["low"] <= one["value"] <= one["high"]
        assert one["prepare"]["seconds_a_row"] > 0 and one["learn_seconds"] > 0 and one["weights_bytes"] > 0
        assert one["rows_per_second"]["prepared"] > one["rows_per_second"]["raw"] > 0
    assert rung(found, "note", "text_tfidf")["cells_bytes"] > 0
    assert (
        rung(found, "note", WEIGHTS)["prepare"]["cells"]
        == rung(found, "note", TUNED)["prepare"]["cells"]
        == {"note": 120}
    )
    kinds = {one["name"]: one["kind"] for one in groups[0]["rungs"]}
    assert kinds[TUNED] == "tuned" and "tuned - pretrained" in groups[0]["gaps"] and TUNED in groups[0]["advice"]


@pytest.mark.parametrize(
    ("column", "name", "options"),
    [
        ("note", "text_tfidf", {"encoders": {"note": "text_tfidf"}, "learner": LEARNER}),
        ("note", WEIGHTS, {"encoders": {"note": WEIGHTS}, "learner": LEARNER}),
        ("junk", SCRATCH, {"encoders": {"junk": "text_transformer"}}),
        ("note", TUNED, {"encoders": {"note": {"name": "text_pretrained", "weights": WEIGHTS, "tune": "lora"}}}),
        ("", "best pretrained of each", {"encoders": {"note": WEIGHTS, "junk": WEIGHTS}, "learner": LEARNER}),
    ],
)
def test_figures_are_those_of_fit(found: dict[str, Any], column: str, name: str, options: dict[str, Any]) -> None:
    inputs = list(options["encoders"])
    model = plait.fit(planted(), "kind", inputs=inputs, split=SPLIT, epochs=1, quiet=True, **options)
    judged = model.record["evaluation"]["targets"]["kind"]["metrics"]
    one = rung(found, column, name)
    assert {k: one[k] for k in ("value", "low", "high")} == judged["accuracy"]
    assert {k: pytest.approx(v["value"]) for k, v in judged.items()} == one["metrics"]


def test_differences_are_to_the_rung_below_and_the_floor_is_the_commonest_class(found: dict[str, Any]) -> None:
    for column in found["columns"]:
        below = found["floor"]
        for one in column["rungs"]:
            assert one["above"]["name"] == below["name"]
            assert one["above"]["value"] == pytest.approx(one["value"] - below["value"])
            below = one
    model = plait.fit(planted(), "kind", inputs=["note"], encoders="classic", learner="ridge", split=SPLIT, quiet=True)
    assert found["judged_rows"] == [model.record["evaluation"]["rows"]]
    assert found["floor"]["value"] == pytest.approx(1 / 3, abs=0.05)


def test_what_is_planted_is_told_from_what_is_not(found: dict[str, Any]) -> None:
    note, junk = found["columns"]
    assert clear(note["gaps"]["classic - floor"]) == 1 and clear(junk["gaps"]["classic - floor"]) <= 0
    assert rung(found, "note", "text_tfidf")["value"] > rung(found, "junk", "text_tfidf")["high"]
    alone = found["together"]["single"]
    assert alone["column"] == "note" and rung(found, "note", alone["name"])["value"] == max(
        r["value"] for c in found["columns"] for r in c["rungs"]
    )
    assert "not sure" in junk["advice"] and "not sure" not in note["advice"]
    assert f"{WEIGHTS} stays" in note["advice"] or f"{WEIGHTS} cannot be told" in note["advice"]


def test_every_rung_is_judged_on_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, list[tuple[int, ...]]] = {0: [], 1: []}
    before = trial.figures

    def spy(bench: Any, answer: Any, rows: np.ndarray, place: int) -> Any:
        assert len(answer) == len(rows)
        seen[place].append(tuple(rows.tolist()))
        return before(bench, answer, rows, place)

    monkeypatch.setattr(trial, "figures", spy)
    calls = {"prepared": 0}
    prepare = TextPretrained.prepare

    def counted(self: Any, cells: Any) -> Any:
        calls["prepared"] += len(cells)
        return prepare(self, cells)

    monkeypatch.setattr(TextPretrained, "prepare", counted)
    facts = ladder_of(planted(60), seeds=2)
    assert facts["interval"] == "splits" and [len(set(rows)) for rows in seen.values()] == [1, 1]
    assert len(seen[0]) == len(seen[1]) == 1 + 2 * len(RUNGS) + 2 and seen[0] != seen[1]
    # each column once for its states and once for what the network takes, and one cell to load it; the splits share them
    assert calls["prepared"] == 2 * 2 * (60 + 1)
    cells = rung(facts, "note", "text_tfidf")["prepare"]["cells"]
    assert cells == {"note": 120}  # what TF-IDF learns differs, and so do its cells
    model = plait.fit(
        planted(60), "kind", inputs=["note"], encoders="classic", learner=LEARNER, split=SPLIT, seed=1, quiet=True
    )
    assert rung(facts, "note", "text_tfidf")["seeds"][1] == model.figures["kind"]["accuracy"]


def test_the_best_of_a_kind_is_chosen_without_the_rows_that_are_judged_on(monkeypatch: pytest.MonkeyPatch) -> None:
    learned, specs_of, chosen_by, by_loop = [], [], [], []
    learn, choose = trial.made, trial._choice

    def learn_spy(bench: Any, spec: Any, specs: Any, data: Any, parts: np.ndarray, place: int) -> Any:
        learned.append(parts)
        specs_of.append(specs)
        return learn(bench, spec, specs, data, parts, place)

    def choose_spy(bench: Any, model: Any, data: Any, rows: np.ndarray, place: int) -> Any:
        assert (bench.parts[place][rows] == 1).all() and (learned[-1][rows] != 0).all()
        by_loop.append("learner" not in specs_of[-1])
        assert (
            by_loop[-1] or not (learned[-1][rows] >= 0).any()
        )  # a learner learns of these rows too, where it sees them
        chosen_by.append(len(rows))
        return choose(bench, model, data, rows, place)

    monkeypatch.setattr(trial, "made", learn_spy)
    monkeypatch.setattr(trial, "_choice", choose_spy)
    ladder_of(planted(60), inputs=["note"], split="part")
    assert chosen_by == [6] * len(RUNGS) and by_loop == [True, False, False, False, True]


def test_a_number_is_better_where_its_error_is_smaller() -> None:
    frame = planted()
    facts = ladder_of(frame, "value", inputs=["note"], split="part", seeds=2)
    assert facts["metric"] == "rmse" and facts["interval"] == "rows" and facts["together"] is None
    assert rung(facts, "note", "text_tfidf")["prepare"]["cells"] == {"note": 120}  # one split: once for both seeds
    assert len(set(rung(facts, "note", SCRATCH)["seeds"])) == 2
    train, test = (frame["value"][frame["part"] == part] for part in ("train", "test"))
    assert facts["floor"]["value"] == pytest.approx(np.sqrt(np.mean((test - train.mean()) ** 2)), rel=1e-5)
    gap = facts["columns"][0]["gaps"]["classic - floor"]
    one = rung(facts, "note", facts["columns"][0]["best"]["classic"])
    assert gap["value"] == pytest.approx(facts["floor"]["value"] - one["value"]) and gap["low"] > 0
    assert "RMSE" in plait.Comparison(facts).__str__()


def test_labels_have_a_floor_and_numbers_a_ladder() -> None:
    frame = planted(90)
    frame["tags"] = [["warm"] if k == "red" else ["cold", "wet"] for k in frame["kind"]]
    facts = ladder_of(frame, "tags", inputs=["value"])
    assert facts["metric"] == "f1_micro" and 0.5 < facts["floor"]["value"] < 0.9
    names = [r["name"] for r in facts["columns"][0]["rungs"]]
    assert names == ["number_periodic, from scratch", "number_scaled"]
    assert rung(facts, "value", "number_scaled")["value"] > 0.9


def test_networks_that_go_well_together_have_a_rung_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ["all-MiniLM-L6-v2", "gemma-3-270m"]
    for place in ("plait.comparing.rungs.usable", "plait.presets.usable"):
        monkeypatch.setattr(place, lambda name: name in here)
    parts = [{"name": "text_pretrained", "weights": name} for name in here]
    found = {r.name: (r.kind, r.encoders) for r in ladder("note", "text").rungs}
    both = found.pop("all-MiniLM-L6-v2 + gemma-3-270m")
    assert both == ("pretrained", {"note": {"name": "text_union", "parts": parts}}) and here[1] in found
    here.pop()
    assert "all-MiniLM-L6-v2 + gemma-3-270m" not in {r.name for r in ladder("note", "text").rungs}


def test_a_rung_that_breaks_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLAIT_WEIGHTS", str(tmp_path))

    def broken(*_: Any, **__: Any) -> Any:
        raise MissingExtraError('gensim cannot be imported. It comes with: pip install "plait[classic]".')

    monkeypatch.setattr(TextWord2Vec, "learn", broken)
    made = plait.compare(planted(60), "kind", encoders=True, inputs=["note"], learner=LEARNER, epochs=1, quiet=True)
    note = made.to_json()["columns"][0]
    assert [r["name"] for r in note["rungs"] if r["error"]] == ["text_word2vec"]
    assert note["best"] == {"scratch": SCRATCH, "classic": "text_tfidf"}
    assert note["absent"] == [
        {"name": name, "megabytes": entry.megabytes, "licence": entry.licence, "get": f"plait weights get {name}"}
        for name, entry in CATALOGUE.items()
        if entry.modality == "text"
    ]
    text, page = str(made), made.save_html(tmp_path / "page.html").read_text("utf-8")
    for said in (text, page):
        assert "pip install" in said and f"plait weights get {WEIGHTS}" in said and "text_word2vec" in said
    monkeypatch.setattr(trial, "begun", broken)
    with pytest.raises(PlaitError, match="No encoder could be tried"):
        ladder_of(planted(60))


def test_the_page_is_whole_and_holds_every_rung(found: dict[str, Any]) -> None:
    page = comparison_page(found)
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and all(link.startswith(("data:", "#")) for link in tags.links)
    groups = [*found["columns"], found["together"]]
    assert re.findall(r'<th scope="row">([^<]+)', page) == [r["name"] for g in groups for r in g["rungs"]]
    assert all(g["advice"] in page for g in groups)
    assert page.count("<svg") >= 4 and not re.search(r"https?:|<script", page) and page == comparison_page(found)
    assert all(name.removesuffix(", from scratch") in page[: page.index("</figure>")] for name in RUNGS)


def test_no_name_is_markup() -> None:
    frame = planted(60).rename(columns={"note": f"{EVIL}[bold]", "kind": f"[red]{EVIL}"})
    made = plait.compare(
        frame, f"[red]{EVIL}", encoders=True, inputs=[f"{EVIL}[bold]"], learner="ridge", epochs=1, quiet=True
    )
    assert "<script" not in comparison_page(made.to_json())
    assert f"{EVIL}[bold] (text)" in str(made)


def test_a_rung_is_drawn_where_a_new_row_is_answered_in_its_time(found: dict[str, Any]) -> None:
    """A network that is run for each answer is not cheaper than the same one whose states are kept."""
    facts = {**json.loads(json.dumps(found)), "together": None}
    facts["columns"].pop()
    points = {p["name"]: p["x"] for p in _points(facts)}
    for name in RUNGS:
        one = rung(found, "note", name)
        whole = one["prepare"]["seconds_a_row"] + 1 / one["rows_per_second"]["prepared"]
        assert points[name] == pytest.approx(whole, rel=1e-3)
    page = comparison_page(found)
    assert page.count(AXIS) >= 2 and "To the left is cheaper" in page
    for one in facts["columns"][0]["rungs"]:  # preparing costs the same, the network half a second
        one["prepare"]["seconds_a_row"], one["rows_per_second"]["raw"] = 0.001, 2.0 if one["name"] == TUNED else 999.0
    points = {p["name"]: p["x"] for p in _points(facts)}
    assert points[TUNED] == 0.5 > 100 * points[WEIGHTS]


@pytest.mark.slow
def test_the_command_prints_one_object_and_writes_the_page(tmp_path: Path) -> None:
    planted(60).to_csv(tmp_path / "table.csv", index=False)
    options = ["--target", "kind", "--encoders", "--input", "note", "--input", "value", "--columns", "note"]
    options += ["--epochs", 1, "--learner", LEARNER, "--split-column", "part", "--out", "page.html"]
    done = call("compare", "table.csv", *options, "--json", "-q", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["page"] == "page.html" and (tmp_path / "page.html").exists() and not done.stderr
    assert [[r["name"] for r in c["rungs"]] for c in facts["columns"]] == [RUNGS]


@pytest.mark.slow
def test_the_page_of_the_documentation_runs(tmp_path: Path, weights: Path) -> None:
    text = (Path(__file__).parents[1] / "docs/encoders-ladder.md").read_text("utf-8")
    text = text.replace("path/to/folder", str(weights / WEIGHTS))
    code = re.findall(r"```python\n(.*?)```", text, re.S)
    code = [c.replace("encoders=True, ", f"encoders=True, learner={LEARNER!r}, epochs=1, ") for c in code]
    commands = re.findall(r"^    plait (compare .*)$", text, re.M)
    assert len(code) == 1 and len(commands) == 3
    planted(60)[["note", "kind"]].to_csv(tmp_path / "table.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-c", code[0]], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0 and "text_tfidf" in done.stdout, done.stderr
    for command in commands:
        call(*command.replace("--seeds 5", "--seeds 2").split(), "--epochs", 1, "--learner", LEARNER, cwd=tmp_path)


def test_what_cannot_be_compared_is_said() -> None:
    frame = planted(30)
    for error, options in [
        ("one target", {"targets": ["kind", "value"], "encoders": True}),
        ("seeds is 0", {"targets": "kind", "encoders": True, "seeds": 0}),
        ("Did you mean 'note'", {"targets": "kind", "encoders": True, "columns": "nota"}),
        ("Did you mean 'logistic'", {"targets": "kind", "encoders": True, "learner": "logistik"}),
        ("no use for fusions and jobs", {"targets": "kind", "encoders": True, "fusions": ["gated"], "jobs": 2}),
        ("no use for keep", {"targets": "kind", "encoders": True, "keep": "kept"}),
        ("no use for rungs", {"targets": "kind", "rungs": {"note": "tfidf"}}),
        ("no use for jobs", {"targets": ["kind", "value"], "jobs": 2}),
    ]:
        with pytest.raises((PlaitError, UnknownNameError), match=re.escape(error)):
            plait.compare(frame, quiet=True, **options)


def test_the_classic_rungs_are_all_encoders_with_nothing_to_train() -> None:
    found: dict[str, set[str]] = {kind: set() for kind in DEFAULTS}
    for name in ENCODERS:
        cls = ENCODERS.load(name)
        if name.endswith(("_pretrained", "_set", "_union", "_module")):
            continue
        encoder = ENCODERS.build(ENCODERS.complete(name, cells_of(cls.modality)))
        if next(encoder.parameters(), None) is None:
            found[cls.modality].add(name)
    assert {kind: set(names) for kind, names in CLASSIC.items()} == {k: v for k, v in found.items() if v}
    assert all(PRESET[kind] in CLASSIC[kind] for kind in PRESET)


def test_a_network_is_trained_on_for_ten_epochs_where_nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    train, seen = trial.Work.train, []

    def spy(own: Any, *given: Any) -> Any:
        tuned = own.spec["inputs"]["note"].get("tune", "frozen") != "frozen"
        seen.append((tuned, own.options.epochs))
        own.options = replace(own.options, epochs=1)
        return train(own, *given)

    monkeypatch.setattr(trial.Work, "train", spy)
    facts = ladder_of(planted(60), inputs=["note"], epochs=None, seeds=2)
    assert sorted(seen, key=str) == [(False, None)] * 2 + [(True, 10)] * 2
    assert len(rung(facts, "note", TUNED)["seeds"]) == len(facts["parts"]) == 2
    monkeypatch.setattr(work, "STEPS", 4)
    seen.clear()
    ladder_of(planted(60), inputs=["note"], epochs=None, training={"batch_size": 10})
    assert (True, 2) in seen  # 4 steps of 10 rows, of 30


def test_rungs_of_ones_own_stand_beside_the_others(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any]
) -> None:
    """Other weights by folder and by hub name, other options, what is not here: each by its kind, judged as plait.fit does."""
    other = tiny.roberta(tmp_path / "other")
    mixed = {"name": "pretrained", "weights": WEIGHTS, "layer": "mix"}
    own = [str(other), mixed, {"name": "tfidf", "width": 3}, "text_recurrent", "intfloat/e5-small-v2", "tfidf"]
    facts = ladder_of(planted(), inputs=["note"], rungs={"note": own})
    rungs = {r["name"]: r for r in facts["columns"][0]["rungs"]}
    titles = ["text_recurrent", "text_tfidf, width=3", str(other), "intfloat/e5-small-v2"]
    titles.append(f"{WEIGHTS}, layer=mix")
    assert [r["name"] for r in facts["columns"][0]["rungs"]] == [  # TF-IDF as it is once, not twice
        *(SCRATCH, titles[0], "text_tfidf", "text_word2vec", titles[1]),
        *(WEIGHTS, titles[2], titles[3], TUNED, titles[4]),
    ]
    assert [r["kind"] for r in rungs.values()] == [
        *["scratch"] * 2,
        *["classic"] * 3,
        *["pretrained"] * 3,
        *["tuned"] * 2,
    ]
    assert [n for n, r in rungs.items() if r["error"]] == ["intfloat/e5-small-v2"]
    assert "plait weights get intfloat/e5-small-v2" in rungs["intfloat/e5-small-v2"]["error"]
    for name in RUNGS[:4]:  # the others' figures stay as they were
        assert rungs[name]["value"] == rung(found, "note", name)["value"]
    for name, encoder, learner in [
        (titles[2], str(other), LEARNER),
        (titles[1], own[2], LEARNER),
        (titles[4], mixed, None),
    ]:
        settings: dict[str, Any] = {"inputs": ["note"], "split": SPLIT, "epochs": 1, "quiet": True, "learner": learner}
        model = plait.fit(planted(), "kind", encoders={"note": encoder}, **settings)
        assert rungs[name]["value"] == model.figures["kind"]["accuracy"]
    page = comparison_page(facts)
    assert all(name in page for name in titles)


def test_a_rung_of_ones_own_can_be_the_best_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chosen on validation rows among all of its kind, those that the loop trains too, and then taken for all columns."""
    own = {"name": "text_tfidf", "width": 3}

    def choose(bench: Any, model: Any, data: Any, rows: np.ndarray, place: int) -> Any:
        part = data.encoders["note"]
        return (float(getattr(part, "width", 0) == 3 or "Recurrent" in type(part).__name__), 0.0)

    monkeypatch.setattr(trial, "_choice", choose)
    facts = ladder_of(planted(60), columns=["note", "junk"], rungs={"note": [own, "recurrent"]})
    best = facts["columns"][0]["best"]
    assert best["classic"] == "text_tfidf, width=3" and best["scratch"] == "text_recurrent"
    assert facts["together"]["rungs"][0]["encoders"]["note"] == own


def test_the_command_hands_on_what_it_is_given_or_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted(30).to_csv(tmp_path / "table.csv", index=False)
    seen: dict[str, Any] = {}

    def spy(table: Any, targets: Any, **options: Any) -> Any:
        seen.update(options)
        raise PlaitError("that was it")

    def said(*options: str, target: str = "kind", real: bool = False) -> str:
        monkeypatch.setattr(comparison, "compare", compare if real else spy)
        monkeypatch.setattr(
            sys, "argv", ["plait", "compare", str(tmp_path / "table.csv"), "--target", target, *options]
        )
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        return capsys.readouterr().err

    compare = comparison.compare
    given = ["--encoder", "note=a/b", "--encoder", "note=tfidf:width=3", "--encoder", "junk=gru"]
    said("--encoders", *given)
    assert seen["encoders"] is True and seen["fusions"] == "all"
    assert seen["rungs"] == {"note": [{"name": "a/b"}, {"name": "tfidf", "width": 3}], "junk": [{"name": "gru"}]}
    said(*given[2:])
    assert seen["rungs"] is None
    assert seen["encoders"] == {"*": "auto", "note": {"name": "tfidf", "width": 3}, "junk": {"name": "gru"}}
    assert "'note' is given a/b and tfidf" in said(*given)
    two = ["--fusion", "gated", "--fusion", "concat"]
    assert "one fusion; found gated, concat" in said("--target", "value", *two)
    assert "no use for fusions and jobs" in said("--encoders", *two, "--jobs", "2", real=True)
    assert "no use for keep" in said("--encoders", "--keep", str(tmp_path / "kept"), real=True)


def test_a_mistaken_rung_is_said_before_any_work() -> None:
    for error, rungs in [
        ("Did you mean 'note'", {"nota": "tfidf"}),
        ("Did you mean 'text_tfidf'", {"note": "text_tfid"}),
        ("Did you mean 'width'", {"note": [{"name": "tfidf", "widht": 3}]}),
        ("reads image", {"note": "image_hog"}),
        ("expected {column: encoder}", ["note"]),
    ]:
        with pytest.raises(PlaitError, match=re.escape(error)):
            ladder_of(planted(30), rungs=rungs)


def test_lists_climb_the_ladder_of_what_is_in_them() -> None:
    inner = [r.encoders["x"] for r in ladder("x", "images").rungs]
    assert inner[0] == {"name": "image_set", "encoder": DEFAULTS["image"]}
    assert [part["encoder"] for part in inner[1:4]] == list(CLASSIC["image"])


def test_intervals_over_splits_are_corrected_for_overlap() -> None:
    for freedom in (1, 4, 10, 11, 30, 200):
        assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-4)
    values = [0.7, 0.8, 0.75, 0.72, 0.81]
    figure = over_splits(values, 0.25)
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 0.25) * np.var(values, ddof=1))
    assert figure["value"] == pytest.approx(np.mean(values))
    assert figure["high"] - figure["value"] == pytest.approx(half, rel=1e-4)  # type: ignore[operator]

    draws = [np.random.default_rng(i).normal(0.7, 0.05, 4000) for i in range(4)]
    lucky = over_splits([0.7] * 4, 0.25, draws)  # they agree, but their rows are few
    assert lucky["high"] - 0.7 == pytest.approx(1.96 * 0.05 / 2, rel=0.03)  # type: ignore[operator]


def test_the_advice_says_what_the_figures_say() -> None:
    def one(name: str, kind: str, value: float, seconds: float) -> dict[str, Any]:
        costs = {"prepare": {"seconds_a_row": seconds}, "learn_seconds": 3.0, "error": None}
        return {"name": name, "kind": kind, "value": value, "low": value - 0.05, "high": value + 0.05, **costs}

    def gap(value: float, half: float = 0.03) -> dict[str, float]:
        return {"value": value, "low": value - half, "high": value + half}

    def advice(pretrained: float, scratch: float, tuned: float | None = None) -> str:
        rungs = [
            one("cnn", "scratch", 0.5, 0.001),
            one("tfidf", "classic", 0.6, 0.0005),
            one("w2v", "classic", 0.5, 0.1),
        ]
        rungs.append(one("net", "pretrained", 0.6 + pretrained, 0.005))
        best = {"scratch": "cnn", "classic": "tfidf", "pretrained": "net"}
        gaps = {"pretrained - classic": gap(pretrained), "classic - scratch": gap(-scratch)}
        gaps |= {"pretrained - scratch": gap(pretrained - scratch), **{f"{k} - floor": gap(0.2) for k in best}}
        if tuned is not None:
            rungs.append(one("net, LoRA", "tuned", 0.6 + pretrained + tuned, 0.001))
            best, gaps = {**best, "tuned": "net, LoRA"}, {**gaps, "tuned - pretrained": gap(tuned)}
        facts = {"metric": "accuracy", "floor": {"name": "the most frequent class"}}
        return column_advice(facts, {"rungs": rungs, "best": best, "gaps": gaps, "absent": []})

    said = advice(0.09, -0.1)
    assert said.startswith("net beats the best classic encoder, tfidf, by 9 ± 3 points and costs 5.0 ms a row.")
    assert "from scratch stays 19 ± 3 points below" in said
    assert (
        "net cannot be told from the best classic encoder, tfidf (a difference of 1 ± 3 points): take tfidf"
        in advice(0.01, 0.0)
    )
    assert "net stays 9 ± 3 points below the best classic encoder, tfidf" in advice(-0.09, 0.2)
    assert "from scratch beats it by 20 ± 3 points" in advice(-0.09, 0.2)
    assert "net, LoRA, is 5 ± 3 points better than net as it is, after 3.0 s" in advice(0.09, -0.1, 0.05)
    assert "net, LoRA, cannot be told from net (a difference of 2 ± 3 points)" in advice(0.09, -0.1, 0.02)
    assert "net, LoRA, stays 5 ± 3 points below net as it is" in advice(0.09, -0.1, -0.05)
    assert gap_text("rmse", gap(-1.5, 0.5)) == "1.50 ± 0.500 of RMSE"
