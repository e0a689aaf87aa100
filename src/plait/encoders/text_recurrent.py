"""Text from scratch: subwords learned from the column and a bidirectional GRU or LSTM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows, subwords
from plait.nn.recurrent import Recurrent
from plait.types import Inputs, Prepared, Tokens


class TextRecurrent(Encoder):
    """ids (B, N) -> tokens (B, N, D), one a subword. `cell`: "gru" or "lstm"."""

    modality: ClassVar[str] = "text"
    scratch: ClassVar[bool] = True
    stored: ClassVar[bool] = False

    def __init__(
        self,
        *,
        tokenizer: str,
        rare: list[int],
        width: int = 96,
        cell: str = "gru",
        depth: int = 1,
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
        self.layers = Recurrent(width, width, cell=cell, depth=depth, dropout=dropout)

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
        x = self.layers(self.dropout(self.embed(inputs["ids"])), inputs["lengths"])
        return Tokens(x, rows.length_mask(inputs["lengths"], x.shape[1]))
