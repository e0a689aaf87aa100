"""Categories: one of a set of names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, clean, missing, silent
from plait.types import Note

MAX_NAME = 80


class Category(Modality):
    """A category: its name, str, NFC, outer spaces removed. The whole number 3, 3.0 and "3" are the same name."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        if any(isinstance(v, (list, tuple, dict, set, bytes)) or getattr(v, "ndim", 0) for v in values):
            return None
        names = [name_of(v) for v in values]
        distinct = len(set(names))
        if all(isinstance(v, bool) or type(v).__name__ in ("bool_", "bool") for v in values):
            return Claim(0.9, "true and false")
        if max(map(len, names)) > MAX_NAME:
            return None
        share = 0.5 if target else 0.2
        if distinct <= max(2, share * len(names)):
            return Claim(0.7, f"{distinct} names among {len(names)} sampled values")
        return None

    def load(self, value: Any, folder: Path) -> str | None:
        if missing(value):
            return None
        if isinstance(value, (list, tuple, dict, set, bytes)) or getattr(value, "ndim", 0) > 0:
            raise MediaError(f"found a {type(value).__name__}, expected one name")
        return name_of(value) or None

    def read(self, raw: str, *, note: Note = silent) -> str:
        return raw


def name_of(value: Any) -> str:
    """The name a value stands for."""
    if not isinstance(value, (str, bool)) and hasattr(value, "is_integer") and value.is_integer():
        value = int(value)
    return clean(str(value)).strip()
