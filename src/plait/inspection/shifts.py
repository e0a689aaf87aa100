"""How each column differs between two sets of rows: how well they are told apart, and which of its figures moved."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from plait.drift import FEWEST, apart
from plait.inspection.cells import USED, WORDS, folded, worded
from plait.inspection.findings import NOTE, WARNING, Finding, amount
from plait.inspection.scan import Scanned

SAMPLE = 1000  # rows of each side
MOVED, LISTED = 0.1, 4  # figures whose own AUC is further from one half; how many are told
GAP = 0.1  # difference of shares that is told of a word or a gap


def shift(scanned: Scanned, left: np.ndarray, right: np.ndarray) -> dict[str, Any] | None:
    """How a column differs between the rows of `left` and `right` (bool each): "auc" with its interval, what moved, and the
    share that is missing on each side. None where either side has too few cells."""
    sides = [np.flatnonzero(scanned.here & side) for side in (left, right)]
    if min(map(len, sides)) < FEWEST // 2 or min(left.sum(), right.sum()) < FEWEST:
        return None
    generator = np.random.default_rng(0)
    sides = [generator.choice(rows, SAMPLE, replace=False) if len(rows) > SAMPLE else rows for rows in sides]
    names, a, b = _figures(scanned, *sides)
    if not names:
        return None
    found = apart(a, b)
    gone = [1 - float(scanned.here[side].mean()) for side in (left, right)]
    moved = _moved(names, a, b) + _words(scanned, *sides)
    interval = {"auc": found.auc, "low": found.low, "high": found.high, "alarming": found.alarming}
    moved = sorted(moved, key=lambda m: -m["size"])[:LISTED]
    return {**interval, "moved": moved, "missing": gone, "rows": [len(s) for s in sides]}


def _figures(scanned: Scanned, left: np.ndarray, right: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
    if scanned.cells and "value" not in scanned.figures:
        (names, a), (_, b) = (worded([scanned.cells[p] for p in scanned.places[rows]]) for rows in (left, right))
        return names, a, b
    names = list(scanned.figures)
    each = np.stack([scanned.row_values(n) for n in names], 1) if names else np.zeros((len(scanned.places), 0))
    a, b = np.nan_to_num(each[left]), np.nan_to_num(each[right])
    if scanned.words is None:
        return names, a, b
    more = [scanned.words[scanned.places[rows]] for rows in (left, right)]
    return names + [USED] * WORDS, np.concatenate([a, more[0]], 1), np.concatenate([b, more[1]], 1)


def _moved(names: list[str], a: np.ndarray, b: np.ndarray) -> list[dict[str, Any]]:
    """The figures that differ most by themselves."""
    found = []
    for i, name in enumerate(names):
        if name == USED:
            continue
        both = np.concatenate([a[:, i], b[:, i]])
        _, place, counts = np.unique(both, return_inverse=True, return_counts=True)
        rank = (np.cumsum(counts) - (counts - 1) / 2)[place.ravel()]
        auc = (rank[len(a) :].sum() - len(b) * (len(b) + 1) / 2) / (len(a) * len(b))
        if abs(auc - 0.5) > MOVED:
            before, after = float(np.median(a[:, i])), float(np.median(b[:, i]))
            if before == after:
                before, after = float(a[:, i].mean()), float(b[:, i].mean())
            found.append({"figure": name, "before": before, "after": after, "size": 2 * abs(auc - 0.5)})
    return found


def _words(scanned: Scanned, left: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """The words, or names, whose share of the rows differs most."""
    if not scanned.cells or "value" in scanned.figures:
        return []
    shares = []
    for rows in (left, right):
        counts: Counter[str] = Counter()
        for place in scanned.places[rows]:
            cell = scanned.cells[place]
            names = [str(n) for n in cell] if isinstance(cell, tuple) else [folded(str(cell))]
            counts.update(set(names) if not scanned.content else {w for n in names for w in n.split()})
        shares.append({word: n / len(rows) for word, n in counts.items()})
    before, after = shares
    gaps = {w: after.get(w, 0.0) - before.get(w, 0.0) for w in {*before, *after}}
    most = sorted(gaps, key=lambda w: (-abs(gaps[w]), w))[:LISTED]
    return [
        {
            "figure": f"share of {w[:40]!r}",
            "before": before.get(w, 0.0),
            "after": after.get(w, 0.0),
            "size": abs(gaps[w]),
        }
        for w in most
        if abs(gaps[w]) > GAP
    ]


def shift_findings(found: dict[str, dict[str, Any]], between: str, *, split: bool) -> list[Finding]:
    """The differences that are large and sure. `between`: what the two sides are, in words."""
    findings, gaps = [], []
    for column, one in found.items():
        before, after = (f"{100 * g:.0f} %" for g in one["missing"])
        moved = "; ".join(f"{m['figure']} {amount(m['before'])} → {amount(m['after'])}" for m in one["moved"])
        if one["alarming"]:
            text = (
                f"{column!r} differs between {between}: they are told apart with AUC {one['auc']:.2f} "
                f"({one['low']:.2f} to {one['high']:.2f}; 0.5 is no difference){': ' + moved if moved else ''}."
            )
            way_out = "Figures on one do not speak for the other; train on rows like those to come."
            if split:
                way_out = (
                    "Held-out rows are unlike training rows: meant so in a split by time or group, else draw it anew."
                )
            findings.append(Finding("drift", WARNING, text, way_out, (column,), one))
        if abs(one["missing"][0] - one["missing"][1]) > GAP:
            gaps.append((column, f"{column!r} in {before} and {after}"))
    if gaps:
        text = f"Between {between}, different shares are missing: {', '.join(words for _, words in gaps)}."
        findings.append(Finding("drift_gaps", NOTE, text, "", tuple(c for c, _ in gaps)))
    return findings
