"""What lasts is written in the right order, saving costs little, and long runs do not grow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import toy
from tests.durability.conftest import Forks

from plait import moves
from plait.files import MANIFEST, write_set
from plait.training.loop import SAVE_SECONDS

Event = tuple[str, str, tuple[str, ...]]  # "sync" and a path; or "move", both names, and all that lay below it then


# The order in which things reach the disk


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """All that is synced or gets another name from now on."""
    found: list[Event] = []
    sync, rename, exchange = os.fsync, os.rename, moves._exchange

    def below(place: str) -> tuple[str, ...]:
        return tuple(sorted(f"{p.relative_to(place)}{'/' * p.is_dir()}" for p in Path(place).rglob("*")))

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        found.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}"), ()))

    def moved(one: Any, other: Any) -> None:
        held = below(str(one)) if os.path.isdir(one) else ()
        rename(one, other)
        found.append(("move", f"{one}\n{other}", held))

    def swapped(one: Path, other: Path) -> bool:
        held, done = below(str(one)), exchange(one, other)
        if done:
            found.append(("move", f"{one}\n{other}", held))
        return done

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", moved)
    monkeypatch.setattr(os, "replace", moved)
    monkeypatch.setattr(moves, "_exchange", swapped)
    return found


def check_order(events: list[Event]) -> list[str]:
    """The names that folders were given, each after all of it was on the disk, its manifest last, and before its parent
    was synced."""
    given = []
    for place, (what, about, held) in enumerate(events):
        if what != "move":
            continue
        one, other = about.split("\n")
        if Path(other).name.startswith("."):  # moved aside, to be deleted
            continue
        given.append(other)
        synced = [path for kind, path, _ in events[:place] if kind == "sync"]
        last = {path: i for i, path in enumerate(synced)}
        files = [f"{one}/{name}" for name in held if not name.endswith("/")]
        folders = [one, *(f"{one}/{name[:-1]}" for name in held if name.endswith("/"))]
        assert f"{one}/{MANIFEST}" in files
        assert [p for p in files + folders if p not in last] == [], "synced before the move"
        assert max(files, key=lambda p: last[p]) == f"{one}/{MANIFEST}", "the manifest is the last file"
        assert min(last[p] for p in folders) > last[f"{one}/{MANIFEST}"], "folders after what is in them"
        after = [path for kind, path, _ in events[place:] if kind == "sync"]
        assert str(Path(other).parent) in after, "the folder above, after the move"
    return given


@pytest.mark.parametrize("exchange", [True, False], ids=["one step", "two steps"])
def test_a_set_is_on_the_disk_before_it_has_its_name(
    events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(moves, "_exchange", lambda *_: False)
    contents = {"b": b"1", "deep/er/a": b"2", "z": b"3"}
    write_set(tmp_path / "m", contents)
    write_set(tmp_path / "m", {**contents, "z": b"4"}, replace=True)
    assert check_order(events) == [str(tmp_path / "m")] * 2


def test_checkpoints_and_models_are_on_the_disk_before_they_have_their_names(
    events: list[Event], small: Path, tmp_path: Path
) -> None:
    toy.fit(small, inputs=["size"], epochs=3, out=tmp_path / "m")
    toy.fit(small, inputs=["size"], epochs=1, out=tmp_path / "m", overwrite=True)
    named = [str(Path(path).relative_to(tmp_path)) for path in check_order(events)]
    steps = [f"m.run/step-{5 * epoch:09d}" for epoch in (1, 2, 3)]
    assert named == ["m.run/start", *steps, "m", "m.run/start", steps[0], "m"]


# What a save costs


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("layout", ["linear", "convolution"])
def test_a_save_takes_little_memory_and_time(forks: Forks, tmp_path: Path, layout: str, first: bool) -> None:
    job = {"folder": tmp_path / "run", "found": tmp_path / "found", "megabytes": 40, "layout": layout, "first": first}
    forks.run("upkeep.save_large", **job)
    found = json.loads((tmp_path / "found").read_text())
    assert found["size"] == pytest.approx(120 if first else 160, rel=0.01)
    assert found["extra"] <= 0.1 * found["size"], found  # asked are 1.2 times its size
    assert found["seconds"] <= 0.05 * SAVE_SECONDS, found


@pytest.mark.slow
def test_saving_takes_a_twentieth_of_the_time_at_most(forks: Forks, small: Path, tmp_path: Path) -> None:
    """At the interval that is used unless one asks for another: once a minute and after each epoch, here of 360 steps."""
    forks.run("upkeep.soak", table=small, out=tmp_path / "m", found=tmp_path / "found", epochs=2, batch=4, repeat=40)
    marks = json.loads((tmp_path / "found").read_text())
    assert [mark[0] for mark in marks] == [360, 720]
    assert marks[-1][4] <= 0.05 * marks[-1][3], marks


@pytest.mark.slow
def test_two_thousand_steps_leave_no_memory_and_no_file_behind(forks: Forks, small: Path, tmp_path: Path) -> None:
    forks.run("upkeep.soak", table=small, out=tmp_path / "m", found=tmp_path / "found", epochs=112, batch=2)
    marks = np.array(json.loads((tmp_path / "found").read_text()))
    steps, memory, held = marks[:, 0], marks[:, 1], marks[:, 2]
    assert steps[-1] == 2016 and len(marks) == 112, "judged and saved after every epoch"
    settled = steps > 600
    slope = np.polyfit(steps[settled] / 1000, memory[settled], 1)[0]
    assert slope <= 1.0, f"{slope:.2f} MB in 1,000 steps"
    assert len(set(held)) == 1, sorted(set(held))
