"""Folders that are written whole or not at all, and read only as they were written: a manifest of hashes, one move."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plait import moves
from plait.errors import DiskFullError, ModelFormatError, OutputError

MANIFEST = "manifest.json"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_TRIES = 20  # while others replace the folder again and again
AS_IT_STANDS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no link is followed, no pipe waited for


@dataclass(frozen=True)
class Pieces:
    """The content of a file that is written piece by piece, and so never held as a whole."""

    size: int  # bytes
    pieces: Callable[[], Iterable[bytes | memoryview]]

    def __len__(self) -> int:
        return self.size


def json_bytes(value: object) -> bytes:
    """The file of a value as JSON. Halves of characters (lone surrogates), which UTF-8 cannot hold, are written \\ud800, as
    JSON has it: they are read back as they are."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", "backslashreplace")


def write_set(folder: Path, contents: Mapping[str, bytes | Pieces], *, replace: bool = False) -> None:
    """Writes a folder of files and its manifest as one atomic set: a kill at any time leaves the old folder or the new
    one. Every file and folder is on the disk before the set gets its name, the manifest last. Raises OutputError."""
    part = moves.beside(folder, "part")
    try:
        part.mkdir(parents=True)
        moves.sweep(folder.parent, folder.name)
        with moves.held(part):
            hashes = {}
            for name, content in sorted(contents.items()):
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                hashes[name] = _write(part / name, content)
            _write(part / MANIFEST, _manifest(hashes))
            for parent in {p for name in (*contents, MANIFEST) for p in Path(name).parents}:
                _sync_folder(part / parent)
            moves.put(part, folder, replace=replace)
        _sync_folder(folder.parent)
        shutil.rmtree(part, ignore_errors=True)  # what the folder held before
    except FileExistsError:
        shutil.rmtree(part, ignore_errors=True)
        raise OutputError(
            f"{folder} exists already. Choose another name, or allow it to be replaced with overwrite=True."
        ) from None
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise refusal(folder, error, sum(map(len, contents.values()))) from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def refusal(place: Path, error: OSError, needed: int) -> OutputError:
    """The error for a place that could not be written. `needed`: bytes."""
    free = free_bytes(place)
    message = f"Cannot write {place}: {error.strerror}."
    if error.errno not in FULL:
        return OutputError(f"{message} Choose another place with out= (--out).")
    shown = "an unknown number of" if free is None else f"{free:,}"
    return DiskFullError(
        f"{message} It needs {needed:,} bytes; {shown} bytes are free. Free some space, or choose another place.",
        path=str(place),
        needed=needed,
        free=free,
    )


def check_room(place: Path, needed: int, *, what: str) -> None:
    """Raises DiskFullError when fewer than `needed` bytes are free where `place` is, or would be."""
    free = free_bytes(place)
    if free is not None and free < needed:
        raise DiskFullError(
            f"{what} in {place} will take about {needed:,} bytes; {free:,} are free. Free some space, or choose another "
            f"place with out= (--out).",
            path=str(place),
            needed=needed,
            free=free,
        )


def free_bytes(place: Path) -> int | None:
    """The bytes that are free where `place` is, or would be."""
    with suppress(OSError, StopIteration):
        return shutil.disk_usage(next(p for p in (place.absolute(), *place.absolute().parents) if p.exists())).free
    return None


def read_set(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, each checked against the manifest. A folder that is replaced while it is read is read
    again, so that old and new are never mixed. Raises ModelFormatError."""
    for _ in range(READ_TRIES):
        moves.settle(folder)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ModelFormatError(
                f"{folder} is not a folder that plait has written: it cannot be opened ({error.strerror})."
            ) from None
        try:
            return _read(descriptor, folder)
        except ModelFormatError:
            if _still(descriptor, folder):
                raise
        finally:
            os.close(descriptor)
    raise ModelFormatError(f"{folder} is being replaced again and again. Wait until that is over.")


def _still(descriptor: int, folder: Path) -> bool:
    """Whether `folder` is still the one that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except OSError:
        return False


def _read(descriptor: int, folder: Path) -> dict[str, bytes]:
    raw = _content(descriptor, MANIFEST, folder, "is not a folder that plait has written")
    try:
        hashes = json.loads(raw)["sha256"]
        fine = all(isinstance(n, str) and isinstance(h, str) for n, h in hashes.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ModelFormatError(f"{folder / MANIFEST} is damaged: it does not list hashes of files.") from None
    if not fine or not all(_inside(name) for name in hashes):
        raise ModelFormatError(f"{folder / MANIFEST} names files outside of the folder.")
    contents = {}
    for name, expected in hashes.items():
        contents[name] = _content(descriptor, name, folder, "is not whole")
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise ModelFormatError(
                f"{folder / name} has changed since it was written: its sha256 is not the one in {MANIFEST}. "
                f"Restore it from a copy."
            )
    if raw != _manifest(hashes):
        raise ModelFormatError(f"{folder / MANIFEST} has changed since it was written.")
    return contents


def _inside(name: str) -> bool:
    """Whether a name of a manifest stays in its folder on every system."""
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and ":" not in name and not {"", ".", ".."} & set(parts)


def _content(descriptor: int, name: str, folder: Path, what: str) -> bytes:
    """A regular file below an open folder, without following links on the way."""
    opened: list[int] = []
    try:
        *parents, last = name.split("/")
        for parent in parents:
            opened.append(os.open(parent, AS_IT_STANDS | os.O_DIRECTORY, dir_fd=(opened or [descriptor])[-1]))
        opened.append(os.open(last, AS_IT_STANDS, dir_fd=(opened or [descriptor])[-1]))
        about = os.fstat(opened[-1])
        if not stat.S_ISREG(about.st_mode):
            raise ModelFormatError(f"{folder} {what}: {folder / name} is not a regular file.")
        if about.st_nlink > 1:
            raise ModelFormatError(
                f"{folder} {what}: {folder / name} is also known by another name (a hard link), through which it can be "
                f"changed. Copy the folder, and take the copy."
            )
        with open(opened.pop(), "rb") as file:
            return file.read()
    except OSError as error:
        raise ModelFormatError(
            f"{folder} {what}: {folder / name} cannot be read as a regular file ({error.strerror})."
        ) from None
    finally:
        for number in opened:
            os.close(number)


def check_writable(folder: Path, *, replace: bool = False) -> None:
    """Raises OutputError when `folder` could not be written, before any work is done."""
    moves.sweep(folder.parent, folder.name)
    if folder.exists() and not replace:
        raise OutputError(
            f"{folder} exists already. Choose another name with out= (--out), or allow it to be replaced "
            f"with overwrite=True (--overwrite)."
        )
    if folder.exists() and not (folder / MANIFEST).exists():
        raise OutputError(f"{folder} exists and was not written by plait; it is not replaced. Choose another name.")
    above = next((p for p in folder.absolute().parents if p.exists()), Path("/"))  # the missing ones are made later
    probe = moves.beside(above / folder.name, "probe")
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise refusal(folder, error, 0) from None


def _manifest(hashes: Mapping[str, str]) -> bytes:
    return json_bytes({"sha256": dict(sorted(hashes.items()))})


def _write(path: Path, content: bytes | Pieces) -> str:
    """Puts a file on the disk; returns the sha256 of its content."""
    mark = hashlib.sha256()
    with open(path, "wb") as file:
        for piece in content.pieces() if isinstance(content, Pieces) else (content,):
            file.write(piece)
            mark.update(piece)
        file.flush()
        os.fsync(file.fileno())
    return mark.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
