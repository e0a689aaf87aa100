"""Which contents of a column are the same thing: equal bytes, texts that differ in case and spaces, and pictures and
sounds that were encoded or resized anew.

Pictures are candidates when at most 5 of the 64 bits of their difference hash differ (dHash; Krawetz 2013), and twins
when their 16 x 16 versions agree as well. Of 64 bits in 6 bands, one band is equal when 5 bits differ: only pictures that
share a band are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plait.inspection.scan import Scanned, same_text

BITS = 5  # of 64 that may differ
BANDS = ((0, 11), (11, 11), (22, 11), (33, 11), (44, 10), (54, 10))  # first bit, bits
MOST = 500  # members of a bucket that are all compared; larger ones must share a second band, then a third, …
NEIGHBOURS = 20  # compared, among the equal ones of a bucket that no band divides
ALIKE, FAR, FLAT = 0.96, 13.0, 3.0  # correlation, distance (of 255) of small versions; spread of one without contrast
SHAPES = np.array([0.05, 0.03])  # by which width by height, or seconds, may differ; and the centre of lower frequencies
BATCH = 20_000  # pairs of small versions in memory

_POPCOUNT = np.array([bin(i).count("1") for i in range(2**16)], dtype=np.uint8)


@dataclass
class Twins:
    """The rows of a column that hold the same thing as another row."""

    exact: np.ndarray  # (rows,) the content of each row; -1 where missing
    alike: np.ndarray  # (rows,) the same, near duplicates counting as one
    exact_rows: int  # rows that only repeat another's content
    near_rows: int  # rows beyond them that nearly do

    def clusters(self, *, near: bool = True) -> list[np.ndarray]:
        """The rows of each thing that several rows hold, the largest first."""
        return clusters(self.alike if near else self.exact)


def clusters(labels: np.ndarray) -> list[np.ndarray]:
    """The rows that share a label (rows,), where several do, the largest group first; -1 is no label."""
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    same = labels[order[1:]] == labels[order[:-1]]
    order = order[np.r_[False, same] | np.r_[same, False]] if len(order) else order  # of a million rows, few share
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []
    return sorted(groups, key=len, reverse=True)


def twins(scanned: Scanned) -> Twins:
    """The duplicates of one column."""
    contents = np.arange(len(scanned.firsts))
    if scanned.marks is not None and scanned.known is not None:
        contents = _joined(len(contents), near_pairs(scanned))
    elif scanned.cells and isinstance(scanned.cells[0], str):
        contents = same_text(scanned)
    here = scanned.here
    alike = np.full(len(here), -1, dtype=np.int64)
    alike[here] = contents[scanned.places[here]]
    exact_rows = int(here.sum()) - len(scanned.firsts)
    return Twins(scanned.places, alike, exact_rows, len(scanned.firsts) - len(np.unique(contents)))


def near_pairs(scanned: Scanned) -> np.ndarray:
    """(pairs, 2) contents of which one is the other, encoded or resized anew."""
    assert scanned.marks is not None and scanned.known is not None and scanned.ratios is not None
    known = np.flatnonzero(scanned.known)
    marks = scanned.marks[known]
    keys: list[np.ndarray] = [np.zeros(0, np.int64)]
    for band in range(len(BANDS)):
        keys += [a * len(marks) + b for a, b in _candidates(marks, np.arange(len(marks)), band, _light(scanned, known))]
    pairs = known[np.stack(np.divmod(np.unique(np.concatenate(keys)), max(len(marks), 1)), 1)]
    same = [_agree(scanned, pairs[i : i + BATCH]) for i in range(0, len(pairs), BATCH)]
    found: np.ndarray = pairs[np.concatenate(same)] if same else pairs
    return found


def _light(scanned: Scanned, known: np.ndarray) -> np.ndarray:
    assert scanned.smalls is not None
    light: np.ndarray = scanned.smalls[known].reshape(len(known), -1).mean(1)
    return light


def _candidates(
    marks: np.ndarray, members: np.ndarray, band: int, light: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs among the members that share this band and differ in few bits, the smaller number first."""
    start, size = BANDS[band]
    values = (marks[members] >> np.uint64(start)) & np.uint64(2**size - 1)
    order = np.argsort(values, kind="stable")
    for bucket in np.split(members[order], np.flatnonzero(np.diff(values[order])) + 1):
        if len(bucket) < 2:
            continue
        if len(bucket) <= MOST:
            here = marks[bucket]
            first, second = np.nonzero(_distance(here[:, None], here[None]) <= BITS)
            a, b = bucket[first], bucket[second]
            yield a[a < b], b[a < b]
        elif band + 1 < len(BANDS):
            for other in range(band + 1, len(BANDS)):
                yield from _candidates(marks, bucket, other, light)
        else:  # thousands of flat pictures, say
            row = bucket[np.argsort(light[bucket], kind="stable")]
            for step in range(1, NEIGHBOURS + 1):
                near = _distance(marks[row[:-step]], marks[row[step:]]) <= BITS
                a, b = row[:-step][near], row[step:][near]
                yield np.minimum(a, b), np.maximum(a, b)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many bits differ, broadcast."""
    differ = np.ascontiguousarray(a ^ b)
    if hasattr(np, "bitwise_count"):  # numpy 2
        counted: np.ndarray = np.bitwise_count(differ)
        return counted
    found: np.ndarray = _POPCOUNT[differ.view(np.uint16).reshape(*differ.shape, 4)].sum(-1)
    return found


def _agree(scanned: Scanned, pairs: np.ndarray) -> np.ndarray:
    """(pairs,) bool: whether the small versions and the shapes agree."""
    assert scanned.smalls is not None and scanned.ratios is not None
    a, b = (scanned.smalls[pairs[:, k]].reshape(len(pairs), -1).astype(np.float32) for k in (0, 1))
    wide, other = (scanned.ratios[pairs[:, k]] for k in (0, 1))
    shape = (np.abs(wide - other) <= SHAPES * np.maximum(wide, other) + 1e-9).all(1)
    far = np.abs(a - b).mean(1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    spread = np.sqrt((a**2).mean(1) * (b**2).mean(1))
    alike = (a * b).mean(1) / np.maximum(spread, 1e-9)
    found: np.ndarray = shape & (far <= FAR) & np.where(spread > FLAT**2, alike >= ALIKE, far <= FLAT)
    return found


def _joined(size: int, pairs: np.ndarray) -> np.ndarray:
    """(size,) the smallest member of each one's cluster, pairs being joined."""
    labels = np.arange(size)
    while len(pairs):
        least = np.minimum(labels[pairs[:, 0]], labels[pairs[:, 1]])
        before = labels.copy()
        np.minimum.at(labels, pairs[:, 0], least)
        np.minimum.at(labels, pairs[:, 1], least)
        labels = labels[labels]
        if (labels == before).all():
            break
    return labels


def joint(columns: list[np.ndarray]) -> np.ndarray:
    """(rows,) a number for each combination of what stands in these columns; -1 for rows where all are missing."""
    stacked = np.stack(columns, 1)
    _, labels = np.unique(stacked, axis=0, return_inverse=True)
    found: np.ndarray = np.where((stacked >= 0).any(1), labels.ravel(), -1)
    return found


def grouped(columns: list[np.ndarray]) -> np.ndarray:
    """(rows,) a group for each row, so that rows which share a thing in any of these columns share the group."""
    rows = len(columns[0]) if columns else 0
    pairs = []
    for labels in columns:
        order = np.argsort(labels, kind="stable")
        order = order[labels[order] >= 0]
        same = labels[order[1:]] == labels[order[:-1]]
        pairs.append(np.stack([order[:-1][same], order[1:][same]], 1))
    return _joined(rows, np.concatenate(pairs)) if pairs else np.arange(rows)
