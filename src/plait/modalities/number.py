"""Numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, missing, silent
from plait.types import Note


class Number(Modality):
    """A number: a finite float. Text is read as Python reads a float; true and false are 1 and 0."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        numbers = []
        for v in values:
            if isinstance(v, str) and len(v.strip()) > 1 and v.strip().isdigit() and v.strip().startswith("0"):
                return None  # 0008 is a code, not a quantity
            with suppress(TypeError, ValueError, OverflowError):
                numbers.append(float(v))
        if len(numbers) < 0.95 * len(values):
            return None
        distinct = set(numbers)
        few = len(distinct) <= 20 and len(distinct) * 5 <= len(numbers)
        if target and few and all(x.is_integer() for x in distinct):
            return Claim(0.5, f"{len(distinct)} whole numbers")
        return Claim(0.8, f"{len(numbers)} of {len(values)} sampled values are numbers")

    def load(self, value: Any, folder: Path) -> float | None:
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise MediaError(f"found {str(value)[:40]!r}, expected a number") from None
        if math.isnan(number):
            return None
        if math.isinf(number):
            raise MediaError("is infinite")
        return number

    def read(self, raw: float, *, note: Note = silent) -> float:
        return raw
