"""Sound: files, bytes and arrays that decode to one channel."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, claim_files, decoding, load_long, refusal, silent
from plait.reading import mp3, speakers, wav
from plait.reading.arrays import is_array, packed, unpacked
from plait.reading.magic import HEAD, sniff
from plait.reading.mapped import AsFile, Raw
from plait.types import Note, Wave

READS = "WAV, FLAC, Ogg, MP3, AIFF, AU, or the sound of MP4, M4A, AAC, WebM, MKV or AVI"
ARRAYS = '{"array": (T,) or (T, channels), "sampling_rate": …} or (array, rate)'
MIN_RATE, MAX_RATE = 4_000, 384_000
MAX_SECONDS = 600
MAX_CHANNELS = 256
MAX_VALUES = 60_000_000  # samples x channels
BOMB = 30_000_000  # from so many values on, a file must hold a byte for every 500 of them
BLOCK = 2**20  # values that are averaged together
LOUDEST = 1e6  # whole numbers kept as floats, even of 16 bits, are far below
_ARRAY = b"\x93PLAIT sound\0"
_SNDFILE = ("a WAV sound", "a FLAC sound", "an Ogg file", "an MP3 sound", "an AIFF sound", "an AU sound")
_TRACKS = (
    *("an M4A sound", "an AAC sound", "an MP4 video", "a WebM or Matroska file", "an AVI video"),
    "an MPEG transport stream",
)


class Audio(Modality):
    """A sound: float32 (T,) at the file's own rate. Channels are averaged, all alike; three or more of which the file says
    which loudspeaker each is for are mixed down as in ITU-R BS.775 (reading/speakers.py). Samples beyond -1 to 1 stay as
    they are; what lies past 600 s is not read. A cell is a path, bytes, base64 text,
    {"bytes": …, "path": …}, {"array": …, "sampling_rate": …} or (array, rate)."""

    suffixes: ClassVar[tuple[str, ...]] = (
        *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".m4a", ".aac"),
    )

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        return claim_files(values, self.suffixes, "sound", lambda value: _with_rate(value) is not None)

    def load(self, value: Any, folder: Path) -> Raw | None:
        if is_array(value):
            raise MediaError(f"found an array without a sample rate, expected {ARRAYS}")
        if (given := _with_rate(value)) is None:
            return load_long(value, folder, "a sound", sound=True)
        array, rate = given
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or int(rate) != rate:
            raise MediaError(f"found a sample rate of {str(rate)[:40]}, expected a whole number of Hz")
        if not MIN_RATE <= rate <= MAX_RATE:
            raise MediaError(f"a sample rate of {rate} Hz, expected {MIN_RATE} to {MAX_RATE}")
        return _ARRAY + struct.pack("<I", int(rate)) + packed(array, ARRAYS)

    def read(self, raw: Raw, *, note: Note = silent) -> Wave:
        with decoding(raw, "sound", READS):
            wave = _read(raw, note)
        loudest = max(float(wave.samples.max()), -float(wave.samples.min()), key=lambda peak: (peak != peak, peak))
        if not math.isfinite(loudest):
            raise MediaError("holds samples that are not finite numbers")
        if loudest > LOUDEST:
            raise MediaError(f"holds samples of up to {loudest:.0e}, expected about -1 to 1")
        return wave


def _with_rate(value: Any) -> tuple[Any, Any] | None:
    """The array and the rate of a cell that holds both."""
    if isinstance(value, dict) and value.get("array") is not None:
        if value.get("sampling_rate") is None:
            raise MediaError(f"found an array without a sample rate, expected {ARRAYS}")
        return value["array"], value["sampling_rate"]
    if isinstance(value, (tuple, list)) and len(value) == 2 and is_array(value[0]):
        return value[0], value[1]
    return None


def _read(raw: Raw, note: Note) -> Wave:
    if raw[: len(_ARRAY)] == _ARRAY:
        rate = struct.unpack_from("<I", raw, len(_ARRAY))[0]
        values = _scaled(unpacked(raw[len(_ARRAY) + 4 :]))
        return _averaged(lambda first, n: values[first : first + n], len(values), values.shape[1], rate, note)
    found = wav.parse(raw)
    if found and 0 < found.channels <= MAX_CHANNELS and wav.samples(raw, found, 0, 0) is not None:
        _cut(wav.share_there(raw), note)
        frames = found.size // (found.channels * found.bits // 8)
        plain = lambda first, n: wav.samples(raw, found, first, n)  # noqa: E731
        return _averaged(plain, frames, found.channels, found.rate, note, _shares(found))
    kind = sniff(raw[:HEAD])
    if kind is not None and kind.name in _TRACKS:
        from plait.modalities.containers import read_sound

        return read_sound(raw, note=note)
    if kind is None or kind.name not in _SNDFILE:
        if kind is not None and kind.family in ("sound", "video"):
            raise MediaError(f"{kind.name}, which is not read: save it as WAV or FLAC (read are {READS})")
        raise MediaError(refusal(raw, "sound", READS))
    return _decoded(raw, kind.name, note)


def _decoded(raw: Raw, kind: str, note: Note) -> Wave:
    """A sound that libsndfile decodes."""
    import soundfile

    _cut(wav.share_there(raw), note)
    if kind == "an Ogg file":
        _check_pages(raw, note)
    before, start, cut = mp3.counted(raw) if kind == "an MP3 sound" else (b"", 0, False)
    if cut:
        note("the file is cut off within its last frame")
    with soundfile.SoundFile(AsFile(raw, before=before, start=start)) as sound:
        frames, channels = sound.frames, sound.channels
        if frames < 2**60 and frames * channels > max(BOMB, 500 * len(raw)):  # FLAC may not know how long it is
            raise MediaError(f"claims {frames} samples of {channels} channels in {len(raw)} bytes, as only a bomb does")

        def block(first: int, n: int) -> np.ndarray:
            values: np.ndarray = sound.read(n, dtype="float32", always_2d=True)
            if len(values) < n and kind == "an MP3 sound" and not cut:
                _cut(min(1.0, (first + len(values)) / frames), note)
            return values

        return _averaged(block, frames, channels, sound.samplerate, note, _shares(wav.parse(raw)))


def _check_pages(raw: Raw, note: Note) -> None:
    """Refuses an Ogg file that ends within a page: libsndfile leaves such a page, often the only one, out without a word."""
    last = raw.rfind(b"OggS")
    lengths = raw[last + 27 : last + 27 + (raw[last + 26] if last + 26 < len(raw) else 255)]
    if last + 27 + len(lengths) + sum(lengths) > len(raw) or last + 26 >= len(raw):
        raise MediaError("the file is cut off within a page")
    if not raw[last + 5] & 4:
        note("the file has no mark at its end: it may be cut off")


def _shares(found: wav.Wav | None) -> np.ndarray | None:
    """How much each channel of a WAV counts, where its header names the loudspeakers."""
    return None if found is None else speakers.shares(speakers.named(found.mask, found.channels))


def _averaged(
    block: Callable[[int, int], np.ndarray | None],
    frames: int,
    channels: int,
    rate: int,
    note: Note,
    shares: np.ndarray | None = None,
) -> Wave:
    """The channels as one, by their `shares` or all alike. `block`: (first, n) -> (n, channels) float32, fewer where the
    file ends."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise MediaError(f"a sample rate of {rate} Hz, expected {MIN_RATE} to {MAX_RATE}")
    if channels > MAX_CHANNELS:
        raise MediaError(f"has {channels} channels, more than {MAX_CHANNELS}")
    most = min(MAX_SECONDS * rate, MAX_VALUES // channels)
    if most < frames < 2**60:
        note(f"only the first {most / rate:.0f} s of {frames / rate:.0f} s are used")
    frames, step = min(frames, most), max(1, BLOCK // channels)
    parts, loud, mean = [], np.zeros(channels), 0.0
    shares = np.full(channels, 1 / channels, np.float32) if shares is None else shares
    for first in range(0, frames, step):
        asked = min(step, frames - first)
        values = block(first, asked)
        assert values is not None
        with np.errstate(all="ignore"):
            parts.append(values[:, 0] if channels == 1 else values @ shares)
            if channels > 1:
                loud += np.einsum("tc,tc->c", values, values)
                mean += float(parts[-1] @ parts[-1])
        if len(values) < asked:
            break
    if not sum(map(len, parts)):
        raise MediaError("is cut off, or holds no samples")
    if channels > 1 and mean < 0.01 * (loud * (shares > 0)).max():
        note("its channels cancel when they are averaged: hardly anything is left")
    return Wave(np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts)), rate)


def _cut(share: float, note: Note) -> None:
    if share < 0.999:
        note(f"the file is cut off: {share:.0%} of its samples are there")


def _scaled(array: np.ndarray) -> np.ndarray:
    """An array as float32 (T, channels) of about -1 to 1; the longer axis is time."""
    if array.ndim not in (1, 2):
        raise MediaError(f"found an array of shape {array.shape}, expected {ARRAYS}")
    array = array[:, None] if array.ndim == 1 else array.T if array.shape[0] < array.shape[1] else array
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=np.float32)
    bits = 8 * array.dtype.itemsize
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and bits != 8) or bits > 32:
        raise MediaError(f"found samples of {array.dtype}, expected floats, uint8, int16 or int32")
    offset = 128 if array.dtype.kind == "u" else 0
    return np.asarray((array.astype(np.float64) - offset) / 2 ** (bits - 1), dtype=np.float32)
