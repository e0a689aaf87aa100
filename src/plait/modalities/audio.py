"""Sound: files that decode to one channel."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, claim_files, load_file, silent
from plait.types import Note, Wave

MIN_RATE, MAX_RATE = 4_000, 384_000
MAX_SECONDS = 600
MAX_VALUES = 60_000_000  # samples x channels
LOUDEST = 1e6  # whole numbers kept as floats, even of 16 bits, are far below


class Audio(Modality):
    """A sound: float32 (T,) at the file's own rate; channels are averaged; what lies past 600 s is not read."""

    suffixes: ClassVar[tuple[str, ...]] = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au")

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        return claim_files(values, self.suffixes, "sound")

    def load(self, value: Any, folder: Path) -> bytes | None:
        return load_file(value, folder, "a sound")

    def read(self, raw: bytes, *, note: Note = silent) -> Wave:
        import soundfile

        try:
            with soundfile.SoundFile(io.BytesIO(raw)) as sound:
                rate, channels = sound.samplerate, sound.channels
                if not MIN_RATE <= rate <= MAX_RATE:
                    raise MediaError(f"a sample rate of {rate} Hz, expected {MIN_RATE} to {MAX_RATE}")
                frames = min(MAX_SECONDS * rate, MAX_VALUES // channels)
                samples = sound.read(frames, dtype="float32", always_2d=True)
        except MediaError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            if raw[:64].lstrip().lower().startswith((b"<!doctype", b"<html")):
                raise MediaError("not a sound: the file is an HTML page") from None
            raise MediaError(f"not a sound that is read here, or damaged ({type(error).__name__})") from None
        if not len(samples):
            raise MediaError("holds no samples")
        with np.errstate(over="ignore", invalid="ignore"):
            wave = samples[:, 0] if channels == 1 else samples.mean(axis=1)
        if not np.isfinite(wave).all():
            raise MediaError("holds samples that are not finite numbers")
        if (loudest := float(np.abs(wave).max())) > LOUDEST:
            raise MediaError(f"holds samples of up to {loudest:.0e}, expected about -1 to 1")
        return Wave(np.ascontiguousarray(wave), rate)
