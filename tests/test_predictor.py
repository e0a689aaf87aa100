"""Prediction i is about row i, whatever is missing or broken; a saved model is the same model, or is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait.errors import ModelFormatError, OutputError, PlaitError
from plait.predictor import _Attached
from tests import toy


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A model, and the folder of its table."""
    folder = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAIT_CACHE", str(folder / "cache"))
        return toy.fit(toy.make(folder, 90), epochs=12, training={"batch_size": 8, "learning_rate": 3e-3}), folder


def test_prediction_i_is_row_i_with_a_tenth_of_the_cells_broken(fitted: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = fitted
    frame = pd.read_csv(folder / "toy.csv")[toy.INPUTS].astype(object)
    frame = pd.concat([frame, frame, frame.iloc[:20]], ignore_index=True)  # 200 rows
    (folder / "broken.png").write_bytes(b"<html>not here</html>")
    (folder / "broken.wav").write_bytes(b"RIFF")
    generator = np.random.default_rng(0)
    broken = generator.random(frame.shape) < 0.1
    for row, column in zip(*np.nonzero(broken)):
        name = frame.columns[column]
        frame.iloc[row, column] = {"picture": "broken.png", "sound": "broken.wav", "size": "many"}.get(name)
    order = generator.permutation(len(frame))
    shuffled = frame.iloc[order]
    whole = {size: model.predict_proba(shuffled, base=folder, batch_size=size) for size in (1, 7, 64)}
    for probabilities in whole.values():
        assert (probabilities.index == shuffled.index).all()
        np.testing.assert_allclose(
            probabilities.iloc[:, :3].to_numpy(float), whole[1].iloc[:, :3].to_numpy(float), atol=1e-5
        )
        assert (probabilities["status"] == whole[1]["status"]).all()
    alone = [model.predict_proba(shuffled.iloc[[i]], base=folder).iloc[0] for i in range(0, 200, 9)]
    for i, row in zip(range(0, 200, 9), alone):
        np.testing.assert_allclose(row.iloc[:3].to_numpy(float), whole[64].iloc[i, :3].to_numpy(float), atol=1e-5)
    flagged = broken[order].any(1)
    assert ((whole[64]["status"] != "ok") == flagged).all()
    labels = model.predict(shuffled, base=folder)["kind"].to_numpy()
    truth = np.array([toy.KINDS[(r % 90) % 3] for r in shuffled.index])
    assert (labels == truth)[~flagged].mean() >= 0.95, "rows keep their own answers (neighbours are of another kind)"


def test_any_subset_of_the_inputs_may_be_missing(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    rows = [{"note": "a ripe tomato"}, {"picture": "p1.png", "sound": "s1.wav"}, {"size": 20.0}, {}]
    found = model.predict(rows, base=folder)
    assert len(found) == 4 and found["kind"].isin(toy.KINDS).all()
    assert found["kind"][1] == "green"
    assert "missing" in found["status"][0] and "prior" in found["status"][3]


def test_columns_in_any_order_and_extra_ones_make_no_difference(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    frame = pd.read_csv(folder / "toy.csv")
    mixed = frame[list(reversed(frame.columns))].assign(more=1)
    assert model.predict(frame, base=folder).equals(model.predict(mixed, base=folder))


def test_an_absent_column_is_named(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    frame = pd.read_csv(folder / "toy.csv").rename(columns={"picture": "pictures"})
    with pytest.raises(PlaitError, match=r"(?s)no column 'picture'.*Did you mean 'pictures'.*allow_missing"):
        model.predict(frame, base=folder)
    assert len(model.predict(frame, base=folder, allow_missing=True)) == len(frame)
    with pytest.raises(PlaitError, match="no column"):
        model.predict([{"nothing": 1}], base=folder)


def test_the_index_of_a_data_frame_is_kept(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    frame = pd.read_csv(folder / "toy.csv").iloc[[5, 2, 2]].set_axis(["x", "y", "y"])
    assert list(model.predict(frame, base=folder).index) == ["x", "y", "y"]
    assert len(model.predict(frame.iloc[:0], base=folder)) == 0


@pytest.mark.slow
def test_saved_and_loaded_in_another_process_it_predicts_the_same(fitted: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = fitted
    model.save(tmp_path / "model")
    names = {p.suffix for p in (tmp_path / "model").rglob("*") if p.is_file()}
    assert names <= {".json", ".safetensors"}
    script = (
        "import sys, plait, socket; socket.socket.connect = None\n"
        "plait.load(sys.argv[1]).predict_proba(sys.argv[2]).to_parquet(sys.argv[3])"
    )
    subprocess.run(
        [sys.executable, "-c", script, tmp_path / "model", folder / "toy.csv", tmp_path / "p.parquet"],
        check=True,
        cwd="/",
        env={**os.environ, "LC_ALL": "C", "OMP_NUM_THREADS": "1"},
    )
    assert pd.read_parquet(tmp_path / "p.parquet").equals(model.predict_proba(folder / "toy.csv"))


def test_a_changed_model_folder_is_refused(fitted: tuple[Any, Path], tmp_path: Path) -> None:
    model, _ = fitted
    model.save(tmp_path / "model")
    generator = np.random.default_rng(0)
    files = sorted(p for p in (tmp_path / "model").rglob("*") if p.is_file())
    for trial in range(60):
        path = files[trial % len(files)]
        content = path.read_bytes()
        place = int(generator.integers(len(content)))
        changed = [
            bytes([*content[:place], content[place] ^ (1 << int(generator.integers(8))), *content[place + 1 :]]),
            content[:place],
            content[:place] + b"x" + content[place:],
        ][trial % 3]
        path.write_bytes(changed)
        with pytest.raises(ModelFormatError):
            plait.load(tmp_path / "model")
        path.write_bytes(content)
    assert plait.load(tmp_path / "model").targets == {"kind": "category"}
    with pytest.raises(ModelFormatError, match="not a folder that plait has written"):
        plait.load(tmp_path / "nothing")


def test_a_newer_format_and_foreign_names_are_refused(fitted: tuple[Any, Path], tmp_path: Path) -> None:
    from plait import files

    model, _ = fitted
    model.save(tmp_path / "model")
    contents = files.read_set(tmp_path / "model")
    about = json.loads(contents["plait.json"])
    for number, (change, message) in enumerate(
        [
            ({"format": 99}, "Update plait"),
            ({"spec": {**about["spec"], "fusion": {"name": "os:system"}}}, "Unknown fusion"),
            ({"spec": {**about["spec"], "width": 7}}, "does not fit plait.json"),
            ({"spec": []}, "not a plait model"),
        ]
    ):
        files.write_set(tmp_path / f"m{number}", {**contents, "plait.json": json.dumps({**about, **change}).encode()})
        with pytest.raises(ModelFormatError, match=message):
            plait.load(tmp_path / f"m{number}")


def test_saving_over_a_folder_is_refused_unless_allowed(fitted: tuple[Any, Path], tmp_path: Path) -> None:
    model, _ = fitted
    model.save(tmp_path / "model")
    with pytest.raises(OutputError, match="exists already"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not written by plait"):
        model.save(tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        model.save(tmp_path / "file" / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "model", "other"], "nothing half is left"


def test_evaluate_judges_every_subset_by_masking(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    result = model.evaluate(folder / "toy.csv")
    judged = result.targets["kind"]
    assert len(judged.figures) == 2**4
    guess = model.predict(folder / "toy.csv")["kind"]
    truth = pd.read_csv(folder / "toy.csv")["kind"]
    assert result["kind"]["accuracy"] == pytest.approx(float((guess == truth).mean()))
    frame = pd.read_csv(folder / "toy.csv")
    only = model.predict([{"note": n} for n in frame["note"]])["kind"]
    assert judged.figures["note",]["accuracy"]["value"] == pytest.approx(float((only == truth).mean()))
    with pytest.raises(PlaitError, match="nothing to judge"):
        model.evaluate(frame.assign(kind=None), base=folder)
    with pytest.raises(PlaitError, match="Unknown column"):
        model.evaluate(frame.drop(columns="kind"), base=folder)


def test_embeddings_tell_the_kinds_apart(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    vectors = model.embed(folder / "toy.csv")
    assert vectors.shape == (90, model.model.width) and vectors.dtype == np.float32
    kinds = np.arange(90) % 3
    means = np.stack([vectors[kinds == k].mean(0) for k in range(3)])
    nearest = ((vectors[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == kinds).mean() >= 0.9


def test_summary_walks_one_row_through_every_step(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    text = model.summary(folder / "toy.csv")
    for word in ("picture", "pixels 1x3x16x16", "image_resnet", "fusion average", "kind", "answer 1x3"):
        assert word in text


def test_a_handful_of_rows_gets_no_interval(fitted: tuple[Any, Path]) -> None:
    model, folder = fitted
    frame = pd.read_csv(folder / "toy.csv")
    for rows, there in ((9, False), (10, True)):
        figure = model.evaluate(frame.iloc[:rows], base=folder).to_json()["targets"]["kind"]["metrics"]["accuracy"]
        assert figure["value"] is not None and (figure["low"] is not None) == there


def test_what_hangs_on_a_frame_is_not_copied_at_each_step() -> None:
    frame = pd.DataFrame({"a": [1.0]})
    frame.attrs["bad_cells"] = _Attached([{"row": 0}])
    assert frame["a"].attrs["bad_cells"] is frame.head(1).attrs["bad_cells"] is frame.attrs["bad_cells"]
    assert json.dumps(frame.attrs) == '{"bad_cells": [{"row": 0}]}'
