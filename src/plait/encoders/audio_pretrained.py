"""Sound by a pretrained network: Whisper's encoder, wav2vec 2.0, HuBERT, WavLM, AST, CLAP, GE2E."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from plait.encoders.base import Encoder
from plait.nn import pretrained
from plait.nn.processing import Sounds
from plait.types import Inputs, Prepared, Tokens, Wave


class AudioPretrained(Encoder):
    """Sound -> one token (B, 1, D), the mean over a network's hidden states, or with `tokens` all of them. The network is not
    trained: it is run once over each sound, as long as that is (Whisper without its padding to 30 s), and what it says is
    kept. Longer sounds are cut in windows of `seconds`. `weights`: a name of `plait weights list`, OWNER/NAME of the hub, or a
    folder as transformers saves it. `layer`: "last", a number, or "mix": all with learned weights, which is often best for
    speech (Yang et al. 2021; nn/pretrained.py)."""

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
        seconds: float = 30.0,
    ) -> None:
        super().__init__()
        self.pretrained = pretrained.Pretrained(
            modality="audio", weights=weights, sha256=sha256, config=config, layer=layer, tokens=tokens
        )
        self.sounds = Sounds(json.loads(processing), seconds=min(seconds, 30.0))
        self.width, self.reading, self.nets = self.pretrained.width, {}, (self.pretrained.net,)
        self.preparation = {
            **self.pretrained.preparation,
            "processing": pretrained.digest(processing),
            "seconds": self.sounds.seconds,
        }

    @classmethod
    def learn(cls, cells: Iterable[Wave | None], *, weights: str = "whisper-base") -> dict[str, Any]:
        return pretrained.facts(weights, "audio")

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return self.pretrained.prepare(len(cells), self.sounds.parts(cells))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pretrained.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.pretrained(inputs)  # type: ignore[no-any-return]
