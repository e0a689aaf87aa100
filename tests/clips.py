"""Videos made for tests with PyAV, every frame of which carries its number, to be read from its pixels afterwards."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

BITS = 8


def numbered(count: int, height: int = 48, width: int = 64, first: int = 0) -> list[np.ndarray]:
    """Frames RGB uint8 whose upper half shows their number in BITS black and white columns; the lower half is red on the
    left and blue on the right."""
    frames = []
    for number in range(first, first + count):
        bits = (number >> np.arange(BITS)[::-1]) & 1
        row = bits[np.arange(width) * BITS // width] * 255
        frame = np.zeros((height, width, 3), np.uint8)
        frame[: height // 2] = row[:, None]
        frame[height // 2 :, : width // 2, 0] = frame[height // 2 :, width // 2 :, 2] = 220
        frames.append(frame)
    return frames


def woven(moments: np.ndarray) -> list[np.ndarray]:
    """Interlaced frames: the upper field (lines 0, 2, …) of each is of one moment, the lower one of the next."""
    frames = moments[::2].copy()
    frames[:, 1::2] = moments[1::2, 1::2]
    return list(frames)


def combed(frames: np.ndarray) -> float:
    """How much lines differ from the mean of those above and below them."""
    lines = frames.astype(float).mean(-1)
    return float(np.abs(lines[:, 1:-1] - (lines[:, :-2] + lines[:, 2:]) / 2).mean())


def number_of(frame: np.ndarray) -> int:
    """The number a frame carries, whatever its size, if it is upright."""
    height, width, _ = frame.shape
    upper = frame[height // 8 : 3 * height // 8].mean((0, 2))
    bits = [upper[int((i + 0.3) * width / BITS) : int((i + 0.7) * width / BITS) + 1].mean() > 128 for i in range(BITS)]
    return int(sum(bit << i for i, bit in enumerate(reversed(bits))))


def is_upright(frame: np.ndarray) -> bool:
    """Whether red lies at the lower left and blue at the lower right."""
    height, width, _ = frame.shape
    left, right = frame[3 * height // 4, width // 4].astype(int), frame[3 * height // 4, 3 * width // 4].astype(int)
    return bool(left[0] > left[2] + 60 and right[2] > right[0] + 60)


def video(
    frames: Iterable[np.ndarray],
    *,
    kind: str = "mp4",
    codec: str = "libx264",
    rate: float = 30,
    times: Sequence[float] | None = None,
    pix_fmt: str = "yuv420p",
    gop: int | None = None,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    sound_rate: int = 48_000,
    sound_at: float = 0.0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> bytes:
    """The bytes of a video file. `times`: seconds at which each frame comes on the screen, for a rate that varies."""
    frames, buffer = list(frames), io.BytesIO()
    with av.open(buffer, "w", format=kind, options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1000), options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.thread_count = pix_fmt, 1
        if gop is not None:
            stream.codec_context.gop_size = gop
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        audio: Any = sound is not None and container.add_stream(sound_codec, rate=sound_rate, layout="mono")
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            block = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            block.sample_rate, block.pts = sound_rate, round(sound_at * sound_rate)
            block.time_base = Fraction(1, sound_rate)
            own = audio.codec_context.format.name if audio.codec_context.format else "fltp"
            fits = av.AudioResampler(format=own, layout="mono", rate=sound_rate, frame_size=audio.frame_size or None)
            for part in [*fits.resample(block), *fits.resample(None)]:
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))
    return buffer.getvalue()


def sound_only(samples: np.ndarray, rate: int = 48_000, *, kind: str = "mp4", codec: str = "aac") -> bytes:
    """The bytes of a file with nothing but a sound track."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        block = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        block.sample_rate, block.pts = rate, 0
        own = stream.codec_context.format.name if stream.codec_context.format else "fltp"
        fits = av.AudioResampler(format=own, layout="mono", rate=rate, frame_size=stream.frame_size or None)
        for part in [*fits.resample(block), *fits.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def growing(first: list[np.ndarray], second: list[np.ndarray]) -> bytes:
    """An MPEG transport stream whose frames change size on the way."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        pts = 0
        for i, frames in enumerate((first, second)):
            coder: Any = stream.codec_context if i == 0 else av.CodecContext.create("libx264", "w")
            coder.height, coder.width = frames[0].shape[:2]
            coder.pix_fmt, coder.time_base, coder.framerate = "yuv420p", Fraction(1, 30), Fraction(30)
            coder.options = {"tune": "zerolatency"}
            for pixels in [*frames, None]:
                frame = None
                if pixels is not None:
                    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                    frame.pts, frame.time_base = pts, Fraction(1, 30)
                    pts += 1
                for packet in coder.encode(frame):
                    packet.stream, packet.time_base = stream, Fraction(1, 30)
                    container.mux(packet)
    return buffer.getvalue()


MATRICES = (  # (a, b, c, d) of the four turns clockwise, then of these after a mirror of left and right
    *((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)),
    *((-1, 0, 0, 1), (0, -1, -1, 0), (1, 0, 0, -1), (0, 1, 1, 0)),
)


def turned(mp4: bytes, which: int) -> bytes:
    """An MP4 whose header asks players to show the picture by one of MATRICES (ISO 14496-12, 8.3.2 tkhd: a point (x, y) is
    shown at (a x + c y, b x + d y), y downwards)."""
    a, b, c, d = MATRICES[which]
    matrix = b"".join(
        int(v).to_bytes(4, "big", signed=True) for v in (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    )
    plain = b"".join(v.to_bytes(4, "big") for v in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    header = mp4.index(b"tkhd")
    place = mp4.index(plain, header)
    return mp4[:place] + matrix + mp4[place + 36 :]


def displayed(frames: np.ndarray, which: int) -> np.ndarray:
    """(N, H, W, 3) as one of MATRICES shows them, point by point."""
    a, b, c, d = MATRICES[which]
    _, height, width, _ = frames.shape
    y, x = np.mgrid[:height, :width]
    across, down = a * x + c * y, b * x + d * y
    across, down = across - across.min(), down - down.min()
    found = np.zeros((len(frames), down.max() + 1, across.max() + 1, 3), np.uint8)
    found[:, down, across] = frames
    return found
