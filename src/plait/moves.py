"""One folder put in the place of another in a single step, and what killed processes left behind cleared away."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV, errno.EPERM)
TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.[0-9a-f]{8}\.(?P<kind>part|old|probe)")
SETTLE_SECONDS = 2.0


def beside(place: Path, kind: str) -> Path:
    """A hidden name beside `place` that tells whose it is. `kind`: part (being written), old (moved aside), probe."""
    return place.with_name(f".{place.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.{kind}")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """In this block `folder` is in use, even for a process on another machine that shares the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def put(part: Path, place: Path, *, replace: bool) -> None:
    """Renames `part` to `place`. With `replace`, both change places in one step where the system can do that (Linux), so
    that a kill at any time leaves a whole folder in place; elsewhere in two steps, which `settle` completes. Raises
    FileExistsError."""
    while True:
        if os.path.lexists(place):
            if not replace:
                raise FileExistsError(errno.EEXIST, "exists already", str(place))
            if _exchange(part, place) or _put_in_two_steps(part, place):
                return
            continue
        try:
            return os.rename(part, place)
        except OSError as error:
            if error.errno not in TAKEN:
                raise  # else another process was faster


def _put_in_two_steps(part: Path, place: Path) -> bool:
    """False when another process came in between: to be tried again."""
    old = beside(place, "old")
    try:
        os.rename(place, old)
    except FileNotFoundError:
        return False
    try:
        os.rename(part, place)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in TAKEN:  # another process has put its own there
            shutil.rmtree(old, ignore_errors=True)
            return False
        if part.exists():
            os.rename(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Two names change places in one step; False where this system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code == errno.ENOENT and os.path.lexists(one) and not os.path.lexists(other):
        os.rename(one, other)  # taken away in between
        return True
    if code in NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def settle(place: Path) -> None:
    """When `place` is absent because a process was killed between the two steps of a replacement, the old folder is put
    back; when one is between them now, it is waited for."""
    until = time.monotonic() + SETTLE_SECONDS
    while not os.path.lexists(place):
        aside = [(path, alive) for path, kind, alive in _leftovers(place.parent, place.name) if kind == "old"]
        if not aside:
            return
        free = [path for path, alive in aside if not alive]
        if not free and time.monotonic() < until:
            time.sleep(0.005)
            continue
        with suppress(OSError):  # a disk that can only be read, or another process was faster
            os.rename(max(free or [path for path, _ in aside], key=lambda p: p.stat().st_mtime), place)
        return


def sweep(parent: Path, name: str | None = None) -> None:
    """Deletes what killed processes left in `parent`, for the place called `name` or for any. Nothing that a living
    process of this machine has made, or that is held, is touched."""
    if name is not None:
        settle(parent / name)
    for path, kind, alive in _leftovers(parent, name):
        owner = LEFTOVER.fullmatch(path.name)
        if alive or (kind == "old" and owner and not os.path.lexists(parent / owner["name"])):
            continue
        with suppress(OSError), _unused(path):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _unused(folder: Path) -> Iterator[None]:
    """Raises OSError when a process holds the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _leftovers(parent: Path, name: str | None) -> list[tuple[Path, str, bool]]:
    """(path, kind, whether its process lives) of every hidden name that `beside` gave."""
    try:
        names = [n for n in os.listdir(parent) if n.startswith("." if name is None else f".{name}.")]
    except OSError:
        return []
    found = [(n, LEFTOVER.fullmatch(n)) for n in names]
    return [
        (parent / n, match["kind"], _lives(int(match["process"])))
        for n, match in found
        if match and name in (None, match["name"])
    ]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
