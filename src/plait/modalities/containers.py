"""Files that hold tracks (MP4, WebM, AVI, GIF): opened with what they may hold listed, and their sound decoded.

FFmpeg, through PyAV, reads hundreds of formats, some of which are text that names other files or addresses. Only the
formats and codecs below are tried, nothing but the bytes at hand is opened, and its error texts, which may hold parts of
memory (CVE-2026-22778), are never passed on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from plait.errors import MediaError, MissingExtraError, PlaitError
from plait.modalities.base import refusal, silent
from plait.reading import speakers
from plait.reading.magic import HEAD, sniff
from plait.reading.mapped import AsFile, Raw
from plait.types import Note, Wave

FORMATS = ("mov", "mp4", "m4a", "matroska", "webm", "avi", "gif", "mpegts", "aac")  # as FFmpeg calls them
VIDEO_CODECS = (
    *("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "msmpeg4", "mpeg1video", "mpeg2video", "h263"),
    *("mjpeg", "gif", "theora", "prores", "dvvideo", "ffv1", "rawvideo"),
)  # never JPEG 2000 (CVE-2026-22778), nor what only games and old editors wrote
SOUND_CODECS = (
    *("aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "vorbis", "flac", "alac", "ac3", "eac3"),
    *("pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"),
)
MAX_PIXELS = 4096 * 2304  # of a frame: within what FFmpeg's own fuzzing covers
MIN_RATE, MAX_RATE = 4_000, 384_000
MAX_SECONDS = 600  # of sound
MAX_VALUES = 60_000_000  # samples x channels
LOUDEST = 1e6
BUDGET = 30.0  # seconds of wall clock that one file may take
MAX_FAULTS = 200  # packets that cannot be decoded, before the rest of a track is given up
_WHITE = {"u8": 128.0, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}


class Clock:
    """The time that one file may take. `check` raises MediaError when it is over."""

    def __init__(self) -> None:
        self._end = time.monotonic() + BUDGET

    def check(self) -> None:
        if time.monotonic() > self._end:
            raise MediaError(f"takes longer than {BUDGET:g} s to decode")


class _Timed:
    """A file over bytes or a map that keeps the clock: it is asked all the time."""

    def __init__(self, *, raw: Raw, clock: Clock) -> None:
        self._file, self._clock = AsFile(raw), clock
        self.seek, self.tell = self._file.seek, self._file.tell

    def read(self, size: int) -> bytes:
        self._clock.check()
        return self._file.read(size)


@contextmanager
def opened(raw: Raw, kind: str, clock: Clock) -> Iterator[Any]:
    """The container in these bytes, a PyAV InputContainer. Whatever goes wrong inside the block becomes a MediaError.
    `kind`: what the file should be, for the message: "video" or "sound". Raises MissingExtraError without PyAV."""
    try:
        import av
    except ImportError:
        raise MissingExtraError(f"Reading this {kind} needs PyAV: pip install 'plait[video]'.") from None

    def refuse(*_: Any) -> None:
        raise PermissionError

    options = {
        "format_whitelist": ",".join(FORMATS),
        "codec_whitelist": ",".join(VIDEO_CODECS + SOUND_CODECS),
        "protocol_whitelist": "none",
        "max_pixels": str(4 * MAX_PIXELS),  # so that frames which are too large can be named
        "threads": "1",
    }
    try:
        file = _Timed(raw=raw, clock=clock)
        with av.open(file, options=options, metadata_errors="replace", io_open=refuse) as container:
            yield container
    except PlaitError:
        raise
    except Exception:  # demuxers and decoders raise nearly anything on damaged bytes
        raise MediaError(_reason(bytes(raw[:HEAD]), kind)) from None


def _reason(head: bytes, kind: str) -> str:
    """Why these bytes cannot be read, by how they begin."""
    found = sniff(head)
    if found is None or found.family not in ("sound", "video"):
        return refusal(head, kind, "MP4, MOV, WebM, MKV, AVI, GIF, TS or AAC")
    lost = "; one that was cut has lost its index, which is at the end" * (head[4:8] == b"ftyp")
    return f"{found.name} that is damaged, or of a sort that is not read here{lost}"


def read_sound(raw: Raw, *, note: Note = silent) -> Wave:
    """The first sound track of a file of tracks: one channel, at its own rate. Raises MediaError where there is none."""
    clock = Clock()
    with opened(raw, "sound", clock) as container:
        if not container.streams.audio:
            raise MediaError("has no sound track")
        wave, _ = decode_sound(container, clock, note, MAX_SECONDS)
    return wave


def decode_sound(container: Any, clock: Clock, note: Note, seconds: float) -> tuple[Wave, float]:
    """The first `seconds` of the first sound track of an opened container that has one, its channels as one, and the
    second at which it begins. What follows damage that stops the decoder is left out, with a remark."""
    stream = container.streams.audio[0]
    name = codec_name(stream)
    if name not in SOUND_CODECS:
        raise MediaError(f"its sound is coded as {name}, which is not read here")
    blocks: list[np.ndarray] = []
    rate = channels = count = 0
    begin = 0.0
    for frame in decoded(container, stream, clock, note):
        if not blocks:
            rate, channels, begin = frame.sample_rate, len(frame.layout.channels), frame.time or 0.0
            if not MIN_RATE <= rate <= MAX_RATE:
                raise MediaError(f"a sample rate of {rate} Hz, expected {MIN_RATE} to {MAX_RATE}")
        elif (frame.sample_rate, len(frame.layout.channels)) != (rate, channels):
            note(f"its sound changes rate or channels after {count / rate:.1f} s; what follows is left out")
            break
        blocks.append(_mono(frame, channels))
        count += len(blocks[-1])
        if count >= min(seconds * rate, MAX_VALUES // channels):
            if seconds >= MAX_SECONDS:
                note(f"only the first {count / rate:.0f} s of its sound are used")
            break
    if not count:
        raise MediaError("its sound track holds no samples that can be decoded")
    samples = np.concatenate(blocks)[: int(seconds * rate)]
    if not np.isfinite(samples).all():
        raise MediaError("holds samples that are not finite numbers")
    if (loudest := float(np.abs(samples).max())) > LOUDEST:
        raise MediaError(f"holds samples of up to {loudest:.0e}, expected about -1 to 1")
    return Wave(samples, rate), begin


def _mono(frame: Any, channels: int) -> np.ndarray:
    """One block of sound as one channel, float32 (T,): its mean, or by the loudspeakers that the channels are for."""
    kind = frame.format.name.removesuffix("p")
    values = frame.to_ndarray()
    values = values if frame.format.is_planar else values.reshape(-1, channels).T
    values = values.astype(np.float64 if kind in ("s32", "s64", "dbl") else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "u8":
            values -= 128
        shares = speakers.shares([channel.name for channel in frame.layout.channels])
        mean = values[0] if channels == 1 else values.mean(axis=0) if shares is None else shares @ values
        mono: np.ndarray = (mean / _WHITE[kind]).astype(np.float32)
    return mono


def decoded(container: Any, stream: Any, clock: Clock, note: Note) -> Iterator[Any]:
    """The frames of one track in order. Damaged packets are passed over, with one remark."""
    import av

    faults = 0
    packets = container.demux(stream)
    while faults < MAX_FAULTS:
        clock.check()
        try:
            packet = next(packets)
            yield from packet.decode()
        except StopIteration:
            break
        except av.FFmpegError as error:
            if isinstance(error, av.EOFError):
                break
            faults += 1
    if faults:
        note(f"its {stream.type} track is damaged; what can be decoded is used")


def codec_name(stream: Any) -> str:
    """What FFmpeg calls the decoder of a track; "an unknown codec" where it has none."""
    return "an unknown codec" if stream.codec_context is None else str(stream.codec_context.name)
