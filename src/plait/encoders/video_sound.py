"""The sound track of a video: an encoder of sound for it, beside whatever sees the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import rows
from plait.spec import Spec, dumps, loads
from plait.types import Clip, Inputs, Prepared, Tokens, Wave

SILENCE = Wave(np.zeros(1600, np.float32), 16_000)  # what stands for no sound until it is left out
HEARD = "heard"
_SOUND = "sound."  # this + name: an input of the encoder of sound


class VideoSound(Encoder):
    """A clip -> the tokens (B, N, D) that the encoder `inner` gives of its sound track; of a clip without one, one token of
    zeros. It is meant as a part of a union with an encoder of the pictures. `inner`: a completed spec as JSON text."""

    modality: ClassVar[str] = "video"
    stored: ClassVar[bool] = True

    def __init__(self, *, inner: str) -> None:
        super().__init__()
        self.each: Encoder = ENCODERS.build(loads(inner))
        self.width, self.nets, self.starts = self.each.width, self.each.nets, self.each.starts
        self.rates = {f"each.{name}": rate for name, rate in self.each.rates.items()}
        self.reading = {"frames": 1, "enough": 16, "sound": True}
        self.preparation = {"kind": "sound of video", "each": self.each.preparation}

    @classmethod
    def learn(cls, cells: Iterable[Clip | None], *, encoder: Spec = "audio_mfcc") -> dict[str, Any]:
        """`encoder`: of the sound: a name, or {"name": ..., options}."""
        part = ENCODERS.load(ENCODERS.normal(encoder)["name"])
        if part.modality != "audio":
            raise PlaitError(
                f"The sound of a video needs an encoder of audio; found {encoder!r}, which reads {part.modality}."
            )
        return {"inner": dumps(ENCODERS.complete(encoder, (cell and cell.sound for cell in cells)))}

    def prepare(self, cells: Sequence[Clip]) -> list[Prepared]:
        ready = self.each.prepare([SILENCE if cell.sound is None else cell.sound for cell in cells])
        return [{**sound, HEARD: np.array([c.sound is not None])} for sound, c in zip(ready, cells)]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        inner = self.each.collate([c if c is not None and c[HEARD][0] else None for c in cells])
        return _put(inner, {"present": torch.tensor([c is not None for c in cells])})

    def augment(self, inputs: Inputs) -> Inputs:
        return _put(self.each.augment(_taken(inputs)), inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        present = inputs["present"]
        tokens = self.each(rows.drop(_taken(inputs), present))
        mask = tokens.mask.clone()
        mask[:, 0] |= present & ~mask.any(1)
        return Tokens(tokens.x * tokens.mask[..., None], mask, tokens.position)


def _taken(inputs: Inputs) -> Inputs:
    """The inputs of the encoder of sound, under their own names."""
    return {name.removeprefix(_SOUND): values for name, values in inputs.items() if name.startswith(_SOUND)}


def _put(inner: Inputs, inputs: Inputs) -> Inputs:
    """The inputs, with these of the encoder of sound."""
    return {**inputs, **{_SOUND + name: values for name, values in inner.items()}}
