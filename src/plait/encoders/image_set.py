"""Lists of pictures: an encoder of single pictures for all of them, and their tokens side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders import DEFAULTS, ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import sets
from plait.spec import Spec, dumps, loads
from plait.types import Inputs, Prepared, Tokens


class ImageSet(Encoder):
    """Pictures of a row -> the tokens of all of them (B, N, D), as the encoder `inner` gives them, or with `pool` their
    means, one a picture (as in Deep Sets, Zaheer et al. 2017). `inner`: a completed spec as JSON text. The first `most`
    pictures of a row are used."""

    modality: ClassVar[str] = "images"
    stored: ClassVar[bool] = True

    def __init__(self, *, inner: str, width: int | None = None, most: int = 8, pool: bool = False) -> None:
        super().__init__()
        spec = loads(inner)
        self.each: Encoder = ENCODERS.build(spec if width is None else {**spec, "width": width})
        self.width, self.pool, self.nets = self.each.width, pool, self.each.nets
        self.starts, self.rates = self.each.starts, {f"each.{name}": rate for name, rate in self.each.rates.items()}
        self.reading = {"reading": self.each.reading, "most": most}
        self.preparation = {"kind": "set", "each": self.each.preparation}

    @classmethod
    def learn(
        cls, cells: Iterable[tuple[np.ndarray, ...] | None], *, encoder: Spec = DEFAULTS["image"]
    ) -> dict[str, Any]:
        """`encoder`: of the single pictures: a name, or {"name": ..., options}."""
        part = ENCODERS.load(ENCODERS.normal(encoder)["name"])
        if part.modality != "image":
            raise PlaitError(
                f"A list of pictures needs an encoder of image; found {encoder!r}, which reads {part.modality}."
            )
        items = (item for cell in cells if cell is not None for item in cell)
        return {"inner": dumps(ENCODERS.complete(encoder, items))}

    def prepare(self, cells: Sequence[tuple[np.ndarray, ...]]) -> list[Prepared]:
        ready = iter(self.each.prepare([item for cell in cells for item in cell]))
        return [sets.joined([next(ready) for _ in cell]) for cell in cells]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        items = [[] if cell is None else sets.parted(cell) for cell in cells]
        return sets.grouped([len(i) for i in items], self.each.collate([item for i in items for item in i] or [None]))

    def augment(self, inputs: Inputs) -> Inputs:
        return sets.varied(inputs, self.each.augment(sets.single(inputs)))

    def forward(self, inputs: Inputs) -> Tokens:
        tokens = self.each(sets.single(inputs))
        return sets.regrouped(tokens, inputs["row"], len(inputs["present"]), pool=self.pool)
