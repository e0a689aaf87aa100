"""Sound by a pretrained network: Whisper's encoder, wav2vec 2.0, HuBERT, WavLM, AST, CLAP, GE2E."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from plait.encoders.base import Encoder
from plait.nn import precision as precisions
from plait.nn import pretrained, tuned
from plait.nn.processing import Sounds
from plait.types import Inputs, Prepared, Tokens, Wave

SECONDS = 30.0


class AudioPretrained(Encoder):
    """Sound -> one token (B, 1, D), the mean over a network's hidden states, or with `tokens` all of them. A frozen
    network is run once over each sound, as long as that is (Whisper without its padding to 30 s), and what it says is kept; a
    tuned one is trained with the rest, from the spectrum or wave it takes, sounds of one length together. Longer sounds are
    cut in windows of `seconds`. `weights`: a name of `plait weights list`, OWNER/NAME of the hub, or a folder as
    transformers saves it. `layer`: "last", a number, "mean": all alike, or "mix": all with learned weights, which is
    often best for speech (Yang et al. 2021; nn/pretrained.py). `tune`: "frozen", "lora" with corrections of a `rank`,
    or "full" with `layer_decay`; `checkpointing` (nn/tuned.py). `precision` of a frozen one: "auto", "fp32" or
    "bf16" (nn/precision.py)."""

    modality: ClassVar[str] = "audio"
    stored: ClassVar[bool] = True

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
        how = json.loads(processing)
        self.sounds = Sounds(how, seconds=min(how.pop("plait_seconds", SECONDS), 30.0))
        self.pretrained = tuned.reader(
            modality="audio",
            weights=weights,
            sha256=sha256,
            config=config,
            layer=layer,
            tokens=tokens,
            tune=tuned.Tune(tune, rank, layer_decay, checkpointing),
            cells=self.sounds,
        )
        self.pieces = self.sounds.pieces
        self.width, self.nets, self.starts = self.pretrained.width, self.pretrained.nets, self.pretrained.starts
        self.rates = {f"pretrained.{name}": rate for name, rate in self.pretrained.rates.items()}
        self.reading = {}
        self.preparation = {
            **self.pretrained.preparation,
            "processing": pretrained.digest(pretrained.text_of(how)),
            "seconds": self.sounds.seconds,
        }

    @classmethod
    def learn(
        cls,
        cells: Iterable[Wave | None],
        *,
        weights: str = "whisper-base",
        tune: str = "frozen",
        precision: str = "auto",
        seconds: float = SECONDS,
    ) -> dict[str, Any]:
        facts = pretrained.facts(weights, "audio", tune=tuned.check(tune), seconds=seconds)
        return precisions.told(facts, "audio", precision, tune)

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return self.pretrained.prepare(len(cells), self.sounds.parts(cells))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pretrained.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.pretrained(inputs)  # type: ignore[no-any-return]
