"""The modality interface: a value in a table -> what identifies it -> a canonical cell."""

from __future__ import annotations

import os
import stat
import threading
import unicodedata
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from plait.errors import MediaError
from plait.types import Cell, Note

MAX_FILE_BYTES = 512 * 2**20


class Claim(NamedTuple):
    """How sure a modality is that a column is its own, and why, in words a person reads."""

    strength: float  # 0..1
    reason: str
    options: dict[str, Any] = {}  # noqa: RUF012  keyword arguments of `load` for the whole column: {"decimal": ","}


def silent(remark: str) -> None:
    """The note of a reader that nobody listens to."""


class Modality(ABC):
    """Subclasses say what a value of theirs looks like and how it is read. They hold no state."""

    suffixes: ClassVar[tuple[str, ...]]  # of the files a cell may name; empty where the cell holds the value itself

    @abstractmethod
    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        """Whether a column with these values (none missing) is of this modality. `target`: it is to be predicted."""

    @abstractmethod
    def load(self, value: Any, folder: Path) -> Any:
        """What identifies the cell: the bytes of its file, or the plain value. None when missing; raises MediaError.
        Keyword arguments of a subclass are the options of its claim."""

    @abstractmethod
    def read(self, raw: Any, *, note: Note = silent) -> Cell:
        """The canonical cell of what `load` gave. `note` takes remarks on a cell that is used all the same. Keyword
        arguments of a subclass say what an encoder needs (its `reading`), so that the rest may be skipped. Raises
        MediaError."""


def missing(value: Any) -> bool:
    """Whether a value counts as missing: None, NaN, NA, NaT."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    return type(value).__name__ in ("NAType", "NaTType") or (
        hasattr(value, "dtype") and value.dtype.kind in "fmM" and value.ndim == 0 and bool(value != value)
    )


def clean(text: str) -> str:
    """NFC, with lone surrogates (halves of a character, which no file can hold) as "?"."""
    return unicodedata.normalize("NFC", text.encode("utf-8", errors="replace").decode("utf-8"))


class _Quiet:
    lock, users = threading.Lock(), 0
    guard = warnings.catch_warnings()


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, neither printed nor raised. `warnings.catch_warnings` alone, used by two threads at once, would
    leave its filter behind for good."""
    with _Quiet.lock:
        if not _Quiet.users:
            _Quiet.guard = warnings.catch_warnings()
            _Quiet.guard.__enter__()
            warnings.simplefilter("ignore")
        _Quiet.users += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.users -= 1
            if not _Quiet.users:
                _Quiet.guard.__exit__(None, None, None)


def claim_files(values: Sequence[Any], suffixes: tuple[str, ...], kind: str) -> Claim | None:
    """The claim of a modality whose cells are paths: nine in ten values must end like its files."""
    hits = sum(isinstance(v, (str, Path)) and str(v).strip().lower().endswith(suffixes) for v in values)
    if hits < 0.9 * len(values):
        return None
    return Claim(0.95, f"{hits} of {len(values)} sampled values are paths of {kind} files")


def load_file(value: Any, folder: Path, suffix_hint: str) -> bytes | None:
    """The bytes of the file a cell names, relative to the table's folder. Empty cells are missing."""
    if missing(value):
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise MediaError(f"found a {type(value).__name__}, expected the path of {suffix_hint}")
    text = os.fspath(value).strip()
    if not text:
        return None
    if "://" in text:
        raise MediaError("is a URL; plait reads local files only: download it first")
    if "\0" in text:
        raise MediaError("the path holds a NUL character")
    path = Path(text) if Path(text).is_absolute() else folder / text
    try:
        with open(path, "rb", opener=_open_regular) as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise MediaError(f"no such file (relative paths are taken from {folder})") from None
    except OSError as error:
        raise MediaError(error.strerror or type(error).__name__) from None
    except UnicodeEncodeError:
        raise MediaError("the path holds half a character (a lone surrogate)") from None
    if len(raw) > MAX_FILE_BYTES:
        raise MediaError(f"is larger than {MAX_FILE_BYTES >> 20} MB")
    if not raw:
        raise MediaError("the file is empty (0 bytes)")
    return raw


def _open_regular(path: str, flags: int) -> int:
    """Opens regular files only: a FIFO or a device would hang or never end."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MediaError("is not a regular file")
    return descriptor
