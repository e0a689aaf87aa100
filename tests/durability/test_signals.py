"""SIGTERM writes a checkpoint and ends with 143; Ctrl-C writes the model so far and ends with 130; both can be gone on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.durability.conftest import Forks, Job, leftovers, visible, weights

from plait import files

COMMAND = {"epochs": 4, "columns": ["note", "size"]}
SECONDS = 10.0  # from signal to exit


@pytest.fixture(scope="module")
def whole(forks: Forks, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run has written that nothing has disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "m"
    forks.run("command", table=small, out=out, **COMMAND)
    return out


def start(forks: Forks, table: Path, folder: Path, phase: str) -> Job:
    job = forks.start("command", table=table, out=folder / "m", phase=phase, marks=folder / "mark", **COMMAND)
    reached = folder / f"mark.{phase.split('+')[0]}"
    assert job.until(reached.exists), job.errors
    return job


def ends(job: Job, number: int, code: int) -> None:
    """The signal ends the job in time, with this code and without a traceback."""
    began = time.monotonic()
    job.kill(number)
    assert job.wait(SECONDS * 3) == code, job.errors
    assert time.monotonic() - began < SECONDS, job.errors
    assert "Traceback" not in job.errors


def checkpoints(folder: Path) -> int:
    """How many there are; all are whole."""
    sets = list((folder / "m.run").glob("step-*"))
    assert all(files.read_set(place) for place in sets)
    return len(sets)


def goes_on(forks: Forks, table: Path, folder: Path, whole: Path) -> None:
    """The same command ends in the bytes of a run that nothing has disturbed, and leaves nothing."""
    forks.run("command", table=table, out=folder / "m", **COMMAND)
    assert weights(folder / "m") == weights(whole)
    histories = [json.loads((out / "plait.json").read_text())["record"]["history"] for out in (folder / "m", whole)]
    assert histories[0] == histories[1] and len(histories[0]) == 4, "every epoch was judged once"
    assert [n for n in visible(folder) if not n.startswith("mark")] == ["m"] and leftovers(folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["step", "save", "validation", "judging"])
def test_sigterm(forks: Forks, small: Path, tmp_path: Path, whole: Path, phase: str) -> None:
    ends(start(forks, small, tmp_path, phase), signal.SIGTERM, 143)
    assert checkpoints(tmp_path) >= 1 and not (tmp_path / "m").exists() and leftovers(tmp_path) == []
    goes_on(forks, small, tmp_path, whole)


@pytest.mark.slow
def test_sigterm_loses_no_step(forks: Forks, small: Path, tmp_path: Path) -> None:
    ends(start(forks, small, tmp_path, "step"), signal.SIGTERM, 143)
    assert max(int(p.name[5:]) for p in (tmp_path / "m.run").glob("step-*")) == 8, "the step it came in"


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["step", "save", "validation"])
def test_ctrl_c(forks: Forks, small: Path, tmp_path: Path, whole: Path, phase: str) -> None:
    import plait

    job = start(forks, small, tmp_path, phase)
    ends(job, signal.SIGINT, 130)
    model = plait.load(tmp_path / "m")
    assert model.record["stopped"] == "interrupted" and len(model.predict(small)) == 60
    assert checkpoints(tmp_path) >= 1 and leftovers(tmp_path) == []
    assert "Call again with the same arguments" in job.errors
    goes_on(forks, small, tmp_path, whole)


@pytest.mark.slow
def test_ctrl_c_twice(forks: Forks, small: Path, tmp_path: Path, whole: Path) -> None:
    job = start(forks, small, tmp_path, "step+judging")
    job.kill(signal.SIGINT)
    assert job.until((tmp_path / "mark.judging").exists), job.errors
    ends(job, signal.SIGINT, 130)
    assert checkpoints(tmp_path) >= 1
    assert not (tmp_path / "m").exists() and leftovers(tmp_path) == []
    goes_on(forks, small, tmp_path, whole)


def test_a_handler_of_the_users_own_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from plait.training.signals import heeded

    came: list[int] = []
    before: Any = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        with heeded():
            os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    with heeded():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
