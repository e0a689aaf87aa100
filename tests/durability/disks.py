"""Jobs on disks of their own: full, too small, read-only. They look at what is left themselves: nobody else sees it."""

from __future__ import annotations

import ctypes
import os
import resource
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests import toy

NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000  # linux/sched.h
LIGHT = {"inputs": ["note", "size"], "epochs": 3}
NOT_PERMITTED, REACHED = 78, 99


def own_disk(place: str, options: str) -> None:
    """A disk in memory that only this process sees; ends the process where that is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    os.makedirs(place, exist_ok=True)
    if libc.unshare(NEW_USER | NEW_MOUNTS) != 0:
        os._exit(NOT_PERMITTED)
    with suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    flags = 1 if options == "ro" else 0  # MS_RDONLY
    if libc.mount(b"none", place.encode(), b"tmpfs", flags, (b"" if flags else options.encode())) != 0:
        os._exit(NOT_PERMITTED)


def full_disk(table: str, mount: str, other: str, found: str) -> None:
    """The disk is full from the second checkpoint on."""
    own_disk(mount, "size=8m")
    _fill_after_the_first_checkpoint(table, mount, other, found, fill=lambda: _fill(Path(mount)), free=lambda: None)


def small_files(table: str, disk: str, other: str, found: str) -> None:
    """No file may be larger than 20 KB from the second checkpoint on."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    _fill_after_the_first_checkpoint(
        table,
        disk,
        other,
        found,
        fill=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most)),
        free=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )


def _fill(disk: Path) -> None:
    with suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _fill_after_the_first_checkpoint(
    table: str, folder: str, other: str, found: str, *, fill: Callable[[], None], free: Callable[[], None]
) -> None:
    from tests.durability import jobs

    from plait import files
    from plait.errors import OutputError
    from plait.training.checkpoint import Checkpoints
    from plait.training.loop import _Run

    jobs.no_report()
    jobs.save_every(1)
    saves, steps = [0], [0]

    def first(*_: Any) -> None:
        saves[0] += 1
        if saves[0] == 1:
            fill()

    jobs.around(Checkpoints, "save", after=first)
    jobs.around(_Run, "advance", after=lambda *_: steps.__setitem__(0, steps[0] + 1))
    place = Path(folder) / "m"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            toy.fit(table, out=place, **LIGHT)
            raise AssertionError("the model was written on a full disk")
        except OutputError as error:
            refused: Any = error
    free()
    sets = sorted(p.name for p in (Path(folder) / "m.run").glob("step-*"))
    whole = all(files.read_set(Path(folder) / "m.run" / name) for name in sets)
    left = [str(p) for p in Path(folder).rglob(".*")]
    refused.model.save(other)
    jobs.write_json(
        found,
        {
            "place": str(place),
            "warnings": [str(w.message) for w in warned],
            "checkpoints": sets,
            "whole": whole,
            "steps": steps[0],
            "leftovers": left,
            "error": type(refused).__name__,
            "message": str(refused),
            "path": refused.path,
            "needed": refused.needed,
            "free": refused.free,
            "limit": 20_000,
        },
    )


def refused(table: str, out: str, found: str) -> None:
    """How a fit into `out` is refused, before its first step."""
    from tests.durability import jobs

    from plait.errors import OutputError
    from plait.training.loop import _Run

    jobs.around(_Run, "advance", before=lambda *_: os._exit(REACHED))
    began = time.monotonic()
    try:
        toy.fit(table, out=out, **LIGHT)
        raise AssertionError("the fit was not refused")
    except OutputError as error:
        seconds = time.monotonic() - began
        about = {k: getattr(error, k, None) for k in ("needed", "free")}
        left = [str(p) for p in Path(out).parent.iterdir()] if Path(out).parent.is_dir() and "disk" in out else []
        jobs.write_json(
            found, {"error": type(error).__name__, "message": str(error), "seconds": seconds, "left": left, **about}
        )


def refused_disk(table: str, mount: str, options: str, found: str) -> None:
    """How a fit onto a disk that is read-only or too small is refused."""
    own_disk(mount, options)
    refused(table, f"{mount}/m", found)
