"""What stands on both sides of a split: each kind of planted leak is found, row by row, and nothing else is."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.inspection.planted import clean, kinds, look, one, pictured

PARTS = ["train"] * 40 + ["valid"] * 8 + ["test"] * 12


def split(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(part=PARTS)


def leaked(found: object, column: str) -> dict[str, object]:
    return found.facts["leaks"].get(column, {})  # type: ignore[attr-defined]


def test_a_clean_split_leaks_nothing(tmp_path: Path) -> None:
    found = look(split(pictured(tmp_path)), split_column="part", base=tmp_path)
    assert found.facts["leaks"] == {} and kinds(found) == []


def test_exact_duplicate_rows_are_found() -> None:
    frame = split(clean(60))
    frame.loc[[50, 57], ["note", "size", "place", "kind"]] = frame.loc[[2, 9], ["note", "size", "place", "kind"]].values
    found = look(frame, split_column="part")
    assert leaked(found, "all inputs")["rows"] == 2
    assert leaked(found, "all inputs")["examples"] == [(2, 50), (9, 57)]
    assert one(found, "split_leak").severity == "serious"


def test_the_same_file_under_two_names_is_found(tmp_path: Path) -> None:
    frame = split(pictured(tmp_path))
    shutil.copy(tmp_path / "p3.png", tmp_path / "p55.png")
    found = look(frame, split_column="part", base=tmp_path)
    assert leaked(found, "picture")["examples"] == [(3, 55)] and leaked(found, "picture")["exact_rows"] == 1


def test_folders_of_train_and_test_are_checked_against_each_other(tmp_path: Path) -> None:
    pictured(tmp_path, 60)
    for i in range(60):
        folder = tmp_path / "set" / ("train" if i < 40 else "test") / ("red", "green")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(tmp_path / f"p{i}.png", folder / f"p{i}.png")
    shutil.copy(tmp_path / "set" / "train" / "red" / "p0.png", tmp_path / "set" / "test" / "red" / "new.png")
    found = look(tmp_path / "set", None)
    assert found.facts["split"]["by"] == "column" and found.facts["split"]["rows"]["test"] == 21
    assert found.facts["leaks"]["image"]["exact_rows"] == 1 and "With the split," in one(found, "split_leak").text
    assert "split" not in {c["name"] for c in found.facts["columns"] if c["role"] == "input"}


def test_pictures_encoded_and_resized_anew_are_found(tmp_path: Path) -> None:
    frame = split(pictured(tmp_path))
    for old, new, side, quality in ((1, 45, 30, 60), (2, 46, 96, 85), (5, 59, 48, 40)):
        buffer = io.BytesIO()
        Image.open(tmp_path / f"p{old}.png").resize((side, side), Image.Resampling.BILINEAR).save(
            buffer, "JPEG", quality=quality
        )
        (tmp_path / f"p{new}.png").write_bytes(buffer.getvalue())
    found = look(frame, split_column="part", base=tmp_path)
    assert leaked(found, "picture")["examples"] == [(1, 45), (2, 46), (5, 59)]
    assert leaked(found, "picture")["exact_rows"] == 0 and "nearly the same" in one(found, "split_leak").text


def test_texts_that_differ_in_case_form_and_spaces_are_found() -> None:
    frame = split(clean(60))
    frame.loc[0, "note"] = "the caf\u00e9  is ﬁne"
    frame.loc[50, "note"] = "The CAFE\u0301 is\tfine "
    assert leaked(look(frame, split_column="part"), "note")["examples"] == [(0, 50)]


def test_a_group_on_both_sides_is_found_and_none_when_split_by_it() -> None:
    frame = split(clean(60)).assign(house=[f"h{i // 4}" for i in range(60)])
    frame.loc[59, "house"] = "h0"
    found = one(look(frame, split_column="part", group="house"), "group_overlap")
    assert found.figures == {"groups": 1, "rows": 1} and found.examples == ((0, 59),)
    assert "group_overlap" not in kinds(look(frame.drop(columns="part"), group="house"))


def test_a_column_that_keeps_duplicates_together_is_suggested_and_no_other() -> None:
    generator = np.random.default_rng(0)
    frame = clean(120).assign(person=[f"p{i // 4}" for i in range(120)], shelf=generator.integers(0, 30, 120))
    frame["note"] = [frame["note"][4 * (i // 4) + i % 2] for i in range(120)]  # each person says two things twice
    found = look(frame)
    assert [g["column"] for g in found.facts["groups"]] == ["person"] and found.facts["groups"][0]["inside"] == 1.0
    assert "--group person" in one(found, "group_suggested").way_out
    assert "\"group\": 'person'" in one(found, "split_leak").way_out


def test_groups_keep_shared_content_together(tmp_path: Path) -> None:
    frame = pictured(tmp_path)
    shutil.copy(tmp_path / "p0.png", tmp_path / "p1.png")
    frame.loc[2, "note"] = frame.loc[1, "note"].upper()
    groups = look(frame, base=tmp_path).groups
    assert groups[0] == groups[1] == groups[2] and len(set(groups)) == 58
    found = look(frame.assign(twins=groups), group="twins", base=tmp_path)
    assert found.facts["leaks"] == {}


def test_labels_that_contradict_each_other_are_found(tmp_path: Path) -> None:
    frame = pictured(tmp_path)
    frame["kind"] = ["red", "green"] * 30
    shutil.copy(tmp_path / "p0.png", tmp_path / "p1.png")  # another label
    shutil.copy(tmp_path / "p2.png", tmp_path / "p4.png")  # the same label
    found = one(look(frame, base=tmp_path), "conflict")
    assert found.figures == {"picture": {"things": 1, "rows": 2}} and found.examples == ((0, 1),)
    frame.loc[1] = frame.loc[0]
    frame.loc[1, "kind"] = "green"
    assert {f.severity for f in look(frame, base=tmp_path).findings if f.kind == "conflict"} == {"serious", "warning"}


def test_numbers_for_one_content_that_differ_are_a_conflict() -> None:
    frame = clean(60).assign(price=np.linspace(0, 10, 60))
    frame.loc[30, "note"] = frame.loc[0, "note"]
    assert one(look(frame, "price"), "conflict").examples == ((0, 30),)
    frame.loc[30, "price"] = 0.01
    assert "conflict" not in kinds(look(frame, "price"))


def test_what_two_tables_share_is_found() -> None:
    first, second = clean(60), clean(60, seed=9)
    second.loc[[10, 20], "note"] = first.loc[[5, 6], "note"].values
    found = look(first, against=second)
    assert found.facts["drift"]["against"]["shared"] == {"note": {"things": 2, "rows": 2}}
    assert one(found, "shared_content").figures["other_rows"] == [10, 20]
    assert found.facts["rows"] == 60 and found.facts["columns"][0]["present"] == 60


def test_files_of_a_second_table_are_taken_from_its_folder(tmp_path: Path) -> None:
    for part, seed in (("a", 0), ("b", 1)):
        (tmp_path / part).mkdir()
        pictured(tmp_path / part, 30, seed=seed).to_csv(tmp_path / part / "t.csv", index=False)
    shutil.copy(tmp_path / "a" / "p3.png", tmp_path / "b" / "p8.png")
    (tmp_path / "b" / "p9.png").write_bytes(b"no picture")  # a bad cell of the second table is not one of the first
    import plait

    found = plait.inspect(tmp_path / "a" / "t.csv", "kind", against=tmp_path / "b" / "t.csv", quiet=True)
    assert found.bad_cells == [] and one(found, "shared_content").figures["other_rows"] == [8]


@pytest.mark.parametrize("missing", ["note", "size"])
def test_a_second_table_may_lack_a_column(missing: str) -> None:
    assert look(clean(60), against=clean(60, seed=3).drop(columns=[missing])).facts["drift"]["against"]["rows"] == 60
