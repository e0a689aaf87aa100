"""A network trained on beside learners of fixed features: taken where it is surely better, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait import choosing, presets, rivals
from plait.data.schema import infer
from plait.data.table import read_table
from plait.spec import Spec

FILL = ["so", "then", "well", "now"]


def sentences(n: int, seed: int) -> pd.DataFrame:
    """Which of two words comes first: no bag of words or of neighbours tells it."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        first, second = rng.permutation(["sun", "rain"])
        fill = lambda: list(rng.choice(FILL, rng.integers(1, 3)))  # noqa: E731
        rows.append({"note": " ".join([*fill(), first, *fill(), second, *fill()]), "kind": f"{first} first"})
    return pd.DataFrame(rows)


def bags(n: int, seed: int) -> pd.DataFrame:
    """Which of two words is there at all."""
    rng = np.random.default_rng(seed)
    words = rng.choice(["sun", "rain"], n)
    return pd.DataFrame({"note": [f"{rng.choice(FILL)} {w} {rng.choice(FILL)}" for w in words], "kind": words})


@pytest.fixture
def best(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fits with preset="best" and a short search; the rival is a recurrent network, as there are no weights here."""
    monkeypatch.setattr(presets, "find", lambda name: None)
    monkeypatch.setitem(choosing.PRESETS, "best", {**choosing.FAST, "search": 2})
    real = rivals.read_specs

    def recurrent(*given: Any) -> dict[str, Any]:
        return {**real(*given), "inputs": {"note": {"name": "text_recurrent", "width": 64}}}

    def run(table: pd.DataFrame, *, tuned: int = 12, **options: Any) -> Any:
        monkeypatch.setattr(
            rivals, "tuned_specs", lambda schema: recurrent(schema, "scratch", "average", {}, None, _quiet())
        )
        monkeypatch.setattr(rivals, "tuned_epochs", lambda rows, size: tuned)
        return plait.fit(table, "kind", preset="best", quiet=True, **options)

    return run


def _quiet() -> Any:
    from plait.progress import Progress

    return Progress(quiet=True)


def accuracy(model: Any, table: pd.DataFrame) -> float:
    return float((model.predict(table)["kind"] == table["kind"]).mean())


@pytest.mark.slow
def test_it_is_taken_where_fixed_features_cannot_tell(best: Any, tmp_path: Path) -> None:
    train, test = sentences(500, 0), sentences(300, 1)
    model = best(train, out=tmp_path / "m")
    told = model.record["rivals"]
    assert told["taken"] == "fine-tuned" and told["fine-tuned"] < 0.5 < told["learners"]
    assert accuracy(model, test) > 0.9 and model.spec["inputs"]["note"]["name"] == "text_recurrent"
    loaded = plait.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.predict(test), model.predict(test))
    assert loaded.record["rivals"] == told and not (tmp_path / "m.run").exists()


@pytest.mark.slow
def test_it_is_not_taken_where_learners_are_as_good(best: Any) -> None:
    model = best(bags(300, 0))
    assert model.record["rivals"]["taken"] == "learners" and model.leaderboard["kind"]
    assert accuracy(model, bags(200, 1)) == 1.0


def test_the_learners_it_is_held_against_have_not_seen_the_validation_rows(best: Any) -> None:
    """Labels that nothing tells: whoever had learned them by heart would say them."""
    table = sentences(300, 2)
    table["kind"] = np.random.default_rng(0).choice(["a", "b"], 300)
    model = best(table, tuned=1)
    assert model.record["rivals"]["learners"] > 0.95  # of the loss of knowing nothing


def test_without_enough_validation_rows_or_weights_nothing_is_tried(best: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "rivals" not in best(bags(200, 0)).record  # 30 of them
    monkeypatch.undo()
    monkeypatch.setattr(presets, "find", lambda name: None)
    schema = infer(read_table(bags(50, 0)), targets=["kind"])
    assert rivals.tuned_specs(schema) is None


def test_what_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "find", lambda name: Path("here"))
    monkeypatch.setattr(presets, "find_spec", lambda name: object())
    table = pd.DataFrame(
        {
            "note": [f"a plain sentence of words, the {i}th" for i in range(60)],
            "size": np.random.default_rng(0).normal(size=60),
        }
    )
    schema = infer(read_table(table.assign(kind=["a", "b"] * 30)), targets=["kind"])
    specs = rivals.tuned_specs(schema)
    assert specs is not None and "learner" not in specs
    chosen: dict[str, Spec] = specs["inputs"]
    assert chosen["note"]["name"] == "text_pretrained" and chosen["note"]["tune"] == "lora"  # type: ignore[index]
    assert "tune" not in chosen["size"] and specs["fusion"]["name"] == "gated"  # type: ignore[operator]
