"""Categories: one of a set of names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, clean, missing, silent
from plait.types import Note

MAX_NAME = 80
LONGEST = 1000  # characters of a name; a longer one is a text
_TRUTHS = {"true", "false", "yes", "no", "y", "n", "t", "f", "on", "off", "1", "0"}
_CODE = re.compile(r"[+(]?\d[\d\s().\-/]*", re.ASCII)
_QUANTITY = re.compile(r"[+-]?\d{1,16}(\.\d*)?", re.ASCII)


class Category(Modality):
    """A category: its name, str, NFC, outer spaces removed. The whole number 3, 3.0 and "3" are the same name; 0008 and
    8 are two. Blank text is missing."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        if any(_several(v) for v in values) or any(isinstance(v, str) and len(v) > LONGEST for v in values):
            return None
        names = [name_of(v) for v in values]
        distinct = len(set(names))
        if all(isinstance(v, (bool, np.bool_)) for v in values):
            return Claim(0.9, "true and false")
        if max(map(len, names)) > MAX_NAME:
            return None
        if {n.lower() for n in names} <= _TRUTHS:
            return Claim(0.9, f"only {' and '.join(sorted(set(names))[:4])}")
        share = 0.5 if target else 0.2
        if distinct <= max(2, share * len(names)):
            return Claim(0.7, f"{distinct} names among {len(names)} sampled values")
        coded = [n for n in names if _CODE.fullmatch(n)]
        if len(coded) >= 0.9 * len(names) and not target:
            odd = sum(not _QUANTITY.fullmatch(n) for n in coded)
            if 2 * odd > len(coded) or any(n[0] == "0" and len(n) > 1 and n.isdigit() for n in coded):
                return Claim(0.75, f"codes of digits, {distinct} among {len(names)} sampled values, and no quantities")
            if all(n.isdigit() for n in coded):
                return Claim(0.05, f"{distinct} whole numbers as names among {len(names)} sampled values")
        return None

    def load(self, value: Any, folder: Path) -> str | None:
        if type(value) is str and value.isascii() and len(value) <= LONGEST:
            return value.strip() or None
        if missing(value):
            return None
        if _several(value):
            raise MediaError(f"found a {type(value).__name__}, expected one name")
        if isinstance(value, str) and len(value) > LONGEST:
            raise MediaError(f"found {len(value)} characters, expected a name of at most {LONGEST}")
        return name_of(value) or None

    def read(self, raw: str, *, note: Note = silent) -> str:
        return raw


def _several(value: Any) -> bool:
    """Whether a value is no single name."""
    return isinstance(value, (list, tuple, dict, set, frozenset, bytes)) or getattr(value, "ndim", 0) > 0


def name_of(value: Any) -> str:
    """The name a value stands for."""
    if type(value) is str and value.isascii():
        return value.strip()
    if not isinstance(value, (str, bool)) and hasattr(value, "is_integer") and value.is_integer():
        value = int(value)
    return clean(str(value)).strip()
