"""What flows between the layers.

The legend, used in every docstring:
    B rows of a batch   N tokens of a cell   D width of a token   M modalities (input columns)   C classes or channels
    T time steps        H, W height and width of a picture
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Tokens(NamedTuple):
    """A padded batch of token sequences. A missing cell is a row whose mask is all False."""

    x: Tensor  # (B, N, D)
    mask: Tensor  # (B, N) bool, True where a token is real
    position: Tensor | None = None  # (B, N, 3): seconds, row, column (these two in 0..1); NaN where without meaning


class Wave(NamedTuple):
    """A sound: one channel, float32 in about -1..1."""

    samples: np.ndarray  # (T,)
    rate: int  # samples a second


class Clip(NamedTuple):
    """A video: some of its frames, and its sound track."""

    frames: np.ndarray  # (T, H, W, 3) uint8 RGB, upright
    times: np.ndarray  # (T,) float64, seconds from the beginning
    sound: Wave | None = None


class Series(NamedTuple):
    """A time series: channels sampled at times that need not be even."""

    values: np.ndarray  # (T, C) float32; NaN where a channel has a gap
    times: np.ndarray  # (T,) float64, ascending; the number of the step where no time is given


Cell = Any  # what a modality's read returns: str, float, RGB uint8 (H, W, 3), Wave, Clip, Series, or a tuple of such
Note = Callable[[str], None]  # takes a remark on a cell that is used all the same: "cut after 600 s"
Prepared = dict[str, "np.ndarray"]  # what an encoder keeps of one cell: small named arrays
Inputs = dict[str, "Tensor"]  # what an encoder's collate returns for one column of a batch
Batch = dict[str, dict[str, Any]]  # {"inputs": {column: Inputs}, "targets": {column: Tensor}}


class Pass(NamedTuple):
    """What one pass through the model gave."""

    streams: dict[str, Tokens]  # column -> tokens of the model's width
    outputs: dict[str, Tensor]  # target -> output of its head
    losses: dict[str, Tensor]  # target -> (B,), zero where the label is missing; empty without targets
    known: dict[str, Tensor]  # target -> (B,) bool: which labels are there; empty without targets
