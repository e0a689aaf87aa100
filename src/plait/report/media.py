"""One cell of a table, to be seen or heard: a thumbnail, a player, a text; or the reason why there is none."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.data.table import Table
from plait.errors import MediaError, PlaitError
from plait.modalities import modality
from plait.report.markup import Html, div, html_of, join, name_html, span, tag
from plait.types import Clip, Series, Wave

SIDE = 160  # pixels of a thumbnail's longer side
SECONDS, RATE = 6.0, 16_000  # of a sound
RATES = (8_000, 11_025, 12_000, 16_000)  # kept as they are
LETTERS = 320  # of a text
STRIP, GAP = 56, 3  # pixels: height of the frames of a video in a row, and between them
LINES, DOTS = 4, 240  # channels of a series that are drawn, steps of each


@dataclass
class Media:
    """The cells of a table as HTML, within a budget of bytes for pictures and sounds."""

    table: Table
    left: int = 1_000_000
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by column, how its cells are loaded

    def cell(self, row: int, column: str, kind: str) -> Html:
        """The cell as HTML. Whatever is wrong with it is said in its place; nothing is raised."""
        try:
            value = self.table.column(column)[row]
            part = modality(kind)
            raw = part.load(value, self.table.folder, **self.options.get(column, {}))
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


def _clip(clip: Clip) -> Html:
    """The frames side by side, in the order of time, and the sound below."""
    from PIL import Image

    height, width = clip.frames.shape[1:3]
    size = (max(1, round(width * STRIP / height)), STRIP)
    gap = np.full((STRIP, GAP, 3), 255, np.uint8)
    small = [np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BOX, reducing_gap=2)) for f in clip.frames]
    strip = np.concatenate([part for frame in small for part in (frame, gap)][:-1], axis=1)
    said = f"{len(clip.frames)} frames of a video, {width} × {height} pixels, from {clip.times[0]:.1f} to {clip.times[-1]:.1f} s"
    drawn = tag("img", src=data_uri(thumbnail(strip, strip.shape[1]), "image/jpeg"), alt=said, title=said)
    return div("clip", drawn, None if clip.sound is None else _sound(clip.sound))


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


def _date(value: float) -> Html:
    """The date, with its time of day where it has one, in UTC."""
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=value)
    except OverflowError:
        return html_of(f"{value:.6g} s since 1970")
    return html_of(moment.date().isoformat() if value % 86_400 == 0 else f"{moment.isoformat(' ', 'seconds')} UTC")


def _number(value: Any) -> Html:
    return html_of(f"{value:.6g}")


def _series(cell: Series) -> Html:
    """Each of the first channels as a line over time, from its lowest to its highest value; gaps are left open."""
    steps, channels = cell.values.shape
    lines = []
    for c in range(min(channels, LINES)):
        values, times = cell.values[:: -(-steps // DOTS), c].astype(np.float64), cell.times[:: -(-steps // DOTS)]
        known = np.isfinite(values)
        if known.any():
            low, high = values[known].min(), values[known].max()
            x = 2 + 236 * (times - times[0]) / ((times[-1] - times[0]) or 1.0)
            y = 62 - 60 * (values - low) / ((high - low) or 1.0)
            starts = np.flatnonzero(known & ~np.r_[False, known[:-1]])
            path = "".join(f"{'M' if i in starts else 'L'}{x[i]:.1f} {y[i]:.1f}" for i in np.flatnonzero(known))
            lines.append(
                tag("path", d=path, style=f"fill:none;stroke:var(--k{c});stroke-width:1.5;stroke-linecap:round")
            )
    said = f"{steps} steps, {channels} channels" if channels > 1 else f"{steps} steps"
    if channels > LINES:
        said += f", the first {LINES} are drawn"
    drawn = tag("svg", *lines, viewBox="0 0 240 64", width="240", height="64", role="img", aria_label=said)
    return div("", drawn, span("note", said))


SHOW: dict[str, Callable[[Any], Html]] = {
    "image": _picture,
    "audio": _sound,
    "video": _clip,
    "text": _text,
    "category": _name,
    "labels": _names,
    "images": lambda pictures: join(map(_picture, pictures)),
    "texts": lambda texts: join(map(_text, texts)),
    "date": _date,
    "number": _number,
    "series": _series,
}
