"""Text in any script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, clean, missing, silent
from plait.types import Note

MAX_CHARACTERS = 100_000
MAX_MARKS = 30  # combining marks one after the other: Unicode's Stream-Safe Text Format (UAX 15, D4)
_STACKED = re.compile(
    rf"[^\w\s\x00-\x7f]{{{MAX_MARKS + 1},}}"
)  # where more may stand: marks are neither word nor space


class Text(Modality):
    """A text: str, NFC, cut after 100,000 characters with a remark. An empty or blank string is a text; a missing value
    is not, and so are "NA", "None" and "nan" the words that stand there. Control characters, line ends, marks of
    direction and joiners stay. Numbers, dates, true and false are the text that Python prints: 1.5, True. Bytes are UTF-8
    or UTF-16 by its mark, else Windows-1252 with a remark. Lists and other collections are refused."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        strings = sum(isinstance(v, str) for v in values)
        return Claim(0.3, "free text") if strings >= 0.9 * len(values) else None

    def load(self, value: Any, folder: Path) -> str | bytes | None:
        if type(value) is str:
            return value
        if missing(value):
            return None
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if isinstance(value, (list, tuple, dict, set, frozenset)) or getattr(value, "ndim", 0) > 0:
            raise MediaError(f"found a {type(value).__name__}, expected one text")
        return str(value)

    def read(self, raw: str | bytes, *, note: Note = silent) -> str:
        text = _decoded(raw, note) if isinstance(raw, bytes) else raw
        if len(text) > MAX_CHARACTERS:
            note(f"cut after {MAX_CHARACTERS:,} of {len(text):,} characters")
            text = text[:MAX_CHARACTERS]
        if not text.isascii():
            text = clean(_STACKED.sub(lambda m: _stream_safe(m[0]), text))
        return text


def _decoded(raw: bytes, note: Note) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) and len(raw) % 2 == 0:
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        note("bytes that are not UTF-8, read as Windows-1252")
        return raw.decode("cp1252", errors="replace")


def _stream_safe(run: str) -> str:
    """The characters with a joiner after each 30 combining marks: to put more of them in order takes quadratic time."""
    parts, marks = [], 0
    for character in run:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MAX_MARKS:
            parts.append("\u034f")
            marks = 1
        parts.append(character)
    return "".join(parts)
