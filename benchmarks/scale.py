"""Whether big tables stay linear: inspect, and fit for one epoch, on tables of numbers, categories and short texts.

Each size runs in a process of its own; prints seconds on the wall, of all cores (CPU), and the most memory resident.

    python benchmarks/scale.py --rows 10000 100000 1000000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WORDS = [
    "red",
    "green",
    "blue",
    "old",
    "new",
    "big",
    "small",
    "wooden",
    "metal",
    "glass",
    "cheap",
    "fine",
    "broken",
    "clean",
    "dusty",
    "rare",
    "plain",
    "heavy",
]
ENCODERS = {"text": {"name": "text_transformer", "width": 32, "depth": 1, "heads": 2, "vocabulary": 1000}}


def make(path: Path, rows: int) -> None:
    """A table whose label follows from a number, a category and a word."""
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(0)
    words = generator.integers(0, len(WORDS), (rows, 4))
    a, b, place = generator.normal(size=rows), generator.normal(size=rows), generator.integers(0, 30, rows)
    score = a + (place % 3) - 1 + (words[:, 0] % 2) + generator.normal(size=rows) * 0.5
    table = pd.DataFrame(
        {
            "a": a.round(4),
            "b": b.round(4),
            "count": generator.integers(0, 10_000, rows),
            "place": [f"place {p}" for p in place],
            "maker": [f"maker {p}" for p in generator.integers(0, 500, rows)],
            "text": [" ".join(WORDS[w] for w in line) + f" {i % 997}" for i, line in enumerate(words)],
            "label": np.where(score > 0.5, "yes", "no"),
        }
    )
    table.to_csv(path, index=False)


def run(task: str, path: Path) -> dict[str, Any]:
    """One task on one table, measured."""
    import plait

    began, core = time.perf_counter(), time.process_time()
    figures: dict[str, Any] = {}
    if task == "inspect":
        plait.inspect(path, targets="label", quiet=True).to_json()
    else:
        model = plait.fit(path, "label", encoders=ENCODERS, epochs=1, training={"batch_size": 1024}, quiet=True)
        figures["accuracy"] = round(model.figures["label"]["accuracy"] or 0.0, 4)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 2**20
    seconds = {"seconds": time.perf_counter() - began, "core_seconds": time.process_time() - core}
    return {**{k: round(v, 1) for k, v in seconds.items()}, "peak_gb": round(peak, 2), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--tasks", nargs="*", default=["inspect", "fit"])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run(given.one[0], Path(given.one[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        for rows in given.rows:
            path = Path(folder) / f"{rows}.csv"
            make(path, rows)
            for task in given.tasks:
                done = subprocess.run(
                    [sys.executable, __file__, "--one", task, str(path)], capture_output=True, text=True, check=True
                )
                found = json.loads(done.stdout)
                print(
                    f"{task:<8} {rows:>9,} rows  {found['seconds']:>7.1f} s  {found['core_seconds']:>7.1f} s CPU, "
                    f"{1e6 * found['core_seconds'] / rows:>6.1f} s a million  {found['peak_gb']:.2f} GB"
                    + (f"  accuracy {found.get('accuracy', '')}"),
                    flush=True,
                )
            path.unlink()


if __name__ == "__main__":
    main()
