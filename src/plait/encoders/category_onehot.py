"""Categories without a parameter: one place for each name, and one for names never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from torch.nn.functional import one_hot

from plait.encoders.base import Encoder
from plait.nn import fixed, rows
from plait.types import Inputs, Prepared, Tokens

UNKNOWN = 0


class CategoryOneHot(Encoder):
    """A name -> one token (B, 1, 1 + names): sqrt(1 + names) at its place, 0 elsewhere, so that the mean square of the
    entries is 1. The first place is that of names not in `names`."""

    modality: ClassVar[str] = "category"
    stored: ClassVar[bool] = False

    def __init__(self, *, names: list[str]) -> None:
        super().__init__()
        self.width, self.reading = len(names) + 1, {}
        self.places = {n: i + 1 for i, n in enumerate(names)}
        self.known = self.places
        self.preparation = {"kind": "category", "names": list(names)}

    @classmethod
    def learn(cls, cells: Iterable[str | None], *, most: int = 1000) -> dict[str, Any]:
        """`most`: how many names are kept, the frequent first."""
        counts = Counter(c for c in cells if c is not None)
        return {"names": sorted(sorted(counts, key=lambda n: (-counts[n], n))[:most])}

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return [{"id": np.array([self.places.get(c, UNKNOWN)])} for c in cells]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.stack(cells, id=np.zeros(1, np.int64))

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        hot = one_hot(inputs["id"][:, 0], self.width).float() * self.width**0.5
        return fixed.tokens({"features": hot, "present": inputs["present"]})
