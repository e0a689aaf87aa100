"""A clean table of pictures, texts, numbers and names, into which a test plants what is to be found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tests.conftest import encoded

WORDS = [f"{a}{b}" for a in ("ba", "de", "fi", "go", "lu", "mo", "ni", "pa", "re", "su") for b in "bcdfghklmn"]


def scene(seed: int, side: int = 48) -> np.ndarray:
    """A made picture with smooth shapes, as photographs have: RGB uint8."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def clean(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Rows in which nothing is wrong: three classes that text, size and place tell a little."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 3, n)
    return pd.DataFrame(
        {
            "note": [
                " ".join(generator.choice(WORDS, generator.integers(5, 9))) + f" {'xyz'[k]}{generator.integers(9)}"
                for k in kind
            ],
            "size": generator.normal(size=n) + kind,
            "place": [f"town {generator.integers(8)}" for _ in kind],
            "kind": [("red", "green", "blue")[k] for k in kind],
        }
    )


def pictured(folder: Path, n: int = 60, seed: int = 0) -> pd.DataFrame:
    """A clean table with a picture in each row, as files in the folder."""
    frame = clean(n, seed)
    for i in range(n):
        (folder / f"p{i}.png").write_bytes(encoded(scene(1000 * seed + i)))
    frame.insert(0, "picture", [f"p{i}.png" for i in range(n)])
    return frame


def look(frame: pd.DataFrame, targets: Any = "kind", **options: Any) -> Any:
    """plait.inspect, quietly."""
    import plait

    return plait.inspect(frame, targets, quiet=True, **options)


def kinds(found: Any, *severities: str) -> list[str]:
    """The kinds of the findings of these severities, all when none is named."""
    return sorted(f.kind for f in found.findings if not severities or f.severity in severities)


def one(found: Any, kind: str) -> Any:
    """The only finding of a kind."""
    (finding,) = (f for f in found.findings if f.kind == kind)
    return finding
