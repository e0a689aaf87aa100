"""Video from scratch: a residual CNN over space and time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.convolution import BatchNorm, channels_last
from plait.nn.hearing import Hearing
from plait.nn.video import BANDS, Clips, Over, clip_tokens, frames_of
from plait.types import Clip, Inputs, Prepared, Tokens


class VideoCNN3d(Encoder):
    """pixels (B, T, 3, size, size) -> tokens (B, T, D), one a frame, each of which sees its neighbours (R(2+1)D, Tran et
    al. 2018). `difference`: what changed since the frame before is seen too. `sound`: so many seconds of the sound track
    become tokens after those of the frames, one for each 256 ms; 0: none."""

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
        self.clips = Clips(frames=frames, size=size, sound=sound, crop=crop, flip=flip, colour=colour)
        self.width, self.difference = width, difference
        self.preparation, self.reading = self.clips.preparation, self.clips.reading
        steps = [channels, 2 * channels, 4 * channels, width]
        self.stem = nn.Sequential(
            nn.Conv2d(6 if difference else 3, channels, 3, 2, 1, bias=False), BatchNorm(channels), nn.ReLU()
        )
        self.stages = nn.ModuleList(Over(a, b) for a, b in itertools.pairwise(steps))
        channels_last(self)
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

    def _clips(self, x: Tensor, lengths: Tensor) -> Tensor:
        real = rows.length_mask(lengths, x.shape[1])[..., None, None, None].to(x.dtype)
        b, t = x.shape[:2]
        x = self.stem(x.flatten(0, 1).contiguous(memory_format=torch.channels_last)).unflatten(0, (b, t))
        for stage in self.stages:
            x = stage(x, real)
        return x.mean((3, 4)) + x.amax((3, 4))

    def forward(self, inputs: Inputs) -> Tokens:
        x, lengths = frames_of(inputs["pixels"], difference=self.difference), inputs["lengths"]
        x = rows.over_present(self, self._clips, lengths > 0, x, lengths)
        return clip_tokens(self.dropout(x), inputs, self.hearing)
