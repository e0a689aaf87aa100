"""Each epoch is told to the trackers that are asked for, and to nobody else; what is missing is said before any work."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import GeneralTracker
from tests import toy

from plait.errors import MissingExtraError, PlaitError, UnknownNameError
from plait.training import tracking
from plait.training.loop import train

LIGHT: dict[str, Any] = {"inputs": ["note", "size"], "epochs": 3}


class Heard(GeneralTracker):
    """A tracker of a user's own, which remembers."""

    name = "heard"
    requires_logging_directory = False

    def __init__(self, *, breaks: bool = False) -> None:
        super().__init__()
        self.breaks, self.calls = breaks, list[Any]()

    @property
    def tracker(self) -> Any:
        return self.calls

    def start(self) -> None:
        self.calls.append("start")

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.calls.append(values)

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        if self.breaks:
            raise OSError("the disk of the tracker is full")
        self.calls.append((step, values))

    def finish(self) -> None:
        self.calls.append("finish")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.make(tmp_path_factory.mktemp("data"), 40)


def test_each_epoch_is_told_as_the_history_has_it(table: Path) -> None:
    heard = Heard()
    model = toy.fit(table, log=heard, **LIGHT)
    start, config, *told, finish = heard.calls
    assert (start, finish) == ("start", "finish") and config["batch_size"] == 8 and config["betas"] == "[0.9, 0.999]"
    assert [step for step, _ in told] == [1, 2, 3]
    for (_, values), entry in zip(told, model.record["history"], strict=True):
        assert values["loss"] == entry["loss"] and values["score"] == entry["score"]
        assert values["valid/kind/accuracy"] == entry["valid"]["kind"]["accuracy"]
        assert values["rows_per_second"] > 0
    rates = [values["learning_rate"] for _, values in told]
    assert rates[0] > rates[1] > rates[2] >= 0, "the cosine falls"


def test_logging_changes_no_byte_of_the_model_and_is_no_part_of_it(table: Path, tmp_path: Path) -> None:
    import plait

    for name, log in (("plain", None), ("told", "jsonl")):
        toy.fit(table, out=tmp_path / name, log=log, **LIGHT)
    plain, told = (tmp_path / name for name in ("plain", "told"))
    assert (plain / "weights.safetensors").read_bytes() == (told / "weights.safetensors").read_bytes()
    lines = [json.loads(line) for line in (told / "logs/log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3] and not (plain / "logs").exists()
    assert json.loads((told / "logs/config.json").read_text())["seed"] == 0
    loaded = plait.load(told)
    assert not any("log" in name for name in loaded.extra) and not list(tmp_path.glob("*.run"))


def test_a_run_that_goes_on_goes_on_logging(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.training.checkpoint import Checkpoints

    monkeypatch.setitem(train.__kwdefaults__, "save_seconds", 0.0)
    real, saves = Checkpoints.save, [0]

    def breaking(self: Checkpoints, *given: Any) -> None:
        saves[0] += 1
        if saves[0] == 6:  # of the second epoch, told and not saved
            raise RuntimeError("as if killed")
        real(self, *given)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="as if killed"):
        patch.setattr(Checkpoints, "save", breaking)
        toy.fit(table, out=tmp_path / "m", log="jsonl", **LIGHT)
    before = (tmp_path / "m.run/logs/log.jsonl").read_text().splitlines()
    toy.fit(table, out=tmp_path / "m", log="jsonl", **LIGHT)
    after = (tmp_path / "m/logs/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in before] == [1, 2]
    assert [json.loads(line)["epoch"] for line in after] == [1, 2, 3] and after[0] == before[0]


def test_a_tracker_that_breaks_is_warned_of_and_ends_nothing(table: Path) -> None:
    heard = Heard(breaks=True)
    with pytest.warns(RuntimeWarning, match="Nothing more is logged: OSError: the disk of the tracker is full"):
        model = toy.fit(table, log=[heard], **LIGHT)
    assert len(model.record["history"]) == 3 and heard.calls[-1] == "finish"


def test_what_cannot_be_is_said_before_any_work(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tensorboard'"):
        toy.fit(table, log="tensorbord", out=tmp_path / "m")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install wandb"):
        toy.fit(table, log=["jsonl", "wandb"], out=tmp_path / "m")
    with pytest.raises(PlaitError, match="GeneralTracker"):
        toy.fit(table, log=print)
    with pytest.raises(PlaitError, match=r"writes into the folder of the model.*out="):
        toy.fit(table, log="jsonl")
    assert not list(tmp_path.iterdir())


def test_a_learner_has_no_epochs_to_tell(table: Path, tmp_path: Path) -> None:
    import plait

    with pytest.raises(PlaitError, match="a learner is given"):
        plait.fit(table, "kind", inputs=["size"], learner="logistic", log="jsonl", out=tmp_path / "m", quiet=True)
    assert not (tmp_path / "m").exists()


def test_names_are_such_as_every_tracker_takes() -> None:
    entry = {"loss": 1.0, "score": None, "valid": {"price (€)": {"rmse": 2.0, "r2": None}}}
    assert tracking.figures(entry, 0.1, 5.0) == {
        "loss": 1.0, "learning_rate": 0.1, "rows_per_second": 5.0, "valid/price ___/rmse": 2.0
    }  # fmt: skip


def test_tensorboard_holds_every_epoch(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = toy.fit(table, log="tensorboard", out=tmp_path / "m", **LIGHT)
    events = EventAccumulator(str(tmp_path / "m/logs/plait"))
    events.Reload()
    told = [(event.step, event.value) for event in events.Scalars("loss")]
    assert told == [(i + 1, pytest.approx(e["loss"], rel=1e-6)) for i, e in enumerate(model.record["history"])]
    assert "valid/kind/accuracy" in events.Tags()["scalars"]
