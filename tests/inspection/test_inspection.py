"""plait.inspect as a whole: silent on clean tables, all bad cells found, plain JSON, odd tables survive."""

from __future__ import annotations

import json
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
