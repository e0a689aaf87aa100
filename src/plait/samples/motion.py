"""Stamps in motion: short clips, each of one stamp of Tux Paint doing one of eight things, with its own sound if it has one.

Made from the pictures and sound effects of `plait.samples.stamps`: the pictures and sounds are real, the motion is drawn.
"""

from __future__ import annotations

import hashlib
import io
import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.errors import MissingExtraError
from plait.samples import staged, stamps, write_table

if TYPE_CHECKING:
    import pandas as pd

MOTIONS = ("left", "right", "up", "down", "turn", "grow", "shrink", "still")
COLUMNS = ("clip", "motion", "category", "stamp", "folder", "sounds")
SIDE, FRAMES, RATE = 96, 24, 12  # pixels, frames, frames a second
SOUND_RATE = 32_000
SILENT_STAMPS = 70  # stamps without a sound effect that are taken beside all those with one


def build(folder: str | Path, *, table: str | Path | None = None, log: Callable[[str], None] = print) -> Path:
    """Writes `folder/motion.csv` and 8 clips a stamp, about 1600 in all (10 MB); returns the table's path. One row a
    clip: clip, motion, category, stamp, folder, sounds ("yes" where the stamp has a sound). Split it by `stamp`.

    `table`: that of `plait.samples.stamps`; None: it is built beside `folder`, as `stamps`. A table that is there is
    returned at once. Raises MissingExtraError without PyAV, and what `stamps.build` raises.
    """
    folder = Path(folder)
    if (folder / "motion.csv").exists():
        return folder / "motion.csv"
    try:
        import av  # noqa: F401
    except ImportError:
        raise MissingExtraError("Making clips needs PyAV: pip install 'plait[video]'.") from None
    source = Path(table) if table is not None else stamps.build(folder.resolve().with_name("stamps"), log=log)
    began = time.perf_counter()
    with staged(folder) as part:
        (part / "clips").mkdir()
        chosen = choose(source)
        log(f"motion: {len(MOTIONS)} clips of each of {len(chosen)} stamps")
        jobs = [(row, motion) for row in chosen.to_dict("records") for motion in MOTIONS]
        with ThreadPoolExecutor() as pool:
            rows = list(pool.map(lambda job: write_clip(part, source.parent, *job), jobs))
        write_table(part / "motion.csv", COLUMNS, rows)
    log(f"motion: {len(rows)} clips in {time.perf_counter() - began:.0f} s")
    return folder / "motion.csv"


def choose(table: Path) -> pd.DataFrame:
    """The rows of the stamps with picture and sound effect, and SILENT_STAMPS of those with a picture alone, drawn by the
    hash of their name."""
    import pandas as pd

    frame = pd.read_csv(table, keep_default_na=False)
    frame = frame[frame["image"] != ""]
    silent = frame[frame["sound"] == ""]
    drawn = sorted(silent.index, key=lambda i: hashlib.blake2b(silent["id"][i].encode()).digest())[:SILENT_STAMPS]
    return pd.concat([frame[frame["sound"] != ""], silent.loc[drawn]]).sort_values("id")


def write_clip(part: Path, source: Path, row: dict[str, str], motion: str) -> dict[str, str]:
    """Writes one clip below `part`, of the stamp of a row whose files lie below `source`; returns the clip's row."""
    from PIL import Image

    name = f"clips/{row['id'].replace('/', '-')}-{motion}.mp4"
    seed = int.from_bytes(hashlib.blake2b(f"{row['id']} {motion}".encode(), digest_size=8).digest(), "big")
    with Image.open(source / row["image"]) as picture:
        frames = draw(picture.convert("RGBA"), motion, np.random.default_rng(seed))
        sound = first_sound(source / row["sound"]) if row["sound"] else None
        (part / name).write_bytes(encode(frames, sound))
    return {
        **{"clip": name, "motion": motion, "category": row["category"], "stamp": row["id"], "folder": row["folder"]},
        "sounds": "yes" if row["sound"] else "",
    }


def draw(stamp: Any, motion: str, random: np.random.Generator) -> Iterator[np.ndarray]:
    """FRAMES pictures, uint8 (SIDE, SIDE, 3), of a stamp (RGBA) in motion. Its size, angle, path and speed, the ground and
    the noise of the camera are drawn at random."""
    from PIL import Image

    size = random.uniform(0.32, 0.48) * SIDE
    shrunk = stamp.resize([max(1, round(2 * size * s / max(stamp.size))) for s in stamp.size], Image.Resampling.LANCZOS)
    ground = _ground(random)
    angle, spin = random.uniform(-20, 20), random.choice([-1, 1]) * random.uniform(100, 250)
    way, far, factor = random.uniform(0.3, 0.5) * SIDE, random.uniform(-0.1, 0.1, 2) * SIDE, random.uniform(1.6, 2.2)
    step = {"left": (-way, 0), "right": (way, 0), "up": (0, -way), "down": (0, way)}.get(motion, (0, 0))
    noise = random.normal(0, 3, (SIDE + FRAMES, SIDE, 1)).astype(np.float32)
    for i, share in enumerate(np.linspace(-0.5, 0.5, FRAMES)):
        zoom = {"grow": factor**share, "shrink": factor**-share}.get(motion, 1.0)
        at = [SIDE / 2 + far[axis] + step[axis] * share for axis in range(2)]
        layer = _placed(shrunk, at, 2 / zoom, angle + spin * share * (motion == "turn"))
        picture = Image.alpha_composite(ground, layer).convert("RGB")
        noisy = np.asarray(picture, np.float32) + noise[i * 7 % FRAMES :][:SIDE]
        yield noisy.clip(0, 255).round().astype(np.uint8)


def _ground(random: np.random.Generator) -> Any:
    """A soft background: one colour running into another, with blurred blots."""
    from PIL import Image

    ramp = np.linspace(0, 1, SIDE)[:, None, None] * random.uniform(60, 240, 3)
    ramp = ramp + np.linspace(1, 0, SIDE)[None, :, None] * random.uniform(0, 120, 3)
    blots = Image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((SIDE, SIDE))
    mixed = 0.7 * ramp + 0.3 * np.asarray(blots, np.float64)
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8)).convert("RGBA")


def _placed(stamp: Any, at: list[float], scale: float, angle: float) -> Any:
    """The stamp on an empty square: its middle at `at`, `scale` of its pixels to one, turned by `angle` degrees."""
    from PIL import Image

    cos, sin = (f(math.radians(angle)) * scale for f in (math.cos, math.sin))
    x, y = stamp.width / 2 - cos * at[0] - sin * at[1], stamp.height / 2 + sin * at[0] - cos * at[1]
    return stamp.transform((SIDE, SIDE), Image.Transform.AFFINE, (cos, sin, x, -sin, cos, y), Image.Resampling.BICUBIC)


def first_sound(path: Path) -> np.ndarray:
    """A sound effect as float32 (T,) at SOUND_RATE: its beginning, as long as the clip."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples[: rate * FRAMES // RATE].mean(axis=1)
    wave: np.ndarray = soxr.resample(mono, rate, SOUND_RATE, quality="HQ")
    return wave.clip(-1, 1)


def encode(frames: Iterable[np.ndarray], sound: np.ndarray | None) -> bytes:
    """The bytes of an MP4: H.264, or MPEG-4 where PyAV has no encoder for that, and AAC."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        video: Any = container.add_stream(
            codec, rate=RATE, options={"preset": "ultrafast"} if codec == "libx264" else {}
        )
        video.codec_context.thread_count = 1
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv420p"
        audio: Any = sound is not None and container.add_stream("aac", SOUND_RATE, {"aac_coder": "fast"}, layout="mono")
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
        if sound is not None:
            block = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            block.sample_rate = SOUND_RATE
            container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return buffer.getvalue()
