"""What cannot be fitted is refused in one sentence that names the place and the way out, with nothing written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import plait
from plait.errors import PlaitError, TableError, TooManyBadCellsError
from tests import toy


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    return pd.read_csv(toy.make(tmp_path / "data", 30))


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"targets": "kinde"}, ["column", "'kinde'", "Did you mean 'kind'"]),
        ({}, {"inputs": ["picture", "notes"]}, ["'notes'", "Did you mean 'note'"]),
        ({}, {"inputs": ["picture", "kind"]}, ["'kind'", "both as a target and as an input"]),
        ({}, {"targets": []}, ["No target given"]),
        ({"kind": "same"}, {}, ["'kind'", "one class only", "at least two"]),
        ({"kind": None}, {}, ["'kind'", "all 30 labels are missing"]),
        (
            {"value": "many"},
            {"targets": "value", "modalities": {"value": "number"}},
            ["value", "Nothing can be learned"],
        ),
        ({"value": 3.0}, {"targets": "value", "modalities": {"value": "number"}}, ["'value'", "only the value 3"]),
        ({}, {"fusion": "atention"}, ["fusion", "Did you mean 'attention'"]),
        ({}, {"fusion": {"name": "concat", "dropuot": 0.1}}, ["dropuot", "Did you mean 'dropout'"]),
        ({}, {"encoders": {"picture": "text_transformer"}}, ["'picture' is image", "reads text", "image_resnet"]),
        ({}, {"encoders": {"pictur": "image_resnet"}}, ["'pictur'", "Did you mean 'picture'"]),
        (
            {},
            {"encoders": {"size": {"name": "number_periodic", "width": "wide"}}},
            ["number_periodic", "cannot be built"],
        ),
        ({}, {"modalities": {"note": "txt"}}, ["modality", "Did you mean 'text'"]),
        ({}, {"training": {"epoch": 3}}, ["Did you mean 'epochs'"]),
        ({}, {"split": {"groups": "house"}}, ["split option", "Did you mean 'group'"]),
        ({}, {"split": {"valid": 0.6, "test": 0.5}}, ["add up to 1.1"]),
        ({"part": "later"}, {}, ["'part', row 0", "'later'", "train, valid or test"]),
        ({}, {"training": {"batch_size": 8.5}}, ["batch_size", "8.5", "whole number"]),
        ({}, {"training": {"metric": "acuracy"}}, ["metric", "Did you mean 'accuracy'"]),
        ({}, {"split": {"group": "house", "time": "size"}}, ["group and time", "Choose one"]),
        ({}, {"split": 0.2}, ["split is 0.2"]),
        ({}, {"split": {"time": "size"}}, ["'size'", "time column and as an input"]),
        ({}, {"seed": -1}, ["seed"]),
        ({}, {"heads": {"kind": "number"}}, ["'kind' is category", "answers number"]),
        ({}, {"encoders": {"note": {"name": "text_transformer", "vocabulary": "abc"}}}, ["text_transformer", "abc"]),
        ({}, {"encoders": {"note": {"name": "text_transformer", "heads": 0}}}, ["cannot be built"]),
        ({}, {"targets": 2}, ["targets is 2"]),
        ({}, {"time_limit": 0}, ["time_limit"]),
        ({}, {"targets": "picture", "inputs": ["note"]}, ["'picture' is image", "not yet a target"]),
    ],
)
def test_bad_requests(
    frame: pd.DataFrame, tmp_path: Path, change: dict[str, Any], options: dict[str, Any], words: list[str]
) -> None:
    targets = options.pop("targets", "kind")
    with pytest.raises(PlaitError) as found:
        toy.fit(frame.assign(**change), targets, base=tmp_path / "data", out=tmp_path / "m", **options)
    for word in words:
        assert word in str(found.value)
    assert not (tmp_path / "m").exists() and not list(tmp_path.glob("*m*.part"))


def test_unreadable_tables(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("note,kind\n")
    (tmp_path / "ragged.csv").write_text("note,kind\na,b\na,b,c\n")
    for name, words in {
        "no.csv": "No such file",
        "empty.csv": "is empty",
        "header.csv": "no rows",
        "ragged.csv": "line 3: found 3 cells, expected 2",
    }.items():
        with pytest.raises(PlaitError, match=words):
            plait.fit(tmp_path / name, "kind", quiet=True)
    with pytest.raises(PlaitError, match="Cannot read a table from a int"):
        plait.fit(3, "kind", quiet=True)


def test_bad_cells_are_named_before_training_and_stop_it_above_the_limit(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.loc[[3, 7, 11], "picture"] = ["gone.png", "p7.png", "note.png"]
    (tmp_path / "data" / "note.png").write_bytes(b"<html></html>")
    with pytest.raises(TooManyBadCellsError) as found:
        toy.fit(frame, base=tmp_path / "data", out=tmp_path / "m")
    for words in ("Column 'picture': 2 of 30", "row 3", "gone.png", "row 11", "HTML", "max_bad=0.08"):
        assert words in str(found.value)
    assert not (tmp_path / "m").exists()
    model = toy.fit(frame, base=tmp_path / "data", out=tmp_path / "m", max_bad=0.08, epochs=1)
    assert model.record["bad_cells"] == 2
    bad = json.loads((tmp_path / "m" / "report.json").read_text())["bad_cells"]
    assert [(b["row"], b["column"], b["path"]) for b in bad] == [
        (3, "picture", "gone.png"),
        (11, "picture", "note.png"),
    ]


def test_the_folder_holds_model_report_card_and_splits(frame: pd.DataFrame, tmp_path: Path) -> None:
    toy.fit(frame, base=tmp_path / "data", out=tmp_path / "m", epochs=1)
    names = sorted(p.name for p in (tmp_path / "m").iterdir())
    assert {
        "MODEL_CARD.md",
        "manifest.json",
        "plait.json",
        "report.html",
        "report.json",
        "splits.parquet",
        "weights.safetensors",
    } <= set(names)
    assert any(n.startswith("tokenizer") for n in names)
    splits = pq.read_table(tmp_path / "m" / "splits.parquet").to_pandas()
    assert splits["part"].tolist() == frame["part"].tolist()
    assert splits["hash"].is_unique
    assert not (tmp_path / "m.run").exists()


def test_what_utf_8_cannot_hold_does_not_lose_a_finished_fit(tmp_path: Path) -> None:
    """Half a character in a bad cell, in a name, in a text; a file whose name is not UTF-8."""
    rows: list[dict[str, Any]] = [
        {"size": str(i), "name": "\ud800b"[i % 2], "note": f"\udfff the {i} one is here", "y": "pq"[i % 2]}
        for i in range(40)
    ]
    rows[39]["size"] = "\ud800 many"
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    path.write_text("\n".join(map(json.dumps, rows)))
    kinds = {"size": "number", "name": "category", "note": "text"}
    made = plait.fit(path, "y", inputs=kinds, epochs=1, out=tmp_path / "m", quiet=True)
    model = plait.load(tmp_path / "m")
    assert model.record == json.loads(json.dumps(made.record)) and model.record["table"] == path.name
    assert model.record["evaluation"]["bad_cells"][0]["path"] == r"\ud800 many"
    assert model.predict_proba(rows).equals(made.predict_proba(rows))
    with pytest.raises(TableError, match=r"a column named '\\ud800'.*half a character"):
        plait.fit([{"\ud800": row["size"], **row} for row in rows], "y", quiet=True)


def test_a_taken_name_is_refused_before_any_work(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(PlaitError, match="exists already"):
        toy.fit(frame.assign(picture="nowhere.png"), base=tmp_path / "data", out=tmp_path / "m")


def test_groups_do_not_cross_parts_and_splits_repeat(frame: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        toy.fit(frame, base=tmp_path / "data", out=tmp_path / name, epochs=1, split={"group": "house"})
    splits = [pq.read_table(tmp_path / n / "splits.parquet").to_pandas() for n in ("a", "b")]
    assert splits[0].equals(splits[1])
    assert splits[0].groupby(frame["house"])["part"].nunique().max() == 1
    assert set(splits[0]["part"]) == {"train", "valid", "test"}


def test_a_folder_for_each_class_is_a_table_and_its_splits_are_kept(tmp_path: Path) -> None:
    frame = pd.read_csv(toy.make(tmp_path / "toy", 24))
    for i, row in frame.iterrows():
        place = tmp_path / "root" / ("test" if i % 4 == 0 else "train") / row.kind
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "toy" / row.picture, place / f"{i}.png")
    (tmp_path / "root" / "README.md").write_text("about")
    model = plait.fit(tmp_path / "root", "label", encoders={"image": toy.TINY["picture"]}, epochs=2, quiet=True)
    assert model.inputs == {"image": "image"} and model.record["parts"] == [18, 0, 6]
    drawn = {"column": "", "valid": 0.25, "test": 0.25}
    options = {"inputs": ["image"], "encoders": {"image": toy.TINY["picture"]}, "epochs": 1, "quiet": True}
    assert plait.fit(tmp_path / "root", "label", split=drawn, **options).record["parts"] == [12, 6, 6]
    answer = model.predict(tmp_path / "root")
    assert len(answer) == 24 and set(answer["status"]) == {"ok"}


def test_odd_column_names_work(frame: pd.DataFrame, tmp_path: Path) -> None:
    odd = {"picture": "a.b", "note": "文字", "size": "items", "kind": "type", "sound": "training"}
    model = plait.fit(
        frame.rename(columns=odd),
        "type",
        inputs=[v for k, v in odd.items() if k != "kind"],
        quiet=True,
        encoders={odd[c]: toy.TINY[c] for c in toy.INPUTS},
        split="part",
        epochs=1,
        base=tmp_path / "data",
        out=tmp_path / "m",
    )
    rows = frame.rename(columns=odd)
    assert (
        plait.load(tmp_path / "m")
        .predict(rows, base=tmp_path / "data")
        .equals(model.predict(rows, base=tmp_path / "data"))
    )


def test_predictions_are_of_the_kind_that_stands_in_the_table(frame: pd.DataFrame, tmp_path: Path) -> None:
    for values in (frame["kind"] == "red", frame["kind"].map({"red": 0, "green": 1, "blue": 2})):
        table = frame.assign(kind=values)
        model = toy.fit(table, base=tmp_path / "data", epochs=1, inputs=["note", "size"])
        guess = model.predict(table, base=tmp_path / "data")["kind"]
        assert {type(v) for v in guess} == {type(values.tolist()[0])}
        agree = (guess.astype(object) == values.astype(object)).mean()
        assert agree == pytest.approx(model.evaluate(table, base=tmp_path / "data")["kind"]["accuracy"])


def test_labels_that_training_never_showed_are_counted_not_hidden(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.loc[frame["part"] == "test", "kind"] = ["violet", "red", "green", "violet", "blue", "red"]
    model = toy.fit(frame, base=tmp_path / "data", epochs=1, inputs=["note", "size"])
    judged = model.record["evaluation"]["targets"]["kind"]
    assert judged["unseen"] == {"violet": 2} and judged["rows"] == 4
    assert "not judged: 2 rows" in str(model.evaluate(frame, base=tmp_path / "data"))


def test_a_part_of_others_is_loaded_only_when_it_is_named(frame: pd.DataFrame, tmp_path: Path) -> None:
    name = "plait.encoders.number_linear:NumberLinear"
    model = plait.fit(frame, "kind", inputs=["size"], encoders={"size": name}, split="part", epochs=1, quiet=True)
    model.save(tmp_path / "m")
    with pytest.raises(PlaitError, match="Unknown encoder"):
        plait.load(tmp_path / "m")
    again = plait.load(tmp_path / "m", outside=[name])
    assert again.predict(frame).equals(model.predict(frame))
