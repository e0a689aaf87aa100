"""The folder of a run: one process at a time, damaged checkpoints passed over, changed data refused with what changed."""

from __future__ import annotations

import platform
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tests import toy
from tests.conftest import encoded, picture
from tests.durability.conftest import Forks, Job, leftovers, weights

from plait import files
from plait.errors import DataChangedError
from plait.training.checkpoint import Checkpoints

LIGHT: dict[str, Any] = {"inputs": ["picture", "size"], "epochs": 3}


def interrupted(table: Path, out: Path, monkeypatch: pytest.MonkeyPatch, after: int = 2, **options: Any) -> None:
    """A fit that ends without a word once it has written some checkpoints, one an epoch."""
    real, saves = Checkpoints.save, [0]

    def save(self: Checkpoints, *arguments: Any) -> None:
        real(self, *arguments)
        saves[0] += 1
        if saves[0] == after:
            raise RuntimeError("as if killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="as if killed"):
        patch.setattr(Checkpoints, "save", save)
        toy.fit(table, out=out, **{**LIGHT, **options})


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    import plait.fitting

    monkeypatch.setattr(plait.fitting, "_extra", lambda *_: {})


# One process at a time


def fitting(forks: Forks, table: Path, folder: Path) -> Job:
    job = forks.start(
        "command",
        table=table,
        out=folder / "m",
        epochs=2,
        columns=["size"],
        phase="step",
        marks=folder / "mark",
        stay=60.0,
    )
    assert job.until((folder / "mark.step").exists), job.errors
    return job


def test_a_second_process_is_refused_and_a_dead_one_is_not_waited_for(
    forks: Forks, small: Path, tmp_path: Path
) -> None:
    first = fitting(forks, small, tmp_path)
    before = (tmp_path / "m.run" / "start" / files.MANIFEST).read_bytes()
    found: list[str] = []
    for command in ({}, {"overwrite": True}, {"seed": 1}):
        second = forks.run("refused_at_once", table=small, out=tmp_path / "m", **command)
        found.append(second.errors)
    for message in found:
        assert "RunLockedError" in message and str(tmp_path / "m") in message
        assert f"process {first.process} on {platform.node()}" in message
    assert first.running() and (tmp_path / "m.run" / "start" / files.MANIFEST).read_bytes() == before
    first.kill(signal.SIGKILL)
    first.wait()
    assert (tmp_path / ".m.lock").exists(), "the lock was taken back by the system, not by the process"
    forks.run("command", table=small, out=tmp_path / "m", epochs=2, columns=["size"])
    assert leftovers(tmp_path) == []


# Damaged checkpoints


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": cut, "bit": flip, "gone": Path.unlink, "empty": empty}


@pytest.fixture(scope="module")
def module_patch() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def broken_off(small: Path, module_patch: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run with two checkpoints, and the weights of one that was not broken off."""
    folder = tmp_path_factory.mktemp("broken_off")
    module_patch.setenv("PLAIT_CACHE", str(folder / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    toy.fit(small, out=folder / "whole", **LIGHT)
    interrupted(small, folder / "m", module_patch)
    torch.set_num_threads(threads)
    assert len(list((folder / "m.run").glob("step-*"))) == 2
    return folder, weights(folder / "whole")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("victim", ["model.safetensors", "optimizer.safetensors", "state.json", files.MANIFEST])
def test_a_damaged_checkpoint_is_passed_over(
    broken_off: tuple[Path, str], tmp_path: Path, damage: str, victim: str
) -> None:
    folder, _ = broken_off
    run = shutil.copytree(folder / "m.run", tmp_path / "m.run")
    first, last = sorted(run.glob("step-*"))
    DAMAGES[damage](last / victim)
    place = object.__new__(Checkpoints)
    place.folder, place.data = run, ""
    with pytest.warns(RuntimeWarning, match=f"{last.name}.*{victim}"):
        found = place.latest()
    assert found is not None and f"step-{found.state['step']:09d}" == first.name


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_run_goes_on_before_its_damaged_checkpoints(
    broken_off: tuple[Path, str], small: Path, tmp_path: Path, damaged: int
) -> None:
    folder, expected = broken_off
    run = shutil.copytree(folder / "m.run", tmp_path / "m.run")
    for place in sorted(run.glob("step-*"))[-damaged:]:
        flip(place / "model.safetensors")
    with pytest.warns(RuntimeWarning) as warned:
        toy.fit(small, out=tmp_path / "m", **LIGHT)
    expected_words = ["the one before it", "the beginning"][:damaged]
    assert [words in str(w.message) for w, words in zip(warned, expected_words, strict=True)] == [True] * damaged
    assert weights(tmp_path / "m") == expected and not run.exists()


def test_the_last_whole_checkpoint_is_never_forgotten(
    broken_off: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = broken_off
    run = shutil.copytree(folder / "m.run", tmp_path / "m.run")
    first, last = sorted(run.glob("step-*"))
    flip(last / "model.safetensors")
    place = object.__new__(Checkpoints)
    place.folder, place.data = run, ""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(files.OutputError):
        patch.setattr(files, "_write", full)
        place.save(7, {}, {"step": 7})
    assert files.read_set(first)
    place.save(7, {}, {"step": 7})
    assert sorted(p.name for p in run.glob("step-*")) == [first.name, "step-000000007"], "the damaged one went first"
    with warnings.catch_warnings():
        found = place.latest()
    assert found is not None and found.state == {"step": 7}


# Changed data


def edited(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = pd.read_csv(folder / "toy.csv")
    change(frame).to_csv(folder / "toy.csv", index=False)


def with_label(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[17, "kind"] = "blue" if frame.loc[17, "kind"] != "blue" else "red"
    return frame


def with_row(frame: pd.DataFrame) -> pd.DataFrame:
    more = frame.iloc[[3]].assign(size=99.5, part="train")
    return pd.concat([frame.iloc[:8], more, frame.iloc[8:]], ignore_index=True)


CHANGES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "a row more": (lambda f: edited(f, with_row), ["rows added: 1 row (8)"]),
    "a row less": (lambda f: edited(f, lambda t: t.drop(index=9)), ["rows taken away: 1 row (9)"]),
    "a label": (lambda f: edited(f, with_label), ["labels of 'kind': 1 row (17)"]),
    "numbers": (
        lambda f: edited(f, lambda t: t.assign(size=[v + (i in (4, 40)) for i, v in enumerate(t["size"])])),
        ["column 'size': 2 rows (4, 40)"],
    ),
    "the content of a file": (
        lambda f: (f / "p12.png").write_bytes(encoded(picture(18, 18, seed=9))) and None,
        ["column 'picture': 1 row (12)"],
    ),
    "the order": (lambda f: edited(f, lambda t: t.iloc[::-1]), ["the rows stand in another order"]),
    "the split": (
        lambda f: edited(f, lambda t: t.assign(part=t["part"].replace({"train": "test", "test": "train"}))),
        [
            "the split",
            "held out now, but trained on before (their figures will flatter): 36 rows (2, 3, 4, 7, 8, 9, 12, 13, 14, 17, …)",
        ],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_are_refused_with_what_has_changed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    data, (alter, words) = tmp_path / "data", CHANGES[change]
    shutil.copytree(small.parent, data)
    interrupted(data / "toy.csv", tmp_path / "m", monkeypatch, after=1)
    alter(data)
    with pytest.raises(DataChangedError) as found:
        toy.fit(data / "toy.csv", out=tmp_path / "m", **LIGHT)
    assert "--allow-data-change" in str(found.value) and str(tmp_path / "m.run") in str(found.value)
    assert [line[2:] for line in str(found.value).splitlines() if line.startswith("  ")] == words


def test_changed_options_are_refused_whatever_is_allowed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(small, tmp_path / "m", monkeypatch, after=1)
    for options, word in (
        ({"seed": 3}, "seed"),
        ({"epochs": 5}, "training"),
        ({"fusion": "concat"}, "parts"),
        ({"inputs": ["size"]}, "parts"),
    ):
        with pytest.raises(DataChangedError, match=f"started with another {word}"):
            toy.fit(small, out=tmp_path / "m", **{**LIGHT, **options}, allow_data_change=True)


def test_where_it_is_allowed_a_run_goes_on_with_changed_data(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, log = tmp_path / "data", []
    shutil.copytree(small.parent, data)
    interrupted(data / "toy.csv", tmp_path / "m", monkeypatch, after=2)
    kept = files.read_set(max((tmp_path / "m.run").glob("step-*")))["model.safetensors"]
    edited(data, with_row)

    from plait.training.loop import _Run

    real = _Run.resume

    def resume(self: _Run) -> Any:
        state = real(self)
        log.append((state.step, len(state.history), state.best_score, self.steps))
        import safetensors.torch

        found = safetensors.torch.load(kept)
        assert all((found[k] == v).all() for k, v in self.model.state_dict().items()), "it has the weights so far"
        return state

    monkeypatch.setattr(_Run, "resume", resume)
    model = toy.fit(data / "toy.csv", out=tmp_path / "m", **LIGHT, allow_data_change=True)
    assert log == [(10, 2, -float("inf"), 5)]
    assert len(model.record["history"]) == 3 and model.record["rows"] == 61
    assert model.record["changed"] == ["rows added: 1 row (8)"]
    assert not (tmp_path / "m.run").exists()


def test_the_command_line_refuses_and_allows_changed_data(forks: Forks, small: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(small.parent, data)
    run = {"table": data / "toy.csv", "out": tmp_path / "m", "epochs": 2, "columns": ["size"]}
    job = forks.start("command", **run, phase="judging", marks=tmp_path / "mark", stay=60.0)
    assert job.until((tmp_path / "mark.judging").exists), job.errors
    job.kill()
    job.wait()
    edited(data, with_row)
    refused = forks.run("command", code=2, **run)
    assert "rows added: 1 row (8)" in refused.errors and "Traceback" not in refused.errors
    forks.run("command", **run, more=["--allow-data-change"])
    assert (tmp_path / "m" / "weights.safetensors").exists() and not (tmp_path / "m.run").exists()


def test_a_run_killed_after_its_data_have_changed_goes_on_by_itself(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(small.parent, data)
    interrupted(data / "toy.csv", tmp_path / "m", monkeypatch, after=1)
    edited(data, with_row)
    interrupted(data / "toy.csv", tmp_path / "m", monkeypatch, after=1, allow_data_change=True)
    model = toy.fit(data / "toy.csv", out=tmp_path / "m", **LIGHT, allow_data_change=True)
    assert model.record["changed"] == ["rows added: 1 row (8)"] and not (tmp_path / "m.run").exists()
