"""Whatever the options: a run killed anywhere and started again ends in the same bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests import toy

import plait.fitting as fitting
from plait.training.checkpoint import Checkpoints
from plait.training.loop import train

KINDS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "sgd": {"optimizer": "sgd"},
    "sgd without momentum": {"optimizer": "sgd", "momentum": 0.0},
    "rmsprop": {"optimizer": "rmsprop", "momentum": 0.5},
    "lion": {"optimizer": "lion"},
    "muon": {"optimizer": "muon"},
    "constant": {"schedule": "constant"},
    "step": {"schedule": "step", "decay_epochs": 1},
    "exponential": {"schedule": "exponential"},
    "one-cycle": {"schedule": "one-cycle"},
    "plateau": {"schedule": "plateau", "decay_epochs": 1, "learning_rate": 0.05},
    "ema": {"ema": 0.9},
    "soup": {"soup": 3},
    "accumulate": {"batch_size": 4, "accumulate": 2},
    "l1": {"l1": 0.01},
    "init": {"init": "orthogonal"},
    "curriculum": {"curriculum": 0.7},
    "rising dropout": {"modality_dropout": [0.0, 0.6]},
    "alone first": {"alone_first": 0.5},
    "alternate": {"alternate": True},
    "ogm-ge": {"balance": "ogm-ge", "accumulate": 2, "batch_size": 4},
    "blend": {"balance": "blend", "ema": 0.5},
    "uncertainty": {"objective": "uncertainty"},
    "gradnorm": {"objective": "gradnorm", "soup": 2},
}
SAVES = 12  # of three epochs of four steps: each step but the last of an epoch, and each epoch


def fit(table: Path, out: Path, kind: str) -> None:
    training = {"batch_size": 8, **KINDS[kind]}
    objective = training.pop("objective", None)
    more: Any = {"targets": ["kind", "value"], "objective": objective} if objective else {}
    toy.fit(table, inputs=["note", "size"], epochs=3, out=out, training=training, **more)


def held(out: Path) -> tuple[str, Any]:
    about = json.loads((out / "plait.json").read_text())
    record = about["record"]
    return hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest(), [
        record["history"],
        record["objective"],
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.make(tmp_path_factory.mktemp("data"), 53)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_breaks_after_saves_ends_in_the_same_bytes(
    kind: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(train.__kwdefaults__, "save_seconds", 0.0)
    monkeypatch.setattr(fitting, "_extra", lambda *_: {})
    fit(table, tmp_path / "whole", kind)
    real, saves = Checkpoints.save, [0]

    def breaking(self: Checkpoints, *arguments: Any) -> None:
        real(self, *arguments)
        saves[0] += 1
        if saves[0] in (2, 4, 9, SAVES):  # within an epoch, at the end of one, within another, at the very end
            raise RuntimeError("as if killed")

    monkeypatch.setattr(Checkpoints, "save", breaking)
    for _ in range(4):
        with pytest.raises(RuntimeError, match="as if killed"):
            fit(table, tmp_path / "broken", kind)
    fit(table, tmp_path / "broken", kind)
    assert saves[0] == SAVES
    assert held(tmp_path / "broken") == held(tmp_path / "whole")


@pytest.mark.parametrize("lost", ["average", "soup-0", "optimizer", "objective.", "blend"])
def test_what_a_checkpoint_keeps_is_needed(
    lost: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would see a part of the state that is forgotten."""
    kind = {"average": "ema", "soup-0": "soup", "optimizer": "lion", "objective.": "gradnorm", "blend": "blend"}[lost]
    monkeypatch.setitem(train.__kwdefaults__, "save_seconds", 0.0)
    monkeypatch.setattr(fitting, "_extra", lambda *_: {})
    fit(table, tmp_path / "whole", kind)
    real, saves = Checkpoints.save, [0]

    def forgetting(self: Checkpoints, step: int, tensors: dict[str, Any], state: dict[str, Any]) -> None:
        blank = {
            k: {n: v * 0 if k == lost or n.startswith(lost) else v for n, v in t.items()} for k, t in tensors.items()
        }
        real(self, step, blank, {k: {"weights": {n: 1 / 3 for n in v["weights"]}, "losses": v["losses"]}
                                 if k == lost else v for k, v in state.items()})  # fmt: skip
        saves[0] += 1
        if saves[0] == 5:
            raise RuntimeError("as if killed")

    monkeypatch.setattr(Checkpoints, "save", forgetting)
    with pytest.raises(RuntimeError, match="as if killed"):
        fit(table, tmp_path / "broken", kind)
    fit(table, tmp_path / "broken", kind)
    assert held(tmp_path / "broken") != held(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["ema", "soup"])
def test_terminated_while_an_average_is_judged_the_run_goes_on_with_its_own_weights(
    kind: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import plait.training.loop as loop

    monkeypatch.setitem(train.__kwdefaults__, "save_seconds", 1e9)
    monkeypatch.setattr(fitting, "_extra", lambda *_: {})
    fit(table, tmp_path / "whole", kind)
    real, calls = loop.validate, [0]

    def terminated(*given: Any) -> dict[str, Any]:
        calls[0] += 1
        if calls[0] in (2, 4):
            raise SystemExit(143)
        return real(*given)

    monkeypatch.setattr(loop, "validate", terminated)
    for _ in range(2):
        with pytest.raises(SystemExit):
            fit(table, tmp_path / "broken", kind)
    fit(table, tmp_path / "broken", kind)
    assert held(tmp_path / "broken") == held(tmp_path / "whole")
