"""A run stopped or killed anywhere takes the very steps it would have taken, and loses no more than one save interval."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

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


KILLS = 30


@pytest.mark.slow
def test_killed_thirty_times_half_of_them_while_saving_it_ends_in_the_same_bytes(
    forks: Forks, small: Path, tmp_path: Path
) -> None:
    """A run that ends before it was killed so often is held against the whole one, and another is begun."""
    run = {"table": small, "inputs": ["picture", "note"], "epochs": 12, "only_train": True, "every": EVERY}
    forks.run("fit", out=tmp_path / "whole", log=tmp_path / "whole.log", **run)
    generator, aims, ends = np.random.default_rng(0), [], 0
    while not ends or len(aims) < KILLS:
        place = tmp_path / f"run {ends}"
        place.mkdir()
        reached = 0
        while (steps := killed_once(forks, place, run, aims, generator)) is not None:
            assert not steps or steps[0] > reached - EVERY, "more than one save interval was lost"
            reached = max([reached, *steps])
        ends += 1
        last, expected = (
            {line.get("step", "end"): line for line in lines(p)} for p in (place / "log", tmp_path / "whole.log")
        )
        assert last == expected, "every step, and the hash of all weights at the end"
        assert [name for name in leftovers(place) if not name.endswith(".lock")] == []
    assert len(aims) == KILLS and aims.count("save") == KILLS // 2
    print(f"{KILLS} kills in {ends} runs")


def killed_once(
    forks: Forks, place: Path, run: dict[str, Any], aims: list[str], generator: np.random.Generator
) -> list[int] | None:
    """Starts the run in this folder, or goes on with it, and kills it, in turn after a step and within a save, until that
    was done often enough. The steps it took; None where it came to its end instead. `aims` takes what was aimed at."""
    log, aim = place / "log", ("step", "save")[len(aims) % 2]
    left = set((place / "m.run").glob(".step-*.part"))  # by an earlier kill
    job, seen = forks.start("fit", out=place / "m", log=log, slow=0.02 * (len(aims) < KILLS), **run), len(lines(log))
    if len(aims) < KILLS:
        if aim == "save":
            aimed = job.until(lambda: set((place / "m.run").glob(".step-*.part")) - left)
        else:
            aimed = job.until(lambda: len(lines(log)) > seen)
        time.sleep(generator.uniform(0, {"step": 0.3, "save": 0.1}[aim]))
        if aimed and job.running():
            job.kill(signal.SIGKILL)
            if job.wait() == -signal.SIGKILL:  # it may have ended just before
                aims.append(aim)
                return [line["step"] for line in lines(log)[seen:] if "step" in line]
    assert job.wait() == 0, job.errors
    return None
