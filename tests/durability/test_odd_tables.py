"""Tables that differ from those of training, and labels that are rare, in one part only, alone, or missing altogether."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests import toy

from plait.errors import TableError, UnknownNameError

INPUTS = ["note", "size", "house"]


@pytest.fixture(scope="module")
def fitted(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("odd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAIT_CACHE", str(folder / "cache"))
        return toy.fit(small, inputs=INPUTS, modalities={"house": "category"}, epochs=4)


@pytest.fixture
def frame(small: Path) -> pd.DataFrame:
    return pd.read_csv(small)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one.drop(columns="status"), other.drop(columns="status"), rtol=0, atol=1e-6)


# Columns


def test_columns_in_any_order_and_more_of_them(fitted: Any, frame: pd.DataFrame) -> None:
    expected = fitted.predict_proba(frame)
    same(fitted.predict_proba(frame[[*INPUTS[::-1], "part"]].assign(more=[[1]] * 60, kind="?")), expected)


@pytest.mark.parametrize("column", INPUTS)
def test_a_column_that_is_absent_or_renamed_is_named(fitted: Any, frame: pd.DataFrame, column: str) -> None:
    with pytest.raises(TableError, match=rf"no column '{column}'.*--allow-missing"):
        fitted.predict(frame.drop(columns=column))
    with pytest.raises(TableError, match=rf"no column '{column}'.*Did you mean '{column}s'"):
        fitted.predict(frame.rename(columns={column: f"{column}s"}))
    absent = fitted.predict_proba(frame.drop(columns=column), allow_missing=True)
    same(absent, fitted.predict_proba(frame.assign(**{column: None})))
    assert absent["status"].str.contains(f"missing {column}").all()


def test_numbers_as_text_and_text_as_numbers(fitted: Any, frame: pd.DataFrame) -> None:
    expected = fitted.predict_proba(frame)
    for form in (str, np.float64, lambda v: np.float32(v), lambda v: f" {v} "):
        exact = frame.assign(size=[np.float64(np.float32(v)) for v in frame["size"]])
        wanted = fitted.predict_proba(exact)
        same(fitted.predict_proba(exact.assign(size=[form(v) for v in exact["size"]])), wanted)
    whole = frame.assign(size=[round(v) for v in frame["size"]])
    same(fitted.predict_proba(whole), fitted.predict_proba(whole.astype({"size": str})))
    wrong = fitted.predict_proba(frame.assign(size=["many", *frame["size"][1:]]))
    assert "expected a number" in wrong["status"][0] and (wrong["status"][1:] == "ok").all()
    same(wrong.iloc[1:], expected.iloc[1:])


def test_a_category_never_seen_is_like_any_other_never_seen(fitted: Any, frame: pd.DataFrame) -> None:
    unseen = [fitted.predict_proba(frame.assign(house=name)) for name in ("h99", "never", 17)]
    same(unseen[0], unseen[1])
    same(unseen[0], unseen[2])
    values = unseen[0].drop(columns="status").to_numpy(float)
    assert np.isfinite(values).all()
    for name in frame["house"].unique():
        known = fitted.predict_proba(frame.assign(house=name)).drop(columns="status").to_numpy(float)
        assert np.abs(known - values).max() > 1e-6, "it is not taken for one that was seen"


def test_names_never_seen_are_told_and_counted(
    fitted: Any, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = frame.iloc[:9].assign(house=["h1", "teal", None, "h1", "teal", " mauve ", "h2", "h2", "h2"])
    frame = frame.astype({"size": object})
    frame.loc[4, "size"] = "many"
    found = fitted.predict(frame, quiet=False)
    note = "note house: '{}' is not among the names learned in training"
    assert found["status"].tolist() == [
        *["ok", note.format("teal"), "missing house", "ok"],
        f"bad size: found 'many', expected a number; {note.format('teal')}",
        *[note.format("mauve"), "ok", "ok", "ok"],
    ]
    counts = {"house": {"names": 2, "rows": 3, "most": {"teal": 2, "mauve": 1}}}
    assert found.attrs["unseen"] == counts
    said = "house: 3 rows with names that training did not teach (2 such names), taken for unknown: 'teal' x 2, 'mauve' x 1"
    assert capsys.readouterr().err.count(said) == 1
    assert fitted.evaluate(frame).to_json()["unseen_names"] == counts
    assert fitted.predict(frame.assign(house="h1")).attrs["unseen"] == {}


def test_held_out_names_are_told_when_fitting(frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    frame.loc[frame["part"] == "test", "house"] = "elsewhere"
    model = toy.fit(frame, inputs=["house", "size"], modalities={"house": "category"}, epochs=1, quiet=False)
    assert "house: 12 rows with names that training did not teach (1 such name" in capsys.readouterr().err
    about = model.record["evaluation"]["unseen_names"]["house"]
    assert about == {"names": 1, "rows": 12, "most": {"elsewhere": 12}}


def test_sets_of_labels_tell_each_name_never_seen(frame: pd.DataFrame) -> None:
    sets = [["a", "b"], ["b"], []] * 20
    model = toy.fit(frame.assign(tags=sets), inputs=["tags", "size"], epochs=1)
    found = model.predict([{"tags": ["b", "new", "newer"], "size": 1.0}, {"tags": [], "size": 1.0}, {"tags": ["a"]}])
    first, second, third = found["status"]
    assert first.count("is not among the names") == 2 and "'new'" in first and "'newer'" in first
    assert second == "ok" and third == "missing size"
    assert found.attrs["unseen"]["tags"] == {"names": 2, "rows": 1, "most": {"new": 1, "newer": 1}}


def test_whole_numbers_and_their_text_are_the_same_names(frame: pd.DataFrame) -> None:
    codes = [10 + i // 4 for i in range(60)]
    model = toy.fit(frame.assign(code=codes), inputs=["code", "size"], modalities={"code": "category"}, epochs=2)
    expected = model.predict_proba(frame.assign(code=codes))
    for form in (str, float, lambda v: f" {v} ", np.int8):
        found = model.predict_proba(frame.assign(code=[form(v) for v in codes]))
        same(found, expected)
        assert (found["status"] == "ok").all() and found.attrs["unseen"] == {}
    as_text = toy.fit(
        frame.assign(code=[str(c) for c in codes]), inputs=["code", "size"], modalities={"code": "category"}, epochs=2
    )
    same(as_text.predict_proba(frame.assign(code=codes)), expected)


def test_a_row_with_nothing_in_it(fitted: Any, frame: pd.DataFrame) -> None:
    nothing = {c: None for c in INPUTS}
    found = fitted.predict_proba([*frame[INPUTS].to_dict("records")[:3], nothing, {}])
    assert "prior" in found["status"][3] and "prior" in found["status"][4] and (found["status"][:3] == "ok").all()
    same(found.iloc[[3]].reset_index(drop=True), found.iloc[[4]].reset_index(drop=True))
    same(found.iloc[:3], fitted.predict_proba(frame).iloc[:3])


# Labels


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("split", [None, "part"])
def test_a_class_of_one_or_two_rows(frame: pd.DataFrame, rows: int, split: str | None) -> None:
    frame.loc[[7, 22][:rows], "kind"] = "violet"  # both train, by the column
    model = toy.fit(frame, inputs=["note", "size"], split=split, epochs=2)
    judged = model.record["evaluation"]["targets"]["kind"]
    assert "violet" in judged["classes"], "a class keeps its first row in training"
    values = [f["value"] for f in judged["metrics"].values()]
    assert all(v is None or np.isfinite(v) for v in values)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_class_that_training_never_shows(frame: pd.DataFrame, part: str) -> None:
    rows = frame.index[frame["part"] == part][:3]
    frame.loc[rows, "kind"] = "violet"
    model = toy.fit(frame, inputs=["note", "size"], epochs=3)
    judged = model.record["evaluation"]["targets"]["kind"]
    assert "violet" not in judged["classes"]
    assert judged["unseen"] == ({"violet": 3} if part == "test" else {}) and judged["rows"] == (
        9 if part == "test" else 12
    )
    assert all(h["score"] is None or np.isfinite(h["score"]) for h in model.record["history"])


@pytest.mark.parametrize("split", [None, "part"])
def test_one_class_alone_is_named_with_its_rows(frame: pd.DataFrame, split: str | None) -> None:
    with pytest.raises(TableError, match=r"'kind'.*one class only, 'red'.*'red' x 60"):
        toy.fit(frame.assign(kind="red"), inputs=["note", "size"], split=split)


@pytest.mark.parametrize("target", ["kind", "value"])
def test_no_label_at_all(frame: pd.DataFrame, target: str) -> None:
    with pytest.raises(TableError, match=rf"'{target}'.*all 60 labels are missing"):
        toy.fit(frame.assign(**{target: None}), target, inputs=["note", "size"])


def test_a_target_that_is_not_there(frame: pd.DataFrame) -> None:
    with pytest.raises(UnknownNameError, match=r"'kinds'.*Did you mean 'kind'"):
        toy.fit(frame, "kinds", inputs=["note", "size"])
