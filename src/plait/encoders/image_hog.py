"""Pictures by their edges: histograms of oriented gradients and principal components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fixed
from plait.nn.gradients import hog
from plait.nn.pictures import FITS, Pictures
from plait.spec import array_digest
from plait.types import Inputs, Prepared, Tokens

PICTURES = 4096  # learned from


class ImageHog(Encoder):
    """features (B, D), computed once a cell -> one token (B, 1, D): histograms of oriented gradients (Dalal & Triggs
    2005) of the picture in `size` by `size` pixels, in cells of `cell` pixels; then principal components. `fit` as in
    `Pictures`: white margins have edges, so that the default is "stretch"."""

    modality: ClassVar[str] = "image"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        mean: np.ndarray,
        components: np.ndarray,
        size: int = 64,
        cell: int = 8,
        bins: int = 9,
        fit: str = "stretch",
    ) -> None:
        super().__init__()
        self.describer = _describer(size, cell, bins, fit)
        self.width, self.reading = len(components), self.describer.reading
        self.mean, self.components = mean, components
        self.preparation = {
            **self.describer.preparation,
            "kind": "hog",
            "mean": array_digest(mean),
            "components": array_digest(components),
        }

    @classmethod
    def learn(
        cls,
        cells: Iterable[np.ndarray | None],
        *,
        width: int = 256,
        size: int = 64,
        cell: int = 8,
        bins: int = 9,
        fit: str = "stretch",
        whiten: bool = False,
        seed: int = 0,
    ) -> dict[str, Any]:
        """At most `width` principal components of a sample of 4096 pictures."""
        if width < 1:
            raise PlaitError(f"width is {width}; expected at least 1.")
        describer = _describer(size, cell, bins, fit)
        found = fixed.described(cells, describer, PICTURES, seed)
        length = len(describer.make(np.zeros((1, 1, 3), np.uint8)))
        return fixed.learn_pca(np.array(found, np.float32).reshape(-1, length), width, whiten=whiten)

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return [self.finish(found) for found in self.describer.prepare(cells)]

    def finish(self, found: Prepared) -> Prepared:
        return {"features": fixed.project(found["features"], self.mean, self.components)}

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return fixed.tokens(inputs)


def _describer(size: int, cell: int, bins: int, fit: str) -> fixed.Describer:
    """A picture -> its histograms. Raises PlaitError for sizes that leave no block."""
    if min(cell, bins) < 1 or size < 2 * cell or fit not in FITS:
        raise PlaitError(
            f"size {size}, cell {cell}, bins {bins}, fit {fit!r}: expected at least two cells a side, one bin, "
            f"and one of {FITS}."
        )
    pictures = Pictures(size=size, fit=fit, crop=0, flip=0, rotate=0, colour=0)
    preparation = {"kind": "gradients", "version": 1, "size": size, "cell": cell, "bins": bins, "fit": fit}
    make = partial(_describe, pictures=pictures, cell=cell, bins=bins)
    return fixed.Describer("image", preparation, pictures.reading, make)


def _describe(picture: np.ndarray, *, pictures: Pictures, cell: int, bins: int) -> np.ndarray:
    (prepared,) = pictures.prepare([picture])
    return hog(prepared["pixels"].transpose(1, 2, 0), cell=cell, bins=bins)
