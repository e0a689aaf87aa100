"""Video by a pretrained network: VideoMAE and TimeSformer over a clip, or any network of pictures over its frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from plait.encoders.base import Encoder
from plait.nn import pretrained, towers, tuned
from plait.nn.processing import Frames
from plait.types import Clip, Inputs, Prepared, Tokens

FRAMES = 8


class VideoPretrained(Encoder):
    """Clip -> one token (B, 1, D), the mean over its frames, or with `tokens` one for each place the network knows. A
    frozen network is run once over each clip, and what it says is kept; a tuned one is trained with the rest, from the pixels
    it takes. `weights`: of pictures or of video: a name of `plait weights list`, OWNER/NAME of the hub, or a folder as
    transformers saves it. `frames`: how many of a clip a network of pictures sees. `tune`: "frozen", "lora" with
    corrections of a `rank`, or "full" with `layer_decay`; `checkpointing` (nn/tuned.py)."""

    modality: ClassVar[str] = "video"
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
        about, how = json.loads(config), json.loads(processing)
        clips = towers.CLIPS
        together = int(about[clips[about["model_type"]]]) if about["model_type"] in clips else 0
        frames = int(how.pop("plait_frames", FRAMES))
        self.frames = Frames(how, together=together)
        self.pretrained = tuned.reader(
            modality="video" if together else "image",
            weights=weights,
            sha256=sha256,
            config=config,
            layer=layer,
            tokens=tokens,
            tune=tuned.Tune(tune, rank, layer_decay, checkpointing),
            cells=self.frames,
        )
        self.width, self.nets, self.starts = self.pretrained.width, self.pretrained.nets, self.pretrained.starts
        self.rates = {f"pretrained.{name}": rate for name, rate in self.pretrained.rates.items()}
        self.reading = {"frames": together or frames, "enough": self.frames.pictures.enough, "sound": False}
        self.preparation = {
            **self.pretrained.preparation,
            "processing": pretrained.digest(pretrained.text_of(how)),
            "frames": 2,  # the second way they are read: mirrors obeyed, fields apart
        }

    @classmethod
    def learn(
        cls,
        cells: Iterable[Clip | None],
        *,
        weights: str = "efficientnet-lite0",
        tune: str = "frozen",
        frames: int = FRAMES,
    ) -> dict[str, Any]:
        return pretrained.facts(weights, "video", tune=tuned.check(tune), frames=frames)

    def prepare(self, cells: Sequence[Clip]) -> list[Prepared]:
        return self.pretrained.prepare(len(cells), self.frames.parts(cells))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pretrained.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.pretrained(inputs)  # type: ignore[no-any-return]
