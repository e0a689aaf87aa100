"""What encoders without a parameter share: a sample of the training cells, principal components, one vector a cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from plait.nn import rows
from plait.types import Inputs, Prepared, Tokens

TINY = 1e-6  # of the largest standard deviation: directions that vary less are rounding
LEAST = 1e-30  # a standard deviation below is none
CLIP = 10.0  # standard deviations


@dataclass(frozen=True)
class Describer:
    """What an encoder makes of a cell before it has learned anything: an array with at least one axis. It prepares cells as an
    encoder does, so that each is decoded once, for learning and for encoding."""

    modality: str
    preparation: dict[str, Any]
    reading: dict[str, Any]
    make: Callable[[Any], np.ndarray]
    name: str = "features"
    stored: bool = True
    chunk: int = 0
    parts: tuple[Any, ...] = ()
    known: None = None
    pieces: None = None

    def prepare(self, cells: Sequence[Any]) -> list[Prepared]:
        return [{self.name: self.make(cell)} for cell in cells]


class Described(ABC):
    """Cells that can be had as a describer makes them, each decoded once and kept."""

    @abstractmethod
    def described(self, describer: Describer) -> Iterator[np.ndarray | None]:
        """One after the other; None where missing or bad."""


def described(
    cells: Iterable[Any], describer: Describer, most: int, seed: int = 0, make: Callable[[Any], Any] | None = None
) -> list[Any]:
    """As `sample`, of what a describer makes of the cells; with `make`, of what that makes of these."""
    if isinstance(cells, Described):
        return sample(cells.described(describer), most, seed, make)
    return sample(cells, most, seed, lambda c: describer.make(c) if make is None else make(describer.make(c)))


def sample(cells: Iterable[Any], most: int, seed: int = 0, make: Callable[[Any], Any] | None = None) -> list[Any]:
    """At most `most` of the cells that are there, each equally likely (reservoir sampling; Vitter 1985, algorithm R), in
    their order. With `make`, what it makes of them, made of the chosen ones alone, so that no cell itself is held."""
    random = np.random.default_rng(seed)
    kept: list[tuple[int, Any]] = []
    count = 0
    for cell in cells:
        if cell is None:
            continue
        place = count if count < most else int(random.integers(count + 1))
        if place < most:
            item = (count, cell if make is None else make(cell))
            if place < len(kept):
                kept[place] = item
            else:
                kept.append(item)
        count += 1
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])]


def learn_pca(matrix: np.ndarray, most: int, *, whiten: bool = False) -> dict[str, np.ndarray]:
    """(n, F) -> "mean" (F,) and "components" (k, F), float32: the at most `most` principal directions with the largest
    variance (Pearson 1901), times what makes the mean square of all entries of the projected rows 1; with `whiten`, of
    each entry. Directions without variance are left out; where nothing varies, k is 1 and the component zero."""
    x = np.asarray(matrix, np.float64).reshape(len(matrix), -1 if len(matrix) else np.shape(matrix)[-1])
    mean = x.mean(0) if len(x) else np.zeros(x.shape[1])
    x = x - mean
    if len(x) > x.shape[1]:
        values, vectors = np.linalg.eigh(x.T @ x)
        axes = vectors.T
    else:
        values, vectors = np.linalg.eigh(x @ x.T)
        axes = vectors.T @ x
        axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-300)
    std = np.sqrt(np.maximum(values, 0) / max(len(x), 1))[::-1]
    level = 1e-12 * max(1.0, float(np.abs(mean).max(initial=0)))
    keep = int((std[:most] > max(TINY * std.max(initial=0), level)).sum())
    if not keep:
        return {"mean": mean.astype(np.float32), "components": np.zeros((1, x.shape[1]), np.float32)}
    axes, std = axes[::-1][:keep], std[:keep]
    axes *= np.sign(axes[np.arange(keep), np.abs(axes).argmax(1)])[:, None]
    scale = 1 / std if whiten else np.full(keep, 1 / np.sqrt((std**2).mean()))
    return {"mean": mean.astype(np.float32), "components": (axes * scale[:, None]).astype(np.float32)}


def project(vector: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """(F,) -> (k,) float32. In numpy's own loops, whose result does not depend on the threads of a linear algebra
    library; nor, as one cell is taken at a time, on other cells."""
    centred = np.ascontiguousarray(vector, np.float32) - mean
    return np.einsum("kf,f->k", np.ascontiguousarray(components, np.float32), centred, optimize=False)  # type: ignore[no-any-return]


def unit(vector: np.ndarray) -> np.ndarray:
    """(F,) -> float32 of length sqrt(F), so that the mean square of its entries is 1; zeros stay zeros."""
    length = float(np.sqrt(np.square(vector, dtype=np.float64).sum()))
    return (vector * (np.sqrt(len(vector)) / length if length > 0 else 0.0)).astype(np.float32)


def collate(cells: Sequence[Prepared | None], size: int) -> Inputs:
    """features (B, size) float32, zeros where a cell is missing, and present (B,)."""
    return rows.stack(cells, features=np.zeros(size, np.float32))


def tokens(inputs: Inputs) -> Tokens:
    """features (B, F) -> one token a cell (B, 1, F), zeros where it is missing."""
    present = inputs["present"]
    return Tokens((inputs["features"] * present[:, None])[:, None], present[:, None])


def learn_standard(vectors: Sequence[np.ndarray], size: int) -> dict[str, np.ndarray]:
    """n vectors (F,) -> "mean" and "scale" (F,), float32: mean and standard deviation of each feature; a scale of 0 where
    it does not vary, and everywhere without any vector."""
    x = np.stack(vectors).astype(np.float64) if len(vectors) else np.zeros((1, size))
    std = x.std(0)
    scale = np.where(std > np.maximum(TINY * np.abs(x).max(0), LEAST), std, 0.0)
    return {"mean": x.mean(0).astype(np.float32), "scale": scale.astype(np.float32)}


class Standard(nn.Module):
    """features (B, F) -> one token a cell (B, 1, F): standard deviations from the mean, within 10; 0 for what did not vary
    in training, and where the cell is missing. `mean` and `scale` (F,) as `learn_standard` gives them."""

    def __init__(self, mean: np.ndarray, scale: np.ndarray, size: int) -> None:
        super().__init__()
        mean, scale = np.asarray(mean, np.float32), np.asarray(scale, np.float32)
        assert mean.shape == scale.shape == (size,), f"mean {mean.shape} and scale {scale.shape}, expected ({size},)"
        factor = np.where(scale > LEAST, 1 / np.maximum(scale, LEAST), 0).astype(np.float32)
        self.mean: torch.Tensor
        self.factor: torch.Tensor
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("factor", torch.tensor(factor), persistent=False)

    def forward(self, inputs: Inputs) -> Tokens:
        x = ((inputs["features"] - self.mean) * self.factor).nan_to_num(0.0).clamp(-CLIP, CLIP)
        return tokens({**inputs, "features": x})
