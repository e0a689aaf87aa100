"""What helps a fit are threads, never processes: none is left behind, none is waited for in vain, none fails silently."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests import toy
from tests.durability.conftest import Forks, leftovers, weights
from tests.durability.workers import children

from plait.encoders.number_periodic import NumberPeriodic
from plait.modalities.image import Image

SECONDS = 30.0


def packs(cache: Path) -> list[Path]:
    return list(cache.glob("*/pack-*"))


@pytest.mark.slow
def test_killed_while_it_prepares_it_leaves_no_process_and_goes_on(forks: Forks, small: Path, tmp_path: Path) -> None:
    forks.run("workers.slow_to_prepare", table=small, out=tmp_path / "whole", cache=tmp_path / "cache of the whole")
    job = {"table": small, "out": tmp_path / "m", "cache": tmp_path / "cache"}
    for kept in (2, 6):
        running = forks.start("workers.slow_to_prepare", seconds=0.2, **job)
        assert running.until(lambda n=kept: len(packs(tmp_path / "cache")) > n), running.errors
        assert children(running.process) == [], "nothing that could outlive it"
        running.kill()
        running.wait()
    before = {pack.name: pack.stat().st_mtime_ns for pack in packs(tmp_path / "cache")}
    forks.run("workers.slow_to_prepare", **job)
    after = {pack.name: pack.stat().st_mtime_ns for pack in packs(tmp_path / "cache")}
    assert before.items() <= after.items(), "what was prepared before the kill is used"
    assert weights(tmp_path / "m") == weights(tmp_path / "whole")
    assert leftovers(tmp_path) == []


@pytest.mark.slow
def test_pipes_that_nobody_writes_to_are_named_and_not_waited_for(forks: Forks, small: Path, tmp_path: Path) -> None:
    forks.run("workers.pipes", table=small, out=tmp_path / "m", found=tmp_path / "found", seconds=4 * SECONDS)
    found = json.loads((tmp_path / "found").read_text())
    assert found["seconds"] < SECONDS and found["children"] == []
    assert found["bad"] == 2 * 2 + 2 * 60 and "is not a regular file" in found["refused"]
    for row, status in enumerate(found["status"]):
        names = ["picture", "sound"] * (row in (3, 40)) + ["clip", "series"]
        assert all(f"bad {name}: is a pipe, not a regular file" in status for name in names), status


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("a bug"), SystemExit(9)], ids=repr)
@pytest.mark.parametrize("where", ["batches", "cells"])
def test_a_helper_that_fails_ends_the_fit_with_its_error(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException
) -> None:
    """In the thread that puts batches together, and in those that read cells."""
    calls, lock = [0], threading.Lock()
    owner, name, when = (NumberPeriodic, "collate", 4) if where == "batches" else (Image, "read", 20)
    real = getattr(owner, name)

    def failing(*arguments: Any, **options: Any) -> Any:
        with lock:
            calls[0] += 1
        if calls[0] == when:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)
    threads, began = set(threading.enumerate()), time.monotonic()
    with pytest.raises(type(error), match=str(error)):
        toy.fit(small, inputs=["picture", "size"], epochs=2, out=tmp_path / "m")
    assert time.monotonic() - began < SECONDS and calls[0] >= when
    assert set(threading.enumerate()) == threads
    assert not (tmp_path / "m").exists() and leftovers(tmp_path) == []
    monkeypatch.setattr(owner, name, real)
    toy.fit(small, inputs=["picture", "size"], epochs=2, out=tmp_path / "m")
    toy.fit(small, inputs=["picture", "size"], epochs=2, out=tmp_path / "whole")
    assert weights(tmp_path / "m") == weights(tmp_path / "whole")
    shutil.rmtree(tmp_path / "m")
