"""The labels of a table: how many of each class, in which part, and the same content that carries different ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.split import PARTS
from plait.inspection.findings import NOTE, SERIOUS, SHOWN, WARNING, Finding, plural
from plait.inspection.look import Look

FEW = 10  # rows of a class below which its figures mean little
UNEVEN = 50  # times that the largest class may outweigh the smallest
APART = 0.1  # of the spread of all labels: numbers for one content that differ by more contradict each other
LISTED = 100  # classes


def balance(look: Look, target: str) -> dict[str, Any]:
    """The classes of a target with their rows in each part; of numbers, how they are spread."""
    codes, names = look.codes(target)
    known = codes >= 0
    found: dict[str, Any] = {"labelled": int(known.sum()), "missing": int((~known).sum())}
    if look.numeric(target):
        values = look.scanned[target].row_values("value")[known]
        return {**found, "quantiles": np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist() if len(values) else []}
    counts = np.bincount(codes[known], minlength=len(names))
    parts = [np.bincount(codes[known & (look.parts == p)], minlength=len(names)) for p in range(len(PARTS))]
    order = np.argsort(-counts, kind="stable")
    classes = [
        {"name": names[i], "rows": int(counts[i]), **{p: int(n[i]) for p, n in zip(PARTS, parts)}}
        for i in order[:LISTED]
    ]
    return {**found, "class_count": len(names), "classes": classes}


def label_findings(look: Look) -> list[Finding]:
    """What is wrong with the labels."""
    found = [
        Finding("no_labels", SERIOUS, f"All labels of {t!r} are missing: nothing can be learned from it.", columns=(t,))
        for t in look.roles.empty_targets
    ]
    for target in look.targets:
        if not look.numeric(target):
            found += _classes(look, target)
        found += _conflicts(look, target)
    return found


def _classes(look: Look, target: str) -> list[Finding]:
    codes, names = look.codes(target)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    found = []
    if len(names) == 1:
        text = f"Every label of {target!r} is {names[0]!r}: there is nothing to tell apart."
        found.append(Finding("one_class", SERIOUS, text, "Give rows of another class.", (target,)))
    rare = [i for i in np.argsort(counts, kind="stable") if counts[i] < FEW]
    if rare and len(names) > 1:
        listed = ", ".join(f"{names[i]!r} ({counts[i]})" for i in rare[:SHOWN]) + (", …" if len(rare) > SHOWN else "")
        text = f"{plural(len(rare), 'class')} of {target!r} have fewer than {FEW} rows: {listed}."
        if len(rare) == 1:
            text = f"Class {names[rare[0]]!r} of {target!r} has {plural(int(counts[rare[0]]), 'row')} only."
        found.append(
            Finding("rare_classes", WARNING, text, "Give more rows, merge classes, or leave them out.", (target,))
        )
    unseen = [i for i in range(len(names)) if counts[i] and not ((codes == i) & (look.parts == 0)).any()]
    unseen = [i for i in unseen if ((codes == i) & (look.parts > 0)).any()]
    if unseen:
        listed = ", ".join(repr(names[i]) for i in unseen[:SHOWN]) + (", …" if len(unseen) > SHOWN else "")
        text = f"No training row of {target!r} is {listed}: a model cannot learn what only held-out rows show."
        found.append(Finding("unseen_classes", WARNING, text, "Split otherwise, or leave these rows out.", (target,)))
    if len(names) > 1 and counts.max() >= UNEVEN * counts.min() and counts.min() >= FEW:
        text = (
            f"{target!r} is uneven: {names[int(counts.argmax())]!r} has {counts.max():,} rows, "
            f"{names[int(counts.argmin())]!r} {counts.min():,}."
        )
        found.append(Finding("uneven_classes", NOTE, text, "Look at balanced accuracy, not at accuracy.", (target,)))
    return found


def _conflicts(look: Look, target: str) -> list[Finding]:
    """The same thing with different labels: in all inputs together, and in columns whose cells are things."""
    found = []
    if len(look.inputs) > 1 and (all_ := _conflict(look, target, look.whole)):
        things, rows, examples = all_
        text = f"{plural(rows, 'row')} with the same in all inputs carry labels of {target!r} that differ."
        figures: dict[str, Any] = {"things": things, "rows": rows}
        found.append(Finding("conflict", SERIOUS, text, WAY_OUT, (*look.inputs, target), figures, examples))
    each = {c: one for c in look.contents if (one := _conflict(look, target, look.twins[c].alike))}
    if not each:
        return found
    order = sorted(each, key=lambda c: (bool(look.scanned[c].cells), -each[c][1]))
    parts = ", ".join(f"{plural(each[c][0], 'content')} of {c!r} in {plural(each[c][1], 'row')}" for c in order)
    many = any(each[c][1] > MANY * look.scanned[c].here.sum() for c in order)
    severity = WARNING if many or not look.scanned[order[0]].cells else NOTE
    text = f"The same content carries labels of {target!r} that differ: {parts}."
    figures = {c: {"things": each[c][0], "rows": each[c][1]} for c in order}
    found.append(Finding("conflict", severity, text, WAY_OUT, (*order, target), figures, each[order[0]][2]))
    return found


MANY = 0.02  # share of a column's cells
WAY_OUT = "Look at them: a label may be wrong, or this column alone cannot tell."


def _conflict(look: Look, target: str, things: np.ndarray) -> tuple[int, int, tuple[tuple[int, ...], ...]] | None:
    """(things with different labels, their rows, examples)"""
    codes, _ = look.codes(target)
    rows = np.flatnonzero((things >= 0) & (codes >= 0))
    order = rows[np.lexsort((codes[rows], things[rows]))]
    if len(order) < 2:
        return None
    starts = np.flatnonzero(np.r_[True, np.diff(things[order]) != 0])
    if look.numeric(target):
        values = look.scanned[target].row_values("value")
        spread = np.maximum.reduceat(values[order], starts) - np.minimum.reduceat(values[order], starts)
        differ = spread > APART * max(float(values[rows].std()), 1e-12)
    else:
        differ = np.maximum.reduceat(codes[order], starts) != np.minimum.reduceat(codes[order], starts)
    if not differ.any():
        return None
    ends = np.r_[starts[1:], len(order)]
    groups = [order[a:b] for a, b in zip(starts[differ], ends[differ])]
    examples = tuple(tuple(_telling(codes, g)) for g in groups[:SHOWN])
    return int(differ.sum()), int(sum(map(len, groups))), examples


def _telling(codes: np.ndarray, rows: np.ndarray) -> list[int]:
    """A few of the rows, of different labels first."""
    _, firsts = np.unique(codes[rows], return_index=True)
    rest = np.setdiff1d(np.arange(len(rows)), firsts)
    return [int(rows[i]) for i in [*firsts, *rest][:SHOWN]]
