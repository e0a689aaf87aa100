"""Whether cells differ from those a model was trained on: a small classifier tells the two apart, or it cannot.

The cells are described by a few figures of what was prepared of them, so nothing is decoded for it. A nearest-centroid
classifier that heeds only figures which differ clearly (shrunken centroids, Tibshirani et al. 2002) learns from four
fifths of both samples and ranks the last fifth, five times. The area under its ROC curve is 0.5 where the samples are
alike and 1 where they never overlap (a classifier two-sample test, Lopez-Paz & Oquab 2017).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from plait.errors import ModelFormatError
from plait.preparation import ColumnCells
from plait.progress import Progress
from plait.types import Prepared

FILE = "drift.safetensors"  # in a model folder
KEPT, ASKED, FEWEST = 300, 120, 50  # rows kept of the training rows, looked at of new ones, and needed for an answer
KEPT_VALUES = 100_000  # float16 numbers in all: 200 kB
BUCKETS, CHUNKS = 24, 8  # hashed names; parts of a cell's last axis
STEPS, POINTS = 32, 16  # about as many of the first axis, and of the others of a picture, are looked at
HASH = np.uint64(0x9E3779B97F4A7C15)  # spreads neighbouring ids (Knuth's multiplicative hashing)
LARGEST = 1e18  # whose square is still finite
FOLDS, SHRUNK = 5, 2.0  # parts of the cross-validation; standard errors by which a difference is shrunken
ALARM, SURE = 0.7, 0.6  # an AUC above the first whose lower bound is above the second is told

Reference = dict[str, np.ndarray]  # column -> (rows, figures) float16; a row of NaN where the cell was missing


class PlaitWarning(UserWarning):
    """Something a user should know about an answer that is given all the same."""


class Apart(NamedTuple):
    """How well two samples are told apart: the AUC and its 95 % interval."""

    auc: float
    low: float
    high: float

    @property
    def alarming(self) -> bool:
        """Whether it is far from chance, and surely so."""
        return self.auc > ALARM and self.low > SURE


def apart(a: np.ndarray, b: np.ndarray, *, seed: int = 0) -> Apart:
    """How well rows of a (n, F) are told from rows of b (m, F), both finite; at least FOLDS rows each."""
    n, m = len(a), len(b)
    x = _scaled(np.concatenate([a, b]).astype(np.float64))
    generator = np.random.default_rng([seed, n, m])
    folds = generator.permutation(n) % FOLDS, generator.permutation(m) % FOLDS
    kept = [np.equal.outer(np.arange(FOLDS), f).astype(float) for f in folds]
    sums = kept[0] @ x[:n], kept[1] @ x[n:]
    left = [(s.sum(0) - s) / (k.sum() - k.sum(1, keepdims=True)) for s, k in zip(sums, kept)]
    gap = left[1] - left[0]
    direction = np.sign(gap) * np.maximum(np.abs(gap) - SHRUNK * math.sqrt(1 / n + 1 / m), 0)
    score = x @ direction.T
    areas = [_area(score[:n][folds[0] == k, k], score[n:][folds[1] == k, k]) for k in range(FOLDS)]
    auc = float(np.mean(areas))
    error = _standard_error(auc, n, m)
    return Apart(auc, max(0.0, auc - 1.96 * error), min(1.0, auc + 1.96 * error))


def _scaled(x: np.ndarray) -> np.ndarray:
    """Each figure around its median in quartile ranges, cut at 3 of them, and the square of that for differences in
    spread; both to mean 0 and variance 1, constant ones 0. So units and outliers do not matter."""
    ordered = np.sort(x, axis=0)
    low, middle, high = (ordered[int(q * (len(x) - 1))] for q in (0.25, 0.5, 0.75))
    width = high - low
    width = np.where(width > 0, width, x.std(0))
    z = ((x - middle) / np.where(width > 0, width, 1.0)).clip(-3, 3)
    both = np.concatenate([z, z**2], 1)
    both -= both.mean(0)
    scaled: np.ndarray = both / np.maximum(np.sqrt((both**2).mean(0)), 1e-6)
    return scaled


def _area(a: np.ndarray, b: np.ndarray) -> float:
    """The chance that one of b is above one of a, ties counting half."""
    ordered = np.sort(a)
    below, upto = np.searchsorted(ordered, b, "left"), np.searchsorted(ordered, b, "right")
    return float((below + upto).mean() / (2 * len(a)))


def _standard_error(auc: float, n: int, m: int) -> float:
    """Of an AUC over n and m rows (Hanley & McNeil 1982); not below that of one pair of rows out of order."""
    a = min(max(auc, 1 - auc), 1 - 1 / (2 * max(n, m)))
    first, second = a / (2 - a), 2 * a * a / (1 + a)
    return math.sqrt((a * (1 - a) + (m - 1) * (first - a * a) + (n - 1) * (second - a * a)) / (n * m))


def reference(columns: Mapping[str, ColumnCells], rows: np.ndarray) -> Reference:
    """What is kept of the training rows: the figures of some of them, drawn the same way each time."""
    found = {c: _drawn(cells.plain, rows, KEPT) for c, cells in columns.items()}
    each = KEPT_VALUES // max(1, sum(f.shape[1] for f in found.values()))
    return {c: f[:each].astype(np.float16) for c, f in found.items() if min(len(f), each) >= FEWEST}


def drift(kept: Reference, columns: Mapping[str, ColumnCells]) -> dict[str, Apart]:
    """Column -> how well its cells are told from those kept. Nothing for fewer than FEWEST rows, and for a column that
    is empty here or hardly there in either."""
    found = {}
    for column, cells in columns.items():
        if len(cells.places) < FEWEST or column not in kept or not (cells.places >= 0).any():
            continue
        old, new = kept[column].astype(np.float32), _drawn(cells.plain, np.arange(len(cells.places)), ASKED)
        if old.shape[1] != new.shape[1]:
            continue
        here, there = ~np.isnan(new[:, 0]), ~np.isnan(old[:, 0])
        tests = [_gaps(there, here)]
        if min(here.sum(), there.sum()) >= FEWEST // 2:
            tests.append(apart(old[there], new[here].astype(np.float16).astype(np.float32)))
        found[column] = max(tests)
    return found


def _gaps(a: np.ndarray, b: np.ndarray) -> Apart:
    """How well the samples are told apart by whether a cell is there."""
    gap = abs(float(a.mean() - b.mean())) / 2
    error = math.sqrt(a.var() / len(a) + b.var() / len(b)) / 2
    return Apart(0.5 + gap, max(0.0, 0.5 + gap - 1.96 * error), min(1.0, 0.5 + gap + 1.96 * error))


def told(found: Mapping[str, Apart]) -> str:
    """The warning in words; nothing where all is well."""
    far = [f"{c!r} (AUC {t.auc:.2f}, {t.low:.2f} to {t.high:.2f})" for c, t in found.items() if t.alarming]
    if not far:
        return ""
    return (
        f"These rows differ from those the model was trained on, in {', '.join(far)}: 0.5 is no difference, 1 no overlap. "
        f"Its figures may not hold for them. `plait inspect TABLE --against OTHER` shows what moved."
    )


def tell(found: Mapping[str, Apart], progress: Progress) -> None:
    """Says it once: among the lines of the work or, where these are not wanted, as a PlaitWarning."""
    text = told(found)
    if text and progress.quiet:
        warnings.warn(text, PlaitWarning, stacklevel=5)
    elif text:
        progress.say(f"Warning: {text}")


def _drawn(cells: ColumnCells, rows: np.ndarray, most: int) -> np.ndarray:
    """(at most `most`, F) figures of some of the rows; a row of NaN where the cell is missing."""
    rows = np.random.default_rng(len(rows)).permutation(rows)[:most]
    prepared = cells.rows(rows)
    here = [i for i, cell in enumerate(prepared) if cell is not None]
    figures = described([cell for cell in prepared if cell is not None])
    drawn = np.full((len(rows), figures.shape[1]), np.nan, dtype=np.float32)
    drawn[here] = figures
    return drawn


def described(cells: Sequence[Prepared]) -> np.ndarray:
    """(cells, F) float32: for each field its length and, of numbers, mean, spread, extremes and the means of parts of its
    last axis; of ids, the shares of hashed ids."""
    parts: list[np.ndarray] = [np.zeros((len(cells), 0), np.float32)]
    for field in sorted(cells[0]) if cells else ():
        arrays = [np.asarray(cell[field]) for cell in cells]
        lengths = np.array([len(a) for a in arrays])
        parts.append(np.log1p(lengths, dtype=np.float32)[:, None])
        if lengths.min() == 0:
            continue
        arrays = [_thinned(a) for a in arrays]
        lengths = np.array([len(a) for a in arrays])
        flat, starts = np.concatenate(arrays), np.cumsum(lengths) - lengths
        ids = flat.dtype.kind in "iu" and flat.dtype.itemsize > 1
        parts.append(_ids(flat, lengths) if ids else _values(flat, starts, lengths))
    found: np.ndarray = np.nan_to_num(np.concatenate(parts, 1), posinf=6e4, neginf=-6e4)
    return found.clip(-6e4, 6e4).astype(np.float32)


def _thinned(array: np.ndarray) -> np.ndarray:
    """Some steps of a long cell, some points of a large picture: enough for a mean."""
    if array.ndim < 2:
        return array
    strides = [slice(None, None, max(1, len(array) // STEPS))]
    strides += [slice(None, None, max(1, size // POINTS)) for size in array.shape[1:] if array.ndim > 2]
    return array[tuple(strides)]


def _ids(flat: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    each = flat.reshape(len(flat), -1).astype(np.uint64)
    bucket = ((each.ravel() * HASH >> np.uint64(40)) % np.uint64(BUCKETS)).astype(np.int64)
    cell = np.repeat(np.arange(len(lengths)), lengths * each.shape[1])
    counts = np.bincount(cell * BUCKETS + bucket, minlength=len(lengths) * BUCKETS).reshape(len(lengths), BUCKETS)
    shares: np.ndarray = counts / counts.sum(1, keepdims=True)
    return shares.astype(np.float32)


def _values(flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    wide = flat.reshape(len(flat), -1).astype(np.float32)
    if flat.dtype.kind == "f":
        wide = np.nan_to_num(wide).clip(-LARGEST, LARGEST)
    size = (lengths * wide.shape[1])[:, None]
    rows = np.add.reduceat(wide, starts)
    mean = rows.sum(1, keepdims=True) / size
    spread = np.sqrt(np.maximum(np.add.reduceat((wide**2).sum(1), starts)[:, None] / size - mean**2, 0))
    found = [mean, spread, np.minimum.reduceat(wide.min(1), starts)[:, None]]
    found.append(np.maximum.reduceat(wide.max(1), starts)[:, None])
    if flat.ndim == 2:  # steps by channels or bands
        found += [p.mean(1, keepdims=True) / lengths[:, None] for p in np.array_split(rows, CHUNKS, 1) if p.size]
    elif flat.ndim > 2:  # a picture or more: its first axis where that holds channels, and thirds of its height
        grid = wide.reshape(len(flat), flat.shape[1], -1).mean(2)
        thirds = [p.mean(1) for p in np.array_split(grid, 3, 1) if p.size]
        found += [(np.add.reduceat(t, starts) / lengths)[:, None] for t in thirds]
        if len(set(lengths.tolist())) == 1 and lengths[0] <= CHUNKS:
            found.append(grid.mean(1).reshape(len(lengths), -1))
    return np.concatenate(found, 1)


def packed(kept: Reference) -> bytes:
    """A reference as the bytes of a safetensors file."""
    import safetensors.numpy

    return safetensors.numpy.save({c: np.ascontiguousarray(f) for c, f in kept.items()})


def unpacked(raw: bytes) -> Reference:
    """The reference of such a file. Raises ModelFormatError."""
    import safetensors.numpy

    found: dict[str, Any] = safetensors.numpy.load(raw)
    if any(f.ndim != 2 or f.dtype != np.float16 for f in found.values()):
        raise ModelFormatError(f"{FILE} does not hold figures of training rows.")
    return found
