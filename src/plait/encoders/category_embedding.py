"""Categories as one token: an embedding, with a place for names never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.types import Inputs, Prepared, Tokens

UNKNOWN = 0


class CategoryEmbedding(Encoder):
    """A name -> one token (B, 1, D). Names not in `names` share one embedding, trained by hiding names with chance
    `hide`."""

    modality: ClassVar[str] = "category"
    stored: ClassVar[bool] = False

    def __init__(self, *, names: list[str], width: int = 32, hide: float = 0.05) -> None:
        super().__init__()
        self.width, self.reading, self.hide = width, {}, hide
        self.places = {n: i + 1 for i, n in enumerate(names)}
        self.known = self.places
        self.preparation = {"kind": "category", "names": list(names)}
        self.embed = nn.Embedding(len(names) + 1, width)

    @classmethod
    def learn(cls, cells: Iterable[str | None], *, most: int = 10_000) -> dict[str, Any]:
        """`most`: how many names are kept, the frequent first."""
        counts = Counter(c for c in cells if c is not None)
        return {"names": sorted(sorted(counts, key=lambda n: (-counts[n], n))[:most])}

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return [{"id": np.array([self.places.get(c, UNKNOWN)])} for c in cells]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.stack(cells, id=np.zeros(1, np.int64))

    def augment(self, inputs: Inputs) -> Inputs:
        ids = inputs["id"]
        return {**inputs, "id": ids.masked_fill(torch.rand(ids.shape, device=ids.device) < self.hide, UNKNOWN)}

    def forward(self, inputs: Inputs) -> Tokens:
        return Tokens(self.embed(inputs["id"]), inputs["present"][:, None])
