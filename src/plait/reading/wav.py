"""WAV without a decoder: what its header declares, what is there, and the plain encodings as float32."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from plait.reading.mapped import Raw

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
FORM = 40  # bytes of a whole "fmt " chunk, by which it names its loudspeakers
MOST_CHUNKS = 10_000  # that are looked at before the samples
UNKNOWN = 0x7FFF0000  # bytes: from here on a declared size only says that the writer did not know it


class Wav(NamedTuple):
    """The parts of a WAV file."""

    encoding: int  # PCM, FLOAT, or another that this file does not decode
    channels: int
    rate: int
    bits: int
    mask: int  # a bit for each loudspeaker that a channel is for (speakers.MASK); 0 where the header does not say
    start: int  # of the samples, in bytes
    size: int  # of the samples that are there, in bytes
    declared: int  # of the samples, in bytes; 0 where the header does not know


def parse(raw: Raw) -> Wav | None:
    """The parts of a WAV file; None where it is none, or its header is not whole."""
    if raw[:4] not in (b"RIFF", b"RF64") or raw[8:12] != b"WAVE":
        return None
    place, form, long = 12, None, 0
    for _ in range(MOST_CHUNKS):
        if place + 8 > len(raw):
            break
        name, size = struct.unpack_from("<4sI", raw, place)
        place += 8
        if name == b"ds64" and size >= 24 and place + 24 <= len(raw):
            long = struct.unpack_from("<Q", raw, place + 8)[0]
        if name == b"fmt " and size >= 16 and place + 16 <= len(raw):
            form = _form(raw[place : place + min(size, FORM)])
        if name == b"data":
            if form is None:
                return None
            declared = long or (0 if size >= UNKNOWN else size)
            there = len(raw) - place
            return Wav(*form, place, min(declared, there) if declared else there, declared)
        place += size + size % 2
    return None


def _form(chunk: bytes) -> tuple[int, int, int, int, int]:
    encoding, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    mask = 0
    if encoding == EXTENSIBLE and len(chunk) >= 26:
        valid, mask, encoding = struct.unpack_from("<HIH", chunk, 18)
        if valid not in (0, bits):
            encoding = EXTENSIBLE  # 20 bits within 24: left to the decoder
    if channels * bits != block * 8:
        encoding = EXTENSIBLE
    return encoding, channels, rate, bits, mask


def samples(raw: Raw, wav: Wav, first: int, frames: int) -> np.ndarray | None:
    """(frames, channels) float32, as libsndfile scales them; None for an encoding that this file does not decode.
    Fewer frames where the file ends."""
    width = wav.bits // 8
    there = min(frames, wav.size // (width * wav.channels) - first) if width and wav.channels else 0
    if (wav.encoding, wav.bits) not in _SCALES or there < 0:
        return None
    start, count = wav.start + first * width * wav.channels, there * wav.channels
    if wav.bits == 24:
        bytes_ = np.frombuffer(raw, np.uint8, 3 * count, start).reshape(-1, 3)
        values = np.zeros((count, 4), np.uint8)
        values[:, 1:] = bytes_
        found = values.view("<i4")[:, 0].astype(np.float32)
    else:
        kind = "u1" if wav.bits == 8 else f"<{'f' if wav.encoding == FLOAT else 'i'}{width}"
        with np.errstate(over="ignore"):
            found = np.frombuffer(raw, kind, count, start).astype(np.float32)
    if wav.bits == 8:
        found -= 128
    if (scale := _SCALES[wav.encoding, wav.bits]) != 1:
        found *= np.float32(scale)
    return found.reshape(there, wav.channels)


_SCALES = {
    (PCM, 8): 2.0**-7,
    (PCM, 16): 2.0**-15,
    (PCM, 24): 2.0**-31,  # after being moved to the upper three of four bytes
    (PCM, 32): 2.0**-31,
    (FLOAT, 32): 1.0,
    (FLOAT, 64): 1.0,
}


def share_there(raw: Raw) -> float:
    """Which share of the samples that the header of a WAV, AIFF or AU file declares is there; 1 where it cannot be
    told. libsndfile reads what is there without a word."""
    if wav := parse(raw):
        return wav.size / wav.declared if wav.declared else 1.0
    if raw[:4] == b".snd" and len(raw) >= 12:
        start, size = struct.unpack_from(">II", raw, 4)
        return 1.0 if size >= UNKNOWN or not size else min(1.0, max(0, len(raw) - start) / size)
    if raw[:4] == b"FORM":
        place = 12
        for _ in range(MOST_CHUNKS):
            if place + 8 > len(raw):
                break
            name, size = struct.unpack_from(">4sI", raw, place)
            place += 8
            if name == b"SSND":
                return 1.0 if size >= UNKNOWN or not size else min(1.0, (len(raw) - place) / size)
            place += size + size % 2
    return 1.0
