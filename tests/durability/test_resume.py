"""A run stopped or killed anywhere takes the very steps it would have taken, and loses no more than one save interval."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.durability.conftest import Forks, leftovers, lines
from tests.durability.jobs import LIVELY, STOPPED

STEPS, EVERY = 60, 7


@pytest.fixture(scope="module", params=[1, 2], ids=["1 thread", "2 threads"])
def whole(request: pytest.FixtureRequest, forks: Forks, big: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a run of 60 steps that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run = {"threads": request.param, "epochs": 3, "encoders": LIVELY, "only_train": True}
    forks.run("fit", table=big, out=folder / "m", log=folder / "log", **run)
    return folder / "log"


@pytest.mark.slow
def test_stopped_in_the_middle_of_an_epoch_it_takes_the_same_steps(
    whole: Path, request: pytest.FixtureRequest, forks: Forks, big: Path, tmp_path: Path
) -> None:
    run = {"threads": request.node.callspec.params["whole"], "epochs": 3, "encoders": LIVELY, "only_train": True}
    run |= {"table": big, "out": tmp_path / "m", "log": tmp_path / "log"}
    expected = lines(whole)
    assert [line.get("step") for line in expected] == [*range(1, STEPS + 1), None]
    assert len({line["loss"] for line in expected[:-1]}) == STEPS and STEPS // 3 * 1 < 28 < STEPS // 3 * 2
    forks.run("fit", code=STOPPED, stop_after=28, **run)
    assert lines(tmp_path / "log") == expected[:28]
    forks.run("fit", **run)
    assert lines(tmp_path / "log") == expected, "steps 29 to 60: rows, rate, loss; and all bytes at the end"


@pytest.mark.slow
def test_stopped_three_times_within_a_few_steps_it_takes_the_same_steps(
    forks: Forks, big: Path, tmp_path: Path
) -> None:
    run = {"table": big, "epochs": 2, "encoders": LIVELY, "only_train": True, "every": 1}
    forks.run("fit", out=tmp_path / "a", log=tmp_path / "whole", **run)
    for stop in (11, 12, 13, 20, 21):
        forks.run("fit", code=STOPPED, stop_after=stop, out=tmp_path / "b", log=tmp_path / "log", **run)
    forks.run("fit", out=tmp_path / "b", log=tmp_path / "log", **run)
    assert lines(tmp_path / "log") == lines(tmp_path / "whole")


@pytest.mark.slow
def test_killed_thirty_times_half_of_them_while_saving_it_ends_in_the_same_bytes(
    forks: Forks, small: Path, tmp_path: Path
) -> None:
    run = {"table": small, "inputs": ["picture", "note"], "epochs": 12, "only_train": True, "every": EVERY}
    forks.run("fit", out=tmp_path / "whole", log=tmp_path / "whole.log", **run)
    expected, log = lines(tmp_path / "whole.log"), tmp_path / "log"
    generator, saving = np.random.default_rng(0), 0
    folder, kills, reached = tmp_path / "m.run", 0, 0
    while kills < 30:
        job = forks.start("fit", out=tmp_path / "m", log=log, slow=0.02, **run)
        seen = len(lines(log))
        if kills % 2:
            aimed = job.until(lambda: list(folder.glob(".step-*.part")))
            time.sleep(generator.uniform(0, 0.1))
        else:
            aimed = job.until(lambda s=seen: len(lines(log)) > s)
            time.sleep(generator.uniform(0, 0.3))
        if aimed and job.running():
            job.kill(signal.SIGKILL)
            saving += bool(kills % 2)
            kills += 1
            assert job.wait() == -signal.SIGKILL
        else:
            assert job.wait() == 0, job.errors
            break
        steps = [line["step"] for line in lines(log)[seen:] if "step" in line]
        assert not steps or steps[0] > reached - EVERY, "more than one save interval was lost"
        reached = max([reached, *steps])
    if job.code != 0:
        forks.run("fit", out=tmp_path / "m", log=log, **run)
    assert kills >= 15 and saving >= 7
    last = {line.get("step", "end"): line for line in lines(log)}
    assert last == {line.get("step", "end"): line for line in expected}
    assert [name for name in leftovers(tmp_path) if not name.endswith(".lock")] == []
