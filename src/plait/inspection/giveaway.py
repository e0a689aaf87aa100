"""Columns that give the target away, and columns that teach nothing: copies, one-to-one names, file sizes, ids, constants."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from plait.inspection.cells import CONTAINER, folded
from plait.inspection.findings import NOTE, SERIOUS, WARNING, Finding, plural, share
from plait.inspection.look import Look
from plait.inspection.scan import Scanned

LEAST, OTHERS = 20, 10  # rows with both cells, and of them outside the most frequent class, needed to say anything
NEARLY = 0.98  # of the held-out rows told right, or of the variation explained
FEWER = 0.2  # and at most this share of the errors of always saying the most frequent class
MOST = 50_000  # rows looked at
_ID = re.compile(r"[A-Za-z0-9][\w./:-]*")


def giveaways(look: Look) -> list[dict[str, Any]]:
    """Inputs from which a cheap rule tells a target nearly perfectly on rows held out."""
    found = []
    for target in look.targets:
        for column in look.inputs:
            if best := _best_rule(look.scanned[column], look.scanned[target], look.numeric(target)):
                found.append({"column": column, "target": target, **best})
    return found


def giveaway_findings(found: list[dict[str, Any]]) -> list[Finding]:
    """The same as warnings."""
    findings = []
    for one in found:
        column, target, score = one["column"], one["target"], one["score"]
        text = RULES[one["rule"]].format(c=repr(column), t=repr(target), s=share(score, 1), f=one.get("figure", ""))
        way_out = f"Leave {column!r} out, unless it is known before {target!r} is."
        if one["rule"] == "file":
            way_out = "Bring all files to the same size and rate first: a model would learn how they were made."
        findings.append(Finding("gives_away", SERIOUS, text, way_out, (column, target), one))
    return findings


RULES = {
    "equal": "{c} is the same as {t} in {s} of the rows.",
    "holds": "The text of {c} holds the label of {t} in {s} of the rows.",
    "table": "Each value of {c} stands for one label of {t}: a plain list of them is right in {s} of rows it has not seen.",
    "number": "{c} alone gives {t} away: the nearest value already seen is right in {s} of rows held out.",
    "file": "The {f} of the files of {c}, not what they show, gives {t} away: right in {s} of rows held out.",
    "explains": "{c} alone explains {s} of the variation of {t} on rows held out.",
}


def _best_rule(column: Scanned, target: Scanned, numeric: bool) -> dict[str, Any] | None:
    rows = np.flatnonzero(column.here & target.here)
    if len(rows) < LEAST or len(target.firsts) < 2:
        return None
    if len(rows) > MOST:
        rows = np.random.default_rng(0).choice(rows, MOST, replace=False)
    if column.cells and (rule := _in_words(column, target, rows, numeric)):
        return rule
    half = np.random.default_rng(0).permutation(len(rows)) % 2 == 0
    score = _score_of(target, rows, half, numeric)
    if column.cells and "value" not in column.figures:
        found = score(column.places[rows].astype(np.float64), exact=True)
        return {"rule": "explains" if numeric else "table", "score": found} if found else None
    for figure in ("value",) if column.cells else [f for f in CONTAINER if f in column.figures]:
        values = column.row_values(figure)[rows]
        if np.isfinite(values).all() and (found := score(values, exact=False)):
            if column.cells:
                return {"rule": "explains" if numeric else "number", "score": found}
            return {"rule": "file", "score": found, "figure": figure}
    return None


def _in_words(column: Scanned, target: Scanned, rows: np.ndarray, numeric: bool) -> dict[str, Any] | None:
    """Whether a cell says what the label says."""
    said = np.array([folded(_words(c)) for c in column.cells], dtype=object)[column.places[rows]]
    label = np.array([folded(_words(c)) for c in target.cells], dtype=object)[target.places[rows]]
    equal = float((said == label).mean())
    if equal >= NEARLY and len(set(label)) > 1:
        return {"rule": "equal", "score": equal}
    classes = set(label)
    if numeric or len(classes) > 0.5 * len(rows) or not isinstance(column.cells[0], str):
        return None
    long = all(len(name) > 2 for name in classes)
    if not long or any(a in b for a in classes for b in classes if a != b):
        return None
    holds = float(np.mean([b in a for a, b in zip(said, label)]))
    return {"rule": "holds", "score": holds} if holds >= NEARLY else None


def _words(cell: Any) -> str:
    return (
        ", ".join(map(str, cell)) if isinstance(cell, tuple) else f"{cell:g}" if isinstance(cell, float) else str(cell)
    )


def _score_of(target: Scanned, rows: np.ndarray, half: np.ndarray, numeric: bool) -> Any:
    """score(x, exact=…): how well a rule learned on one half of the rows tells the other, if nearly perfectly, else None.
    The rule: what the rows with this x say most often or on average; for an x not seen, the nearest, or with `exact`
    the most frequent answer of all. Numbers count by their rank, so that their unit and their tails do not matter."""
    y = _ranks(target.row_values("value")[rows]) if numeric else target.places[rows]

    def score(x: np.ndarray, *, exact: bool) -> float | None:
        distinct = len(np.unique(x))
        if distinct < 2 or (exact and distinct > 0.5 * len(x)):
            return None
        tells = [_told(x[a], y[a], x[b], numeric, exact) for a, b in ((half, ~half), (~half, half))]
        answer = np.concatenate(tells)
        truth = np.concatenate([y[~half], y[half]])
        if numeric:
            good = 1 - float(((answer - truth) ** 2).sum() / max(((truth - truth.mean()) ** 2).sum(), 1e-12))
            return good if good >= NEARLY else None
        most = np.bincount(truth).max()
        right, base = float((answer == truth).mean()), most / len(truth)
        if len(truth) - most < OTHERS:
            return None
        return right if right >= NEARLY and 1 - right <= FEWER * (1 - base) else None

    return score


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[place.ravel()]
    return ranks


def _told(x: np.ndarray, y: np.ndarray, new: np.ndarray, numeric: bool, exact: bool) -> np.ndarray:
    known, place = np.unique(x, return_inverse=True)
    place = place.ravel()
    if numeric:
        means = np.bincount(place, weights=y) / np.bincount(place)
        if not exact:
            between: np.ndarray = np.interp(new, known, means)
            return between
        answers, usual = means, y.mean()
    else:
        order = np.lexsort((y, place))
        pairs, counts = np.unique(np.stack([place, y], 1)[order], axis=0, return_counts=True)
        best = np.lexsort((-counts, pairs[:, 0]))
        _, firsts = np.unique(pairs[best, 0], return_index=True)
        answers, usual = pairs[best[firsts], 1], np.bincount(y).argmax()
    right = np.searchsorted(known, new).clip(0, len(known) - 1)
    if exact:
        listed: np.ndarray = np.where(known[right] == new, answers[right], usual)
        return listed
    left = (right - 1).clip(0)
    nearest = np.where(np.abs(known[left] - new) <= np.abs(known[right] - new), left, right)
    found: np.ndarray = answers[nearest]
    return found


def useless_findings(look: Look) -> list[Finding]:
    """Columns that teach nothing: empty, constant, ids, row numbers. Of those that plait.fit leaves out by itself, a note."""
    findings = []
    for column in look.roles.all:
        used = column.role == "input"
        if column.modality is None and column.role == "skip" and "cells are missing" in column.reason:
            text = f"{column.name!r} is empty in all {len(look.table):,} rows."
            findings.append(Finding("empty_column", NOTE, text, "", (column.name,)))
        if column.name not in look.scanned or column.role not in ("input", "skip"):
            continue
        scanned = look.scanned[column.name]
        kind, text = _useless(column.name, scanned)
        if kind:
            way_out = (
                f"Leave {column.name!r} out." if used else "plait.fit leaves it out unless it is named as an input."
            )
            findings.append(Finding(kind, WARNING if used else NOTE, text, way_out, (column.name,)))
    return findings


def _useless(name: str, scanned: Scanned) -> tuple[str, str]:
    filled, distinct = int(scanned.here.sum()), len(scanned.firsts)
    if filled > 1 and distinct == 1:
        shown = f" {_words(scanned.cells[0])[:40]!r}" if scanned.cells else ""
        return "constant", f"{name!r} holds one value{shown} in all of {plural(filled, 'row')}."
    if filled <= LEAST // 2 or distinct < filled or not scanned.cells:
        return "", ""
    if isinstance(scanned.cells[0], str) and all(_ID.fullmatch(c) for c in scanned.cells):
        return "id", f"{name!r} looks like an id: a value of its own in each of {filled:,} rows, without a space."
    if "value" in scanned.figures:
        values = np.sort(scanned.figures["value"])
        if (np.diff(values) == 1).all():
            return "id", f"{name!r} numbers the rows: each whole number from {values[0]:g} to {values[-1]:g} once."
    return "", ""
