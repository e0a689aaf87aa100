"""Video without a parameter: how much changes between frames, and which way things move, summed up over time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fixed
from plait.optional import need
from plait.types import Clip, Inputs, Prepared, Tokens

LONG, SHORT = 96, 16  # pixels: frames are made so long, and are at least so wide
GRID = 2
DIRECTIONS = 8  # right, down right, down, ...: each 45 degrees around
SPEEDS = (0.02, 0.1, 0.4)  # lengths of the longer side a second: still below the first
CHANGES = (2, 8, 24, 64)  # grey levels of 256
CELL = DIRECTIONS + len(SPEEDS) + 1 + len(CHANGES) + 1
PAIR = GRID * GRID * CELL
SIZE = 2 * PAIR
AROUND = 15  # pixels a side of what is looked at to tell how one moves
NOISE = 0.5  # grey levels: nothing moves where the change around a pixel is less on average
SOON = 1 / 240  # seconds: frames are taken to be at least so far apart


class VideoFlow(Encoder):
    """A clip -> one token (B, 1, 136). Between each two of its `frames`, in each quarter of the picture: the optical flow
    (Farnebäck 2003) as the speed in each of eight directions and the shares of pixels that are still, slow, fast and very
    fast (histograms of optical flow; Laptev et al. 2008), and a histogram of how much the pixels change; of each the mean
    and standard deviation over time; standardised. Speeds are lengths of the picture's longer side a second. The sound
    track is not heard."""

    modality: ClassVar[str] = "video"
    stored: ClassVar[bool] = True

    def __init__(self, *, mean: np.ndarray, scale: np.ndarray, frames: int = 16) -> None:
        super().__init__()
        if isinstance(frames, bool) or not 2 <= frames <= 1024:
            raise PlaitError(f"frames is {frames!r}, expected 2 to 1024: motion lies between two.")
        self.width = SIZE
        self.standard = fixed.Standard(mean, scale, SIZE)
        self.describer = _describer(frames)
        self.reading, self.preparation = self.describer.reading, self.describer.preparation

    @classmethod
    def learn(cls, cells: Iterable[Clip | None], *, frames: int = 16, most: int = 256) -> dict[str, Any]:
        """`most`: how many cells, drawn at random, the means and scales are learned from."""
        return fixed.learn_standard(fixed.described(cells, _describer(frames), most), SIZE)

    def prepare(self, cells: Sequence[Clip]) -> list[Prepared]:
        return self.describer.prepare(cells)  # type: ignore[no-any-return]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, SIZE)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return self.standard(inputs)  # type: ignore[no-any-return]


def _describer(frames: int) -> fixed.Describer:
    """What of a clip is kept: nothing that was learned."""
    reading = {"frames": frames, "enough": LONG, "sound": False}
    return fixed.Describer("video", {"kind": "flow", "version": 2}, reading, _features)


def _features(clip: Clip) -> np.ndarray:
    grey = [_grey(frame) for frame in clip.frames]
    pairs = list(itertools.pairwise(grey)) or [(grey[0], grey[0])]
    seconds = np.maximum(np.diff(clip.times), SOON) if len(grey) > 1 else np.ones(1)
    found = np.stack([_between(a, b, s) for (a, b), s in zip(pairs, seconds)])
    return np.concatenate([found.mean(0), found.std(0)]).astype(np.float32)


def _grey(frame: np.ndarray) -> np.ndarray:
    """uint8 (h, w), the longer side LONG pixels."""
    cv2 = need("cv2", "classic")
    high, wide = frame.shape[:2]
    scale = LONG / max(high, wide)
    size = max(SHORT, round(wide * scale)), max(SHORT, round(high * scale))
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)  # type: ignore[no-any-return]


def _between(before: np.ndarray, after: np.ndarray, seconds: float) -> np.ndarray:
    """(PAIR,): for each quarter, upper left, upper right, lower left, lower right, the speeds in each direction, the
    shares of pixels by speed, and by change."""
    cv2 = need("cv2", "classic")
    flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, AROUND, 3, 5, 1.2, 0).astype(np.float64)
    changes = cv2.absdiff(before, after)
    moves = cv2.boxFilter(changes, cv2.CV_32F, (AROUND, AROUND)) > NOISE
    speed = np.hypot(flow[..., 0], flow[..., 1]) * moves / (LONG * seconds)
    turn = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) * DIRECTIONS
    direction = np.round(turn).astype(np.int64) % DIRECTIONS
    pace = np.searchsorted(SPEEDS, speed, side="right")
    change = np.searchsorted(CHANGES, changes, side="right")
    parts = []
    for rows in np.array_split(np.arange(before.shape[0]), GRID):
        for columns in np.array_split(np.arange(before.shape[1]), GRID):
            here = np.ix_(rows, columns)
            pixels = len(rows) * len(columns)
            parts += [
                np.bincount(direction[here].ravel(), speed[here].ravel(), DIRECTIONS) / pixels,
                np.bincount(pace[here].ravel(), minlength=len(SPEEDS) + 1) / pixels,
                np.bincount(change[here].ravel(), minlength=len(CHANGES) + 1) / pixels,
            ]
    return np.concatenate(parts)
