"""Pictures and questions: a grid of coloured shapes, and "what colour is the <shape>?" or "what shape is the <colour> one?"."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

KINDS, SIDE, THINGS = 8, 4, 4  # shapes, and as many colours; cells a side; things in a picture
WORDS = 2 + 2 * KINDS  # "colour of", "shape of", the shapes, the colours


class Scenes(NamedTuple):
    """n pictures with a question each; an answer is a colour (0 ... KINDS - 1) or KINDS + a shape."""

    cells: np.ndarray  # (n, 16, 2 KINDS) float32: colour and shape, one-hot; zeros where empty
    places: np.ndarray  # (n, 16, 3) float32: no seconds, row and column in 0..1
    words: np.ndarray  # (n, 2, WORDS) float32, one-hot
    answer: np.ndarray  # (n,)


def scenes(n: int, *, seed: int, unseen: bool) -> Scenes:
    """No two things of a picture share a shape or a colour, so that every question has one answer. Shape i with colour i is
    held out: in no picture, or, if `unseen`, what every question is about."""
    rng = np.random.default_rng(seed)
    cells = np.zeros((n, SIDE * SIDE, 2 * KINDS), np.float32)
    words, answer = np.zeros((n, 2, WORDS), np.float32), np.zeros(n, np.int64)
    for i in range(n):
        shapes, colours = things(rng, unseen)
        for place, shape, colour in zip(rng.choice(SIDE * SIDE, THINGS, replace=False), shapes, colours):
            cells[i, place, [colour, KINDS + shape]] = 1
        shape, colour = shapes[0], colours[0]
        asks_colour = rng.random() < 0.5
        words[i, 0, 0 if asks_colour else 1] = 1
        words[i, 1, 2 + (shape if asks_colour else KINDS + colour)] = 1
        answer[i] = colour if asks_colour else KINDS + shape
    at = (np.arange(SIDE) + 0.5) / SIDE
    grid = np.stack([np.full(SIDE * SIDE, np.nan), np.repeat(at, SIDE), np.tile(at, SIDE)], 1).astype(np.float32)
    return Scenes(cells, np.tile(grid, (n, 1, 1)), words, answer)


def things(rng: np.random.Generator, unseen: bool) -> tuple[np.ndarray, np.ndarray]:
    """Shapes and colours of one picture; the first thing is asked about."""
    while True:
        shapes, colours = rng.permutation(KINDS)[:THINGS], rng.permutation(KINDS)[:THINGS]
        if unseen:
            colours[colours == shapes[0]] = colours[0]
            colours[0] = shapes[0]
        if not (shapes == colours)[int(unseen) :].any():
            return shapes, colours
