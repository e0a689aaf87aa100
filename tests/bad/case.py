"""One broken or odd input: how to make it, and what becomes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

READ, REMARK, BAD, MISSING = "is read", "is read, with a remark", "counts as missing, and is named", "is missing"


class Case(NamedTuple):
    """`make` writes what it needs into a folder and gives the value of the cell."""

    number: int  # in the list of bad inputs
    title: str
    kind: str  # the modality of its column
    make: Callable[[Path], Any]
    outcome: str  # READ, REMARK, BAD or MISSING
    says: str = ""  # part of the reason or the remark


def file(suffix: str, content: Callable[[], bytes]) -> Callable[[Path], str]:
    """A cell that names a file with this content."""

    def make(folder: Path) -> str:
        raw = content()
        name = f"{hashlib.blake2b(raw, digest_size=6).hexdigest()}{suffix}"
        (folder / name).write_bytes(raw)
        return name

    return make


def value(given: Any) -> Callable[[Path], Any]:
    """A cell that holds this value."""
    return lambda folder: given


def named(name: str) -> Callable[[Path], str]:
    """A cell that names something in the folder that `furnish` put there, or nothing."""
    return lambda folder: name.format(folder=folder)
