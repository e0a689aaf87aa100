"""Encoders by the time there is: an estimate before anything is encoded, the next cheaper one, what is said and kept."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from plait import fitting, pace
from plait.data.schema import Column, Schema
from plait.data.store import Store
from plait.data.table import Table, read_table
from plait.encoders.text_pretrained import TextPretrained
from plait.presets import choose, kept_networks, tell
from plait.progress import Progress
from plait.spec import dumps
from plait.weights.find import own_folder
from tests import tiny

pytest.importorskip("transformers")

BEST, SECOND = "gemma-3-270m", "all-MiniLM-L6-v2"  # tiny networks under these names; the first is slow
SLOW, FAST = 0.08, 0.001  # seconds a cell
KINDS = {"note": "text", "size": "number"}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, int]:
    """A machine with a slow network for text, and a fast one; how many cells each has encoded."""
    monkeypatch.delenv("PLAIT_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("plait.presets.BEST", {"text": (BEST, SECOND), "image": (), "audio": ()})
    monkeypatch.setattr("plait.presets.SIDE_BY_SIDE", {})
    for seed, name in enumerate((BEST, SECOND)):
        tiny.bert(own_folder() / name, seed=seed)
    runs = {BEST: 0, SECOND: 0}
    prepare = TextPretrained.prepare

    def timed(self: TextPretrained, cells: Any) -> Any:
        name = self.pretrained.net.weights
        runs[name] += len(cells)
        time.sleep((SLOW if name == BEST else FAST) * len(cells))
        return prepare(self, cells)

    monkeypatch.setattr(TextPretrained, "prepare", timed)
    return runs


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"note": f"{('a ripe tomato', 'deep sea')[i % 2]} {i}", "size": i % 5, "kind": "ab"[i % 2]}
        for i in range(count)
    ]


def chosen(table: Table, limit: float, begun: Any = None) -> tuple[dict[str, Any], Any]:
    columns = [Column(c, kind, "input", "") for c, kind in KINDS.items()]
    parts, choices = choose(KINDS, "auto", fixed=True)
    return pace.in_time(table, Schema(tuple(columns)), parts, choices, deadline=time.monotonic() + limit, begun=begun)


def test_the_estimate_is_the_time_of_all_distinct_cells_that_are_not_on_the_shelf(machine: dict[str, int]) -> None:
    table = read_table([*rows(200), *rows(200)])
    schema = Schema((Column("note", "text", "input", ""),))
    part = choose(KINDS, "auto", fixed=True)[0]["note"]
    found = pace.seconds(table, schema, "note", part, enough=100)
    assert machine[BEST] <= 10, "a few cells tell it"
    assert found == pytest.approx(200 * SLOW / (os.cpu_count() or 1), rel=0.3)
    half = read_table(rows(100))
    from plait.data.ledger import Ledger
    from plait.encoders import ENCODERS
    from plait.preparation import prepare

    encoder = ENCODERS.build(ENCODERS.complete(part, []))
    how: Any = {"store": Store(), "ledger": Ledger(), "progress": Progress(quiet=True)}
    prepare(half, {"note": encoder}, **how)
    assert pace.seconds(half, schema, "note", part, enough=100) == 0, "all are there"
    rest = pace.seconds(table, schema, "note", part, enough=100)
    assert rest == pytest.approx(100 * SLOW / (os.cpu_count() or 1), rel=0.5)


@pytest.mark.parametrize(("limit", "taken"), [(600.0, BEST), (8.0, SECOND), (0.01, "text_tfidf")])
def test_the_best_that_is_done_in_time_is_taken(limit: float, taken: str, machine: dict[str, int]) -> None:
    parts, choices = chosen(read_table(rows(400)), limit)  # 400 cells: 16 s of the slow one on two cores
    assert (parts["note"] if limit < 1 else parts["note"]["weights"]) == taken
    note = next(c for c in choices if c.column == "note")
    assert note.taken == taken and machine[BEST] < 30
    if taken != BEST:
        assert f"{BEST}, with a longer time limit" in str(note.better)
        assert (BEST if taken == SECOND else SECOND) in note.why and "s are left" in note.why


def test_a_run_that_is_gone_on_with_keeps_its_encoders() -> None:
    begun = {"inputs": {"note": {"name": "text_pretrained", "weights": SECOND, "config": "{}", "sha256": "0"}}}
    parts, _ = chosen(read_table(rows(4)), 600.0, begun)
    assert parts["note"]["weights"] == SECOND
    begun = {"inputs": {"note": {"name": "text_tfidf", "vocabulary": ["a"]}}}
    assert chosen(read_table(rows(4)), 600.0, begun)[0]["note"] == "text_tfidf"


def test_a_fit_says_what_it_took_and_keeps_why(
    tmp_path: Path, machine: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    how: Any = {"learner": "logistic", "time_limit": 8.0}
    model = plait.fit(rows(400), "kind", modalities={"note": "text"}, out=tmp_path / "m", **how)
    assert model.spec["inputs"]["note"]["weights"] == SECOND and machine[SECOND] >= 400
    said = capsys.readouterr().err
    line = next(line for line in said.splitlines() if line.startswith(f"note: {SECOND}"))
    assert f"with {BEST}" in line and "Better: " in line
    assert "size: number_scaled (what plait takes for a number)" in said
    told = {choice["column"]: choice for choice in plait.load(tmp_path / "m").record["encoders"]}
    assert told["note"]["taken"] == SECOND and told["note"]["better"].startswith(BEST)
    report = json.loads((tmp_path / "m" / "report.json").read_text("utf-8"))
    assert report["encoders"] == list(told.values())
    assert told["note"]["why"] in (tmp_path / "m" / "report.html").read_text("utf-8")


def test_what_is_here_what_is_absent_and_what_is_second_best_is_told() -> None:
    _, choices = choose({"note": "text"}, "auto", fixed=True)
    assert tell(choices) == [f"note: {BEST} (its weights are on this machine)"]
    shutil.rmtree(own_folder() / BEST)
    get = f"`plait weights get {BEST}` (239 MB, Gemma Terms of Use (not open source; kept beside the weights))"
    assert tell(choose({"note": "text"}, "auto", fixed=True)[1]) == [
        f"note: {SECOND} (its weights are on this machine). Better: {get}"
    ]
    shutil.rmtree(own_folder() / SECOND)
    kinds = {"note": "text", "more": "text", "size": "number"}
    assert tell(choose(kinds, "auto", fixed=True)[1]) == [
        f"note, more: text_tfidf (no pretrained weights for it are on this machine). Better: {get}",
        "size: number_scaled (what plait takes for a number)",
    ]
    assert tell(choose(kinds, "classic", fixed=True)[1]) == [], "it was asked for"


def test_running_over_is_said_and_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    prepared = fitting.prepared
    monkeypatch.setattr(fitting, "prepared", lambda *given: (time.sleep(0.6), prepared(*given))[1])
    model = plait.fit(
        rows(40), "kind", encoders="classic", modalities={"note": "text"}, learner="logistic", time_limit=0.5
    )
    assert "longer than the time limit" in capsys.readouterr().err and model.record["late"] > 0
    assert "late" not in plait.fit(rows(40), "kind", inputs=["size"], quiet=True, learner="ridge").record


def test_numbers_called_weights_are_no_network() -> None:
    completed = {
        "name": "image_set",
        "inner": dumps({"name": "image_sift", "weights": np.ones(3), "means": np.ones(3)}),
    }
    assert kept_networks(completed) == kept_networks({"name": "image_sift", "weights": np.ones(3)}) == []
    inner = {"name": "image_pretrained", "weights": "w", "sha256": "0", "config": '{"plait_licence": "MIT"}'}
    nets = kept_networks({"name": "image_set", "inner": dumps(inner)})
    assert nets == [{"weights": "w", "sha256": "0", "licence": "MIT"}]


def test_a_model_says_whose_networks_it_keeps_and_under_which_licence(tmp_path: Path) -> None:
    folder = own_folder() / BEST
    licence = "Gemma Terms of Use"
    about = {"name": BEST, "licence": licence, "source": "a package", "sha256": {}}
    (folder / "weights.json").write_text(json.dumps(about))
    model = plait.fit(
        rows(40),
        "kind",
        inputs=["note"],
        encoders={"note": [BEST, "tfidf"]},
        modalities={"note": "text"},
        learner="logistic",
        out=tmp_path / "m",
        quiet=True,
    )
    (net,) = plait.load(tmp_path / "m").record["pretrained"]
    assert (net["column"], net["weights"], net["licence"]) == ("note", BEST, licence)
    assert net["sha256"] == model.spec["inputs"]["note"]["parts"][0]["sha256"]
    for name in ("report.html", "MODEL_CARD.md", "report.json"):
        text = (tmp_path / "m" / name).read_text("utf-8")
        assert licence in text and net["sha256"][:12] in text, name
        assert "trained from scratch on" not in text, name
    assert np.isfinite(model.figures["kind"]["accuracy"])
