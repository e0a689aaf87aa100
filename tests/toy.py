"""A small real table whose answer is planted in every modality, and parts small enough to train on it in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.conftest import encoded, sounded, tone

KINDS = ("red", "green", "blue")
WORDS = {"red": "a ripe tomato", "green": "fresh green grass", "blue": "the deep blue sea"}
INPUTS = ["picture", "sound", "note", "size"]
TINY: dict[str, Any] = {
    "picture": {"name": "image_resnet", "size": 16, "channels": 4, "width": 16, "flip": 0.0},
    "sound": {"name": "audio_cnn", "bands": 16, "channels": 4, "width": 16, "seconds": 1.0},
    "note": {"name": "text_transformer", "width": 16, "depth": 1, "heads": 2, "vocabulary": 400},
    "size": {"name": "number_periodic", "width": 8},
}


def make(folder: Path, n: int = 60, *, seed: int = 0, noise: float = 0.0) -> Path:
    """Writes media and `toy.csv`: row i is of KINDS[i % 3], told by the colour, pitch, words and size; "value" is 10
    times its place plus a little; with `noise`, that share of cells shows another kind."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        seen = [KINDS[i % 3] if generator.random() >= noise else KINDS[generator.integers(3)] for _ in range(4)]
        pixels = generator.integers(0, 60, (18, 18, 3), dtype=np.uint8)
        pixels[..., KINDS.index(seen[0])] += 180
        (folder / f"p{i}.png").write_bytes(encoded(pixels))
        pitch = 300 * 2.0 ** KINDS.index(seen[1]) * generator.uniform(0.95, 1.05)
        (folder / f"s{i}.wav").write_bytes(sounded(tone(pitch, generator.uniform(0.2, 0.5))))
        rows.append(
            {
                "picture": f"p{i}.png",
                "sound": f"s{i}.wav",
                "note": f"{WORDS[seen[2]]}, number {i}",
                "size": round(10 * KINDS.index(seen[3]) + generator.normal(), 3),
                "kind": KINDS[i % 3],
                "value": round(10 * (i % 3) + generator.normal(), 3),
                "house": f"h{i // 4}",
                "part": "test" if i % 5 == 0 else "valid" if i % 5 == 1 else "train",
            }
        )
    path = folder / "toy.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def fit(table: Any, targets: Any = "kind", **options: Any) -> Any:
    """plait.fit with the tiny parts, on all four inputs, three epochs unless said."""
    import plait

    inputs = options.pop("inputs", INPUTS)
    settings: dict[str, Any] = {
        "inputs": inputs,
        "encoders": {c: TINY[c] for c in inputs if c in TINY},
        "split": "part",
        "epochs": 3,
        "quiet": True,
        "training": {"batch_size": 8},
    }
    return plait.fit(table, targets, **{**settings, **options})
