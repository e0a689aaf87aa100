"""Pictures from scratch: a small residual CNN."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.convolution import BatchNorm, Residual, channels_last
from plait.nn.pictures import Pictures, grid_positions, scaled
from plait.types import Inputs, Prepared, Tokens


class ImageResNet(Encoder):
    """pixels (B, 3, size, size) -> tokens (B, (size / 16)^2, D), one a place in the picture (He et al. 2016)."""

    modality: ClassVar[str] = "image"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        width: int = 160,
        size: int = 64,
        channels: int = 24,
        fit: str = "pad",
        crop: float = 0.2,
        flip: float = 0.5,
        rotate: float = 15.0,
        colour: float = 0.2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.width = width
        self.pictures = Pictures(size=size, fit=fit, crop=crop, flip=flip, rotate=rotate, colour=colour)
        self.reading, self.preparation = self.pictures.reading, self.pictures.preparation
        steps = [channels, 2 * channels, 4 * channels, width]
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1, bias=False), BatchNorm(channels), nn.ReLU())
        self.stages = nn.ModuleList(Residual(a, b, stride=2) for a, b in itertools.pairwise(steps))
        channels_last(self)
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def learn(cls, cells: Iterable[np.ndarray | None]) -> dict[str, Any]:
        return {}

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return self.pictures.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pictures.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.pictures.augment(inputs)

    def _maps(self, pixels: Tensor) -> Tensor:
        x = self.stem(((scaled(pixels) - 0.5) / 0.25).contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            x, _ = stage(x)
        return x  # type: ignore[no-any-return]

    def forward(self, inputs: Inputs) -> Tokens:
        maps = rows.over_present(self, self._maps, inputs["present"], inputs["pixels"])
        b, _, h, w = maps.shape
        mask = inputs["present"][:, None].expand(b, h * w)
        place = grid_positions(h, w, maps.device).expand(b, -1, -1)
        return Tokens(self.dropout(maps.flatten(2).transpose(1, 2)), mask, place)
