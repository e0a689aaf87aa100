"""The bytes of a file: held, or, where they are many, fetched when they are looked at; and these as a file again."""

from __future__ import annotations

import os
from mmap import ACCESS_READ, mmap

from plait.errors import MediaError

Raw = bytes | mmap

MAX_FILE_BYTES = 512 * 2**20
MAX_LONG_BYTES = 16 * 2**30  # of a sound or a video, of which a part is enough
HELD_BYTES = 64 * 2**20  # of a video: larger ones are mapped. A mapped file must not be cut while it is read
HELD_SOUND_BYTES = MAX_FILE_BYTES  # of a sound


def held(descriptor: int) -> bytes:
    """All bytes of an open file, which is closed. Raises MediaError."""
    raw = _content(descriptor, MAX_FILE_BYTES, MAX_FILE_BYTES)
    assert isinstance(raw, bytes)
    return raw


def held_or_mapped(descriptor: int, *, sound: bool) -> Raw:
    """The bytes of an open file, which is closed: a map of them where they are many. Raises MediaError."""
    return _content(descriptor, HELD_SOUND_BYTES if sound else HELD_BYTES, MAX_LONG_BYTES)


def _content(descriptor: int, few: int, most: int) -> Raw:
    try:
        size = os.fstat(descriptor).st_size
        if size > most:
            raise MediaError(f"is larger than {f'{most >> 30} GB' if most >= 2**30 else f'{most >> 20} MB'}")
        if size > few:
            return _map(descriptor)
        parts = []
        while size > 0 and (part := os.read(descriptor, size)):
            parts.append(part)
            size -= len(part)
    except OSError as error:
        raise MediaError(error.strerror or type(error).__name__) from None
    finally:
        os.close(descriptor)
    if not parts:
        raise MediaError("the file is empty (0 bytes)")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _map(descriptor: int) -> mmap:
    try:
        return mmap(descriptor, 0, access=ACCESS_READ)
    except ValueError:
        raise MediaError("the file was emptied while it was read") from None


class AsFile:
    """What decoders need of a file, over bytes or a map: `before`, then the bytes from `start` on."""

    def __init__(self, raw: Raw, *, before: bytes = b"", start: int = 0) -> None:
        self._before, self._view, self._place = before, memoryview(raw)[start:], 0

    def read(self, size: int = -1) -> bytes:
        end = self._size() if size < 0 else self._place + size
        here, first = self._place - len(self._before), self._before[self._place : end]
        part = first + bytes(self._view[max(0, here) : max(0, end - len(self._before))])
        self._place += len(part)
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = max(0, offset + (0, self._place, self._size())[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def _size(self) -> int:
        return len(self._before) + len(self._view)
