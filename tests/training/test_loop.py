"""The loop learns what is planted, opens no media after the first look, and never fails in silence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import toy

from plait.errors import PlaitError, TrainingError
from plait.training.options import Options

OPENED: list[str] = []
WATCH = {"on": False}


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if WATCH["on"] and event == "open" and str(arguments[0]).endswith((".png", ".wav", ".ogg")):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_hook)


@pytest.mark.parametrize("fusion", ["concat", "weighted", "product", "attention", "average"])
def test_every_fusion_learns_what_is_planted(tmp_path: Path, fusion: str) -> None:
    model = toy.fit(toy.make(tmp_path, 90), fusion=fusion, epochs=12, training={"batch_size": 8, "learning_rate": 3e-3})
    judged = model.record["evaluation"]["targets"]["kind"]
    assert judged["metrics"]["accuracy"]["value"] >= 0.9
    nothing = next(s for s in judged["subsets"] if not s["columns"])
    assert nothing["metrics"]["accuracy"]["value"] <= 0.5, "seeing nothing must not know the answer"


def test_after_preparation_no_media_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import plait.work as work

    real = work.train

    def watched(*arguments: object, **options: object) -> object:
        OPENED.clear()
        WATCH["on"] = True
        try:
            return real(*arguments, **options)  # type: ignore[arg-type]
        finally:
            WATCH["on"] = False

    table = toy.make(tmp_path, 40)
    monkeypatch.setattr(work, "train", watched)
    toy.fit(table, epochs=2)
    assert OPENED == []
    WATCH["on"] = True
    open(tmp_path / "p0.png", "rb").close()
    WATCH["on"] = False
    assert len(OPENED) == 1, "the hook sees what is opened"


@pytest.mark.slow
def test_several_targets_with_missing_labels_train_together(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(toy.make(tmp_path, 90))
    frame.loc[frame.index % 2 == 0, "value"] = None
    frame.loc[frame.index % 7 == 0, "kind"] = None
    frame["tags"] = [[k, "thing"] if isinstance(k, str) else None for k in frame["kind"]]
    model = toy.fit(
        frame, ["kind", "value", "tags"], base=tmp_path, epochs=12, training={"batch_size": 8, "learning_rate": 3e-3}
    )
    figures = model.record["evaluation"]["targets"]
    assert figures["kind"]["metrics"]["accuracy"]["value"] >= 0.8
    assert figures["value"]["metrics"]["r2"]["value"] >= 0.6
    assert figures["tags"]["metrics"]["f1_micro"]["value"] >= 0.8
    test = (frame.part == "test").to_numpy()
    assert figures["value"]["rows"] == int((test & frame["value"].notna()).sum())
    predicted = model.predict(frame, base=tmp_path)
    assert list(predicted.columns) == ["kind", "value", "tags", "status"] and len(predicted) == 90


def test_a_loss_that_is_not_finite_stops_with_step_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.objectives.supervised import Supervised

    real, calls = Supervised.forward, [0]

    def broken(self: Supervised, passed: object) -> dict[str, torch.Tensor]:
        calls[0] += 1
        losses = real(self, passed)  # type: ignore[arg-type]
        return {k: v * float("inf") for k, v in losses.items()} if calls[0] == 3 else losses

    monkeypatch.setattr(Supervised, "forward", broken)
    with pytest.raises(TrainingError, match=r"step 2: loss inf.*rows \["):
        toy.fit(toy.make(tmp_path, 40), epochs=2)


def test_class_weights_help_the_rare_class(tmp_path: Path) -> None:
    from plait.heads.category import CategoryHead

    learned = CategoryHead.learn(["a"] * 90 + ["b"] * 10, balance=1.0)
    assert learned["weights"] == pytest.approx([100 / 2 / 90, 100 / 2 / 10])
    head = CategoryHead(width=4, smoothing=0.0, **learned)
    logits, target = torch.randn(6, 2), torch.tensor([0, 1, 0, 1, -100, 1])
    loss = head.eval().loss(logits, target)
    plain = torch.nn.functional.cross_entropy(logits[:4], target[:4], reduction="none")
    assert torch.allclose(loss[:4], plain * torch.tensor(learned["weights"])[target[:4]])
    assert loss[4] == 0


@pytest.mark.slow
def test_time_limit_stops_early_with_a_model(tmp_path: Path) -> None:
    model = toy.fit(toy.make(tmp_path, 60), epochs=5000, time_limit=4.0)
    assert model.record["stopped"] == "time limit"
    assert 1 <= len(model.record["history"]) < 5000


def test_bf16_trains_and_predicts(tmp_path: Path) -> None:
    model = toy.fit(toy.make(tmp_path, 40), epochs=1, training={"precision": "bf16", "batch_size": 8})
    assert np.isfinite(model.record["history"][0]["loss"])


def test_options_are_checked_by_name_and_range() -> None:
    with pytest.raises(PlaitError, match="Did you mean 'batch_size'"):
        Options.of({"batchsize": 3})
    for bad in ({"epochs": 0}, {"learning_rate": -1.0}, {"modality_dropout": 1.0}, {"precision": "fp8"}):
        with pytest.raises(PlaitError):
            Options.of(bad)
    assert Options(batch_size=32).epochs_for(457) == 40 and Options(batch_size=32).epochs_for(10**6) == 8
