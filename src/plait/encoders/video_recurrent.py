"""Video from scratch: a residual CNN over each frame, then an LSTM over time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.convolution import BatchNorm, Residual, channels_last
from plait.nn.hearing import Hearing
from plait.nn.recurrent import Recurrent
from plait.nn.video import BANDS, Clips, clip_tokens, frames_of
from plait.types import Clip, Inputs, Prepared, Tokens

GRID = 16  # pixels a side of what one vector of a frame sees the middle of


class VideoRecurrent(Encoder):
    """pixels (B, T, 3, size, size) -> tokens (B, T, D), one a frame (LRCN, Donahue et al. 2015). `difference`: what
    changed since the frame before is seen too. `sound`: so many seconds of the sound track become tokens after those of
    the frames, one for each 256 ms; 0: none."""

    modality: ClassVar[str] = "video"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        width: int = 128,
        frames: int = 8,
        size: int = 64,
        channels: int = 16,
        difference: bool = True,
        sound: float = 10.0,
        crop: float = 0.1,
        flip: float = 0.0,
        colour: float = 0.2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        assert size % GRID == 0, f"size {size} is not a multiple of {GRID}"
        self.clips = Clips(frames=frames, size=size, sound=sound, crop=crop, flip=flip, colour=colour)
        self.width, self.difference = width, difference
        self.preparation, self.reading = self.clips.preparation, self.clips.reading
        steps = [channels, 2 * channels, 4 * channels, 4 * channels]
        self.stem = nn.Sequential(
            nn.Conv2d(6 if difference else 3, channels, 3, 2, 1, bias=False), BatchNorm(channels), nn.ReLU()
        )
        self.stages = nn.ModuleList(Residual(a, b, stride=2) for a, b in itertools.pairwise(steps))
        channels_last(self)
        self.flat = nn.Linear(4 * channels * (size // GRID) ** 2, width)  # where in the frame something is, is kept
        self.norm = nn.LayerNorm(width)
        self.layers = Recurrent(width, width, cell="lstm", depth=1, dropout=0.0)
        self.dropout = nn.Dropout(dropout)
        self.hearing = Hearing(width=width, bands=BANDS, channels=channels, dropout=dropout) if sound else None

    @classmethod
    def learn(cls, cells: Iterable[Clip | None]) -> dict[str, Any]:
        return {}

    def prepare(self, cells: Sequence[Clip]) -> list[Prepared]:
        return self.clips.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.clips.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.clips.augment(inputs)

    def _frames(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            x, _ = stage(x)
        return self.norm(self.flat(x.flatten(1)))  # type: ignore[no-any-return]

    def forward(self, inputs: Inputs) -> Tokens:
        x, lengths = frames_of(inputs["pixels"], difference=self.difference), inputs["lengths"]
        real = rows.length_mask(lengths, x.shape[1])
        x = rows.over_present(self, self._frames, real.flatten(), x.flatten(0, 1)).unflatten(0, real.shape)
        return clip_tokens(self.dropout(self.layers(x, lengths)), inputs, self.hearing)
