"""Histograms of oriented gradients of a picture."""

from __future__ import annotations

import numpy as np

CLIP = 0.2  # of a block's length
QUIET = 0.1  # length of a block below which it counts little: the noise of an even surface


def orientations(pixels: np.ndarray, bins: int) -> np.ndarray:
    """RGB uint8 (H, W, 3) -> votes (H, W, bins) for the gradient's direction in 0 to 180 degrees: differences of the
    neighbours of the square root of the colour, edges repeated; of the channel with the largest, its length, shared
    between the two directions next to it."""
    x = np.sqrt(pixels.astype(np.float32) / 255)
    x = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across, down = x[1:-1, 2:] - x[1:-1, :-2], x[2:, 1:-1] - x[:-2, 1:-1]
    length = np.hypot(across, down)
    best = length.argmax(2)[..., None]
    across, down, length = (np.take_along_axis(v, best, 2)[..., 0] for v in (across, down, length))
    place = (np.arctan2(down, across) / np.pi % 1) * bins - 0.5  # of the middles of the bins
    low = np.floor(place)
    share = place - low
    directions = np.arange(bins)
    first = (low.astype(np.int64) % bins)[..., None] == directions
    second = ((low.astype(np.int64) + 1) % bins)[..., None] == directions
    return first * (length * (1 - share))[..., None] + second * (length * share)[..., None]  # type: ignore[no-any-return]


def tents(size: int, cell: int) -> np.ndarray:
    """(cells, size): what a pixel gives to a cell, falling from 1 at its middle to 0 at the middles of the next."""
    middles = (np.arange(size // cell) + 0.5) * cell
    return np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - middles[:, None]) / cell).astype(np.float32)


def hog(pixels: np.ndarray, *, cell: int, bins: int) -> np.ndarray:
    """RGB uint8 (H, W, 3) -> float32, bins times 4 a block: cells of `cell` pixels a side, in blocks of two by two that
    overlap, each block scaled to length 1, cut at 0.2 and scaled again (L2-Hys; Dalal & Triggs 2005). Votes go to the
    nearest cells by bilinear shares."""
    votes = orientations(pixels, bins)
    rows = np.einsum("cy,yxb->cxb", tents(pixels.shape[0], cell), votes, optimize=False)
    cells = np.einsum("dx,cxb->cdb", tents(pixels.shape[1], cell), rows, optimize=False)
    blocks = np.concatenate([cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], 2)
    blocks = blocks / np.sqrt((blocks**2).sum(2, keepdims=True) + QUIET**2)
    blocks = np.minimum(blocks, CLIP)
    blocks = blocks / np.sqrt((blocks**2).sum(2, keepdims=True) + QUIET**2)
    return blocks.astype(np.float32).ravel()  # type: ignore[no-any-return]
