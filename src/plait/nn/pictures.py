"""Pictures for encoders: resized once and kept as bytes, augmented as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.nn import rows
from plait.types import Inputs, Prepared

FITS = ("pad", "crop", "stretch")


class Pictures:
    """RGB uint8 (H, W, 3) -> pixels uint8 (3, size, size). `fit`: "pad" keeps the whole picture and its shape on white,
    "crop" keeps the shape and the middle, "stretch" keeps the whole picture."""

    def __init__(self, *, size: int, fit: str, crop: float, flip: float, rotate: float, colour: float) -> None:
        assert fit in FITS, f"fit is {fit!r}, expected one of {FITS}"
        self.size, self.fit = size, fit
        self.crop, self.flip, self.rotate, self.colour = crop, flip, rotate, colour
        self.preparation: dict[str, Any] = {"kind": "picture", "version": 1, "size": size, "fit": fit}
        self.reading: dict[str, Any] = {"enough": size, "side": "longer" if fit == "pad" else "shorter"}

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return [{"pixels": self._resize(c)} for c in cells]

    def _resize(self, cell: np.ndarray) -> np.ndarray:
        from PIL import Image, ImageOps

        picture, side, bicubic = Image.fromarray(cell), self.size, Image.Resampling.BICUBIC
        if self.fit == "crop":
            return np.asarray(ImageOps.fit(picture, (side, side), bicubic)).transpose(2, 0, 1)
        scale = side / max(picture.size)
        width, height = (max(1, round(s * scale)) for s in picture.size) if self.fit == "pad" else (side, side)
        small = picture if picture.size == (width, height) else picture.resize((width, height), bicubic)
        pixels = np.full((3, side, side), 255, np.uint8)
        left, top = (side - width) // 2, (side - height) // 2
        pixels[:, top : top + height, left : left + width] = np.asarray(small).transpose(2, 0, 1)
        return pixels

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.stack(cells, pixels=np.zeros((3, self.size, self.size), np.uint8))

    def augment(self, inputs: Inputs) -> Inputs:
        """One affine map a picture: zoom and shift by up to `crop` of its side, mirror with chance `flip`, turn by up
        to `rotate` degrees; then brightness, contrast and saturation by up to `colour`."""
        x = scaled(inputs["pixels"])
        b, device = len(x), x.device
        chance = lambda low, high: torch.empty(b, device=device).uniform_(low, high)  # noqa: E731
        angle = chance(-self.rotate, self.rotate) * torch.pi / 180
        zoom = 1 - chance(0, 1) * self.crop
        mirror = 1 - 2 * (torch.rand(b, device=device) < self.flip).float()
        slack = self.crop + (1 - zoom)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        affine = torch.stack(
            [
                torch.stack([cos * mirror, -sin, chance(-1, 1) * slack / 2], 1),
                torch.stack([sin * mirror, cos, chance(-1, 1) * slack / 2], 1),
            ],
            1,
        )
        grid = F.affine_grid(affine, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        bright, contrast, vivid = (chance(1 - self.colour, 1 + self.colour)[:, None, None, None] for _ in range(3))
        x = x * bright
        x = (x - x.mean((1, 2, 3), keepdim=True)) * contrast + x.mean((1, 2, 3), keepdim=True)
        grey = x.mean(1, keepdim=True)
        return {**inputs, "pixels": ((x - grey) * vivid + grey).clamp(0, 1)}


def scaled(pixels: Tensor) -> Tensor:
    """uint8 0..255 -> float 0..1; floats stay as they are."""
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def grid_positions(height: int, width: int, device: torch.device) -> Tensor:
    """(height * width, 3): NaN seconds, then the row and column of each cell's middle in 0..1."""
    row = (torch.arange(height, device=device) + 0.5) / height
    column = (torch.arange(width, device=device) + 0.5) / width
    grid = torch.stack(torch.meshgrid(row, column, indexing="ij"), -1).flatten(0, 1)
    return torch.cat([torch.full_like(grid[:, :1], torch.nan), grid], 1)
