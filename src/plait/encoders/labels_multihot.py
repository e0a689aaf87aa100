"""Sets of labels without a parameter: one place for each name, and one for names never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.nn import fixed, rows
from plait.types import Inputs, Prepared, Tokens

PAD, START, UNKNOWN = 0, 1, 2


class LabelsMultiHot(Encoder):
    """A set of names -> one token (B, 1, 1 + names): sqrt((1 + names) / usual) at the place of each, 0 elsewhere, so
    that the mean square of the entries is 1 in training. The first place is that of names not in `names`. An empty set is
    a token of zeros. `usual`: how many names a set has on average."""

    modality: ClassVar[str] = "labels"
    stored: ClassVar[bool] = False

    def __init__(self, *, names: list[str], usual: float = 1.0) -> None:
        super().__init__()
        assert usual > 0, f"usual is {usual}, expected above 0"
        self.width, self.reading = len(names) + 1, {}
        self.level = (self.width / usual) ** 0.5
        self.places = {n: i + UNKNOWN + 1 for i, n in enumerate(names)}
        self.known = self.places
        self.preparation = {"kind": "labels", "names": list(names)}

    @classmethod
    def learn(cls, cells: Iterable[tuple[str, ...] | None], *, most: int = 1000) -> dict[str, Any]:
        """`most`: how many names are kept, the frequent first."""
        counts: Counter[str] = Counter()
        sets = 0
        for cell in cells:
            if cell is not None:
                counts.update(cell)
                sets += 1
        names = sorted(sorted(counts, key=lambda n: (-counts[n], n))[:most])
        return {"names": names, "usual": counts.total() / sets if counts else 1.0}

    def prepare(self, cells: Sequence[tuple[str, ...]]) -> list[Prepared]:
        return [{"ids": np.array([START, *(self.places.get(n, UNKNOWN) for n in c)], dtype=np.int64)} for c in cells]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.pad(cells, "ids", fill=PAD, dtype=np.int64)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        ids, lengths = inputs["ids"], inputs["lengths"]
        counts = ids.new_zeros(len(ids), UNKNOWN + self.width).scatter_(1, ids, 1)
        return fixed.tokens({"features": counts[:, UNKNOWN:].float() * self.level, "present": lengths > 0})
