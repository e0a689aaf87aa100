"""Options that mean the same on the command line as in Python: what a column is, where its files are, what may be absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests import toy
from tests.inspection.planted import clean
from typer.testing import CliRunner

import plait
from plait.cli.app import app
from plait.errors import PlaitError


def said(*arguments: object) -> dict[str, Any]:
    """The JSON that a command prints, run in this process."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json", "--quiet"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(the folder of a model, its table without files), quickly made."""
    folder = tmp_path_factory.mktemp("fitted")
    frame = clean(90)
    frame.to_csv(folder / "t.csv", index=False)
    made = plait.fit(frame, "kind", inputs=["size", "place"], learner="prototypes", encoders="classic", quiet=True)
    made.save(folder / "model")
    return folder / "model", folder / "t.csv"


@pytest.mark.slow
def test_the_modality_of_a_column_leaves_the_inputs_as_they_are(tmp_path: Path) -> None:
    frame = clean(60).assign(day=[f"0{1 + i % 9}/0{1 + i % 8}/2020" for i in range(60)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    kinds: dict[str, Any] = {"place": "text", "day": {"name": "date", "day_first": True}}
    given = ["--modality", "place=text", "--modality", "day=date:day_first=true", "--target", "kind"]
    found = said("inspect", tmp_path / "t.csv", *given)
    same = plait.inspect(tmp_path / "t.csv", "kind", modalities=kinds, quiet=True)
    assert found == {**json.loads(json.dumps(same.to_json())), "page": None}
    out = tmp_path / "m"
    said("fit", tmp_path / "t.csv", *given, "--learner", "prototypes", "--encoders", "classic", "--out", out)
    made = plait.fit(tmp_path / "t.csv", "kind", modalities=kinds, learner="prototypes", encoders="classic", quiet=True)
    assert plait.load(out).schema == made.schema and list(made.inputs) == ["note", "size", "place", "day"]


@pytest.mark.parametrize("command", ["fit", "inspect", "shots", "compare"])
@pytest.mark.parametrize(
    ("given", "words"),
    [("place", "expected COLUMN=MODALITY"), ("plce=text", "Did you mean 'place'"), ("place=txt", "Unknown modality")],
)
def test_a_modality_that_cannot_be_is_refused(tmp_path: Path, command: str, given: str, words: str) -> None:
    clean(30).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(PlaitError, match=words):
        said(command, tmp_path / "t.csv", "--target", "kind", "--modality", given)


@pytest.mark.parametrize(
    ("command", "place"), [("shots", "plait.fewshot.shots"), ("compare", "plait.comparison.compare")]
)
def test_what_runs_many_fits_takes_the_modality_of_a_column_and_the_base(
    command: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def run(table: Any, targets: Any, **options: Any) -> Any:
        asked.update(options, targets=targets)
        raise PlaitError("asked")

    monkeypatch.setattr(place, run)
    with pytest.raises(PlaitError, match="asked"):
        said(command, "t.csv", "--target", "y=category", "--modality", "place=text:", "--base", tmp_path)
    assert asked["targets"] == ["y"] and asked["modalities"] == {"place": "text", "y": "category"}
    assert asked["inputs"] is None and asked["base"] == tmp_path


def test_inspect_looks_at_the_split_that_is_asked_for(tmp_path: Path) -> None:
    frame = clean(60).assign(day=range(60))
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = tmp_path / "t.csv"
    found = said("inspect", table, "--target", "kind", "--time", "day", "--valid", 0.2, "--test", 0.3)
    same = plait.inspect(table, "kind", split={"time": "day", "valid": 0.2, "test": 0.3}, quiet=True)
    assert found["split"] == same.facts["split"] == {"by": "time", "rows": {"train": 30, "valid": 12, "test": 18}}
    shares = said("inspect", table, "--target", "kind", "--valid", 0, "--test", 0.5)["split"]["rows"]
    assert shares == {"train": 30, "valid": 0, "test": 30}


def test_rows_that_share_content_are_grouped_in_the_json(tmp_path: Path) -> None:
    frame = clean(60)
    frame.loc[[7, 33], "note"] = frame.loc[4, "note"]
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert said("inspect", tmp_path / "t.csv")["row_groups"] == [[4, 7, 33]]


@pytest.mark.slow
def test_every_command_takes_the_base_that_python_takes(tmp_path: Path) -> None:
    """Tables in one folder, their pictures in another: nothing is broken where the base is said, all is where it is not."""
    table = toy.make(tmp_path / "media", 45)
    (tmp_path / "tables").mkdir()
    table = table.rename(tmp_path / "tables" / "t.csv")
    base, model = ("--base", tmp_path / "media"), tmp_path / "m"
    found = said("inspect", table, "--input", "picture", *base)
    assert found["bad_cells"] == [] and len(said("inspect", table, "--input", "picture")["bad_cells"]) == 45
    given = ["--target", "kind", "--input", "picture", "--encoders", "classic", "--learner", "prototypes"]
    said("fit", table, *given, *base, "--out", model)
    assert said("predict", model, table, *base, "--out", tmp_path / "p.csv")["bad_cells"] == []
    assert said("evaluate", model, table, *base)["bad_cells"] == []
    shown = CliRunner().invoke(app, ["summary", str(model), str(table), "--base", str(tmp_path / "media")])
    assert "answer" in shown.output and "bad cell" not in shown.output


def test_predict_tells_of_bad_cells_and_drift(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    model, table = fitted
    frame = pd.read_csv(table).astype(object)
    frame["size"] = pd.to_numeric(frame["size"]) + 9
    frame["size"] = frame["size"].astype(object)
    frame.loc[[3, 40], "size"] = "many"
    frame.to_csv(tmp_path / "new.csv", index=False)
    loaded = plait.load(model)
    for command, work in (("predict", loaded.predict), ("predict", loaded.predict_proba)):
        with pytest.warns(plait.drift.PlaitWarning):
            answer = work(tmp_path / "new.csv")
        proba = ["--proba"] if work == loaded.predict_proba else []
        with pytest.warns(plait.drift.PlaitWarning):
            found = said(command, model, tmp_path / "new.csv", "--out", tmp_path / f"p{len(proba)}.parquet", *proba)
        assert [(b["row"], b["column"], b["path"]) for b in found["bad_cells"]] == [
            (r, "size", "many") for r in (3, 40)
        ]
        assert found["bad_cells"] == answer.attrs["bad_cells"] and found["drift"] == answer.attrs["drift"]
        assert found["drift"]["size"] > 0.9
    with pytest.warns(plait.drift.PlaitWarning):
        judged = said("evaluate", model, tmp_path / "new.csv")
    assert {k: judged[k] for k in ("bad_cells", "drift")} == {k: found[k] for k in ("bad_cells", "drift")}


def test_evaluate_allows_for_absent_inputs_where_it_is_told_to(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    model, table = fitted
    pd.read_csv(table).drop(columns="place").to_csv(tmp_path / "absent.csv", index=False)
    pd.read_csv(table).assign(place=None).to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(PlaitError, match=r"no column 'place'.*--allow-missing"):
        said("evaluate", model, tmp_path / "absent.csv")
    found = said("evaluate", model, tmp_path / "absent.csv", "--allow-missing")
    assert found == said("evaluate", model, tmp_path / "empty.csv") and found["rows"] == 90
    pd.DataFrame({"kind": ["red", "blue"]}).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(PlaitError, match="no column 'size'"):  # nothing to judge by
        said("evaluate", model, tmp_path / "none.csv", "--allow-missing")


def test_halves_of_characters_do_not_break_what_is_printed(fitted: tuple[Path, Path], tmp_path: Path) -> None:
    half = "\ud83d"
    rows = [{"picture": f"{half}{i}.png", "place": f"town {half}{i % 4}", "name": i % 3} for i in range(40)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    kinds = ["--modality", "picture=image", "--modality", "place=category"]
    found = said("inspect", tmp_path / "t.jsonl", *kinds)
    assert found["bad_cells"][0]["path"] == r"\ud83d0.png"
    plainly = CliRunner().invoke(app, ["inspect", str(tmp_path / "t.jsonl"), *kinds, "-q"], catch_exceptions=False)
    assert plainly.exit_code == 0 and "40 broken" in plainly.stdout and "town ?0" in json.dumps(found["columns"])
    rows = [{"place": f"town {half}", "size": f"{half}1"}]
    (tmp_path / "new.jsonl").write_text(json.dumps(rows[0]), "utf-8")
    for suffix in ("csv", "jsonl", "parquet"):
        told = said("predict", fitted[0], tmp_path / "new.jsonl", "--out", tmp_path / f"p.{suffix}")
        assert told["bad_cells"][0]["path"] == r"\ud83d1" and (tmp_path / f"p.{suffix}").exists()


@pytest.mark.parametrize("command", ["fit", "inspect"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--modality", "place=text", "--modality", "place=category"], "'place' is given twice"),
        (["--input", "place", "--input", "place=text"], "'place' is given twice"),
        (["--modality", "kind=text"], "'kind' is 'text' by --modality and 'category' by --target"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, command: str, given: list[str], words: str) -> None:
    clean(30).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(PlaitError, match=words):
        said(command, tmp_path / "t.csv", "--target", "kind=category", *given)
