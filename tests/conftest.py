"""What many tests share: a machine without weights, a cache of their own, tiny real media, a list of cells a modality."""

from __future__ import annotations

import importlib.util
import io
import os
import struct
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.weights.catalogue import CATALOGUE
from tests import online

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session", autouse=True)
def bare(caches: Path) -> Iterator[None]:
    """No test sees the weights that this machine happens to have: in folders, in the cache of the hub, in packages."""
    carriers = {path.split("/")[0] for entry in CATALOGUE.values() for p in entry.packages for path in p.files}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PLAIT_WEIGHTS", "HF_HUB_CACHE"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HOME", str(caches / "hub"))
        patch.setenv("PLAIT_CACHE", str(caches / "shared"))
        for name in filter(importlib.util.find_spec, carriers):  # an empty package of this name comes first
            (caches / "hidden" / name).mkdir(parents=True)
            (caches / "hidden" / name / "__init__.py").touch()
        if (caches / "hidden").exists():
            patch.syspath_prepend(caches / "hidden")
            patch.setenv("PYTHONPATH", str(caches / "hidden"), prepend=os.pathsep)
        yield


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """real("whisper-base") -> the folder of real weights, which plait finds from then on. Skips where they cannot be had."""

    def put(name: str, **options: bool) -> Path:
        folder = online.weights(name, **options)
        monkeypatch.setenv("PLAIT_WEIGHTS", str(online.FOLDER))
        return folder

    return put


@pytest.fixture(autouse=True)
def own_cache(caches: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test prepares into a folder of its own, made when it is first used: never the user's cache."""
    folder = caches / uuid.uuid4().hex
    monkeypatch.setenv("PLAIT_CACHE", str(folder))
    monkeypatch.delenv("PLAIT_CACHE_LIMIT", raising=False)
    return folder


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test starts from the same random state, on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def picture(height: int = 12, width: int = 16, seed: int = 0) -> np.ndarray:
    """A picture of random blocks, RGB uint8 (H, W, 3)."""
    blocks = np.random.default_rng(seed).integers(0, 256, (-(-height // 4), -(-width // 4), 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((4, 4, 1), np.uint8))[:height, :width]


def tone(hertz: float = 440.0, seconds: float = 0.3, rate: int = 16_000, amplitude: float = 0.5) -> np.ndarray:
    """A pure tone, float32 (T,)."""
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def wave(steps: int, seed: int = 0, *, uneven: bool = False, gaps: bool = False) -> Any:
    """A series of two channels, a random walk and noise, every half second."""
    from plait.types import Series

    random = np.random.default_rng(seed)
    noise = random.standard_normal((steps, 2)).astype(np.float32)
    values = np.stack([5 + noise[:, 0].cumsum(), 100 * noise[:, 1]], 1)
    if gaps:
        values[random.random((steps, 2)) < 0.3] = np.nan
    between = random.exponential(0.5, steps) if uneven else np.full(steps, 0.5)
    return Series(values, between.cumsum())


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    """The bytes of a picture file."""
    from PIL import Image

    image, buffer = Image.fromarray(pixels), io.BytesIO()
    (image if mode is None else image.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def sounded(samples: np.ndarray, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """The bytes of a sound file; samples (T,) or (T, channels)."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def wav(
    rate: int = 16_000, channels: int = 1, data: bytes = b"\1\0" * 900, bits: int = 16, claimed: int | None = None
) -> bytes:
    """A WAV whose header claims what it likes."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block % 2**32, block % 2**16, bits)
    size = len(data) if claimed is None else claimed
    word = lambda n: struct.pack("<I", n)  # noqa: E731
    return b"RIFF" + word((36 + size) % 2**32) + b"WAVEfmt " + word(16) + form + b"data" + word(size) + data


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """write("a/b.png", bytes or text) -> its path below a temporary folder."""

    def put(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return put


@pytest.fixture
def media_rows(write: Callable[..., Path]) -> list[dict[str, Any]]:
    """Ten rows of paths, text, number, category and labels, with gaps; the files lie in the temporary folder."""
    rows: list[dict[str, Any]] = []
    for i in range(10):
        write(f"p{i}.png", encoded(picture(10 + i, 20 - i, seed=i)))
        sound = f"s{i}.{'wav' if i % 2 else 'ogg'}"
        write(sound, sounded(tone(300 + 50 * i, 0.2 + 0.05 * i), 16_000 if i % 3 else 8_000, "WAV" if i % 2 else "OGG"))
        rows.append(
            {
                "picture": f"p{i}.png",
                "sound": sound,
                "note": f"note number {i}",
                "size": float(i),
                "kind": "ab"[i % 2],
                "tags": ["x", f"t{i % 3}"],
            }
        )
    rows[2]["picture"] = rows[5]["sound"] = rows[6]["note"] = rows[7]["size"] = rows[8]["kind"] = rows[9]["tags"] = None
    return rows


def clip(frames: int, height: int, width: int, seed: int = 0, sound: np.ndarray | None = None) -> Any:
    """A clip as the modality reads it: pictures of random blocks, four a second, and a sound at 16 kHz."""
    from plait.types import Clip, Wave

    pictures = np.stack([picture(height, width, 100 * seed + i) for i in range(frames)])
    return Clip(pictures, np.arange(frames) / 4, None if sound is None else Wave(sound, 16_000))


def cells_of(kind: str) -> list[Any]:
    """Cells as a modality reads them, short and long ones, some of them missing (None)."""
    from plait.types import Wave

    return {
        "text": [
            "a ripe tomato",
            None,
            "一个成熟的番茄",
            "the long story of the tomato " * 8,
            "",
            None,
            "Zahlen 12.5 und ü",
        ],
        "image": [
            picture(8, 8, 1),
            None,
            picture(40, 17, 2),
            picture(1, 1, 3),
            picture(5, 90, 4),
            None,
            picture(64, 64, 5),
        ],
        "audio": [
            Wave(tone(440, 0.35), 16_000),
            None,
            Wave(tone(880, 1.7, 44_100), 44_100),
            Wave(tone(300, 0.003), 16_000),
            Wave(np.zeros(8_000, np.float32), 16_000),
            None,
            Wave(tone(700, 0.9, 8_000), 8_000),
        ],
        "video": [
            clip(8, 12, 16, sound=tone(440, 0.5)),
            None,
            clip(3, 40, 17, seed=1),
            clip(1, 1, 1, seed=2, sound=tone(300, 0.003)),
            clip(8, 9, 70, seed=3, sound=tone(880, 2.5)),
            None,
            clip(5, 64, 64, seed=4),
        ],
        "images": [
            (picture(8, 8, 1), picture(40, 17, 2)),
            None,
            (picture(1, 1, 3),),
            tuple(picture(5 + i, 30, 4 + i) for i in range(10)),
            (picture(64, 64, 5), picture(9, 9, 6), picture(8, 8, 1)),
            None,
        ],
        "texts": [
            ("a ripe tomato", "the long story of the tomato " * 8),
            None,
            ("一个成熟的番茄",),
            ("",),
            tuple(f"part {i} of a tomato" for i in range(10)),
            None,
        ],
        "date": [0.0, None, 1_577_934_245.5, -2_208_988_800.0, 4e9, None, 1_600_000_000.0, 1e11],
        "number": [1.5, None, -3.0, 1e6, 0.0, None, 2.25],
        "category": ["a", None, "b", "番茄", "a", None, "c.d"],
        "labels": [("a", "b"), None, ("c",), (), ("a", "b", "c", "番茄"), None, ("b",)],
        "series": [wave(20, 1), None, wave(63, 2, uneven=True), wave(1, 3), wave(150, 4), None, wave(31, 5, gaps=True)],
    }[kind]
