"""Columns of lists of pictures or texts: looked at as files are, whether they repeat or not, and shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.conftest import encoded
from tests.inspection.planted import WORDS, clean, look, one, scene

from plait.data.ledger import Ledger
from plait.data.schema import Column
from plait.data.table import read_table
from plait.errors import PlaitError
from plait.inspection.scan import scan
from plait.progress import Progress


def listed(folder: Path, n: int, *, things: int) -> pd.DataFrame:
    """A clean table with two pictures and two texts a row; row i holds what row i - `things` does."""
    generator = np.random.default_rng(1)
    texts = [[" ".join(generator.choice(WORDS, 8)) for _ in range(2)] for _ in range(things)]
    for i in range(2 * things):
        (folder / f"p{i}.png").write_bytes(encoded(scene(i)))
    rows = np.arange(n) % things
    return clean(n).assign(
        views=pd.Series([[f"p{2 * i}.png", f"p{2 * i + 1}.png"] for i in rows]),
        remarks=pd.Series([texts[i] for i in rows]),
    )


@pytest.mark.parametrize("things", [60, 20])
def test_lists_that_repeat_are_counted_and_none_is_printed(tmp_path: Path, things: int) -> None:
    found = look(listed(tmp_path, 60, things=things), base=tmp_path)
    columns = {c["name"]: c for c in json.loads(json.dumps(found.to_json()))["columns"]}
    assert [columns[c]["modality"] for c in ("views", "remarks")] == ["images", "texts"]
    for name in ("views", "remarks"):
        assert columns[name]["distinct"] == things and "most_frequent" not in columns[name]
        assert columns[name]["figures"]["items"] == [2.0] * 5
        assert found.facts["duplicates"].get(name, {}).get("exact_rows", 0) == 60 - things
    assert found.to_json()["row_groups"] == [[i, i + 20, i + 40] for i in range(20) if things == 20]
    means = [np.mean([scene(2 * i + k).mean() / 255 for k in (0, 1)]) for i in range(things)]
    assert columns["views"]["figures"]["brightness"][0] == pytest.approx(min(means), abs=0.01)


def test_no_picture_of_a_list_is_kept(tmp_path: Path) -> None:
    table = read_table(listed(tmp_path, 12, things=12), base=tmp_path)
    columns = {"views": Column("views", "images", "input", ""), "remarks": Column("remarks", "texts", "input", "")}
    found = scan([table], columns, Ledger(), Progress(quiet=True))
    assert [len(found[c].firsts) for c in columns] == [12, 12] and [found[c].cells for c in columns] == [[], []]


def test_the_page_shows_the_pictures_and_texts_of_lists(tmp_path: Path) -> None:
    frame = listed(tmp_path, 40, things=20)
    text = look(frame, inputs=["views", "remarks"], base=tmp_path).save_html(tmp_path / "page.html").read_text("utf-8")
    pictures = set(re.findall(r'<img src="(data:image/jpeg;base64,[^"]+)"', text))
    assert len(pictures) >= 6  # of three examples, each two
    assert frame["remarks"][0][1] in text and "list 2" not in text


def test_lists_on_both_sides_of_a_split_are_found(tmp_path: Path) -> None:
    frame = listed(tmp_path, 60, things=60).assign(part=["train"] * 40 + ["test"] * 20)
    frame.at[45, "views"], frame.at[51, "remarks"] = frame.at[3, "views"], frame.at[7, "remarks"]
    leaks = look(frame, split_column="part", base=tmp_path).facts["leaks"]
    assert {c: leaks[c]["examples"] for c in leaks} == {"views": [(3, 45)], "remarks": [(7, 51)]}


def test_a_list_that_differs_in_one_picture_is_another(tmp_path: Path) -> None:
    frame = listed(tmp_path, 60, things=60)
    frame.at[45, "views"] = [frame.at[3, "views"][0], frame.at[45, "views"][1]]
    assert look(frame, base=tmp_path).facts["duplicates"] == {}


def test_drift_in_any_item_of_a_list_is_found(tmp_path: Path) -> None:
    frame, other = listed(tmp_path, 120, things=120), listed(tmp_path, 120, things=120)
    for i in range(120):
        (tmp_path / f"dark{i}.png").write_bytes(encoded(scene(5000 + i) // 3))
    other["views"] = pd.Series([[cell[0], f"dark{i}.png"] for i, cell in enumerate(other["views"])])
    other["remarks"] = pd.Series([[cell[0], cell[1] + " urgent urgent"] for cell in other["remarks"]])
    found = look(frame, against=other, base=tmp_path)
    drift = {f.columns[0]: f.text for f in found.findings if f.kind == "drift"}
    assert set(drift) == {"views", "remarks"} and "brightness" in drift["views"] and "words" in drift["remarks"]


def test_other_words_as_long_are_drift_and_the_same_are_not(tmp_path: Path) -> None:
    def remarks(words: list[str], seed: int) -> pd.DataFrame:
        generator = np.random.default_rng(seed)
        cells = [[" ".join(generator.choice(words, 8)) for _ in range(2)] for _ in range(120)]
        return clean(120, seed).assign(remarks=pd.Series(cells))

    def alarms(found: Any) -> list[str]:
        return [c for f in found.findings if f.kind == "drift" for c in f.columns]

    assert alarms(look(remarks(WORDS[::2], 0), against=remarks(WORDS[::2], 1))) == []
    assert alarms(look(remarks(WORDS[::2], 0), against=remarks(WORDS[1::2], 1))) == ["remarks"]


@pytest.mark.parametrize("target", ["views", "remarks"])
def test_a_target_that_no_model_answers_is_refused_as_fit_refuses_it(tmp_path: Path, target: str) -> None:
    with pytest.raises(PlaitError, match=f"Target '{target}' is .*can be an input, not yet a target"):
        look(listed(tmp_path, 20, things=20), target, base=tmp_path)


def test_a_list_of_broken_pictures_is_a_bad_cell(tmp_path: Path) -> None:
    frame = listed(tmp_path, 40, things=40)
    frame.at[4, "views"] = ["gone.png", "lost.png"]
    found = look(frame, base=tmp_path)
    assert [(b["row"], b["column"]) for b in found.bad_cells] == [(4, "views")] and one(found, "bad_cells")


def test_sets_of_names_are_shown_by_their_names(tmp_path: Path) -> None:
    frame = clean(60).assign(tags=pd.Series([["copperred", "tallish"], ["wideish"]] * 30))
    text = look(frame).save_html(tmp_path / "page.html").read_text("utf-8")
    assert "copperred" in text and "list 2" not in text
