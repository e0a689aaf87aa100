"""Drift of new rows against the training rows: alarms where it was planted, hardly ever elsewhere, and never in the way."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

import plait
from plait import drift
from plait.data.ledger import Ledger
from plait.data.store import Pack, Store
from plait.data.table import read_table
from plait.drift import PlaitWarning, _area, apart, described, packed, unpacked
from plait.encoders import ENCODERS
from plait.errors import ModelFormatError
from plait.preparation import ColumnCells, prepare, read_cells
from plait.progress import Progress
from tests import toy
from tests.conftest import encoded
from tests.inspection.planted import scene


def cells(values: list[dict[str, np.ndarray] | None]) -> ColumnCells:
    here = [v for v in values if v is not None]
    places = np.full(len(values), -1)
    places[[i for i, v in enumerate(values) if v is not None]] = np.arange(len(here))
    return ColumnCells(places, Pack.of(here))


def numbers(n: int, seed: int, mean: float = 0.0, gone: float = 0.0) -> ColumnCells:
    generator = np.random.default_rng(seed)
    drawn = [{"value": np.array([generator.normal() + mean], np.float32)} for _ in range(n)]
    return cells([None if generator.random() < gone else d for d in drawn])  # type: ignore[misc]


def words(n: int, seed: int, known: int = 200) -> ColumnCells:
    generator = np.random.default_rng(seed)
    weights = np.random.default_rng(0).dirichlet(np.full(known, 0.3))
    return cells([{"ids": generator.choice(known, generator.integers(3, 12), p=weights)} for _ in range(n)])


@pytest.mark.parametrize("draw", [numbers, words])
@pytest.mark.parametrize("n", [50, 100, 250])
def test_alarms_are_false_in_fewer_than_one_of_a_hundred(draw: Any, n: int) -> None:
    pool = draw(3000, 0)
    false = 0
    for trial in range(60):
        rows = np.random.default_rng(trial).permutation(3000)
        kept = drift.reference({"x": pool}, rows[: 2 * n])
        new = ColumnCells(pool.places[rows[2 * n : 3 * n]], pool._pack)
        false += drift.drift(kept, {"x": new})["x"].alarming
    assert false <= 1


@pytest.mark.parametrize("n", [50, 200])
def test_a_shift_of_one_and_a_half_spreads_is_always_told(n: int) -> None:
    kept = drift.reference({"x": numbers(500, 1)}, np.arange(500))
    assert all(drift.drift(kept, {"x": numbers(n, 10 + s, mean=1.5)})["x"].alarming for s in range(20))


def test_the_auc_is_near_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(400, 6)), generator.normal([1.0, 0, 0, 0, 0.3, 0], size=(300, 6))
    x, side = np.concatenate([a, b]), np.r_[np.zeros(400), np.ones(300)]
    theirs = roc_auc_score(side, cross_val_predict(LogisticRegression(), x, side, cv=5, method="decision_function"))
    ours = apart(a, b)
    assert ours.auc == pytest.approx(theirs, abs=0.02) and ours.low < theirs < ours.high
    low, high = generator.integers(0, 9, 80).astype(float), generator.integers(2, 12, 60).astype(float)
    truth = np.r_[np.zeros(80), np.ones(60)]
    assert _area(low, high) == pytest.approx(roc_auc_score(truth, np.r_[low, high]))


def test_missing_cells_count_as_a_difference_but_an_empty_column_does_not() -> None:
    kept = drift.reference({"x": numbers(300, 1)}, np.arange(300))
    assert drift.drift(kept, {"x": numbers(200, 2, gone=0.7)})["x"].alarming
    assert not drift.drift(kept, {"x": numbers(200, 2, gone=0.1)})["x"].alarming
    assert drift.drift(kept, {"x": cells([None] * 100)}) == {}
    assert drift.drift(kept, {"x": numbers(drift.FEWEST - 1, 2, mean=9)}) == {}
    assert drift.drift({}, {"x": numbers(100, 2)}) == {}


def test_figures_are_those_of_numpy() -> None:
    mel = np.random.default_rng(0).normal(size=(7, 16)).astype(np.float32)
    picture = np.random.default_rng(1).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    sound, seen = described([{"mel": mel}, {"mel": mel[:3]}]), described([{"pixels": picture}] * 2)
    np.testing.assert_allclose(sound[0, :5], [np.log(8), mel.mean(), mel.std(), mel.min(), mel.max()], rtol=1e-4)
    np.testing.assert_allclose(sound[1, 5:], mel[:3].reshape(3, 8, 2).mean((0, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(seen[0, -3:], picture.mean((1, 2)), rtol=1e-4)
    ids = described([{"ids": np.array([5, 5, 9])}, {"ids": np.array([9])}])
    assert ids[0, 1:].max() == pytest.approx(2 / 3) and ids[1, 1:].max() == 1 and ids[:, 1:].sum() == pytest.approx(2)


def test_gaps_in_a_series_and_huge_numbers_stay_finite() -> None:
    odd = [{"steps": np.array([[np.nan, 1e38], [2.0, -1e38]], np.float32)}] * 60
    assert np.isfinite(described(odd)).all()
    assert np.isfinite(drift.reference({"x": cells(odd)}, np.arange(60))["x"]).all()  # type: ignore[arg-type]


def test_what_is_kept_is_small_and_reads_back() -> None:
    kept = drift.reference({f"c{i}": words(600, i) for i in range(12)}, np.arange(600))
    raw = packed(kept)
    assert len(raw) < 300_000 and len(kept) == 12
    again = unpacked(raw)
    assert all((again[c] == kept[c]).all() for c in kept)
    import safetensors.numpy

    with pytest.raises(ModelFormatError):
        unpacked(safetensors.numpy.save({"x": np.zeros(3)}))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("drift")
    table = toy.make(folder, 120, noise=0.1)
    fitted = toy.fit(table, inputs=["note", "size"], epochs=1, split={"valid": 0.1, "test": 0.1})
    fitted.save(folder / "m")
    return plait.load(folder / "m"), pd.read_csv(table), folder


def test_a_model_tells_when_rows_differ(model: tuple[Any, pd.DataFrame, Path]) -> None:
    predictor, frame, _ = model
    same = predictor.predict(frame)
    assert set(same.attrs["drift"]) == {"note", "size"} and max(same.attrs["drift"].values()) < 0.65
    other = frame.assign(note="winter is cold, and dark")
    with pytest.warns(PlaitWarning, match=r"differ from those the model was trained on, in 'note' \(AUC (1.00|0.9)"):
        told = predictor.predict(other)
    assert told.attrs["drift"]["note"] > 0.9
    pd.testing.assert_frame_equal(told[["status"]], same[["status"]])
    with pytest.warns(PlaitWarning):
        assert predictor.evaluate(other).to_json()["drift"]["note"] > 0.9
    assert predictor.evaluate(frame).to_json()["drift"] == same.attrs["drift"]


def test_answers_are_the_same_with_and_without(model: tuple[Any, pd.DataFrame, Path]) -> None:
    predictor, frame, folder = model
    without = plait.load(folder / "m")
    without.reference = {}
    mine, theirs = predictor.predict_proba(frame), without.predict_proba(frame)
    assert theirs.attrs["drift"] == {} and mine.equals(theirs)
    assert (predictor.save(folder / "again") / drift.FILE).read_bytes() == (folder / "m" / drift.FILE).read_bytes()


def test_it_is_said_among_the_lines_when_these_are_wanted(
    model: tuple[Any, pd.DataFrame, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    predictor, frame, _ = model
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor.predict(frame.assign(note="winter"), quiet=False)
        predictor.predict(frame.head(20).assign(note="winter"))
    shown = capsys.readouterr()
    assert shown.out == "" and "Warning: These rows differ" in shown.err


@pytest.mark.parametrize("encoder", ["image_hog", pytest.param("image_sift", marks=pytest.mark.slow)])
def test_what_is_learned_from_the_training_rows_does_not_tell_them_apart(encoder: str, tmp_path: Path) -> None:
    """Components of 100 pictures fit these better than any others: cells are compared as they are before that."""
    pytest.importorskip("sklearn")
    for i in range(180):
        (tmp_path / f"{i}.png").write_bytes(encoded(scene(i)))
    table = read_table([{"x": f"{i}.png"} for i in range(180)], base=tmp_path)
    seen, new = np.arange(100), np.arange(100, 180)
    part = ENCODERS.build(ENCODERS.complete(encoder, read_cells(table, "x", "image", seen)))

    def shelved(rows: np.ndarray) -> ColumnCells:
        how: dict[str, Any] = {"store": Store(), "ledger": Ledger(), "progress": Progress(quiet=True)}
        return prepare(table.take(rows), {"x": part}, **how)["x"]

    both = {"x": ColumnCells.joined([shelved(seen)])}
    kept = drift.reference(both, seen)
    found = drift.drift(kept, {"x": ColumnCells.joined([shelved(new)])})["x"]
    assert not found.alarming and found.auc < 0.65
