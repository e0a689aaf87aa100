"""Several cells of another modality in one: what lists of pictures and lists of texts have in common."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities import modality
from plait.modalities.base import Modality, missing, silent
from plait.types import Cell, Note

MOST = 64  # items that are loaded; what lies past them is left out with a remark
_BYTES, _TEXT, _GONE, _BAD, _MORE = range(5)  # what an item is: content, text, missing, why it is bad, what is left out
_HEAD = struct.Struct("<BQ")


class Several(Modality):
    """A list of cells of the modality `each`, in order: tuple. A list, tuple or array in the cell, a JSON list in text, or
    one value alone. An empty list is a missing cell. Of items that cannot be read the others are used, with a remark;
    where none can, the cell is bad."""

    each: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()

    def load(self, value: Any, folder: Path) -> bytes | None:
        items = items_of(value)
        if items is None:
            items = [value]
        part, packed = modality(self.each), []
        for item in items[:MOST]:
            try:
                raw = part.load(item, folder)
                packed.append((_GONE, b"") if raw is None else _packed(raw))
            except MediaError as error:
                packed.append((_BAD, str(error).encode("utf-8", "replace")))
        if not packed or all(kind == _GONE for kind, _ in packed):
            return None
        if not any(kind in (_BYTES, _TEXT) for kind, _ in packed):
            raise MediaError(_blame(self.each, [(i, raw.decode()) for i, (k, raw) in enumerate(packed) if k == _BAD]))
        if len(items) > MOST:
            packed.append((_MORE, f"the first {MOST} of {len(items)} are read".encode()))
        return b"".join(_HEAD.pack(kind, len(raw)) + raw for kind, raw in packed)

    def read(
        self, raw: bytes, *, note: Note = silent, reading: Mapping[str, Any] = {}, most: int | None = None
    ) -> tuple[Cell, ...]:
        """`reading`: keyword arguments for reading each item. `most`: how many items are enough."""
        part, items = modality(self.each), _unpacked(raw)
        cells: list[Cell] = []
        bad: list[tuple[int, str]] = []
        for place, (kind, content) in enumerate(items):
            if kind == _MORE:
                note(content.decode("utf-8"))
            elif kind == _BAD:
                bad.append((place, content.decode("utf-8")))
            elif kind != _GONE and (most is None or len(cells) < most):
                value = content.decode("utf-8", "surrogatepass") if kind == _TEXT else content
                try:
                    said: list[str] = []
                    cells.append(part.read(value, note=said.append, **reading))
                    bad += [(place, remark) for remark in said]
                except MediaError as error:
                    bad.append((place, str(error)))
        if not cells:
            raise MediaError(_blame(self.each, bad))
        if bad:
            note(_blame(self.each, bad))
        filled = sum(kind in (_BYTES, _TEXT) for kind, _ in items)
        if most is not None and filled > most:
            note(f"the first {most} of {filled} are used")
        return tuple(cells)


def items_of(value: Any) -> list[Any] | None:
    """The items of a list, tuple, set, array of objects or text, or JSON list in text; None where the value is no list."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "OUS":
        value = value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return list(value) if isinstance(value, (list, tuple)) else None


def present(value: Any) -> list[Any] | None:
    """The items of a list that are there; None where the value is no list."""
    items = items_of(value)
    return None if items is None else [i for i in items if not missing(i)]


def _packed(raw: Any) -> tuple[int, bytes]:
    return (_TEXT, raw.encode("utf-8", "surrogatepass")) if isinstance(raw, str) else (_BYTES, bytes(raw))


def _unpacked(raw: bytes) -> list[tuple[int, bytes]]:
    items, start = [], 0
    while start < len(raw):
        kind, size = _HEAD.unpack_from(raw, start)
        start += _HEAD.size
        items.append((kind, raw[start : start + size]))
        start += size
    return items


def _blame(each: str, bad: Sequence[tuple[int, str]]) -> str:
    """What is wrong with which items, counted from 1, the first three of them."""
    more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
    return "; ".join(f"{each} {place + 1}: {reason}" for place, reason in bad[:3]) + more
