"""Pictures from scratch: a small Vision Transformer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import nn

from plait.encoders.base import Encoder
from plait.nn.attention import Transformer, sinusoid
from plait.nn.pictures import Pictures, grid_positions, scaled
from plait.types import Inputs, Prepared, Tokens


class ImageViT(Encoder):
    """pixels (B, 3, size, size) -> tokens (B, (size / patch)^2, D), one a patch (Dosovitskiy et al. 2021), with fixed
    2D sine positions (Beyer et al. 2022). The pictures are varied as for image_resnet: zoom .2, mirror .5, turn 15."""

    modality: ClassVar[str] = "image"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        width: int = 96,
        size: int = 64,
        patch: int = 8,
        depth: int = 4,
        heads: int = 4,
        fit: str = "pad",
        flip: float = 0.5,
        rotate: float = 15.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        assert size % patch == 0, f"size {size} is not a multiple of patch {patch}"
        assert width % 4 == 0, f"width {width} is not a multiple of 4"
        self.width = width
        self.pictures = Pictures(size=size, fit=fit, crop=0.2, flip=flip, rotate=rotate, colour=0.2)
        self.reading, self.preparation = self.pictures.reading, self.pictures.preparation
        self.patch = nn.Conv2d(3, width, patch, patch)
        self.norm = nn.LayerNorm(width)
        self.blocks = Transformer(width, depth, heads, dropout)

    @classmethod
    def learn(cls, cells: Iterable[np.ndarray | None]) -> dict[str, Any]:
        return {}

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return self.pictures.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pictures.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.pictures.augment(inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        maps = self.patch((scaled(inputs["pixels"]) - 0.5) / 0.25)
        b, _, h, w = maps.shape
        place = grid_positions(h, w, maps.device)
        where = sinusoid(place[:, 1:] * max(h, w), self.width // 2, longest=100.0).flatten(1)
        mask = inputs["present"][:, None].expand(b, h * w)
        x = self.blocks(self.norm(maps.flatten(2).transpose(1, 2)) + where, mask)
        return Tokens(x, mask, place.expand(b, -1, -1))
