"""Places that cannot be written are refused before any work; a full disk costs a checkpoint, never the trained weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.durability.conftest import Forks, leftovers, visible, weights

NOT_PERMITTED = 78  # exit code of a job that may not mount


def report(forks: Forks, job: str, folder: Path, **options: Any) -> dict[str, Any]:
    """What a job has found."""
    found = forks.start(job, found=folder / "found.json", **options)
    if found.wait() == NOT_PERMITTED:
        pytest.skip("mounting a file system of one's own is not permitted here")
    assert found.code == 0, found.errors
    value: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return value


def check_full(found: dict[str, Any]) -> None:
    """The save that failed, the checkpoint before it, the end, and the weights."""
    place = found["place"]
    warning = next(w for w in found["warnings"] if w.startswith("No checkpoint of step 2."))
    assert f"{place}.run/step-000000002" in warning and "bytes are free" in warning and "needs" in warning
    assert found["checkpoints"] == ["step-000000001"] and found["whole"], "the one before the disk was full"
    assert found["steps"] == 15, "training went on to its end"
    assert found["error"] == "DiskFullError" and found["path"] == place and place in found["message"]
    assert found["needed"] > found["free"] >= 0 or found["limit"] < found["needed"]
    assert found["leftovers"] == []


@pytest.mark.slow
def test_a_full_disk(forks: Forks, small: Path, tmp_path: Path) -> None:
    found = report(forks, "disks.full_disk", tmp_path, table=small, mount=tmp_path / "disk", other=tmp_path / "other")
    check_full(found)
    forks.run("fit", table=small, out=tmp_path / "whole", epochs=3, inputs=["note", "size"])
    assert weights(tmp_path / "other") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_files_may_not_grow(forks: Forks, small: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    found = report(forks, "disks.small_files", tmp_path, table=small, disk=tmp_path / "disk", other=tmp_path / "other")
    check_full(found)
    forks.run("fit", table=small, out=tmp_path / "whole", epochs=3, inputs=["note", "size"])
    assert weights(tmp_path / "other") == weights(tmp_path / "whole")


def file_above(folder: Path) -> Path:
    (folder / "file").write_text("mine")
    return folder / "file" / "m"


def folder_of_others(folder: Path) -> Path:
    (folder / "m").mkdir()
    (folder / "m" / "mine.txt").write_text("mine")
    return folder / "m"


def file_of_others(folder: Path) -> Path:
    (folder / "m").write_text("mine")
    return folder / "m"


def run_of_others(folder: Path) -> Path:
    (folder / "m.run").mkdir()
    (folder / "m.run" / "mine.txt").write_text("mine")
    return folder / "m"


def no_such_file_system(_: Path) -> Path:
    return Path("/proc/m")


PLACES = {
    "below a file": (file_above, "Cannot write"),
    "a folder of others": (folder_of_others, "exists already"),
    "a file of others": (file_of_others, "exists already"),
    "checkpoints of others": (run_of_others, "holds something else"),
    "where nothing can be made": (no_such_file_system, "Cannot write"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_cannot_be_written(forks: Forks, small: Path, tmp_path: Path, place: str) -> None:
    make, words = PLACES[place]
    (tmp_path / "out").mkdir()
    out = make(tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))
    found = report(forks, "disks.refused", tmp_path, table=small, out=out)
    (tmp_path / "found.json").unlink()
    assert words in found["message"] and str(out) in found["message"] and found["seconds"] <= 5
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("options", "error"), [("ro", "OutputError"), ("size=64k", "DiskFullError")])
def test_a_disk_that_is_read_only_or_too_small(
    forks: Forks, small: Path, tmp_path: Path, options: str, error: str
) -> None:
    found = report(forks, "disks.refused_disk", tmp_path, table=small, mount=tmp_path / "disk", options=options)
    assert found["error"] == error and str(tmp_path / "disk" / "m") in found["message"] and found["seconds"] <= 5
    assert found["left"] == [] and visible(tmp_path / "disk") == [] and leftovers(tmp_path) == []
    if error == "DiskFullError":
        assert found["needed"] > found["free"] > 0


def test_a_missing_folder_is_made(forks: Forks, small: Path, tmp_path: Path) -> None:
    forks.run("fit", table=small, out=tmp_path / "a" / "b" / "m", epochs=1, inputs=["size"])
    assert visible(tmp_path / "a" / "b") == ["m"] and leftovers(tmp_path) == []
