"""Pictures by a pretrained network: ViT, DINOv2, ResNet, ConvNeXt, EfficientNet-Lite, the picture towers of CLIP and SigLIP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import precision as precisions
from plait.nn import pretrained, tuned
from plait.nn.pictures import grid_positions
from plait.nn.processing import Pictures
from plait.types import Inputs, Prepared, Tokens


class ImagePretrained(Encoder):
    """Picture -> one token (B, 1, D), or with `tokens` one a place in the picture (B, N, D). A frozen network is run
    once over each picture, and what it says is kept; a tuned one is trained with the rest, from the pixels it takes.
    `weights`: a name of `plait weights list`, OWNER/NAME of the hub, or a folder as transformers saves it. `layer`: "last", a
    number, "mean" or "mix" of all (nn/pretrained.py). `tune`: "frozen", "lora" with corrections of a `rank`, or "full"
    with `layer_decay`; `checkpointing` (nn/tuned.py). `precision` of a frozen one: "auto", "fp32" or
    "bf16" (nn/precision.py)."""

    modality: ClassVar[str] = "image"
    stored: ClassVar[bool] = True
    chunk: ClassVar[int] = 8

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
        self.pictures = Pictures(json.loads(processing))
        self.pretrained = tuned.reader(
            modality="image",
            weights=weights,
            sha256=sha256,
            config=config,
            layer=layer,
            tokens=tokens,
            tune=tuned.Tune(tune, rank, layer_decay, checkpointing),
            cells=self.pictures,
        )
        self.width, self.nets, self.starts = self.pretrained.width, self.pretrained.nets, self.pretrained.starts
        self.rates = {f"pretrained.{name}": rate for name, rate in self.pretrained.rates.items()}
        self.reading = {"enough": self.pictures.enough}
        self.preparation = {**self.pretrained.preparation, "processing": pretrained.digest(processing)}

    @classmethod
    def learn(
        cls,
        cells: Iterable[np.ndarray | None],
        *,
        weights: str = "efficientnet-lite0",
        tune: str = "frozen",
        precision: str = "auto",
    ) -> dict[str, Any]:
        facts = pretrained.facts(weights, "image", tune=tuned.check(tune))
        return precisions.told(facts, "image", precision, tune)

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return self.pretrained.prepare(len(cells), self.pictures.parts(cells))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pretrained.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        x, mask, _ = self.pretrained(inputs)
        side = int(x.shape[1] ** 0.5)
        extra = x.shape[1] - side * side  # tokens that stand for the whole picture come first
        if side < 2 or extra > 5:
            return Tokens(x, mask)
        place = nn.functional.pad(grid_positions(side, side, x.device), (0, 0, extra, 0), value=torch.nan)
        return Tokens(x, mask, place.expand(len(x), -1, -1))
