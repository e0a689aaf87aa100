"""Series from scratch: residual dilated convolutions over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.convolution import BatchNorm
from plait.nn.series import Facts, Waves, channels_of, learn_facts, places
from plait.nn.skip import Skip
from plait.types import Inputs, Prepared, Series, Tokens

TOKENS = 512  # steps above which the first convolution takes two, four, … at a time
KERNEL = 7


class Dilated(nn.Module):
    """Two convolutions with holes, each with batch norm over the steps that are real, beside a shortcut: x (B, C, T),
    `real` (B, T) -> (B, C, T). What is padding stays zero."""

    def __init__(self, *, channels: int, dilation: int) -> None:
        super().__init__()
        pad = (KERNEL // 2) * dilation
        self.conv1 = nn.Conv1d(channels, channels, KERNEL, padding=pad, dilation=dilation, bias=False)
        self.conv2 = nn.Conv1d(channels, channels, KERNEL, padding=pad, dilation=dilation, bias=False)
        self.norm1, self.norm2 = BatchNorm(channels), BatchNorm(channels)
        self.skip = Skip()

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        y = torch.relu(over_real(self.norm1, self.conv1(x), real))
        y = over_real(self.norm2, self.conv2(y), real)
        return torch.relu(x + self.skip(y))


def over_real(norm: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    """The norm over the steps that are real, (B, C, T) by `real` (B, T); zeros elsewhere."""
    if bool(real.all()):
        y: Tensor = norm(x)
        return y
    y = norm(x.transpose(1, 2)[real])
    return y.new_zeros(x.shape[0], x.shape[2], x.shape[1]).index_put((real,), y).transpose(1, 2)


class SeriesConv(Encoder):
    """values, known, clock (B, T, …) -> tokens (B, T / stride, D), after Bai et al. 2018 (TCN, here looking both ways)
    and Wang et al. 2017 (ResNet). `normalise`: each cell by its own mean and standard deviation, which are lost."""

    modality: ClassVar[str] = "series"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        facts: Facts,
        width: int = 64,
        depth: int = 4,
        normalise: bool = False,
        jitter: float = 0.05,
        scale: float = 0.1,
        hide: float = 0.2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.width = width
        self.waves = Waves(facts, normalise=normalise, jitter=jitter, scale=scale, hide=hide)
        self.preparation, self.reading = self.waves.preparation, self.waves.scaled.reading
        self.stride = 1
        while -(-facts["longest"] // facts["pool"]) > TOKENS * self.stride:
            self.stride *= 2
        span = max(KERNEL, 2 * self.stride + 1)
        self.stem = nn.Conv1d(self.waves.features, width, span, self.stride, span // 2, bias=False)
        self.norm = BatchNorm(width)
        self.blocks = nn.ModuleList(Dilated(channels=width, dilation=2**i) for i in range(depth))
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def learn(cls, cells: Iterable[Series | None], *, steps: int = 2048) -> dict[str, Any]:
        return learn_facts(cells, steps=steps)

    def prepare(self, cells: Sequence[Series]) -> list[Prepared]:
        return self.waves.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.waves.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.waves.augment(inputs)

    def _tokens(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = self.stem(x.transpose(1, 2))
        real = rows.length_mask((lengths + self.stride - 1) // self.stride, x.shape[2])
        x = torch.relu(over_real(self.norm, x, real))
        for block in self.blocks:
            x = block(x, real)
        return x.transpose(1, 2)

    def forward(self, inputs: Inputs) -> Tokens:
        lengths = inputs["lengths"]
        x = rows.over_present(self, self._tokens, lengths > 0, channels_of(inputs), lengths)
        mask = rows.length_mask((lengths + self.stride - 1) // self.stride, x.shape[1])
        return Tokens(self.dropout(x), mask, places(inputs, self.stride))
