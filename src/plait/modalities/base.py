"""The modality interface: a value in a table -> what identifies it -> a canonical cell."""

from __future__ import annotations

import os
import threading
import unicodedata
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from plait.errors import MediaError, MissingExtraError
from plait.reading.encoded import base64_head, from_base64
from plait.reading.magic import HEAD, is_text, sniff
from plait.reading.mapped import MAX_FILE_BYTES, Raw
from plait.reading.paths import map_path, read_path
from plait.types import Cell, Note


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
    choices: ClassVar[dict[str, tuple[Any, ...]]] = {}

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


class Shared:
    """A setting of the whole process that many threads need at once: made by the first that enters, undone by the last
    that leaves. `make` returns what undoes it."""

    def __init__(self, *, make: Callable[[], Callable[[], None]]) -> None:
        self._make, self._lock, self._users = make, threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._undo = self._make()
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo()


def _silence() -> Callable[[], None]:
    guard = warnings.catch_warnings()
    guard.__enter__()
    warnings.simplefilter("ignore")
    return lambda: guard.__exit__(None, None, None)


_QUIET = Shared(make=_silence)


def quiet() -> Shared:
    """No warnings, neither printed nor raised. `warnings.catch_warnings` alone, used by two threads at once, would
    leave its filter behind for good."""
    return _QUIET


def claim_files(
    values: Sequence[Any],
    suffixes: tuple[str, ...],
    kind: str,
    own: Callable[[Any], bool] = lambda value: False,
) -> Claim | None:
    """The claim of a modality whose cells are files: nine in ten values must be paths that end like them, or hold bytes
    that begin like them, as they are, as base64 text, or in a dict. `kind`: "picture", "sound" or "video". `own`:
    whether a value of another type, such as an array, is one too."""
    paths = held = 0
    for value in values:
        if isinstance(value, dict) and ("bytes" in value or "path" in value):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, (str, Path)) and str(value).strip().lower().endswith(suffixes):
            paths += 1
        elif own(value) or _begins_like(value, kind):
            held += 1
    if paths + held < 0.9 * len(values):
        return None
    said = [f"{paths} paths of {kind} files"] * bool(paths) + [f"{held} that hold a {kind} themselves"] * bool(held)
    if not held:
        return Claim(0.95, f"{paths} of {len(values)} sampled values are paths of {kind} files")
    return Claim(0.95, f"among {len(values)} sampled values are {' and '.join(said)}")


def _begins_like(value: Any, kind: str) -> bool:
    """Whether a value holds bytes, or base64 text, that begin like a file of this kind."""
    if isinstance(value, str):
        value = base64_head(value)
    if not isinstance(value, (bytes, bytearray, memoryview)):
        return False
    found = sniff(bytes(value[:HEAD]))
    return found is not None and found.family == kind


def load_file(value: Any, folder: Path, suffix_hint: str) -> bytes | None:
    """The bytes that a cell holds, as they are or as base64 text, or those of the file it names, relative to the
    table's folder. A dict {"bytes": …, "path": …}, as Hugging Face writes it, is either. Empty cells are missing.
    `suffix_hint`: what is expected, for the message: "a picture"."""
    found = _held_or_named(value, suffix_hint)
    return read_path(found, folder) if isinstance(found, str) else found


def load_long(value: Any, folder: Path, suffix_hint: str, *, sound: bool) -> Raw | None:
    """As `load_file`, of a sound or a video: a large file is mapped."""
    found = _held_or_named(value, suffix_hint)
    return map_path(found, folder, sound=sound) if isinstance(found, str) else found


def _held_or_named(value: Any, suffix_hint: str) -> bytes | str | None:
    """The bytes that a cell holds, or the path that it names."""
    if isinstance(value, dict):
        if not value.keys() & {"bytes", "path"}:
            raise MediaError(f"found a dict of {', '.join(map(str, value))[:80] or 'nothing'}, expected bytes or path")
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    if missing(value):
        return None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return whole(bytes(value))
    if not isinstance(value, (str, os.PathLike)):
        raise MediaError(f"found a {type(value).__name__}, expected the path, bytes or base64 text of {suffix_hint}")
    text = os.fsdecode(value)
    if not text.strip():
        return None
    if (content := from_base64(text)) is not None:
        return whole(content)
    return text


def whole(content: bytes) -> bytes:
    """The content, which must hold something, but not too much."""
    if not content:
        raise MediaError("is empty (0 bytes)")
    if len(content) > MAX_FILE_BYTES:
        raise MediaError(f"is larger than {MAX_FILE_BYTES >> 20} MB")
    return content


@contextmanager
def decoding(raw: Raw, kind: str, reads: str) -> Iterator[None]:
    """Whatever a decoder raises in this block becomes a MediaError that says what the bytes are: none of the decoder's
    words, which may hold parts of memory. `kind`: "picture"; `reads`: the formats that are read, for the message."""
    try:
        with quiet():
            yield
    except MediaError:
        raise
    except MissingExtraError as error:
        raise MediaError(str(error)) from None
    except (
        Exception
    ):  # decoders raise nearly anything on damaged bytes: MemoryError, RecursionError, UnicodeDecodeError
        raise MediaError(refusal(raw, kind, reads)) from None


def refusal(raw: Raw, kind: str, reads: str) -> str:
    """Why these bytes cannot be read as `kind`, by how they begin."""
    head = raw[:HEAD]
    found = sniff(head)
    if found is None:
        return f"not a {kind}: {'text' if is_text(head) else 'nothing'} that is read here (expected {reads})"
    if found.family != kind:
        return f"not a {kind}: the content is {found.name}"
    return f"{found.name} that is damaged, or of a sort that is not read here"
