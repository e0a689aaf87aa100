"""Several encoders for one column: each sees every cell, and what they say goes on together."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError, unknown
from plait.nn import pooling, rows, sides
from plait.spec import Spec
from plait.types import Cell, Inputs, Prepared, Tokens

JOINS = ("auto", "features", "tokens")


class Union(Encoder, ABC):
    """`parts`, encoders of the same modality, at least two. `join` "features": the mean token of each side by side, each part
    of the same length, one token (B, 1, sum of D); nothing is trained but what the parts train, so a learner can take it.
    "tokens": the tokens of each through a linear layer of its own, one after the other (B, sum of N, width). "auto":
    features where nothing of the parts is trained, else tokens. A cell that one part cannot read counts as missing. The
    column stays one input: it is hidden, left out and judged as a whole."""

    stored: ClassVar[bool] = False

    def __init__(self, *, parts: Sequence[dict[str, Any]], join: str = "auto", width: int = 128) -> None:
        super().__init__()
        if join not in JOINS:
            raise unknown("join of a union", join, JOINS)
        built: list[Encoder] = [ENCODERS.build(part) for part in parts]
        if len(built) < 2 or any(part.modality != self.modality for part in built):
            raise PlaitError(f"A union of {self.modality} takes at least two encoders of {self.modality}.")
        self.each = nn.ModuleList(built)
        self.parts = tuple(built)
        trained = any(next(part.parameters(), None) is not None for part in built)
        self.projections: nn.ModuleList | None = None
        if join == "tokens" or (join == "auto" and trained):
            self.projections = nn.ModuleList(nn.Linear(part.width, width) for part in built)
        sizes = [part.width for part in built]
        self.width = width if self.projections is not None else sum(sizes)
        self.scales = [math.sqrt(self.width / len(sizes) / size) for size in sizes]
        self.nets = tuple(net for part in built for net in part.nets)
        self.starts = tuple(start for part in built for start in part.starts)
        self.rates = {f"each.{i}.{name}": rate for i, part in enumerate(built) for name, rate in part.rates.items()}
        self.reading = {}
        self.preparation = {"kind": "union", "parts": [part.preparation for part in built]}

    @classmethod
    def learn(cls, cells: Iterable[Cell], *, parts: Sequence[Spec] = ()) -> dict[str, Any]:
        """`parts`: names, or dicts with options."""
        if isinstance(parts, str) or len(parts) < 2:
            raise PlaitError(f"A union takes a list of at least two encoders; found {parts!r}.")
        for part in parts:
            reads = ENCODERS.load(ENCODERS.normal(part)["name"]).modality
            if reads != cls.modality:
                raise PlaitError(f"A union of {cls.modality} takes encoders of {cls.modality}; {part!r} reads {reads}.")
        again = list(cells) if iter(cells) is cells else cells  # each part goes through them
        return {"parts": [ENCODERS.complete(part, again) for part in parts]}

    def prepare(self, cells: Sequence[Cell]) -> list[Prepared]:
        return [sides.together(each) for each in zip(*(part.prepare(cells) for part in self.parts))]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return sides.batched([part.collate([c and sides.of(c, i) for c in cells]) for i, part in enumerate(self.parts)])

    def augment(self, inputs: Inputs) -> Inputs:
        varied = sides.batched([part.augment(sides.of(inputs, i)) for i, part in enumerate(self.parts)])
        return {**varied, "present": inputs["present"]}

    def forward(self, inputs: Inputs) -> Tokens:
        present = inputs["present"]
        said = [part(rows.drop(sides.of(inputs, i), present)) for i, part in enumerate(self.parts)]
        if self.projections is None:
            means = [pooling.mean(tokens) * scale for tokens, scale in zip(said, self.scales)]
            return Tokens(torch.cat(means, 1)[:, None], present[:, None])
        x = torch.cat([linear(tokens.x) for linear, tokens in zip(self.projections, said)], 1)
        return Tokens(x, torch.cat([tokens.mask for tokens in said], 1), _positions(said))


def _positions(said: Sequence[Tokens]) -> torch.Tensor | None:
    """Where the tokens of all parts lie; None where none lies anywhere."""
    if all(tokens.position is None for tokens in said):
        return None
    nowhere = [tokens.x.new_full((*tokens.mask.shape, 3), torch.nan) for tokens in said]
    return torch.cat([n if t.position is None else t.position.expand_as(n) for t, n in zip(said, nowhere)], 1)


class TextUnion(Union):
    """Of text."""

    modality: ClassVar[str] = "text"


class ImageUnion(Union):
    """Of pictures."""

    modality: ClassVar[str] = "image"


class AudioUnion(Union):
    """Of sound."""

    modality: ClassVar[str] = "audio"


class VideoUnion(Union):
    """Of video."""

    modality: ClassVar[str] = "video"


class SeriesUnion(Union):
    """Of time series."""

    modality: ClassVar[str] = "series"


class NumberUnion(Union):
    """Of numbers."""

    modality: ClassVar[str] = "number"
