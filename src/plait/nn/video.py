"""Video for encoders: small frames kept as bytes, augmented alike over a clip, and the sound heard beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.nn import rows
from plait.nn.convolution import BatchNorm, hold
from plait.nn.hearing import Hearing, moments
from plait.nn.pictures import Pictures, scaled
from plait.nn.skip import Skip
from plait.nn.spectrum import LogMel
from plait.types import Clip, Inputs, Prepared, Tokens

BANDS = 64


class Clips:
    """A clip -> pixels uint8 (T, 3, size, size), padded to squares, and times (T,) in seconds; where `sound` is above 0,
    also the mel (F, bands) of its first `sound` seconds and "heard" (1,), the length of that, 0 without a sound track.
    A clip of fewer frames than others gives fewer."""

    def __init__(self, *, frames: int, size: int, sound: float, crop: float, flip: float, colour: float) -> None:
        assert not isinstance(sound, bool) or not sound, "sound is a number of seconds, 0 for none"
        self.pictures = Pictures(size=size, fit="pad", crop=crop, flip=flip, rotate=0.0, colour=0.0)
        self.frames, self.size, self.colour = frames, size, colour
        self.mel = (
            LogMel(bands=BANDS, seconds=sound, gain=6.0, noise=0.1, time_mask=0.2, band_mask=0.2) if sound else None
        )
        self.reading: dict[str, Any] = {"frames": frames, "enough": size, "sound": sound > 0, "seconds": float(sound)}
        mel = self.mel and self.mel.preparation
        self.preparation: dict[str, Any] = {
            "kind": "clip",
            "version": 2,
            "picture": self.pictures.preparation,
            "mel": mel,
        }

    def prepare(self, cells: Sequence[Clip]) -> list[Prepared]:
        return [self._prepared(cell) for cell in cells]

    def _prepared(self, clip: Clip) -> Prepared:
        pixels = np.stack([p["pixels"] for p in self.pictures.prepare(list(clip.frames))])
        ready = {"pixels": pixels, "times": clip.times.astype(np.float32)}
        if self.mel is None:
            return ready
        if clip.sound is None:
            blank = np.full((1, BANDS), self.mel.floor, np.float16)
            return {**ready, "mel": blank, "heard": np.zeros(1, np.int64)}
        mel = self.mel.prepare([clip.sound])[0]["mel"]
        return {**ready, "mel": mel, "heard": np.array([len(mel)])}

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        """pixels (B, T, 3, size, size), times (B, T), lengths (B,) of frames; mel (B, F, bands) and heard (B,). T is the
        number of frames asked for, so that the tokens of the sound begin at the same place in every batch."""
        inputs = rows.pad(cells, "pixels", fill=0, shape=(3, self.size, self.size), dtype=np.uint8)
        inputs["times"] = rows.pad(cells, "times", fill=0.0)["times"]
        more = self.frames - inputs["times"].shape[1]
        inputs["pixels"] = nn.functional.pad(inputs["pixels"], (0, 0) * 3 + (0, more))
        inputs["times"] = nn.functional.pad(inputs["times"], (0, more))
        if self.mel is not None:
            inputs["mel"] = self.mel.collate(cells)["mel"]
            inputs["heard"] = torch.tensor([0 if c is None else int(c["heard"][0]) for c in cells])
        return inputs

    def augment(self, inputs: Inputs) -> Inputs:
        """One crop and shift a clip, the same for all its frames; one change of brightness and contrast a clip; what is
        done to the sound is said at LogMel. Mirroring, with chance `flip`, turns left into right in motion too."""
        pixels = inputs["pixels"]
        b, device = len(pixels), pixels.device
        moved = self.pictures.augment({"pixels": pixels.flatten(1, 2)})["pixels"].unflatten(1, pixels.shape[1:3])
        bright, contrast = (
            torch.empty(b, 1, 1, 1, 1, device=device).uniform_(1 - self.colour, 1 + self.colour) for _ in range(2)
        )
        inputs = {**inputs, "pixels": ((moved * bright - 0.5) * contrast + 0.5).clamp(0, 1)}
        if self.mel is None:
            return inputs
        return {**inputs, "mel": self.mel.augment({"mel": inputs["mel"], "lengths": inputs["heard"]})["mel"]}


def frames_of(pixels: Tensor, *, difference: bool) -> Tensor:
    """Pixels (B, T, 3, H, W) about -2..2; with `difference` (B, T, 6, H, W): what changed since the frame before, too,
    nothing in the first (motion as a stream of its own: Simonyan and Zisserman 2014)."""
    x = (scaled(pixels) - 0.5) / 0.25
    if not difference:
        return x
    change = torch.cat([torch.zeros_like(x[:, :1]), x[:, 1:] - x[:, :-1]], 1)
    return torch.cat([x, change], 2)


class Over(nn.Module):
    """A residual block of convolutions over space, then over time, each with batch norm (R(2+1)D, Tran et al. 2018):
    x (B, T, C, H, W), `real` (B, T, 1, 1, 1), 0 where a frame is padding, which the others do not see. Space is halved;
    time stays."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.space = nn.ModuleList(
            [nn.Conv2d(channels_in, channels, 3, 2, 1, bias=False), nn.Conv2d(channels, channels, 3, 1, 1, bias=False)]
        )
        self.time = nn.ModuleList(nn.Conv2d(channels, channels, (3, 1), 1, (1, 0), bias=False) for _ in range(2))
        self.norms = nn.ModuleList(BatchNorm(channels) for _ in range(4))
        self.short, self.skip = nn.Conv2d(channels_in, channels, 1, bias=False), Skip()

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        short = _each(self.short, x[..., ::2, ::2])
        for step in range(2):
            x = _each(lambda f, i=step: torch.relu(self.norms[2 * i](self.space[i](f))), x)
            x = _along(lambda f, i=step: self.norms[2 * i + 1](self.time[i](f)), hold(x, real))
            x = torch.relu(x if step == 0 else self.skip(x) + short)
        return x


def _each(run: Any, x: Tensor) -> Tensor:
    """`run`, over pictures, on every frame of (B, T, C, H, W)."""
    out: Tensor = run(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return out


def _along(run: Any, x: Tensor) -> Tensor:
    """`run`, over (B, C, T, H * W), on (B, T, C, H, W)."""
    out: Tensor = run(x.transpose(1, 2).flatten(3)).unflatten(3, x.shape[3:])
    return out.transpose(1, 2)


def clip_tokens(x: Tensor, inputs: Inputs, hearing: Hearing | None) -> Tokens:
    """The tokens x (B, T, D) of the frames, one each, and after them those of the sound, all at their seconds."""
    lengths = inputs["lengths"]
    mask, position = rows.length_mask(lengths, x.shape[1]), moments(inputs["times"])
    if hearing is None:
        return Tokens(x, mask, position)
    sound = hearing(inputs["mel"], inputs["heard"] * (lengths > 0))
    return Tokens(*(torch.cat(pair, 1) for pair in zip((x, mask, position), sound)))
