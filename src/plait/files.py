"""Folders that are written whole or not at all: a temporary folder, a manifest of hashes, one rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from plait.errors import ModelFormatError, OutputError

MANIFEST = "manifest.json"


def write_set(folder: Path, contents: Mapping[str, bytes], *, replace: bool = False) -> None:
    """Writes a folder of files and its manifest as one atomic set: a kill at any time leaves the old folder, the new
    one, or none. Raises OutputError."""
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.mkdir(parents=True)
        for name, content in sorted(contents.items()):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            _write(part / name, content)
        _write(part / MANIFEST, _manifest(contents))
        for parent in {(part / name).parent for name in contents} | {part}:
            _sync_folder(parent)
        _move(part, folder, replace=replace)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise OutputError(f"Cannot write {folder}: {error.strerror}. {_space(folder, contents)}") from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _move(part: Path, folder: Path, *, replace: bool) -> None:
    old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
    if folder.exists():
        if not replace:
            raise OutputError(f"{folder} exists already. Choose another name, or allow it to be replaced.")
        os.rename(folder, old)
    try:
        os.rename(part, folder)
    except BaseException:
        if old.exists():
            os.rename(old, folder)
        raise
    _sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_set(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, each checked against the manifest. Raises ModelFormatError."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelFormatError(
            f"{folder} is not a folder that plait has written: {MANIFEST} cannot be read ({error.strerror})."
        ) from None
    try:
        hashes = json.loads(raw)["sha256"]
        names = list(hashes)
        fine = all(isinstance(n, str) and isinstance(h, str) for n, h in hashes.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ModelFormatError(f"{folder / MANIFEST} is damaged: it does not list hashes of files.") from None
    if not fine or any(Path(n).is_absolute() or ".." in Path(n).parts for n in names):
        raise ModelFormatError(f"{folder / MANIFEST} names files outside of the folder.")
    contents = {}
    for name in names:
        path = folder / name
        try:
            if path.is_symlink() or not path.is_file():
                raise ModelFormatError(f"{path} is missing or not a regular file.")
            contents[name] = path.read_bytes()
        except OSError as error:
            raise ModelFormatError(f"{path} cannot be read: {error.strerror}.") from None
        if hashlib.sha256(contents[name]).hexdigest() != hashes[name]:
            raise ModelFormatError(
                f"{path} has changed since it was written: its sha256 is not the one in {MANIFEST}. "
                f"Restore it from a copy."
            )
    if raw != _manifest(contents):
        raise ModelFormatError(f"{folder / MANIFEST} has changed since it was written.")
    return contents


def check_writable(folder: Path, *, replace: bool = False) -> None:
    """Raises OutputError when `folder` could not be written, before any work is done."""
    if folder.exists() and not replace:
        raise OutputError(
            f"{folder} exists already. Choose another name with out= (--out), or allow it to be replaced "
            f"with overwrite=True (--overwrite)."
        )
    if folder.exists() and not (folder / MANIFEST).exists():
        raise OutputError(f"{folder} exists and was not written by plait; it is not replaced. Choose another name.")
    above = next((p for p in folder.absolute().parents if p.exists()), Path("/"))  # the missing ones are made later
    probe = above / f".{folder.name}.{uuid.uuid4().hex[:8]}.probe"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise OutputError(f"Cannot write {folder}: {error.strerror}. Choose another place with out= (--out).") from None


def _manifest(contents: Mapping[str, bytes]) -> bytes:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    return (json.dumps({"sha256": hashes}, indent=1, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _space(folder: Path, contents: Mapping[str, bytes]) -> str:
    try:
        free = shutil.disk_usage(next(p for p in folder.absolute().parents if p.exists())).free
    except (OSError, StopIteration):
        return ""
    return f"It needs {sum(map(len, contents.values())) / 1e6:.1f} MB; {free / 1e6:.1f} MB are free."
