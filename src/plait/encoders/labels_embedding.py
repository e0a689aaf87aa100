"""Sets of labels: one token a label, and one that says a set is there even when it is empty."""

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

PAD, START, UNKNOWN = 0, 1, 2


class LabelsEmbedding(Encoder):
    """A set of names -> tokens (B, 1 + names, D). Names not in `names` share one embedding."""

    modality: ClassVar[str] = "labels"
    stored: ClassVar[bool] = False

    def __init__(self, *, names: list[str], width: int = 32, hide: float = 0.1) -> None:
        super().__init__()
        self.width, self.reading, self.hide = width, {}, hide
        self.places = {n: i + 3 for i, n in enumerate(names)}
        self.known = self.places
        self.preparation = {"kind": "labels", "names": list(names)}
        self.embed = nn.Embedding(len(names) + 3, width, padding_idx=PAD)

    @classmethod
    def learn(cls, cells: Iterable[tuple[str, ...] | None], *, most: int = 10_000) -> dict[str, Any]:
        """`most`: how many names are kept, the frequent first."""
        counts = Counter(n for c in cells if c is not None for n in c)
        return {"names": sorted(sorted(counts, key=lambda n: (-counts[n], n))[:most])}

    def prepare(self, cells: Sequence[tuple[str, ...]]) -> list[Prepared]:
        return [{"ids": np.array([START, *(self.places.get(n, UNKNOWN) for n in c)], dtype=np.int64)} for c in cells]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.pad(cells, "ids", fill=PAD, dtype=np.int64)

    def augment(self, inputs: Inputs) -> Inputs:
        ids = inputs["ids"]
        hidden = (torch.rand(ids.shape, device=ids.device) < self.hide) & (ids > START)
        return {**inputs, "ids": ids.masked_fill(hidden, UNKNOWN)}

    def forward(self, inputs: Inputs) -> Tokens:
        return Tokens(self.embed(inputs["ids"]), rows.length_mask(inputs["lengths"], inputs["ids"].shape[1]))
