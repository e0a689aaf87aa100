"""Labels: any number of names in one cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, clean, missing, silent
from plait.types import Note


class Labels(Modality):
    """A set of names: sorted tuple of str. A list in the cell, or a JSON list in text. [] is a set, not missing."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        try:
            sets = [_names(v) for v in values]
        except (ValueError, TypeError, RecursionError):
            return None
        names = len({n for s in sets for n in s})
        return Claim(0.9, f"lists of names, {names} names among {len(values)} sampled values")

    def load(self, value: Any, folder: Path) -> tuple[str, ...] | None:
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return None
        try:
            return _names(value)
        except (ValueError, TypeError, RecursionError):
            raise MediaError(f"found {str(value)[:40]!r}, expected a list of names") from None

    def read(self, raw: tuple[str, ...], *, note: Note = silent) -> tuple[str, ...]:
        return raw


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = json.loads(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(isinstance(v, (str, int)) for v in value):
        raise MediaError("expected a list of names")
    return tuple(sorted({clean(str(v)).strip() for v in value}))
