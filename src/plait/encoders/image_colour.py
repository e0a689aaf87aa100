"""Pictures by their colours: histograms in CIE L*a*b* over the whole and its quarters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fixed
from plait.nn.colours import histograms, lab
from plait.types import Inputs, Prepared, Tokens

QUARTERS = 4


class ImageColour(Encoder):
    """features (B, 5 `lightness` `tone`^2), computed once a cell -> one token: colour histograms (Swain & Ballard 1991) in
    CIE L*a*b*, with `lightness` levels of L* and `tone` of a* and of b*, over the picture and its quarters (Lazebnik,
    Schmid & Ponce 2006), and their square roots (Hellinger). Nothing is learned. The
    shorter side of a large picture is made `size`."""

    modality: ClassVar[str] = "image"
    stored: ClassVar[bool] = True

    def __init__(self, *, lightness: int = 4, tone: int = 5, size: int = 64) -> None:
        super().__init__()
        if min(lightness, tone) < 2 or size < 1:
            raise PlaitError(f"lightness {lightness} and tone {tone} are at least 2, size {size} at least 1.")
        self.nodes, self.size = (lightness, tone, tone), size
        self.width, self.reading = (1 + QUARTERS) * lightness * tone * tone, {"enough": size}
        self.preparation = {"kind": "colours", "version": 1, "lightness": lightness, "tone": tone, "size": size}

    @classmethod
    def learn(cls, cells: Iterable[np.ndarray | None]) -> dict[str, Any]:
        return {}

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return [{"features": self._features(c)} for c in cells]

    def _features(self, picture: np.ndarray) -> np.ndarray:
        """Square roots of the shares in the whole and in each quarter, of length sqrt(D) together. A quarter without a
        pixel, as of a picture with one, is zero."""
        colours = lab(self._shrunk(picture))
        height, width = colours.shape[:2]
        quarter = 2 * (2 * np.arange(height) // height)[:, None] + 2 * np.arange(width) // width
        sums = histograms(colours.reshape(-1, 3), self.nodes, quarter.ravel(), QUARTERS)
        sums = np.concatenate([sums.sum(0, keepdims=True), sums])
        return fixed.unit(np.sqrt(sums / np.maximum(sums.sum(1, keepdims=True), 1)).ravel())

    def _shrunk(self, picture: np.ndarray) -> np.ndarray:
        """The shorter side at most `size`, the longer at most 16 times that: means of what a pixel covers."""
        from PIL import Image

        height, width = (max(1, round(side * min(1, self.size / min(picture.shape[:2])))) for side in picture.shape[:2])
        shape = (min(width, 16 * self.size), min(height, 16 * self.size))
        return np.asarray(Image.fromarray(picture).resize(shape, Image.Resampling.BOX))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return fixed.tokens(inputs)
