"""One cell of a table, to be seen or heard: a thumbnail, a player, a text; or the reason why there is none."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.data.table import Table
from plait.errors import MediaError, PlaitError
from plait.modalities import modality
from plait.report.markup import Html, div, html_of, join, name_html, span, tag
from plait.types import Wave

SIDE = 160  # pixels of a thumbnail's longer side
SECONDS, RATE = 6.0, 16_000  # of a sound
RATES = (8_000, 11_025, 12_000, 16_000)  # kept as they are
LETTERS = 320  # of a text


@dataclass
class Media:
    """The cells of a table as HTML, within a budget of bytes for pictures and sounds."""

    table: Table
    left: int = 1_000_000

    def cell(self, row: int, column: str, kind: str) -> Html:
        """The cell as HTML. Whatever is wrong with it is said in its place; nothing is raised."""
        try:
            value = self.table.column(column)[row]
            part = modality(kind)
            raw = part.load(value, self.table.folder)
            if raw is None:
                return span("none", "missing")
            return self._within(SHOW.get(kind, _text)(part.read(raw)))
        except MediaError as error:
            return span("bad", f"cannot be read: {error}")
        except (PlaitError, IndexError):  # another table than the one that was judged
            return span("none", "not in this table")

    def _within(self, shown: Html) -> Html:
        size = len(shown)
        if size > self.left:
            return span("none", "left out to keep this page small")
        self.left -= size
        return shown


def thumbnail(pixels: np.ndarray, side: int = SIDE) -> bytes:
    """A small JPEG of an RGB picture (H, W, 3); the longer side has at most `side` pixels."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()


def short_sound(wave: Wave) -> tuple[bytes, str]:
    """The first seconds of a sound as a small file, and its MIME type. MP3, which every browser plays; where libsndfile
    is too old for it, FLAC (Ogg would differ from call to call: its serial numbers are random)."""
    import soundfile
    import soxr

    samples = wave.samples[: int(SECONDS * wave.rate)]
    rate = wave.rate if wave.rate in RATES else RATE
    if rate != wave.rate:
        samples = soxr.resample(samples, wave.rate, rate)
    samples = np.clip(samples, -1, 1)
    buffer = io.BytesIO()
    if "MP3" not in soundfile.available_formats():
        soundfile.write(buffer, samples, rate, format="FLAC")
        return buffer.getvalue(), "audio/flac"
    try:
        soundfile.write(buffer, samples, rate, format="MP3", compression_level=0.9)
    except TypeError:  # soundfile < 0.13
        soundfile.write(buffer, samples, rate, format="MP3")
    return buffer.getvalue(), "audio/mpeg"


def data_uri(content: bytes, mime: str) -> str:
    """The bytes as the address of themselves."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def _picture(pixels: np.ndarray) -> Html:
    height, width = pixels.shape[:2]
    return tag(
        "img",
        src=data_uri(thumbnail(pixels), "image/jpeg"),
        alt=f"picture, {width} × {height} pixels",
        title=f"{width} × {height} pixels",
    )


def _sound(wave: Wave) -> Html:
    content, mime = short_sound(wave)
    seconds = len(wave.samples) / wave.rate
    note = span("note", f"the first {SECONDS:.0f} of {seconds:.1f} s") if seconds > SECONDS else None
    return div("sound", tag("audio", controls=True, preload="metadata", src=data_uri(content, mime)), note)


def _text(value: Any) -> Html:
    text = " ".join(str(value).split())
    if not text:
        return span("none", "empty text")
    short = text if len(text) <= LETTERS else text[:LETTERS].rstrip() + " …"
    return tag("q", short, dir="auto")


def _name(value: Any) -> Html:
    return span("chip", name_html(str(value)[:LETTERS]))


def _names(value: Any) -> Html:
    return join(map(_name, list(value)[:40])) if value else span("none", "no label")


def _number(value: Any) -> Html:
    return html_of(f"{value:.6g}")


SHOW: dict[str, Callable[[Any], Html]] = {
    "image": _picture,
    "audio": _sound,
    "text": _text,
    "category": _name,
    "labels": _names,
    "number": _number,
}
