"""plait.inspect as a whole: silent on clean tables, all bad cells found, plain JSON, odd tables survive."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.inspection.planted import clean, kinds, look, one, pictured

import plait
from plait.errors import PlaitError, UnknownNameError

Frame = pd.DataFrame


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_table_raises_no_alarm(seed: int) -> None:
    assert kinds(look(clean(200, seed))) == []


def test_a_clean_table_with_pictures_raises_no_alarm(tmp_path: Path) -> None:
    assert kinds(look(pictured(tmp_path, 80), base=tmp_path)) == []


def test_every_planted_bad_cell_is_found_and_no_other(tmp_path: Path) -> None:
    frame = pictured(tmp_path, 60)
    raw = (tmp_path / "p7.png").read_bytes()
    (tmp_path / "p7.png").write_bytes(raw[: len(raw) // 2])
    (tmp_path / "p11.png").write_bytes(b"")
    (tmp_path / "p13.png").write_text("<!doctype html><p>404", "utf-8")
    frame.loc[20, "picture"] = "gone.png"
    frame["size"] = frame["size"].astype(object)
    frame.loc[[3, 41], "size"] = "many"
    found = look(frame, base=tmp_path)
    planted = {(7, "picture"), (11, "picture"), (13, "picture"), (20, "picture"), (3, "size"), (41, "size")}
    assert {(b["row"], b["column"]) for b in found.bad_cells} == planted
    assert all(set(b) == {"row", "column", "path", "reason"} and b["reason"] for b in found.bad_cells)
    columns = {c["name"]: c for c in found.facts["columns"]}
    assert columns["picture"]["broken"] == 4 and columns["picture"]["present"] == 56 and columns["size"]["broken"] == 2
    assert {f.columns for f in found.findings if f.kind == "bad_cells"} == {("picture",), ("size",)}


def test_the_answer_is_plain_json_and_says_what_each_column_is(tmp_path: Path) -> None:
    frame = pictured(tmp_path, 60)
    frame.loc[:9, "place"] = None
    found = look(frame, base=tmp_path)
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert read["rows"] == 60 and [c["name"] for c in read["columns"]] == list(frame.columns)
    picture, note, size, place, kind = read["columns"]
    assert [c["modality"] for c in read["columns"]] == ["image", "text", "number", "category", "category"]
    assert kind["role"] == "target" and picture["role"] == "input"
    assert picture["figures"]["width"] == [48.0] * 5 and picture["distinct"] == 60
    assert place["missing"] == 10 and place["present"] == 50
    np.testing.assert_allclose(size["figures"]["value"], frame["size"].quantile([0, 0.25, 0.5, 0.75, 1]))
    assert place["most_frequent"] == _counts(frame["place"])[: len(place["most_frequent"])]
    assert sum(note["histograms"]["characters"]["counts"]) == 60
    assert read["missing"] == [{"missing": [], "rows": 50}, {"missing": ["place"], "rows": 10}]
    assert sum(read["split"]["rows"].values()) == 60 and read["split"]["by"] == "chance"
    shares = {c["name"]: c["rows"] for c in read["targets"]["kind"]["classes"]}
    assert shares == frame["kind"].value_counts().to_dict()
    assert "place" in str(found) and "distinct" in str(found)


def _counts(column: pd.Series[Any]) -> list[list[Any]]:
    """As the library orders them: most frequent first, then as they come."""
    counts = column.dropna().groupby(column.dropna(), sort=False).size()
    return [[name, int(n)] for name, n in sorted(counts.items(), key=lambda c: -c[1])]


def test_the_split_is_the_one_that_fit_draws(tmp_path: Path) -> None:
    from tests import toy

    table = toy.make(tmp_path / "toy", 40)
    model = toy.fit(table, split={"group": "house"}, epochs=1, inputs=["size", "note"], seed=3)
    found = plait.inspect(table, "kind", inputs=["size", "note"], group="house", seed=3, quiet=True)
    assert list(found.facts["split"]["rows"].values()) == model.record["parts"]


def test_a_column_called_split_is_the_split_as_it_is_for_fit() -> None:
    frame = clean(40).assign(house=[f"h{i // 4}" for i in range(40)])
    frame["split"] = ["train"] * 21 + ["test"] * 9 + [None] * 3 + ["valid"] * 7
    frame.loc[[2, 25, 26], "kind"] = None  # rows without a label take no part
    for split, by in ((None, "column"), ({"column": "", "test": 0.3}, "chance"), ({"group": "house"}, "group")):
        model = plait.fit(frame, "kind", split=split, encoders="classic", learner="prototypes", quiet=True)
        found = look(frame, split=split)
        assert list(found.facts["split"]["rows"].values()) == model.record["parts"]
        assert {c.name: c.role for c in model.schema.columns} == {c["name"]: c["role"] for c in found.facts["columns"]}
        assert found.facts["split"]["by"] == by
    assert look(frame).facts["split"]["rows"] == {"train": 20, "valid": 7, "test": 7}


def test_a_split_without_a_labelled_row_to_train_on_is_looked_at() -> None:
    frame = clean(60).assign(split=["train"] * 40 + ["test"] * 20)
    frame.loc[:39, "kind"] = None
    assert look(frame).facts["split"]["rows"] == {"train": 40, "valid": 0, "test": 20}


def test_rows_that_share_content_are_groups_in_the_json() -> None:
    frame = clean(60)
    frame.loc[[7, 33], "note"] = frame.loc[4, "note"]
    frame.loc[50, "note"] = frame.loc[9, "note"].upper()
    found = look(frame)
    assert found.to_json()["row_groups"] == [[4, 7, 33], [9, 50]]
    assert all(len(set(found.groups[rows])) == 1 for rows in found.to_json()["row_groups"])
    assert look(clean(60)).to_json()["row_groups"] == []


def test_bad_cells_of_the_second_table_are_told_by_its_own_rows(tmp_path: Path) -> None:
    frame, other = clean(60), clean(40, 1)
    frame["size"], other["size"], other["place"] = frame["size"].astype(object), other["size"].astype(object), "town 1"
    frame.loc[5, "size"] = "few"
    other.loc[[0, 17, 39], "size"] = "many"
    found = look(frame, against=other)
    assert [(b["row"], b["column"], b["path"]) for b in found.bad_cells] == [(5, "size", "few")]
    told = found.to_json()["drift"]["against"]["bad_cells"]
    assert [(b["row"], b["column"], b["path"]) for b in told] == [(r, "size", "many") for r in (0, 17, 39)]
    own, theirs = (f for f in found.findings[::-1] if f.kind == "bad_cells")
    assert own.figures == {"cells": 1, "filled": 60}
    assert theirs.figures == {"cells": 3, "filled": 40, "table": "the table"} and theirs.severity == "serious"
    assert "many" in found.save_html(tmp_path / "page.html").read_text("utf-8")
    other.loc[[0, 17], "size"] = 0.0  # 1 of 40 is no finding, and told all the same
    found = look(frame, against=other)
    assert len(found.facts["drift"]["against"]["bad_cells"]) == 1
    assert [f.figures["cells"] for f in found.findings if f.kind == "bad_cells"] == [1]


def test_both_tables_take_their_paths_from_the_base_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "tables").mkdir()
    frame = pictured(tmp_path / "media", 20)
    for name in ("a", "b"):
        frame.to_csv(tmp_path / "tables" / f"{name}.csv", index=False)
    one_, other = (tmp_path / "tables" / f"{name}.csv" for name in ("a", "b"))
    found = look(one_, against=other, base=tmp_path / "media")
    assert found.bad_cells == [] and found.facts["drift"]["against"]["bad_cells"] == []
    shutil.copy(other, tmp_path / "media" / "b.csv")  # beside its pictures, and the first table in memory
    found = look(frame, against=tmp_path / "media" / "b.csv", base=tmp_path / "media")
    assert found.facts["drift"]["against"]["bad_cells"] == []


def test_without_a_target_all_columns_are_inputs() -> None:
    found = look(clean(60), None)
    assert {c["role"] for c in found.facts["columns"]} == {"input"} and found.facts["targets"] == {}


def test_only_the_inputs_named_are_read() -> None:
    found = look(clean(60), inputs={"size": None, "place": "text"})
    read = {c["name"]: c["modality"] for c in found.facts["columns"] if "present" in c}
    assert read == {"size": "number", "place": "text", "kind": "category"}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_tables_are_read(n: int) -> None:
    found = look(clean(n))
    assert found.facts["rows"] == n and json.dumps(found.to_json())


def test_labels_that_are_rare_one_or_missing_are_told() -> None:
    frame = clean(80)
    frame.loc[[4, 5], "kind"] = ["pink", "grey"]
    frame.loc[5, "kind"] = "pink"
    finding = one(look(frame), "rare_classes")
    assert "'pink'" in finding.text and "2 rows" in finding.text
    assert kinds(look(clean(80).assign(kind="red")), "serious") == ["one_class"]
    assert kinds(look(clean(80).assign(kind=None)), "serious") == ["no_labels"]


def test_a_class_that_only_held_out_rows_show_is_told() -> None:
    frame = clean(90)
    frame["part"] = ["train"] * 60 + ["valid"] * 15 + ["test"] * 15
    frame.loc[75:, "kind"] = "pink"
    assert "'pink'" in one(look(frame, split_column="part"), "unseen_classes").text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"targets": "knd"}, "Did you mean 'kind'"),
        ({"inputs": ["sise"]}, "Did you mean 'size'"),
        ({"inputs": ["kind"]}, "both as a target and as an input"),
        ({"modalities": {"note": "txt"}}, "Unknown modality"),
        ({"group": "nobody"}, "Unknown column"),
        ({"split": {"tests": 0.3}}, "Did you mean 'test'"),
        ({"split_column": "place", "split": {"time": "size"}}, "column and time. Choose one"),
        ({"split_column": "place"}, "expected train, valid or test"),
        ({"against": "nowhere.csv"}, "No such file"),
        ({"against": pd.DataFrame({"other": [1]})}, "none of the columns"),
    ],
)
def test_what_cannot_be_done_is_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PlaitError, match=words):
        look(clean(30), **{"targets": "kind", **options})


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(UnknownNameError):
        look(clean(30), "colour")


@pytest.mark.slow
def test_time_and_memory_grow_with_the_rows() -> None:
    peaks = []
    for n in (4_000, 16_000):
        frame = clean(n)
        tracemalloc.start()
        look(frame)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6 * peaks[0]


def test_remarks_on_the_second_table_are_told_by_its_own_rows() -> None:
    frame, other = clean(60), clean(40, 1)
    other["note"] = other["note"].astype(object)
    other.loc[7, "note"] = "word " * 30_000
    found = look(frame, against=other)
    told = found.facts["drift"]["against"]["odd_cells"]
    assert [(cell["row"], cell["column"]) for cell in told] == [(7, "note")] and "cut after" in told[0]["reason"]
    assert found.facts["odd_cells"] == []
