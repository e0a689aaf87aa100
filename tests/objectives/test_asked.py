"""An objective asked for: of plait.fit, on the command line, in a range test; and nothing of it where it has no parameters."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from tests import toy
from tests.training.small import world

from plait.errors import DataChangedError, PlaitError, UnknownNameError
from plait.objectives import OBJECTIVES
from plait.training import loop
from plait.training.checkpoint import Checkpoints
from plait.training.options import Options
from plait.training.range_test import range_test

FRAME = [{"x": (7.5 * i) % 11, "y": i % 2, "z": float(i)} for i in range(40)]


def fit(folder: Path, name: str, **more: Any) -> Any:
    table = folder / "data" / "toy.csv"
    table = table if table.exists() else toy.make(folder / "data", 40)
    return toy.fit(table, ["kind", "value"], inputs=["note", "size"], epochs=2, out=folder / name, **more)


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()


def test_the_record_says_how_much_each_target_counted_and_the_model_is_as_usual(tmp_path: Path) -> None:
    plain, fixed = fit(tmp_path, "a"), fit(tmp_path, "b", objective={"name": "supervised", "weights": {"kind": 2.0}})
    learned = fit(tmp_path, "c", objective={"name": "gradnorm", "rate": 50.0})
    assert plain.record["objective"] is None and fixed.record["objective"] == {"kind": 2.0}
    shares = learned.record["objective"]
    assert set(shares) == {"kind", "value"} and sum(shares.values()) == pytest.approx(2) and shares["kind"] != 1
    kept = [set(safetensors.numpy.load((tmp_path / n / "weights.safetensors").read_bytes())) for n in "abc"]
    assert kept[0] == kept[1] == kept[2]
    assert len({digest(tmp_path / n) for n in "abc"}) == 3
    assert len({m.record["identity"]["parts"] for m in (plain, fixed, learned)}) == 3


def test_an_objective_without_parameters_leaves_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(tmp_path, "attached")
    monkeypatch.setattr(loop, "attached", lambda *_: contextlib.nullcontext())
    fit(tmp_path, "apart")
    fit(tmp_path, "said", objective="supervised", training={"batch_size": 8, "alone_first": 0.0, "balance": "none"})
    assert digest(tmp_path / "attached") == digest(tmp_path / "apart") == digest(tmp_path / "said")


def test_a_run_is_not_gone_on_with_another_objective(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Checkpoints.save

    def breaking(self: Checkpoints, *given: Any) -> None:
        real(self, *given)
        raise RuntimeError("as if killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Checkpoints, "save", breaking)
        fit(tmp_path, "m", objective="uncertainty")
    with pytest.raises(DataChangedError, match="parts"):
        fit(tmp_path, "m")
    assert fit(tmp_path, "m", objective="uncertainty").record["objective"]


@pytest.mark.parametrize(
    "more", [{"objective": "gradnrom"}, {"objective": {"name": "gradnorm", "beta": 1}}, {"objective": 3}]
)
def test_what_is_no_objective_is_told_before_anything_is_trained(
    more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import plait
    import plait.fitting as fitting

    monkeypatch.setattr(fitting, "draw_split", None)
    with pytest.raises(PlaitError) as caught:
        plait.fit(FRAME, ["y", "z"], quiet=True, **more)
    assert more["objective"] == 3 or isinstance(caught.value, UnknownNameError)


def test_a_learner_or_a_preset_beside_it_is_told() -> None:
    import plait

    for more in ({"learner": "logistic"}, {"preset": "fast"}):
        with pytest.raises(PlaitError, match="objective"):
            plait.fit(FRAME, ["y", "z"], objective="gradnorm", quiet=True, **more)


def test_the_command_line_passes_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    import plait.fitting as fitting
    from plait.cli.app import app

    given: list[Any] = []

    def noted(*_: Any, **options: Any) -> Any:
        given.append(options["objective"])
        raise PlaitError("enough")

    monkeypatch.setattr(fitting, "fit", noted)
    for words in ([], ["--objective", "gradnorm:alpha=0.5"]):
        CliRunner().invoke(app, ["fit", "t.csv", "--target", "y", *words])
    assert given == [{"name": "supervised"}, {"name": "gradnorm", "alpha": 0.5}]


@pytest.mark.parametrize("name", ["uncertainty", "gradnorm"])
def test_a_range_test_leaves_the_objective_as_it_was(name: str) -> None:
    model, data = world()
    objective = OBJECTIVES.build(name, targets=list(model.heads))
    before = {k: v.clone() for k, v in objective.state_dict().items()}
    options = Options(batch_size=8, precision="fp32", modality_dropout=[0.0, 0.5])  # type: ignore[arg-type]
    found = range_test(model, objective, data, np.arange(24), options, 0, steps=10)
    assert len(found) == 10 and all(torch.equal(before[k], v) for k, v in objective.state_dict().items())
    assert "objective" not in dict(model.named_children())
