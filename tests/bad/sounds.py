"""Broken and odd sounds, 41 to 66 of the list."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import Any

import numpy as np
import soundfile
from tests.bad.case import BAD, READ, REMARK, Case, file, value
from tests.clips import numbered, sound_only, video
from tests.conftest import sounded, tone, wav

TONE = tone(440, 0.3)
WAVE_GUID = bytes.fromhex("000000001000800000aa00389b71")


def holding(bad: float) -> bytes:
    samples = np.zeros(900)
    samples[7] = bad
    return sounded(samples, subtype="DOUBLE")


@cache
def bomb() -> bytes:
    """240 s of silence in 8 channels: 92 million samples in about 116 kB."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 48_000, 8, format="FLAC", subtype="PCM_16") as sound:
        for _ in range(24):
            sound.write(np.zeros((480_000, 8), np.int16))
    return buffer.getvalue()


def damaged_flac() -> bytes:
    raw = bytearray(sounded(TONE, kind="FLAC"))
    raw[len(raw) // 2] ^= 0xFF
    return bytes(raw)


def bare_mp3(raw: bytes) -> bytes:
    """Without the first frame, which counts the others."""
    return raw[raw.index(b"\xff", 4) :] if raw[:2] == b"\xff\xfb" else raw


def surround() -> bytes:
    """A WAV that names the loudspeakers of its six channels: front, centre, low frequencies, back."""
    plain = sounded(each(6))
    form = plain[20:36].replace(b"\1\0", b"\xfe\xff", 1) + struct.pack("<HHI", 22, 16, 0x3F) + b"\1\0" + WAVE_GUID
    return plain[:16] + struct.pack("<I", len(form)) + form + plain[36:]


def with_art(raw: bytes) -> bytes:
    return b"ID3\x03\0\0" + bytes([0, 0, 64, 0]) + bytes(64 * 128) + raw


def case(number: int, title: str, make: Any, outcome: str = READ, says: str = "") -> Case:
    return Case(number, title, "audio", make, outcome, says)


def each(count: int) -> np.ndarray:
    return np.repeat(TONE[:, None], count, 1)


DEPTHS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
LOSSY = (("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None))
SOUNDS = [
    case(41, "an empty file", file(".wav", lambda: b""), BAD, "0 bytes"),
    case(42, "a header and no samples", file(".wav", lambda: wav(data=b"")), BAD, "holds no samples"),
    case(43, "a WAV cut in half", file(".wav", lambda: sounded(TONE)[:4844]), REMARK, "cut off: 50% of its samples"),
    case(44, "a size of 4 GB that lies", file(".wav", lambda: wav(claimed=2**32 - 1))),
    case(45, "a rate of 0", file(".wav", lambda: wav(rate=0)), BAD, "a sample rate of 0 Hz, expected 4000 to 384000"),
    case(46, "a rate of 2^31 - 1", file(".wav", lambda: wav(rate=2**31 - 1)), BAD, "a sample rate of 2147483647 Hz"),
    case(47, "65,535 channels", file(".wav", lambda: wav(channels=65_535)), BAD, "not read here"),
    case(48, "stereo: averaged", file(".wav", lambda: sounded(each(2)))),
    case(48, "six channels, nobody says for what: averaged, all alike", file(".wav", lambda: sounded(each(6)))),
    case(48, "5.1: mixed down by its loudspeakers", file(".wav", surround)),
    case(49, "channels that cancel", file(".wav", lambda: sounded(each(2) * [1, -1])), REMARK, "cancel when they are averaged"),
    *(case(50, f"WAV of {d}", file(".wav", lambda d=d: sounded(TONE, subtype=d))) for d in DEPTHS),
    case(51, "samples up to 25: kept", file(".wav", lambda: sounded(50 * TONE, subtype="FLOAT"))),
    case(51, "samples up to 1e30", file(".wav", lambda: sounded(2e30 * TONE, subtype="FLOAT")), BAD, "expected about -1 to 1"),
    case(52, "a sample that is NaN", file(".wav", lambda: holding(np.nan)), BAD, "samples that are not finite"),
    case(52, "a sample that is infinite", file(".wav", lambda: holding(np.inf)), BAD, "samples that are not finite"),
    case(53, "silence", file(".wav", lambda: sounded(0 * TONE))),
    case(54, "an offset, clipped", file(".wav", lambda: sounded(np.clip(3 * TONE + 0.4, -1, 1)))),
    case(55, "3 ms", file(".wav", lambda: sounded(TONE[:48]))),
    case(55, "one sample", file(".wav", lambda: sounded(TONE[:1]))),
    case(56, "an hour: the first 600 s", file(".wav", lambda: wav(4000, data=bytes(3600 * 4000), bits=8)), REMARK, "first 600 s"),
    case(57, "92 million samples of silence in 116 kB", file(".flac", bomb), BAD, "as only a bomb does"),
    case(58, "an MP3 with a picture in its tag", file(".mp3", lambda: with_art(sounded(TONE, kind="MP3")))),
    case(58, "an MP3 without a count of its frames", file(".mp3", lambda: bare_mp3(sounded(TONE, kind="MP3")))),
    case(59, "an MP3 cut in half", file(".mp3", lambda: sounded(tone(440, 2), kind="MP3")[:1800]), REMARK, "cut off"),
    case(60, "a FLAC with a damaged block", file(".flac", damaged_flac), BAD, "a FLAC sound that is damaged"),
    case(61, "an Ogg cut in half", file(".ogg", lambda: sounded(TONE, kind="OGG")[:-900]), BAD, "cut off"),
    case(62, "M4A", file(".m4a", lambda: sound_only(tone(440, 0.3, 48_000)))),
    case(62, "AAC", file(".aac", lambda: sound_only(tone(440, 0.3, 48_000), kind="adts"))),
    case(63, "a video: its sound", file(".mp4", lambda: video(numbered(5), sound=tone(440, 0.3, 48_000)))),
    case(63, "a video without sound", file(".mp4", lambda: video(numbered(5))), BAD, "has no sound track"),
    case(64, "8 kHz among 16 kHz: resampled", file(".wav", lambda: sounded(tone(440, 0.3, 8_000), 8_000))),
    case(64, "96 kHz among 16 kHz: resampled", file(".wav", lambda: sounded(tone(440, 0.3, 96_000), 96_000))),
    *(case(64, f"{k} {s or ''}".strip(), file(".x", lambda k=k, s=s: sounded(TONE, 16_000, k, s))) for k, s in LOSSY),
    case(65, "an HTML page named .wav", file(".wav", lambda: b"<html>404"), BAD, "an HTML page"),
    case(65, "a JSON answer named .wav", file(".wav", lambda: b'[{"error": 404}]'), BAD, "a JSON text"),
    case(65, "a picture named .wav", file(".wav", lambda: b"\x89PNG\r\n\x1a\n" + bytes(20)), BAD, "a PNG picture"),
    case(66, "an array without a rate", value(TONE), BAD, "found an array without a sample rate, expected"),
    case(66, '{"array": …, "sampling_rate": …}', value({"array": TONE, "sampling_rate": 16_000})),
    case(66, "(array, rate)", value((TONE, 16_000))),
    case(66, "bytes", value(sounded(TONE))),
]  # fmt: skip
