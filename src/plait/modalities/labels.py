"""Labels: any number of names in one cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, clean, missing, silent
from plait.types import Note

MOST_NUMBERS = 32  # in one cell; a longer list of whole numbers is a series


class Labels(Modality):
    """A set of names: sorted tuple of str. A list in the cell, or a JSON list in text. [] is a set, not missing. Whole
    numbers are names where no cell holds one twice; lists of other numbers are no labels."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        try:
            sets = [_items(v) for v in values]
            names = {n for s in sets for n in _names(s)}
        except (ValueError, TypeError, RecursionError):
            return None
        if any(_counted(s) for s in sets):
            return None
        return Claim(0.9, f"lists of names, {len(names)} names among {len(values)} sampled values")

    def load(self, value: Any, folder: Path) -> tuple[str, ...] | None:
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return None
        try:
            return _names(_items(value))
        except (ValueError, TypeError, RecursionError):
            raise MediaError(f"found {str(value)[:40]!r}, expected a list of names") from None

    def read(self, raw: tuple[str, ...], *, note: Note = silent) -> tuple[str, ...]:
        return raw


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = json.loads(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(isinstance(v, (str, int)) for v in value):
        raise MediaError("expected a list of names")
    return list(value)


def _names(items: list[Any]) -> tuple[str, ...]:
    return tuple(sorted({clean(str(v)).strip() for v in items}))


def _counted(items: list[Any]) -> bool:
    """Whether this is a list of measurements: whole numbers, many or some of them twice."""
    numbers = [v for v in items if isinstance(v, int) and not isinstance(v, bool)]
    return len(numbers) == len(items) and (len(numbers) > MOST_NUMBERS or len(set(numbers)) < len(numbers))
