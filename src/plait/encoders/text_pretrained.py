"""Text by a pretrained network: BERT, MiniLM, E5, XLM-RoBERTa, the text towers of CLIP and SigLIP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import precision as precisions
from plait.nn import pretrained, tuned
from plait.nn.processing import Texts
from plait.types import Inputs, Prepared, Tokens


class TextPretrained(Encoder):
    """Text -> one token (B, 1, D), the mean over a network's hidden states (Reimers & Gurevych 2019), or with `tokens` all of
    them. A frozen network is run once over each text, and what it says is kept; a tuned one is trained with the rest, from
    the numbers of the words. A text longer than it takes is cut in windows. `weights`: a name of `plait weights list`,
    OWNER/NAME of the hub, or a folder as transformers saves it. `layer`: "last", a number, "mean" or "mix" of all
    (nn/pretrained.py).
    `prompt`: a text with {} where the cell goes, as "query: {}"; by default what sentence-transformers puts before it with
    these weights, for networks that write "{} Category:", else nothing (""). `pool`: "mean", "first" or "last", the token
    that stands for the text; by default as the weights say, of networks that write the last one of a prompt.
    `tune`: "frozen", "lora" with corrections of a `rank`, or "full" with `layer_decay`; `checkpointing` (nn/tuned.py).
    `precision` of a frozen one: "auto", "fp32" or "bf16" (nn/precision.py)."""

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
        tune: str = "frozen",
        rank: int = 8,
        layer_decay: float = 0.9,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.texts = Texts(json.loads(processing))
        self.pretrained = tuned.reader(
            modality="text",
            weights=weights,
            sha256=sha256,
            config=config,
            layer=layer,
            tokens=tokens,
            tune=tuned.Tune(tune, rank, layer_decay, checkpointing),
            cells=self.texts,
        )
        self.pieces = self.texts.pieces
        self.width, self.nets, self.starts = self.pretrained.width, self.pretrained.nets, self.pretrained.starts
        self.rates = {f"pretrained.{name}": rate for name, rate in self.pretrained.rates.items()}
        self.reading = {}
        self.preparation = {**self.pretrained.preparation, "processing": pretrained.digest(processing)}

    @classmethod
    def learn(
        cls,
        cells: Iterable[str | None],
        *,
        weights: str = "all-MiniLM-L6-v2",
        tune: str = "frozen",
        precision: str = "auto",
        prompt: str | None = None,
        pool: str | None = None,
    ) -> dict[str, Any]:
        if prompt is not None and not isinstance(prompt, str):
            raise PlaitError(
                f"prompt is {prompt!r}; expected a text with one {{}}, where the cell goes, or an empty one."
            )
        facts = pretrained.facts(weights, "text", tune=tuned.check(tune), prompt=prompt, pool=pool)
        return precisions.told(facts, "text", precision, tune)

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return self.pretrained.prepare(len(cells), self.texts.parts(cells))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pretrained.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.pretrained(inputs)  # type: ignore[no-any-return]
