"""Video by a pretrained network: VideoMAE and TimeSformer over a clip, or any network of pictures over its frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from plait.encoders.base import Encoder
from plait.nn import pretrained
from plait.nn.processing import Frames
from plait.types import Clip, Inputs, Prepared, Tokens

CLIPS = {"videomae": "num_frames", "timesformer": "num_frames", "vivit": "num_frames"}


class VideoPretrained(Encoder):
    """Clip -> one token (B, 1, D), the mean over its frames, or with `tokens` one for each place the network knows. The
    network is not trained: it is run once over each clip, and what it says is kept. `weights`: of pictures or of video: a
    name of `plait weights list`, OWNER/NAME of the hub, or a folder as transformers saves it. `frames`: how many of a clip a
    network of pictures sees."""

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
        frames: int = 8,
    ) -> None:
        super().__init__()
        about = json.loads(config)
        together = int(about[CLIPS[about["model_type"]]]) if about["model_type"] in CLIPS else 0
        self.pretrained = pretrained.Pretrained(
            modality="video" if together else "image",
            weights=weights,
            sha256=sha256,
            config=config,
            layer=layer,
            tokens=tokens,
        )
        self.frames = Frames(json.loads(processing), together=together)
        self.width, self.nets = self.pretrained.width, (self.pretrained.net,)
        self.reading = {"frames": together or frames, "enough": self.frames.pictures.enough, "sound": False}
        self.preparation = {**self.pretrained.preparation, "processing": pretrained.digest(processing)}

    @classmethod
    def learn(cls, cells: Iterable[Clip | None], *, weights: str = "efficientnet-lite0") -> dict[str, Any]:
        return pretrained.facts(weights, "image")

    def prepare(self, cells: Sequence[Clip]) -> list[Prepared]:
        return self.pretrained.prepare(len(cells), self.frames.parts(cells))

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pretrained.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.pretrained(inputs)  # type: ignore[no-any-return]
