"""Series from scratch: a bidirectional GRU or LSTM over steps, some of them read together where there are many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.recurrent import Recurrent
from plait.nn.series import Facts, Waves, channels_of, learn_facts, places
from plait.types import Inputs, Prepared, Series, Tokens

TOKENS = 64  # of the longest training cell, where `patch` is not given


class SeriesRecurrent(Encoder):
    """values, known, clock (B, T, …) -> tokens (B, T / patch, D), `patch` steps read as one. `cell`: "gru" or "lstm".
    `normalise`: each cell by its own mean and standard deviation, which are lost."""

    modality: ClassVar[str] = "series"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        facts: Facts,
        width: int = 128,
        cell: str = "gru",
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
        self.patch = patch or -(-facts["longest"] // (facts["pool"] * TOKENS))
        self.embed = nn.Linear(self.patch * self.waves.features, width)
        self.norm = nn.LayerNorm(width)
        self.layers = Recurrent(width, width, cell=cell, depth=1, dropout=0.0)
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

    def forward(self, inputs: Inputs) -> Tokens:
        x, steps = channels_of(inputs), (inputs["lengths"] + self.patch - 1) // self.patch
        x = nn.functional.pad(x, (0, 0, 0, -x.shape[1] % self.patch)).unflatten(1, (-1, self.patch)).flatten(2)
        x = self.layers(self.dropout(self.norm(torch.relu(self.embed(x)))), steps)
        return Tokens(self.dropout(x), rows.length_mask(steps, x.shape[1]), places(inputs, self.patch))
