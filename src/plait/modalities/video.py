"""Video: files some of whose frames, and whose sound track, are read."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, claim_files, load_long, silent
from plait.modalities.containers import (
    MAX_PIXELS,
    MAX_SECONDS,
    VIDEO_CODECS,
    Clock,
    codec_name,
    decode_sound,
    opened,
)
from plait.modalities.tape import NOTHING, shown, wind
from plait.reading.mapped import Raw
from plait.types import Clip, Note, Wave

MAX_FRAMES = 1024
MAX_VALUES = 400_000_000  # frames x height x width x 3 of a cell: larger frames are made smaller
MOST_STRETCHED = 16.0  # width of a pixel in its heights, or the other way round; beyond, the header is not believed


class Video(Modality):
    """A video: uint8 RGB frames (T, H, W, 3), upright, pixels made square, transparency laid on white, with the second
    at which each comes on the screen, and the sound track. Of frames that the file calls interlaced the upper field is
    shown, at full height. An animated GIF is a video, a JPEG picture is not."""

    suffixes: ClassVar[tuple[str, ...]] = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi")

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        return claim_files(values, self.suffixes, "video")

    def load(self, value: Any, folder: Path) -> Raw | None:
        return load_long(value, folder, "a video", sound=False)

    def read(
        self,
        raw: Raw,
        *,
        note: Note = silent,
        frames: int = 8,
        enough: int | None = None,
        sound: bool = True,
        seconds: float = MAX_SECONDS,
    ) -> Clip:
        """The frames on the screen at the middles of `frames` equal spans of the video; fewer where it has fewer.
        `enough`: pixels of the shorter side above which detail is left out. `sound`: whether the sound track is decoded,
        its first `seconds`. Times and sound count from the first frame."""
        assert 1 <= frames <= MAX_FRAMES, f"{frames} frames, expected 1 to {MAX_FRAMES}"
        clock = Clock()
        with opened(raw, "video", clock) as container:
            stream = _track(container)
            tape = wind(container, stream, len(raw), frames, clock, note)
            screen = _Screen(stream=stream, frames=len(tape.wanted), enough=enough)
            ticks, pictures = [], []
            for tick, frame in shown(tape, stream, clock, note):
                ticks.append(tick)
                pictures.append(screen.picture(frame))
            audible = sound and len(container.streams.audio) > 0
        if not pictures:
            raise MediaError(NOTHING)
        times = (np.array(ticks, dtype=np.float64) - tape.begin) * tape.base
        wave = _sound(raw, clock, tape.begin * tape.base, seconds, note) if audible else None
        return Clip(np.stack(pictures), times, wave)


def _track(container: Any) -> Any:
    """The first video track that is not the cover of an album, ready to be decoded. Raises MediaError."""
    from av.stream import Disposition

    tracks = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not tracks:
        raise MediaError("has no video track")
    stream, name = tracks[0], codec_name(tracks[0])
    if name not in VIDEO_CODECS:
        raise MediaError(f"its video is coded as {name}, which is not read here: convert it to H.264")
    context = stream.codec_context
    if context.width * context.height > MAX_PIXELS:
        raise MediaError(f"has frames of {context.width} x {context.height} pixels, more than 4096 x 2304")
    context.options = {"max_pixels": str(MAX_PIXELS)}  # also of frames that grow on the way
    context.thread_count = 1  # cells are decoded side by side; and so a packet's frame is skipped or not as asked
    return stream


class Facing(NamedTuple):
    """How stored frames become upright: rows and columns exchanged, then left and right, then top and bottom."""

    transposed: bool
    mirrored: bool
    upended: bool

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (H, W, 3) or (W, H, 3)."""
        pixels = pixels.swapaxes(0, 1) if self.transposed else pixels
        return np.ascontiguousarray(pixels[:: -1 if self.upended else 1, :: -1 if self.mirrored else 1])


def facing(frame: Any) -> Facing:
    """By the matrix that the file gives for display (ISO 14496-12, 8.3.2): a point (x, y) is shown at
    (a x + c y, b x + d y), y downwards. Turns by other angles than quarters are taken for the nearest of these."""
    held = frame.side_data.get("DISPLAYMATRIX")
    if held is None:
        return Facing(False, False, False)
    a, b, _, c, d = np.frombuffer(bytes(held), np.int32, 5).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Facing(False, a < 0, d < 0)
    return Facing(True, c < 0, b < 0)


class _Screen:
    """Makes pictures of frames: all of the first one's size, upright."""

    def __init__(self, *, stream: Any, frames: int, enough: int | None) -> None:
        from av.video.reformatter import VideoReformatter

        self._scaler, self._frames, self._enough = VideoReformatter(), frames, enough
        ratio = float(stream.sample_aspect_ratio or 1)
        self._ratio = ratio if 1 / MOST_STRETCHED <= ratio <= MOST_STRETCHED else 1.0
        self._size: tuple[int, int] | None = None
        self._fields: Any = None
        self._layout: tuple[int, int, str] | None = None
        self._facing = Facing(False, False, False)

    def picture(self, frame: Any) -> np.ndarray:
        """(H, W, 3) uint8."""
        if self._size is None:
            self._size, self._facing = self._target(frame.width, frame.height), facing(frame)
        width, height = self._size
        same = (width, height) == (frame.width, frame.height)
        if frame.interlaced_frame:
            frame = self._one_field(frame)
        alpha = any(c.is_alpha for c in frame.format.components)
        pixels: np.ndarray = self._scaler.reformat(
            frame, width, height, "rgba" if alpha else "rgb24", interpolation="BILINEAR" if same else "AREA"
        ).to_ndarray()
        if alpha:
            share = pixels[..., 3:].astype(np.float32) / 255
            pixels = (pixels[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)
        return self._facing.upright(pixels)

    def _one_field(self, frame: Any) -> Any:
        """Every second line of a frame whose lines are of two moments in turn, which would show as a comb where something
        moves."""
        from av.filter import Graph

        layout = (frame.width, frame.height, frame.format.name)
        if layout != self._layout:
            self._fields, self._layout = Graph(), layout
            width, height, name = layout
            source = self._fields.add_buffer(width=width, height=height, format=name, time_base=Fraction(1, 1000))
            self._fields.link_nodes(
                source, self._fields.add("field", "top"), self._fields.add("buffersink")
            ).configure()
        self._fields.push(frame)
        return self._fields.pull()

    def _target(self, width: int, height: int) -> tuple[int, int]:
        """Pixels made square by making them larger, then the whole smaller where that is allowed."""
        wide, high = width * max(1.0, self._ratio), height * max(1.0, 1 / self._ratio)
        scale = min(1.0, (MAX_VALUES / (3 * self._frames * wide * high)) ** 0.5)
        if self._enough is not None:
            scale = min(scale, self._enough / min(wide, high))
        return max(1, round(wide * scale)), max(1, round(high * scale))


def _sound(raw: Raw, clock: Clock, begin: float, seconds: float, note: Note) -> Wave | None:
    """The first `seconds` of sound from the second `begin` on; None, with a remark, where it cannot be decoded."""
    try:
        with opened(raw, "video", clock) as container:
            wave, start = decode_sound(container, clock, note, seconds)
    except MediaError as error:
        clock.check()
        note(f"its sound is left out: {error}")
        return None
    late = round((start - begin) * wave.rate)
    samples = wave.samples[-late:] if late < 0 else wave.samples
    if late > 0:
        samples = np.concatenate([np.zeros(min(late, MAX_SECONDS * wave.rate), np.float32), samples])
    samples = samples[: int(seconds * wave.rate)]
    return Wave(samples, wave.rate) if len(samples) else None
