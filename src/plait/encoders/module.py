"""A network of the user's own, any torch.nn.Module, over pictures, sound, text or series as plait prepares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.nn import rows, subwords
from plait.nn.foreign import Foreign
from plait.nn.pictures import Pictures, scaled
from plait.nn.series import Facts, Waves, channels_of, learn_facts
from plait.nn.spectrum import LogMel
from plait.types import Inputs, Prepared, Series, Tokens, Wave


class ImageModule(Encoder):
    """`path`("their_package.module:Class", made with `arguments`) over pixels (B, 3, size, size), 0 to 1, gives (B, D) or
    (B, N, D). `vary`: pictures are moved, turned, mirrored and coloured a little in training."""

    modality: ClassVar[str] = "image"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        path: str,
        width: int,
        arguments: Mapping[str, Any] = {},
        begins: str | None = None,
        frozen: Sequence[str] = (),
        size: int = 64,
        fit: str = "pad",
        vary: bool = True,
    ) -> None:
        super().__init__()
        self.width, self.pictures = width, _pictures(size, fit, vary)
        self.reading, self.preparation = self.pictures.reading, self.pictures.preparation
        self.foreign = Foreign(path=path, arguments=arguments, begins=begins, width=width, frozen=frozen)
        self.starts = (self.foreign,)

    @classmethod
    def learn(
        cls,
        cells: Iterable[np.ndarray | None],
        *,
        path: str = "",
        arguments: Mapping[str, Any] = {},
        size: int = 64,
        fit: str = "pad",
    ) -> dict[str, Any]:
        pictures = _pictures(size, fit, False)
        blank = pictures.collate(pictures.prepare([np.zeros((size, size, 3), np.uint8)] * 2))
        foreign = Foreign(path=path, arguments=arguments, begins=None, width=0)
        return {"width": foreign.measured(scaled(blank["pixels"]))}

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return self.pictures.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.pictures.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.pictures.augment(inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        return self.foreign(inputs["present"], None, scaled(inputs["pixels"]))  # type: ignore[no-any-return]


def _pictures(size: int, fit: str, vary: bool) -> Pictures:
    how = {"crop": 0.2, "flip": 0.5, "rotate": 15.0, "colour": 0.2}
    return Pictures(size=size, fit=fit, **(how if vary else dict.fromkeys(how, 0.0)))


class AudioModule(Encoder):
    """`path`("their_package.module:Class", made with `arguments`) over a log-mel spectrum (B, T, bands), 62.5 frames a
    second, and which frames are real (B, T), gives (B, D) or (B, N, D). `vary`: as audio_cnn does in training."""

    modality: ClassVar[str] = "audio"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        path: str,
        width: int,
        arguments: Mapping[str, Any] = {},
        begins: str | None = None,
        frozen: Sequence[str] = (),
        bands: int = 64,
        seconds: float = 10.0,
        vary: bool = True,
    ) -> None:
        super().__init__()
        self.width, self.reading = width, {}
        self.mel = _mel(bands, seconds, vary)
        self.preparation = self.mel.preparation
        self.foreign = Foreign(path=path, arguments=arguments, begins=begins, width=width, frozen=frozen)
        self.starts = (self.foreign,)

    @classmethod
    def learn(
        cls,
        cells: Iterable[Wave | None],
        *,
        path: str = "",
        arguments: Mapping[str, Any] = {},
        bands: int = 64,
        seconds: float = 10.0,
    ) -> dict[str, Any]:
        mel = _mel(bands, seconds, False)
        blank = mel.collate(mel.prepare([Wave(np.zeros(16_000, np.float32), 16_000)] * 2))
        foreign = Foreign(path=path, arguments=arguments, begins=None, width=0)
        real = rows.length_mask(blank["lengths"], blank["mel"].shape[1])
        return {"width": foreign.measured(blank["mel"].float(), real)}

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return self.mel.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.mel.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.mel.augment(inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        mel, lengths = inputs["mel"].float(), inputs["lengths"]
        return self.foreign(lengths > 0, rows.length_mask(lengths, mel.shape[1]), mel)  # type: ignore[no-any-return]


def _mel(bands: int, seconds: float, vary: bool) -> LogMel:
    how = {"gain": 6.0, "noise": 0.1, "time_mask": 0.2, "band_mask": 0.2}
    return LogMel(bands=bands, seconds=seconds, **(how if vary else dict.fromkeys(how, 0.0)))


class TextModule(Encoder):
    """`path`("their_package.module:Class", made with `arguments`) over the numbers of subwords learned from the column
    (B, T), below `vocabulary` + 3, and which are real (B, T), gives (B, D) or (B, N, D). Of these numbers 0 is padding, 1 begins
    a text, 2 stands for what is rare; each is hidden with chance `hide` in training."""

    modality: ClassVar[str] = "text"
    stored: ClassVar[bool] = False

    def __init__(
        self,
        *,
        path: str,
        width: int,
        tokenizer: str,
        rare: list[int],
        arguments: Mapping[str, Any] = {},
        begins: str | None = None,
        frozen: Sequence[str] = (),
        tokens: int = 128,
        hide: float = 0.15,
    ) -> None:
        super().__init__()
        self.width, self.reading = width, {}
        self.subwords = subwords.Subwords(tokenizer=tokenizer, rare=rare, tokens=tokens, hide=hide)
        self.preparation = self.subwords.preparation
        self.foreign = Foreign(path=path, arguments=arguments, begins=begins, width=width, frozen=frozen)
        self.starts = (self.foreign,)

    @classmethod
    def learn(
        cls,
        cells: Iterable[str | None],
        *,
        path: str = "",
        arguments: Mapping[str, Any] = {},
        vocabulary: int = 4000,
        lowercase: bool = True,
    ) -> dict[str, Any]:
        facts = subwords.learn(cells, vocabulary=vocabulary, lowercase=lowercase)
        ready = subwords.Subwords(**facts, tokens=8, hide=0.0)
        blank = ready.collate(ready.prepare(["a", "a b"]))
        foreign = Foreign(path=path, arguments=arguments, begins=None, width=0)
        real = rows.length_mask(blank["lengths"], blank["ids"].shape[1])
        return {**facts, "width": foreign.measured(blank["ids"].long(), real)}

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return self.subwords.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.subwords.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.subwords.augment(inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        ids, lengths = inputs["ids"].long(), inputs["lengths"]
        return self.foreign(lengths > 0, rows.length_mask(lengths, ids.shape[1]), ids)  # type: ignore[no-any-return]


class SeriesModule(Encoder):
    """`path`("their_package.module:Class", made with `arguments`) over series (B, T, 2 C + 1), the values of each channel in
    standard deviations, whether each is known, and the time since the step before, and which steps are real (B, T), gives (B, D)
    or (B, N, D). `vary`: as series_patch does in training."""

    modality: ClassVar[str] = "series"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        path: str,
        width: int,
        facts: Facts,
        arguments: Mapping[str, Any] = {},
        begins: str | None = None,
        frozen: Sequence[str] = (),
        normalise: bool = False,
        vary: bool = True,
    ) -> None:
        super().__init__()
        self.width = width
        self.waves = _waves(facts, normalise, vary)
        self.preparation, self.reading = self.waves.preparation, self.waves.scaled.reading
        self.foreign = Foreign(path=path, arguments=arguments, begins=begins, width=width, frozen=frozen)
        self.starts = (self.foreign,)

    @classmethod
    def learn(
        cls, cells: Iterable[Series | None], *, path: str = "", arguments: Mapping[str, Any] = {}, steps: int = 2048
    ) -> dict[str, Any]:
        found = learn_facts(cells, steps=steps)
        waves = _waves(found["facts"], False, False)
        blank = waves.collate(waves.prepare([Series(np.zeros((9, waves.channels), np.float32), np.arange(9.0))] * 2))
        foreign = Foreign(path=path, arguments=arguments, begins=None, width=0)
        real = rows.length_mask(blank["lengths"], blank["values"].shape[1])
        return {**found, "width": foreign.measured(channels_of(blank), real)}

    def prepare(self, cells: Sequence[Series]) -> list[Prepared]:
        return self.waves.prepare(cells)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return self.waves.collate(cells)

    def augment(self, inputs: Inputs) -> Inputs:
        return self.waves.augment(inputs)

    def forward(self, inputs: Inputs) -> Tokens:
        x, lengths = channels_of(inputs), inputs["lengths"]
        return self.foreign(lengths > 0, rows.length_mask(lengths, x.shape[1]), x)  # type: ignore[no-any-return]


def _waves(facts: Facts, normalise: bool, vary: bool) -> Waves:
    how = {"jitter": 0.05, "scale": 0.1, "hide": 0.2}
    return Waves(facts, normalise=normalise, **(how if vary else dict.fromkeys(how, 0.0)))
