"""Modules as a user may have them: over what plait prepares of pictures, text, sound and series."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Image(nn.Module):
    """(B, 3, S, S) -> (B, width)."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5, 4)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, width)

    def forward(self, pixels: Tensor) -> Tensor:
        assert pixels.dtype == torch.float32 and pixels.min() >= 0 and pixels.max() <= 1
        return self.linear(self.norm(self.conv(pixels)).relu().mean((2, 3)))  # type: ignore[no-any-return]


class Audio(nn.Module):
    """(B, T, 64), (B, T) -> (B, T, width)."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.linear = nn.Linear(64, width)

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        return self.linear(mel)  # type: ignore[no-any-return]


class Text(nn.Module):
    """(B, T), (B, T) -> (B, T, width)."""

    def __init__(self, width: int = 8, words: int = 4003) -> None:
        super().__init__()
        self.embed = nn.Linear(words, width)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        assert ids.dtype == torch.int64 and mask.dtype == torch.bool
        return self.embed(nn.functional.one_hot(ids, self.embed.in_features).float())  # type: ignore[no-any-return]


class Series(nn.Module):
    """(B, T, at most 5), (B, T) -> (B, width): the mean over what is real."""

    def __init__(self, width: int = 8, channels: int = 5) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = nn.functional.pad(x, (0, self.linear.in_features - x.shape[-1]))
        return (self.linear(x) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # type: ignore[no-any-return]


class Wrong(nn.Module):
    """Gives one number for all rows."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean()


def run() -> None:
    """No module: what a folder must not be able to call."""
    raise SystemExit("run")
