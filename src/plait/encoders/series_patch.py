"""Series from scratch: a small Transformer over patches of steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.attention import Transformer, sinusoid
from plait.nn.series import Facts, Waves, channels_of, learn_facts, places
from plait.types import Inputs, Prepared, Series, Tokens

TOKENS = 48  # of the longest training cell, where `patch` is not given
SHORTEST = 4  # steps of a patch


class SeriesPatch(Encoder):
    """values, known, clock (B, T, …) -> tokens (B, T / stride, D), one for each patch of `patch` steps, which overlap by
    half (Nie et al. 2023, PatchTST; here all channels of a patch make one token, so that they can be compared).
    `normalise`: each cell by its own mean and standard deviation, which are lost."""

    modality: ClassVar[str] = "series"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        facts: Facts,
        width: int = 96,
        depth: int = 2,
        heads: int = 4,
        patch: int | None = None,
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
        self.stride = max(SHORTEST, patch or -(-2 * facts["longest"] // (facts["pool"] * TOKENS))) // 2
        self.embed = nn.Conv1d(self.waves.features, width, 2 * self.stride, self.stride)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = Transformer(width, depth, heads, dropout)

    @classmethod
    def learn(cls, cells: Iterable[Series | None], *, steps: int = 2048) -> dict[str, Any]:
        return learn_facts(cells, steps=steps)

    def prepare(self, cells: Sequence[Series]) -> list[Prepared]:
        return self.waves.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.waves.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.waves.augment(inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        x = channels_of(inputs).transpose(1, 2)
        x = nn.functional.pad(x, (0, self.stride + -x.shape[2] % self.stride))
        x = self.norm(self.embed(x).transpose(1, 2))
        mask = rows.length_mask((inputs["lengths"] + self.stride - 1) // self.stride, x.shape[1])
        place = torch.arange(x.shape[1], device=x.device)
        x = self.blocks(self.dropout(x + 0.3 * sinusoid(place, self.width)), mask)
        return Tokens(x, mask, places(inputs, self.stride))
