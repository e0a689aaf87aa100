"""One process at a time: a lock beside the folder of a model, which the system takes back when its process dies."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plait import files
from plait.errors import RunLockedError


@contextmanager
def only_one(folder: Path | None) -> Iterator[None]:
    """In this block no other process may write `folder`. Leaves nothing behind. Raises RunLockedError, OutputError."""
    if folder is None:
        yield
        return
    path = folder.with_name(f".{folder.name}.lock")
    made = [p for p in path.absolute().parents if not p.exists()]  # the deepest first
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path, folder)
    except OSError as error:
        raise files.refusal(folder, error, 0) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        with suppress(OSError):  # not empty: the output is in it
            for parent in made:
                parent.rmdir()


def _take(path: Path, folder: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            _lock(descriptor, path, folder)
            if _is(descriptor, path):
                about = {"process": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
                os.truncate(descriptor, 0)
                os.write(descriptor, json.dumps(about).encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder has ended and taken the file away


def _lock(descriptor: int, path: Path, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunLockedError(
            f"{folder} is being written by {_holder(path)}. Wait until that has ended, or choose another name with out= "
            f"(--out)."
        ) from None
    except OSError:
        return  # a file system without locks: nothing guards


def _holder(path: Path) -> str:
    for _ in range(20):  # it may just be writing its name
        with suppress(OSError, ValueError, KeyError):
            about = json.loads(path.read_text("utf-8"))
            return f"process {about['process']} on {about['host']}, since {about['since']}"
        time.sleep(0.02)
    return "another process"


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
