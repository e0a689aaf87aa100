"""Text by a pretrained network: BERT, MiniLM, E5, XLM-RoBERTa, the text towers of CLIP and SigLIP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from plait.encoders.base import Encoder
from plait.nn import pretrained
from plait.nn.processing import Texts
from plait.types import Inputs, Prepared, Tokens


class TextPretrained(Encoder):
    """Text -> one token (B, 1, D), the mean over a network's hidden states (Reimers & Gurevych 2019), or with `tokens` all of
    them. The network is not trained: it is run once over each text, and what it says is kept. A text longer than it takes is
    cut in windows. `weights`: a name of `plait weights list`, OWNER/NAME of the hub, or a folder as transformers saves it.
    `layer`: "last", a number, or "mix" (nn/pretrained.py)."""

    modality: ClassVar[str] = "text"
    stored: ClassVar[bool] = True
    chunk: ClassVar[int] = 256

    def __init__(
        self,
        *,
        weights: str,
        sha256: str,
        config: str,
        processing: str,
        layer: int | str = "last",
        tokens: bool = False,
    ) -> None:
        super().__init__()
        self.pretrained = pretrained.Pretrained(
            modality="text", weights=weights, sha256=sha256, config=config, layer=layer, tokens=tokens
        )
        self.texts = Texts(json.loads(processing))
        self.width, self.reading, self.nets = self.pretrained.width, {}, (self.pretrained.net,)
        self.preparation = {**self.pretrained.preparation, "processing": pretrained.digest(processing)}

    @classmethod
    def learn(cls, cells: Iterable[str | None], *, weights: str = "all-MiniLM-L6-v2") -> dict[str, Any]:
        return pretrained.facts(weights, "text")

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return self.pretrained.prepare(len(cells), self.texts.parts(cells))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pretrained.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.pretrained(inputs)  # type: ignore[no-any-return]
