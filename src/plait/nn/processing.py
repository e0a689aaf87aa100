"""From cells to what a pretrained network takes, as its weights say: tokens, pixels, spectra or waves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from plait.errors import PlaitError
from plait.nn.speaker import BANDS, FRAMES
from plait.optional import need
from plait.types import Clip, Wave

TEXTS, LEAST_TEXTS = 64, 8  # windows of text that go through a network at once: as many as have
TOKENS = 4096  # tokens together, at most TEXTS and at least LEAST_TEXTS
SPARE = 8  # tokens more that a piece of text may have than it had within the whole
STEP = 4  # their lengths are rounded up to multiples of this
FILLED = 32  # tokens in a batch below which matrix products round otherwise: smaller batches are filled up
PICTURES = 4  # at once: more do not fit in a core's cache
OBLONG = 32  # times as long as wide: of longer pictures the middle is taken
BEHIND = 0.5  # seconds of silence after a sound: with it Whisper says nearly what it says with its padding to 30 s
LARGEST = 60_000.0  # what a number of 16 bits holds
SHORTEST = 0.1  # seconds; shorter sounds are padded with silence


class Part(NamedTuple):
    """Inputs of a network for some cells, or pieces of cells."""

    owners: list[int]  # the cell of each row
    inputs: dict[str, Tensor]  # (B, ...)
    counts: list[int] | None = None  # how many tokens of each row are real; None: all
    begins: list[float] | None = None  # where in its cell each row begins; None: nothing of a cell came before
    skip: int = 0  # tokens that each row begins with and that say nothing of it


class Packing(NamedTuple):
    """How what a network takes of a cell is kept until the network is run."""

    name: str  # of the input
    kind: str  # of its numbers
    masked: bool = False  # rows of several lengths go together, under an attention mask
    alone: bool = False  # one row of the network's is a whole cell's: cells go one by one
    longer: bool = False  # CLAP is told which sounds are longer than it takes
    skip: int = 0  # tokens that each row begins with and that say nothing of it
    levels: tuple[list[float], list[float], float] | None = None  # of pixels kept as they were: mean, deviation, factor

    def pack(self, x: Tensor) -> np.ndarray:
        """Numbers as they are kept."""
        found = x.float() if x.is_floating_point() else x
        if self.levels is not None:
            mean, deviation, factor = (torch.tensor(v)[..., None, None] for v in self.levels)
            found = ((found * deviation + mean) / factor).round().clamp(0, 255)
        elif self.kind == "float16":
            found = found.clamp(-LARGEST, LARGEST)
        return found.numpy().astype(self.kind)

    def unpack(self, x: Tensor) -> Tensor:
        """The same as the network takes them."""
        if self.levels is not None:
            mean, deviation, factor = (torch.tensor(v, device=x.device)[..., None, None] for v in self.levels)
            return (x.float() * factor - mean) / deviation
        return x.float() if x.is_floating_point() else x.long()


class Packed(Protocol):
    """Cells made ready."""

    @property
    def packing(self) -> Packing: ...


class Texts:
    """Text -> tokens of at most `length`; longer ones are cut in windows. `tokenizer`: the JSON text of one. `prompt`: what
    each window is put into, in place of its {}."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.prompt: str = about.get("prompt", "{}")
        self.length, self._json = int(about["length"]), about["tokenizer"]
        self._step = int(about.get("step", STEP))
        self._fill = about.get("fill")  # the token that fills every window, for networks that look at it too
        self._skip = int(about.get("skip", 0))  # tokens that begin every window and are left out of what is kept
        masked = self._fill is None and self._step > 1
        self.packing = Packing("input_ids", "int32", masked=masked, skip=self._skip)

    @cached_property
    def tokenizer(self) -> Any:
        return self._cutting(self.length)

    @cached_property
    def room(self) -> int:
        """Tokens that a window has for the text itself, some of the `length` being the prompt's."""
        if self.prompt == "{}":
            return self.length
        return self.length - len(self.tokenizer.encode(self.prompt.replace("{}", "")).ids) - SPARE

    @cached_property
    def _within(self) -> Any:
        return self._cutting(self.room)

    def _cutting(self, length: int) -> Any:
        from tokenizers import Tokenizer

        made = Tokenizer.from_str(self._json)
        made.no_padding()
        made.enable_truncation(length)
        return made

    def windows(self, text: str) -> list[list[int]]:
        """The ids of each window, with the special tokens that the network knows; at least one that is kept."""
        first = self.tokenizer.encode(self.prompt.replace("{}", text))
        found = [first, *first.overflowing]
        if len(found) > 1 and self.prompt != "{}":
            whole = self._within.encode(text)
            places = [[o for o in w.offsets if o[0] < o[1]] for w in (whole, *whole.overflowing)]
            pieces = [text[min(a for a, _ in p) : max(b for _, b in p)] for p in places if p]
            found = [self.tokenizer.encode(self.prompt.replace("{}", piece)) for piece in pieces] or [first]
        return [w.ids + [0] * (self._skip + 1 - len(w.ids)) for w in found]

    def pieces(self, text: str) -> int:
        """How many windows a text is cut in."""
        return 1 if len(text.encode("utf-8", "replace")) <= self.room - SPARE else len(self.windows(text))

    def parts(self, cells: Sequence[str]) -> Iterator[Part]:
        """Windows of one length, rounded up, go together, so that the numbers of a text do not depend on the others."""
        whole = self._fill is not None
        groups: dict[int, list[tuple[int, int, list[int]]]] = {}
        for i, cell in enumerate(cells):
            for place, ids in enumerate(self.windows(cell)):
                size = self.length if whole else min(self.length, -(-len(ids) // self._step) * self._step)
                groups.setdefault(size, []).append((i, place, ids))
        for size, found in sorted(groups.items()):
            most = max(LEAST_TEXTS, min(TEXTS, TOKENS // size))
            for start in range(0, len(found), most):
                rows = found[start : start + most]
                batch = torch.full((max(len(rows), -(-FILLED // size)), size), self._fill or 0)
                mask = torch.zeros_like(batch)
                for b in range(len(batch)):
                    window = rows[min(b, len(rows) - 1)][2]
                    batch[b, : len(window)] = torch.tensor(window)
                    mask[b, : len(window)] = 1
                inputs = {"input_ids": batch} if whole else {"input_ids": batch, "attention_mask": mask}
                counts = None if whole else [len(ids) for _, _, ids in rows]
                yield Part([i for i, _, _ in rows], inputs, counts, [place for _, place, _ in rows], self._skip)


class Pictures:
    """RGB uint8 (H, W, 3) -> float pixels (3, S, S). `about`: preprocessor_config.json."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.about = about

    @cached_property
    def _processor(self) -> Any:
        name = self.about.get("image_processor_type") or self.about.get("feature_extractor_type")
        if name is None:
            return None
        names = [str(name).replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast")]
        if isinstance(size := self.about.get("size"), dict) and "image_mean" in self.about:
            names.append(
                "CLIPImageProcessor" if "shortest_edge" in size else "ViTImageProcessor"
            )  # where torchvision is
            # wanted for what these do as well
        return _made(names, self.about, "pictures")

    def pixels(self, picture: np.ndarray) -> Tensor:
        """(3, S, S) float32."""
        if self._processor is not None:
            from PIL import Image

            image = Image.fromarray(_middle(picture))
            made = self._processor(images=image, return_tensors="np", input_data_format="channels_last")
            pixels = np.asarray(made["pixel_values"], dtype=np.float32)
            return torch.from_numpy(np.ascontiguousarray(pixels.reshape(pixels.shape[-3:])))
        return torch.from_numpy(self._own(picture))

    def _own(self, picture: np.ndarray) -> np.ndarray:
        """The whole picture on white, its shape kept, its longer side as long as the square."""
        from PIL import Image

        side = int(self.about["size"]["height"])
        scale = side / max(picture.shape[:2])
        h, w = (max(1, round(s * scale)) for s in picture.shape[:2])
        small = np.asarray(Image.fromarray(picture).resize((w, h), self.about["resample"]), np.float32)
        square = np.full((side, side, 3), 255, np.float32)
        top, left = (side - h) // 2, (side - w) // 2
        square[top : top + h, left : left + w] = small
        mean, std = (np.array(self.about[k], np.float32) for k in ("image_mean", "image_std"))
        return np.ascontiguousarray(
            ((square * np.float32(self.about["rescale_factor"]) - mean) / std).transpose(2, 0, 1)
        )

    @cached_property
    def packing(self) -> Packing:
        """As bytes, where these weights' pixels are bytes moved and scaled; a picture of noise shows it."""
        noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        pixels = self.pixels(noise)
        about = self.about if self._processor is None else self._processor.to_dict()
        normed, scaled = about.get("do_normalize", True), about.get("do_rescale", True)
        mean, deviation = (about.get(k) if normed else None for k in ("image_mean", "image_std"))
        levels = (mean or [0.0] * 3, deviation or [1.0] * 3, float(about.get("rescale_factor") or 1) if scaled else 1.0)
        found = Packing("pixel_values", "uint8", levels=levels)
        same = torch.allclose(found.unpack(torch.from_numpy(found.pack(pixels))), pixels, atol=1e-4)
        return found if same else Packing("pixel_values", "float16")

    @property
    def enough(self) -> int:
        """The shorter side in pixels above which a picture may be read with less detail."""
        size = self.about.get("size", {})
        sides = [int(v) for v in (size.values() if isinstance(size, dict) else [size]) if isinstance(v, (int, float))]
        return max([*sides, 224])

    def parts(self, cells: Sequence[np.ndarray]) -> Iterator[Part]:
        for start in range(0, len(cells), PICTURES):
            some = [self.pixels(c) for c in cells[start : start + PICTURES]]
            yield Part(list(range(start, start + len(some))), {"pixel_values": torch.stack(some)})


def _middle(picture: np.ndarray) -> np.ndarray:
    """The middle of a picture that is very long: its shorter side may be scaled to hundreds of pixels."""
    h, w = (min(s, OBLONG * min(picture.shape[:2])) for s in picture.shape[:2])
    top, left = (picture.shape[0] - h) // 2, (picture.shape[1] - w) // 2
    return picture[top : top + h, left : left + w]


def _made(names: Sequence[str], about: dict[str, Any], what: str) -> Any:
    """The first of these processors of transformers that runs on this machine. Raises PlaitError."""
    library, reason = need("transformers", "pretrained"), ""
    for name in names:
        if (cls := getattr(library, name, None)) is not None:
            try:
                return cls.from_dict({k: v for k, v in about.items() if not k.endswith("_type")})
            except ImportError as error:
                reason = reason or " ".join(str(error).split())
    raise PlaitError(
        f"These weights' {what} cannot be made ready: {reason or f'transformers {library.__version__} has no {names[0]}.'}"
    )


class Frames:
    """A clip -> its frames as pictures; together for networks of video, one by one for networks of pictures."""

    def __init__(self, about: dict[str, Any], *, together: int) -> None:
        self.pictures, self.together = Pictures(about), together

    @property
    def packing(self) -> Packing:
        return self.pictures.packing

    def parts(self, cells: Sequence[Clip]) -> Iterator[Part]:
        for i, clip in enumerate(cells):
            if self.together:
                places = np.linspace(0, len(clip.frames) - 1, self.together).round().astype(int)
                pixels = torch.stack([self.pictures.pixels(clip.frames[p]) for p in places])
                yield Part([i], {"pixel_values": pixels[None]}, None, [float(clip.times[0])])
                continue
            for start in range(0, len(clip.frames), PICTURES):
                some = [self.pictures.pixels(f) for f in clip.frames[start : start + PICTURES]]
                times = [float(t) for t in clip.times[start : start + len(some)]]
                yield Part([i] * len(some), {"pixel_values": torch.stack(some)}, None, times)


class Sounds:
    """A wave -> the spectrum or wave of each window of at most `seconds`, less where the network takes less. `about`:
    preprocessor_config.json."""

    def __init__(self, about: dict[str, Any], *, seconds: float) -> None:
        self.about, self.rate = about, int(about.get("sampling_rate", 16_000))
        most = {  # longer ones would be cut: at random by CLAP
            "ASTFeatureExtractor": about.get("max_length", 1024) / 100,  # a frame is 10 ms
            "ClapFeatureExtractor": about.get("max_length_s", 10),
            "WhisperFeatureExtractor": about.get("chunk_length", 30),
        }
        self.seconds = min(seconds, float(most.get(str(about.get("feature_extractor_type")), seconds)))

    @cached_property
    def _extractor(self) -> Any:
        return _made(
            [str(self.about.get("feature_extractor_type") or "Wav2Vec2FeatureExtractor")], self.about, "sounds"
        )

    @cached_property
    def packing(self) -> Packing:
        if self.about.get("feature_extractor_type") == "ge2e":
            return Packing("windows", "float32", alone=True)
        names = self._extractor.model_input_names
        return Packing(names[0], "float16", longer="is_longer" in names)

    def samples(self, wave: Wave) -> np.ndarray:
        """At the rate of the network; not shorter than a tenth of a second."""
        samples = wave.samples
        if wave.rate != self.rate:
            import soxr

            samples = soxr.resample(samples, wave.rate, self.rate, quality="HQ")
        return np.pad(samples, (0, max(0, int(SHORTEST * self.rate) - len(samples)))).astype(np.float32, copy=False)

    def pieces(self, wave: Wave) -> int:
        """How many windows a sound is cut in."""
        return len(self._starts(round(len(wave.samples) * self.rate / wave.rate)))

    def _starts(self, length: int) -> range:
        """Where the windows of so many samples begin. A short rest says nothing."""
        size = int(self.seconds * self.rate)
        return range(0, max(1, length - size // 10 + 1), size)

    def parts(self, cells: Sequence[Wave]) -> Iterator[Part]:
        size = int(self.seconds * self.rate)
        for i, cell in enumerate(cells):
            samples = self.samples(cell)
            for start in self._starts(len(samples)):
                yield self._part(i, samples[start : start + size], start / self.rate)

    def _part(self, owner: int, window: np.ndarray, begins: float) -> Part:
        """Whisper knows the end of a sound by the silence behind it: it gets some, whose tokens are left out."""
        if self.about.get("feature_extractor_type") != "WhisperFeatureExtractor":
            return Part([owner], self.features(window), None, [begins])
        longest = int(self.about.get("chunk_length", 30)) * self.rate
        silent = np.pad(window, (0, min(int(BEHIND * self.rate), max(0, longest - len(window)))))
        count = -(-len(window) // (2 * int(self.about.get("hop_length", 160))))
        return Part([owner], self.features(silent), [count], [begins])

    def features(self, samples: np.ndarray) -> dict[str, Tensor]:
        """What the network takes of one window, a batch of one."""
        if self.about.get("feature_extractor_type") == "ge2e":
            return {"windows": torch.from_numpy(speaker_windows(samples))}
        whisper = self.about.get("feature_extractor_type") == "WhisperFeatureExtractor"
        options = {"padding": "longest", "truncation": False} if whisper else {}
        made = self._extractor(samples, sampling_rate=self.rate, return_tensors="np", **options)
        name = "input_features" if "input_features" in made else "input_values"
        values = np.asarray(made[name], dtype=np.float32)
        if whisper and values.shape[-1] % 2:  # its second convolution takes two frames for one
            values = np.concatenate([values, values[..., -1:]], -1)
        more = {"is_longer": torch.from_numpy(np.asarray(made["is_longer"]))} if "is_longer" in made else {}
        return {name: torch.from_numpy(np.ascontiguousarray(values)), **more}


def speaker_windows(samples: np.ndarray) -> np.ndarray:
    """(W, 160, 40): windows of 1.6 s, half overlapping, of the mel power spectrum of a sound raised to -30 dB full scale, as
    GE2E was trained on."""
    from plait.nn.spectrum import slaney_filters

    size, hop = 400, 160  # 25 ms every 10 ms
    power = float(np.mean(samples**2))
    if 0 < power < 1e-3:  # -30 dB
        samples = samples * np.float32(np.sqrt(1e-3 / power))
    samples = np.pad(samples, (size // 2, size // 2))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * np.hanning(size + 1)[:-1]
    mel = (np.abs(np.fft.rfft(frames, size)) ** 2 @ slaney_filters(BANDS, size)).astype(np.float32)
    mel = np.pad(mel, ((0, max(0, FRAMES - len(mel))), (0, 0)))
    starts = range(0, max(1, len(mel) - FRAMES // 2), FRAMES // 2)
    return np.stack(
        [np.pad(mel[s : s + FRAMES], ((0, max(0, FRAMES - len(mel[s : s + FRAMES]))), (0, 0))) for s in starts]
    )
