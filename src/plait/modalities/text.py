"""Text in any script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, clean, missing, silent
from plait.types import Note

MAX_CHARACTERS = 100_000


class Text(Modality):
    """A text: str, NFC, cut after 100,000 characters. An empty string is a text; a missing value is not."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        strings = sum(isinstance(v, str) for v in values)
        return Claim(0.3, "free text") if strings >= 0.9 * len(values) else None

    def load(self, value: Any, folder: Path) -> str | None:
        if missing(value):
            return None
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, (list, tuple, dict, set)) or getattr(value, "ndim", 0) > 0:
            raise MediaError(f"found a {type(value).__name__}, expected one text")
        return str(value)

    def read(self, raw: str, *, note: Note = silent) -> str:
        return clean(raw[:MAX_CHARACTERS])
