"""One cell as several encoders have it: their fields side by side under one name each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from plait.types import Inputs, Prepared

T = TypeVar("T")


def together(cells: Sequence[Prepared]) -> Prepared:
    """What each part keeps of a cell, as one: "0.field", "1.field", …"""
    return {f"{i}.{name}": values for i, cell in enumerate(cells) for name, values in cell.items()}


def of(fields: Mapping[str, T], part: int) -> dict[str, T]:
    """The fields of one part, under their own names."""
    mark = f"{part}."
    return {name.removeprefix(mark): values for name, values in fields.items() if name.startswith(mark)}


def batched(parts: Sequence[Inputs]) -> Inputs:
    """The inputs of all parts, and "present" (B,): who has the cell."""
    first = parts[0]
    present = first["present"] if "present" in first else first["lengths"] > 0
    return {**{f"{i}.{k}": v for i, part in enumerate(parts) for k, v in part.items()}, "present": present}
