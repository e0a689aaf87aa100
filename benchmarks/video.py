"""Reading videos: clips a second of plait beside PyAV decoding through, keeping 8 frames, one core, in one run.

Makes its clips with PyAV: 3 s of 320 x 240 at 30 frames a second (H.264 and MPEG-4), and 60 s with a key frame every 8 s.
Both sides give the same 8 frames as RGB arrays, which is checked; the sound is left out.

    python benchmarks/video.py
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np

HEIGHT, WIDTH, RATE, KEPT = 240, 320, 30, 8
ROUNDS, LEAST_SECONDS = 5, 1.0


def make(seconds: int, codec: str, gop: int) -> bytes:
    """A clip of discs moving over a moving ramp."""
    import av

    buffer = io.BytesIO()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    grain = np.random.default_rng(0).integers(0, 12, (HEIGHT, WIDTH, 1))
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.height, stream.width, stream.pix_fmt, stream.codec_context.gop_size = HEIGHT, WIDTH, "yuv420p", gop
        for i in range(seconds * RATE):
            frame = np.stack([x * 200 // WIDTH, y * 200 // HEIGHT, (x + y + 2 * i) // 4 % 200], 2) + grain
            for k in range(3):
                middle = (120 + 80 * np.sin(i / 17 + 2 * k), 160 + 120 * np.cos(i / 23 + k))
                frame[(y - middle[0]) ** 2 + (x - middle[1]) ** 2 < 700] = np.eye(3)[k] * 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.astype(np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def through(raw: bytes) -> np.ndarray:
    """PyAV decodes every frame in turn; KEPT are made into arrays."""
    import av

    with av.open(io.BytesIO(raw)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        wanted = {int((i + 0.5) / KEPT * stream.frames) for i in range(KEPT)}
        kept = [f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(stream)) if i in wanted]
    return np.stack(kept)


def ours(raw: bytes) -> np.ndarray:
    from plait.modalities import modality

    frames: np.ndarray = modality("video").read(raw, frames=KEPT, sound=False).frames
    return frames


def rate(run: Callable[[bytes], np.ndarray], raw: bytes) -> float:
    """Clips a second of processor time."""
    count, began = 0, time.process_time()
    while (took := time.process_time() - began) < LEAST_SECONDS:
        run(raw)
        count += 1
    return count / took


def main() -> None:
    print(f"{'clip':34} {'plait':>9} {'PyAV through':>13}   clips a second of one core; median of {ROUNDS} turns")
    for name, seconds, codec, gop in (
        ("3 s H.264, 90 frames", 3, "libx264", 250),
        ("3 s MPEG-4, 90 frames", 3, "mpeg4", 12),
        ("60 s H.264, key frame every 8 s", 60, "libx264", 240),
        ("60 s H.264, key frame every 1 s", 60, "libx264", 30),
    ):
        raw = make(seconds, codec, gop)
        assert np.array_equal(ours(raw), through(raw)), f"{name}: the two sides give different frames"
        turns = [(rate(ours, raw), rate(through, raw)) for _ in range(ROUNDS)]
        mine, theirs = (sorted(column)[ROUNDS // 2] for column in zip(*turns))
        print(f"{name:34} {mine:9.1f} {theirs:13.1f}   {mine / theirs:.1f} times, {len(raw) >> 10} kB", flush=True)


if __name__ == "__main__":
    main()
