"""Sound for encoders: a log-mel spectrogram computed once and kept, augmented as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.nn import rows
from plait.types import Inputs, Prepared, Wave

RATE = 16_000
WINDOW, HOP, FFT = 512, 256, 512  # 32 ms every 16 ms
FLOOR = 1e-6
BLOCK = 1024  # frames computed together: a few MB
QUARTERS = 4  # parts of the bands that are computed one after the other


class LogMel:
    """A wave -> mel float16 (T, bands): log10 power in mel bands, 62.5 frames a second, the first `seconds` of the sound."""

    def __init__(
        self, *, bands: int, seconds: float, gain: float, noise: float, time_mask: float, band_mask: float
    ) -> None:
        assert 1 <= bands <= 96, f"{bands} bands; above 96 some would hold no frequency of a {FFT}-point spectrum"
        self.bands, self.seconds, self.floor = bands, seconds, float(np.log10(FLOOR))
        self.gain, self.noise, self.time_mask, self.band_mask = gain, noise, time_mask, band_mask
        self.preparation: dict[str, Any] = {"kind": "log-mel", "version": 3, "bands": bands, "seconds": seconds}

    def prepare(self, cells: Sequence[Wave]) -> list[Prepared]:
        return [{"mel": self._spectrum(c).astype(np.float16)} for c in cells]

    @torch.inference_mode()
    def _spectrum(self, wave: Wave) -> np.ndarray:
        samples = wave.samples[: int(self.seconds * wave.rate)]
        if wave.rate != RATE:
            import soxr

            samples = soxr.resample(samples, wave.rate, RATE, quality="HQ")
        padded = torch.zeros(WINDOW + max(WINDOW, len(samples)))
        padded.numpy()[WINDOW // 2 : WINDOW // 2 + len(samples)] = samples  # which may be read-only
        frames = padded.unfold(0, WINDOW, HOP)
        mel = torch.empty(len(frames), self.bands)
        for first in range(0, len(frames), BLOCK):  # few calls, each of which lets other threads go on
            power = (
                torch.view_as_real(torch.fft.rfft(frames[first : first + BLOCK] * _window(), FFT)).flatten(1).square_()
            )
            for (low, high), (begin, end), filters in _power_filters(self.bands):
                torch.mm(power[:, begin:end], filters, out=mel[first : first + BLOCK, low:high])
        return mel.add_(FLOOR).log10_().numpy()

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.pad(cells, "mel", fill=self.floor, shape=(self.bands,), dtype=np.float16)

    def augment(self, inputs: Inputs) -> Inputs:
        """Gain of up to `gain` dB, white noise of up to `noise` of the sound's mean power (by
        its mean in each band), and SpecAugment (Park et al.
        2019): one stretch of time of up to the share `time_mask` and one of bands of up to `band_mask` made silent."""
        mel, lengths = inputs["mel"].float(), inputs["lengths"]
        b, t, bands = mel.shape
        device = mel.device
        real = rows.length_mask(lengths, t)
        power = 10**mel
        mean = (power * real[..., None]).sum((1, 2)) / (real.sum(1).clamp_min(1) * bands)
        level = torch.rand(b, device=device) * self.noise * mean
        power = power + level[:, None, None]
        power = power * 10 ** ((torch.rand(b, device=device) * 2 - 1) * self.gain / 10)[:, None, None]
        silent = _stretch(b, t, lengths.float(), self.time_mask, device)[..., None]
        silent = (
            silent | _stretch(b, bands, torch.full((b,), float(bands), device=device), self.band_mask, device)[:, None]
        )
        mel = power.clamp_min(FLOOR).log10().masked_fill(silent | ~real[..., None], self.floor)
        return {**inputs, "mel": mel}


@cache
def _window() -> Tensor:
    """(WINDOW,) Hann, periodic."""
    return torch.from_numpy(np.hanning(WINDOW + 1)[:-1].astype(np.float32))


@cache
def _power_filters(bands: int) -> list[tuple[tuple[int, int], tuple[int, int], Tensor]]:
    """Some bands after the other: which they are; of the squares of the real and imaginary parts, in turn, those that reach
    them; and what each of these adds to each band. A whole matrix (FFT + 2, bands) would be nearly all zeros."""
    whole, found = torch.from_numpy(mel_filters(bands)).repeat_interleave(2, 0), []
    for some in np.array_split(np.arange(bands), min(QUARTERS, bands)):
        low, high = int(some[0]), int(some[-1]) + 1
        reach = whole[:, low:high].any(1).nonzero()
        begin, end = int(reach[0]), int(reach[-1]) + 1
        found.append(((low, high), (begin, end), whole[begin:end, low:high].contiguous()))
    return found


def _stretch(b: int, size: int, length: Tensor, share: float, device: torch.device) -> Tensor:
    """(b, size) bool: one stretch a row, of up to `share` of `length`, anywhere within it."""
    long = torch.rand(b, device=device) * share * length
    start = torch.rand(b, device=device) * (length - long)
    place = torch.arange(size, device=device) + 0.5
    return (place >= start[:, None]) & (place < (start + long)[:, None])


@cache
def mel_filters(bands: int) -> np.ndarray:
    """(FFT / 2 + 1, bands) triangles, evenly spaced on the mel scale 2595 log10(1 + f / 700) (O'Shaughnessy 1987), each
    of unit area."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = np.linspace(0, RATE / 2, FFT // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangle = np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)).clip(0)
    area: np.ndarray = triangle / np.maximum(triangle.sum(0), 1e-9)
    return area.astype(np.float32)


@cache
def slaney_filters(bands: int, size: int) -> np.ndarray:
    """(size / 2 + 1, bands) triangles of unit area, evenly spaced on a scale that is linear below 1 kHz and logarithmic
    above (Slaney 1998), as librosa and the speaker encoders trained with it use them."""
    step, corner, fold = 200 / 3, 1000.0, np.log(6.4) / 27
    top = corner / step + np.log(RATE / 2 / corner) / fold
    marks = np.linspace(0, top, bands + 2)
    edges = np.where(marks < corner / step, marks * step, corner * np.exp(fold * (marks - corner / step)))
    frequency = np.linspace(0, RATE / 2, size // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangle = np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)).clip(0)
    return np.asarray(triangle * 2 / (high - low), np.float32)
