"""MP3 files made fit for a decoder that believes their headers: tags left out, frames counted where nothing counts them.

libsndfile reads no more frames than the first one promises ("Xing") or its bit rate lets it guess; a file of varying bit
rate without a promise would be read in part, and a file that is cut in full, as far as anyone can tell.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from plait.reading.mapped import Raw

_KBITS = (
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1
)
_RATES = (44_100, 48_000, 32_000)
MOST_TAGS = 1000
MOST_FRAMES = 60_000  # that are counted, more than are used: 26 minutes at 44.1 kHz
_SEARCHED = 2**16  # bytes in which a first frame must begin


class Frame(NamedTuple):
    """One frame of MPEG audio, layer III."""

    place: int
    length: int  # bytes
    sort: bytes  # what all frames of a file have in common
    side: int  # bytes between its header and its data


def counted(raw: Raw) -> tuple[bytes, int, bool]:
    """The bytes that belong in front of the sound, which count its frames where nothing in it does; where the sound
    begins; and whether its last frame is cut. As it is where no two frames follow each other."""
    start = _after_tags(raw)
    first = next((f for f in _candidates(raw, start) if _frame(raw, f.place + f.length, f.sort)), None)
    if first is None:
        return b"", 0, False
    mark = first.place + 4 + first.side
    if raw[mark : mark + 4] in (b"Xing", b"Info") and raw[mark + 7] & 1:
        return b"", first.place, False
    count, place = 0, first.place
    while count < MOST_FRAMES and (frame := _frame(raw, place, first.sort) or _next(raw, place, first.sort)):
        count += 1
        place = frame.place + frame.length
    return _promise(raw[first.place : first.place + 4], count), first.place, place > len(raw)


def _after_tags(raw: Raw) -> int:
    """Where the sound begins: after ID3v2 tags, which may hold pictures."""
    place = 0
    for _ in range(MOST_TAGS):
        if raw[place : place + 3] != b"ID3" or place + 10 > len(raw):
            break
        a, b, c, d = raw[place + 6 : place + 10]
        place += 10 + ((a & 127) << 21 | (b & 127) << 14 | (c & 127) << 7 | d & 127) + 10 * (raw[place + 5] >> 4 & 1)
    return place


def _frame(raw: Raw, place: int, sort: bytes | None = None) -> Frame | None:
    """The frame whose header stands here, if one does, and if it is of this sort."""
    head = raw[place : place + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    own = bytes((head[1] & 0xFE, head[2] & 0x0C))
    if version == 1 or bits in (0, 15) or rate == 3 or (sort is not None and own != sort):
        return None
    one = version == 3
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    length = (144 if one else 72) * _KBITS[one][bits - 1] * 1000 // hertz + (head[2] >> 1 & 1)
    mono = head[3] >> 6 == 3
    return Frame(place, length, own, (17 if mono else 32) if one else (9 if mono else 17))


def _candidates(raw: Raw, start: int) -> Iterator[Frame]:
    place = raw.find(b"\xff", start, start + _SEARCHED)
    while place >= 0:
        if frame := _frame(raw, place):
            yield frame
        place = raw.find(b"\xff", place + 1, start + _SEARCHED)


def _next(raw: Raw, place: int, sort: bytes) -> Frame | None:
    """The next frame after something that is none."""
    end = place + _SEARCHED
    while (place := raw.find(b"\xff", place, end)) >= 0:
        if frame := _frame(raw, place, sort):
            return frame
        place += 1
    return None


def _promise(header: bytes, count: int) -> bytes:
    """A frame without sound that says how many follow."""
    head = bytes((255, header[1] | 1, header[2] & 0x0C | 0x90, header[3]))  # no checksum; room for the count
    frame = _frame(head, 0)
    assert frame is not None
    return (head + bytes(frame.side) + b"Xing" + struct.pack(">II", 1, count)).ljust(frame.length, b"\0")
