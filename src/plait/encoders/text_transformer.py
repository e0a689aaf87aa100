"""Text from scratch: subwords learned from the column and a small Transformer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows, subwords
from plait.nn.attention import Transformer, sinusoid
from plait.types import Inputs, Prepared, Tokens


class TextTransformer(Encoder):
    """ids (B, N) -> tokens (B, N, D), one a subword, the first a summary (Vaswani et al. 2017; Devlin et al. 2019)."""

    modality: ClassVar[str] = "text"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = False

    def __init__(
        self,
        *,
        tokenizer: str,
        rare: list[int],
        width: int = 96,
        depth: int = 2,
        heads: int = 4,
        tokens: int = 128,
        hide: float = 0.15,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.width, self.reading = width, {}
        self.subwords = subwords.Subwords(tokenizer=tokenizer, rare=rare, tokens=tokens, hide=hide)
        self.preparation = self.subwords.preparation
        self.embed = nn.Embedding(self.subwords.size, width, padding_idx=subwords.PAD)
        nn.init.normal_(self.embed.weight, std=0.5)
        self.dropout = nn.Dropout(dropout)
        self.blocks = Transformer(width, depth, heads, dropout)

    @classmethod
    def learn(cls, cells: Iterable[str | None], *, vocabulary: int = 4000, lowercase: bool = True) -> dict[str, Any]:
        return subwords.learn(cells, vocabulary=vocabulary, lowercase=lowercase)

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return self.subwords.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.subwords.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.subwords.augment(inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        ids = inputs["ids"]
        mask = rows.length_mask(inputs["lengths"], ids.shape[1])
        place = torch.arange(ids.shape[1], device=ids.device)
        x = self.dropout(self.embed(ids) + 0.3 * sinusoid(place, self.width))
        return Tokens(self.blocks(x, mask), mask)
