"""The prepared cells of one column, by row, wherever they lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from plait.data.store import Pack, Shelf
from plait.encoders.base import Encoder
from plait.nn import sides
from plait.nn.fixed import Describer
from plait.types import Prepared


class ColumnCells:
    """The prepared cells of one column, by row. Cells live in a pack in memory, memory-mapped on a shelf, or in `parts`: the
    same cells as several encoders have them, missing where one of them could not read it."""

    def __init__(
        self,
        places: np.ndarray,
        pack: Pack | None,
        shelf: Shelf | None = None,
        keys: Sequence[bytes] = (),
        parts: Sequence[ColumnCells] = (),
        before: ColumnCells | None = None,
    ) -> None:
        self.places = places  # (rows,) index of each row's distinct cell; -1 where missing
        self._pack, self._shelf, self._parts, self._before = pack, shelf, parts, before
        self.keys = keys  # on the shelf, of the distinct cells

    @classmethod
    def joined(cls, parts: Sequence[ColumnCells]) -> ColumnCells:
        """The cells of one column as several encoders have them."""
        whole = np.logical_and.reduce([part.places >= 0 for part in parts])
        return cls(np.where(whole, parts[0].places, -1), None, parts=parts)

    @property
    def plain(self) -> ColumnCells:
        """The same cells as they are before what was learned from training rows is done to them: that alone can tell these
        rows from others."""
        return ColumnCells.joined([part.plain for part in self._parts]) if self._parts else self._before or self

    def rows(self, rows: np.ndarray) -> list[Prepared | None]:
        """The cells of these rows; None where missing."""
        if self._parts:
            each = zip(self.places[rows].tolist(), *(part.rows(rows) for part in self._parts))
            return [None if place < 0 else sides.together(cells) for place, *cells in each]
        return [None if p < 0 else self._cell(p) for p in self.places[rows].tolist()]

    def _cell(self, place: int) -> Prepared:
        if self._pack is not None:
            return self._pack.get(place)
        assert self._shelf is not None
        return self._shelf.get(self.keys[place])

    def packs(self) -> set[str]:
        """The names of the packs on the shelf that hold these cells."""
        return self._shelf.packs(self.keys) if self._shelf else set()

    def shelved(self, encoder: Encoder) -> dict[str, set[str]]:
        """Shelf -> the names of its packs that hold these cells, as this encoder has prepared them."""
        found: dict[str, set[str]] = {}
        for cells, part in zip(self._parts or [self], encoder.parts or [encoder]):
            if part.stored:
                found.setdefault(fingerprint(part.modality, part), set()).update(cells.packs())
        return found

    def marks(self) -> np.ndarray | None:
        """(rows,) uint64: a hash of the content of each row, 0 where missing; None for cells that have no content of their
        own on a shelf."""
        if self._parts:
            return next((marks for part in self._parts if (marks := part.marks()) is not None), None)
        if not self.keys:
            return None
        distinct = np.frombuffer(b"".join(key[:8] for key in self.keys), np.uint64)
        return np.where(self.places < 0, np.uint64(0), distinct[np.maximum(self.places, 0)])

    def digest(self) -> str:
        """A hash of the content of every row, for telling whether the data of a run have changed."""
        mark = hashlib.blake2b(self.places.tobytes(), digest_size=16)
        for key in self.keys:
            mark.update(key)
        for part in self._parts:
            mark.update(part.digest().encode())
        for values, offsets in self._pack.fields.values() if self._pack else ():
            mark.update(values.tobytes())
            mark.update(offsets.tobytes())
        return mark.hexdigest()


def fingerprint(kind: str, encoder: Encoder | Describer) -> str:
    """The name of the shelf that holds cells of this modality prepared this way."""
    text = json.dumps([kind, encoder.preparation, encoder.reading], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
