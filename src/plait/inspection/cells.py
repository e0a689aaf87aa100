"""What is measured of one cell, by what it is: sizes, a few cheap figures, and a small picture that survives re-encoding."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from plait.types import Cell, Clip, Series, Wave

SMALL = 16  # side of the small picture
WORDS = 24  # hashed words of a text
USED = "words used"  # what the share of each of them is called
CONTAINER = ("width", "height", "seconds", "rate", "frames", "channels", "steps")  # of the file, not of what it shows
CROP = 128  # pixels of the middle of a picture, for its sharpness
NOISE = 2  # of 255: what JPEG adds to a flat area is no edge
VOICE = (100.0, 3600.0)  # Hz that every encoding of a sound keeps
HEARD = 1.0  # seconds of the middle of a sound, for its pitch


class Seen(NamedTuple):
    """What is kept of a picture, sound, video or series once it has been read."""

    figures: dict[str, float]
    mark: int | None = None  # 64 bits: where a tiny grey version of it gets brighter from left to right (dHash)
    small: np.ndarray | None = None  # (16, 16, 3) uint8
    ratio: tuple[float, float] = (
        0.0,
        1.0,
    )  # that a copy shares: width by height; or seconds, and the centre of its lower frequencies
    words: np.ndarray | None = None  # (WORDS,) float32: of texts, the shares of their hashed words


def measured(cell: Cell, kind: str = "") -> Seen:
    """The figures of one cell that was read. `kind`: its modality, where the type of the cell does not tell."""
    if kind in BY_KIND:
        return BY_KIND[kind](cell)
    if isinstance(cell, np.ndarray) and cell.ndim == 3:
        return _picture(cell)
    return KINDS.get(type(cell), _other)(cell)


def _picture(pixels: np.ndarray) -> Seen:
    from PIL import Image

    image, box = Image.fromarray(pixels), Image.Resampling.BOX
    height, width = pixels.shape[:2]
    image = image.reduce(max(1, min(width, height) // CROP))
    small = np.asarray(image.resize((SMALL, SMALL), box))
    grey = np.asarray(image.convert("L").resize((9, 8), box)).astype(np.int16)
    colours = small.astype(np.float32) / 255
    middle = pixels[height // 2 - min(CROP, height) // 2 :, width // 2 - min(CROP, width) // 2 :][:CROP, :CROP, 1]
    edges = np.abs(np.diff(middle.astype(np.float32), axis=1)).mean() if middle.shape[1] > 1 else 0.0
    figures = {
        "width": float(width),
        "height": float(height),
        "shape": width / height,
        "brightness": float(colours.mean()),
        "contrast": float(colours.mean(2).std()),
        "colourfulness": float((colours.max(2) - colours.min(2)).mean()),
        "red": float(colours[..., 0].mean()),
        "green": float(colours[..., 1].mean()),
        "blue": float(colours[..., 2].mean()),
        "sharpness": float(edges) / 255,
    }
    return Seen(figures, _bits(grey[:, 1:] > grey[:, :-1] + NOISE), small, (width / height, 1.0))


def _bits(where: np.ndarray) -> int:
    return int.from_bytes(np.packbits(where).tobytes(), "big")


def _sound(wave: Wave) -> Seen:
    samples, seconds = wave.samples, len(wave.samples) / wave.rate
    power = float(np.mean(samples.astype(np.float64) ** 2))
    length = round(HEARD * wave.rate)
    start = max(0, len(samples) // 2 - length // 2)
    spectrum = np.abs(np.fft.rfft(samples[start : start + length])) ** 2
    hertz = np.linspace(0, wave.rate / 2, len(spectrum))
    low = spectrum * (hertz < VOICE[1])
    centre = float((low * hertz).sum() / max(low.sum(), 1e-12))
    pitch = float((spectrum * hertz).sum() / max(spectrum.sum(), 1e-12))
    figures = {
        "seconds": seconds,
        "rate": float(wave.rate),
        "loudness": 10 * float(np.log10(power + 1e-10)),
        "peak": float(np.abs(samples).max(initial=0)),
        "silence": float((np.abs(samples) < 0.01).mean()),
        "pitch": pitch,
        "crossings": float((np.diff(np.signbit(samples)) != 0).mean() * wave.rate) if len(samples) > 1 else 0.0,
    }
    heard = _heard(wave)
    columns = heard[::2] + heard[1::2]  # 8 bands
    times = np.stack([part.mean(1) for part in np.array_split(columns, 9, 1)], 1)
    small = np.repeat((heard * 255).astype(np.uint8)[..., None], 3, axis=2)
    return Seen(figures, _bits(times[:, 1:] > times[:, :-1]) if power > 1e-7 else None, small, (seconds, centre))


def _heard(wave: Wave) -> np.ndarray:
    """(16 bands, 16 times) from 0 to 1: the energy of lower frequencies over 60 dB below its loudest."""
    samples = wave.samples
    width = max(64, round(wave.rate * 0.032))
    hop = max(width // 2, (len(samples) - width) // 400 + 1)
    padded = np.pad(samples, (0, max(0, width + SMALL * hop - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(width).astype(np.float32))) ** 2
    edges = np.geomspace(*VOICE, SMALL + 1) / wave.rate * width
    starts = edges.astype(int).clip(0, power.shape[1] - 1)
    bands = np.stack([power[:, a : max(a + 1, b)].mean(1) for a, b in pairwise(starts)])
    cells = np.stack([part.mean(1) for part in np.array_split(bands, SMALL, 1)], 1)
    loud = 10 * np.log10(cells + 1e-9)
    scaled: np.ndarray = ((loud - loud.max()) / 60 + 1).clip(0, 1)
    return scaled


def _clip(clip: Clip) -> Seen:
    first = _picture(clip.frames[0])
    seconds = float(clip.times[-1] - clip.times[0]) if len(clip.times) > 1 else 0.0
    figures = {**first.figures, "frames": float(len(clip.frames)), "seconds": seconds}
    figures["sound"] = float(clip.sound is not None)
    return Seen(figures, first.mark, first.small, first.ratio)


def _series(series: Series) -> Seen:
    values = np.atleast_2d(np.asarray(series.values, dtype=np.float64))
    known = values[np.isfinite(values)]
    gaps = 1 - known.size / max(values.size, 1)
    figures = {"steps": float(len(values)), "channels": float(values.shape[-1]), "gaps": gaps}
    figures["mean"], figures["spread"] = (float(known.mean()), float(known.std())) if known.size else (0.0, 0.0)
    figures["lowest"], figures["highest"] = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    return Seen(figures)


def _many(cells: Sequence[Cell]) -> Seen:
    """A list of names or of pictures: how many, and the means of the pictures' figures."""
    each = [] if not cells or isinstance(cells[0], str) else [measured(cell).figures for cell in cells]
    means = {name: float(np.mean([figures[name] for figures in each])) for name in (each[0] if each else ())}
    return Seen({"items": float(len(cells)), **means})


def _texts(texts: Sequence[str]) -> Seen:
    """A list of texts: how many, and the figures of all together."""
    names, (row,) = worded([" ".join(texts)])
    sizes = {name: float(value) for name, value in zip(names, row) if name != USED}
    return Seen({"items": float(len(texts)), **sizes}, words=row[-WORDS:].astype(np.float32))


def _text(text: str) -> Seen:
    return Seen({"characters": float(len(text))})


def _number(value: float) -> Seen:
    return Seen({"value": float(value)})


def _other(cell: Any) -> Seen:
    return Seen({})


KINDS: dict[type, Callable[[Any], Seen]] = {
    Wave: _sound,
    Clip: _clip,
    Series: _series,
    tuple: _many,
    list: _many,
    str: _text,
    float: _number,
    int: _number,
    bool: _number,
}
BY_KIND: dict[str, Callable[[Any], Seen]] = {"texts": _texts}  # a set of names is a tuple of str as well


def folded(text: str) -> str:
    """The text without what an eye overlooks: NFKC, case, spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def worded(cells: Sequence[Any]) -> tuple[list[str], np.ndarray]:
    """Figures of texts, names or sets of names, for telling two samples apart: sizes, what the characters are, and the
    shares of hashed words. ([name], (cells, F))"""
    rows = []
    for cell in cells:
        words = list(cell) if isinstance(cell, tuple) else folded(str(cell)).split()
        text = " ".join(map(str, words))
        size = max(len(text), 1)
        kinds = [sum(c.isdigit() for c in text), sum(not c.isalnum() and not c.isspace() for c in text)]
        kinds += [sum(c > "\x7f" for c in text), sum(c.isupper() for c in str(cell))]
        counts = np.zeros(WORDS)
        for word in words:
            counts[zlib.crc32(str(word).encode("utf-8", "replace")) % WORDS] += 1
        rows.append([len(str(cell)), len(words), *(k / size for k in kinds), *counts / max(len(words), 1)])
    names = ["characters", "words", "digits", "punctuation", "letters beyond ASCII", "capitals"]
    return names + [USED] * WORDS, np.array(rows, dtype=np.float64).reshape(len(cells), len(names) + WORDS)
