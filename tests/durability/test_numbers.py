"""Numbers that are not finite are named before training, or stop it within one step; none is ever saved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from tests import toy

from plait import files
from plait.errors import TableError, TooManyBadCellsError, TrainingError

LIGHT: dict[str, Any] = {"inputs": ["note", "size"], "epochs": 3}


@pytest.fixture
def frame(small: Path) -> pd.DataFrame:
    return pd.read_csv(small).astype({"size": object, "value": object})


@pytest.mark.parametrize("value", [float("inf"), "-inf", "1e400", np.float64("inf")])
def test_an_infinite_input_is_named_before_training(
    frame: pd.DataFrame, small: Path, capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    frame.loc[11, "size"] = value
    with pytest.raises(TooManyBadCellsError, match=r"(?s)'size': 1 of 60.*row 11.*infinite"):
        toy.fit(frame, base=small.parent, max_bad=0.0, modalities={"size": "number"}, **LIGHT)
    model = toy.fit(frame, base=small.parent, modalities={"size": "number"}, **{**LIGHT, "quiet": False})
    assert model.record["bad_cells"] == 1 and re.search(r"row 11, column 'size'.*infinite", capsys.readouterr().err)
    assert all(np.isfinite(h["loss"]) for h in model.record["history"])


def test_a_label_that_is_no_number_takes_no_part_and_is_counted(
    frame: pd.DataFrame, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame.loc[[3, 9], "value"] = [float("nan"), None]
    options = {**LIGHT, "modalities": {"value": "number"}, "quiet": False, "base": small.parent}
    model = toy.fit(frame, "value", **options)
    shown = capsys.readouterr().err
    assert re.search(r"2 rows without a label.*: 3, 9\n", shown)
    assert all(np.isfinite(h["loss"]) for h in model.record["history"])
    for infinite in (float("inf"), float("-inf")):
        frame.loc[12, "value"] = infinite
        with pytest.raises(TableError, match=r"'value', row 12: found -?inf"):
            toy.fit(frame, "value", **options)
    with pytest.raises(TableError, match="missing"):
        toy.fit(frame.assign(value=float("nan")), "value", **options)


@pytest.mark.parametrize("what", ["nan", "inf", "-inf"])
def test_a_loss_that_is_not_finite_stops_in_its_step(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    from plait.objectives.supervised import Supervised
    from plait.training.loop import _Run, train

    real, real_step, calls, rows = Supervised.forward, _Run.advance, [0], []

    def broken(self: Supervised, passed: Any) -> dict[str, torch.Tensor]:
        calls[0] += 1
        return {k: v * float(what) if calls[0] == 10 else v for k, v in real(self, passed).items()}

    def step(self: _Run, state: Any, batch: Any, numbers: np.ndarray) -> None:
        rows.append(numbers.tolist())
        real_step(self, state, batch, numbers)

    monkeypatch.setattr(Supervised, "forward", broken)
    monkeypatch.setattr(_Run, "advance", step)
    monkeypatch.setitem(train.__kwdefaults__, "save_seconds", 0.0)
    with pytest.raises(TrainingError, match=rf"at step 9: loss {what}, norm of the gradient \S+, rows") as found:
        toy.fit(small, out=tmp_path / "m", **LIGHT)
    assert calls[0] == 10 and str(rows[-1]) in str(found.value)
    all_finite(tmp_path / "m.run")


def all_finite(run: Path) -> None:
    """Every number of every checkpoint is finite."""
    sets = list(run.glob("step-*"))
    for place in sets:
        for name, content in files.read_set(place).items():
            if name.endswith(".safetensors"):
                assert all(bool(torch.isfinite(t).all()) for t in safetensors.torch.load(content).values()), name


@pytest.mark.parametrize("rate", [1e6, 1e30, 3e38])
def test_a_rate_that_breaks_the_weights_is_told_and_never_saved(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    from plait.training.loop import train

    monkeypatch.setitem(train.__kwdefaults__, "save_seconds", 0.0)
    training = {"batch_size": 8, "learning_rate": rate, "weight_decay": 0.0}
    try:
        toy.fit(small, out=tmp_path / "m", training=training, **LIGHT)
    except TrainingError as error:
        assert re.search(
            r"at step \d+: (loss .* norm of the gradient .* rows \[|\d+ weights are not finite)", str(error)
        )
        all_finite(tmp_path / "m.run")
        assert not (tmp_path / "m").exists()
    else:
        assert rate == 1e6, "so high a rate must break"
        found = safetensors.torch.load((tmp_path / "m" / "weights.safetensors").read_bytes())
        assert all(bool(torch.isfinite(t).all()) for t in found.values())


def test_weights_that_are_not_finite_after_the_last_step_are_not_written(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.training.loop import _Run

    real = _Run.advance

    def step(self: _Run, state: Any, *rest: Any) -> None:
        real(self, state, *rest)
        if state.step == 15:
            next(self.model.parameters()).data.view(-1)[0] = float("inf")

    monkeypatch.setattr(_Run, "advance", step)
    for out in (tmp_path / "m", None):
        with pytest.raises(TrainingError, match="at step 14: 1 weights are not finite"):
            toy.fit(small, out=out, **LIGHT)
    assert not (tmp_path / "m").exists()
    all_finite(tmp_path / "m.run")
