"""How fast cells are prepared, against the same work done by hand on one core, in one run.

Pictures: files -> 64 x 64 pixels on a shelf, against Pillow's `draft`, `load` and `resize` in a loop. Sounds: WAV files ->
log-mel spectra on a shelf, against `soundfile.read` and the same spectra in a loop. The two take turns, so that whatever
else the machine does weighs on both. `python benchmarks/preparing.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import DEFAULTS, ENCODERS
from plait.encoders.base import Encoder
from plait.preparation import prepare
from plait.progress import Progress
from plait.types import Wave

Work = Callable[[list[Path], Encoder], None]
SIZE, SECONDS, RATE = 64, 5.0, 16_000


def write(folder: Path, count: int) -> dict[str, list[Path]]:
    """Photographs of 640 x 480 and sounds of 5 s, each of its own."""
    generator = np.random.default_rng(0)
    made: dict[str, list[Path]] = {"image": [], "audio": []}
    for i in range(count):
        noise = Image.fromarray(generator.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        made["image"].append(folder / f"{i}.jpg")
        noise.resize((640, 480), Image.Resampling.BICUBIC).save(made["image"][-1], quality=90)
        made["audio"].append(folder / f"{i}.wav")
        samples = 0.1 * generator.standard_normal(round(SECONDS * RATE))
        soundfile.write(made["audio"][-1], samples, RATE, subtype="PCM_16")
    return made


def pictures_by_hand(paths: list[Path], encoder: Encoder) -> None:
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", (SIZE, SIZE))
            image.load()
            scale = SIZE / max(image.size)
            width, height = (round(s * scale) for s in image.size)
            canvas = Image.new("RGB", (SIZE, SIZE), "white")
            canvas.paste(
                image.resize((width, height), Image.Resampling.BICUBIC), ((SIZE - width) // 2, (SIZE - height) // 2)
            )
            np.ascontiguousarray(np.asarray(canvas).transpose(2, 0, 1))


def sounds_by_hand(paths: list[Path], encoder: Encoder) -> None:
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        encoder.prepare([Wave(samples, rate)])


def ours(paths: list[Path], encoder: Encoder) -> None:
    with tempfile.TemporaryDirectory() as cache:
        table, ledger = read_table([{"x": str(p)} for p in paths]), Ledger()
        prepare(table, {"x": encoder}, store=Store(Path(cache)), ledger=ledger, progress=Progress(quiet=True))
    assert not ledger.bad


def in_two_processes(pool: ProcessPoolExecutor, by_hand: Work, paths: list[Path], encoder: Encoder) -> float:
    """Seconds on the wall of the work by hand, half of it in each of two processes: what two cores of this machine can
    give at best."""
    began = time.perf_counter()
    list(pool.map(by_hand, [paths[::2], paths[1::2]], [encoder] * 2))
    return time.perf_counter() - began


def seconds(work: Work, paths: list[Path], encoder: Encoder) -> tuple[float, float]:
    """On the wall, and of all cores."""
    wall, core = time.perf_counter(), time.process_time()
    work(paths, encoder)
    return time.perf_counter() - wall, time.process_time() - core


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    if any(os.environ.get(name) != "1" for name in single):  # one core is one core: said before NumPy is loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **single})
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        made = write(Path(folder), given.count)
        for kind, by_hand in (("image", pictures_by_hand), ("audio", sounds_by_hand)):
            encoder = ENCODERS.build(ENCODERS.complete(DEFAULTS[kind], []))
            turns = [[seconds(work, made[kind], encoder) for work in (by_hand, ours)] for _ in range(given.rounds + 1)][
                1:
            ]  # the first warms up
            with ProcessPoolExecutor(2) as pool:
                halves = [in_two_processes(pool, by_hand, made[kind], encoder) for _ in range(given.rounds + 1)][1:]
            (hand, hand_core), (plait, plait_core) = np.array(turns).transpose(1, 2, 0)
            found[kind] = {
                "by_hand_per_second": given.count / float(np.median(hand)),
                "plait_per_second": given.count / float(np.median(plait)),
                "ratio": float(np.median(hand / plait)),
                "two_processes_ratio": float(np.median(hand) / np.median(halves)),
                "core_seconds_ratio": float(np.median(plait_core / hand_core)),
                "ratios": [round(float(r), 2) for r in hand / plait],
            }
    if given.json:
        print(json.dumps(found))
        return
    for kind, f in found.items():
        print(
            f"{kind}: plait {f['plait_per_second']:.0f} a second on {os.cpu_count()} cores, by hand "
            f"{f['by_hand_per_second']:.0f} on one: {f['ratio']:.2f} times (rounds {f['ratios']}), "
            f"{f['core_seconds_ratio']:.2f} times the core seconds; by hand in two processes "
            f"{f['two_processes_ratio']:.2f} times"
        )


if __name__ == "__main__":
    main()
