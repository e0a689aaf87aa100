"""What stands on both sides of a split, and columns that would keep it together: the same content, the same group."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.inspection.findings import NOTE, SERIOUS, SHOWN, WARNING, Finding, plural, share
from plait.inspection.look import Look
from plait.inspection.scan import Scanned

LEAST_GROUPS, LEAST_ROWS = 5, 2.0  # a column that looks like groups: how many, and rows of one on average
LEAST_PAIRS, INSIDE, LIFT = 10, 0.6, 0.5  # duplicates: how many, the share inside one group, and above chance
COUNTS = ("things", "rows", "exact_rows", "held_out")
SMALL = 0.01  # share of the held-out rows below which shared content is a warning only


def shared(things: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[int, np.ndarray]:
    """(how many things stand both in rows of `left` and of `right`, the rows of `right` that hold one). `things`: (rows,)
    -1 where there is none; `left` and `right`: (rows,) bool."""
    size = int(things.max(initial=-1)) + 1
    here = things >= 0
    on_left = np.bincount(things[here & left], minlength=size) > 0
    on_right = np.bincount(things[here & right], minlength=size) > 0
    rows = np.flatnonzero(here & right)
    return int((on_left & on_right).sum()), rows[on_left[things[rows]]]


def leaks(look: Look) -> dict[str, dict[str, Any]]:
    """Column -> how much of its content is on both sides; "" stands for all inputs together."""
    train, held = look.parts == 0, look.parts > 0
    things = {c: (look.twins[c].exact, look.twins[c].alike) for c in look.contents}
    if len(look.inputs) > 1 or not things:
        things[""] = (look.whole, look.whole)
    found = {}
    for column, (exact, alike) in things.items():
        _, exact_rows = shared(exact, train, held)
        count, rows = shared(alike, train, held)
        if len(rows):
            examples = [(int(np.flatnonzero(train & (alike == alike[r]))[0]), int(r)) for r in rows[:SHOWN]]
            counts = dict(zip(COUNTS, (count, len(rows), len(exact_rows), int(held.sum()))))
            found[column] = {**counts, "examples": examples, "all_rows": rows}
    return found


def leak_findings(look: Look, found: dict[str, dict[str, Any]]) -> list[Finding]:
    """The same as one warning."""
    if not found:
        return []
    drawn = look.how != "column"
    split = f"a split by {look.group!r}" if look.how == "group" else "the split that plait.fit would draw"
    split = split if drawn else "the split"
    held = int((look.parts > 0).sum())
    order = sorted(found, key=lambda c: (not _medium(look, c), -found[c]["rows"]))
    all_ = np.unique(np.concatenate([found[c]["all_rows"] for c in order]))
    named = ", ".join(_counted(c, found[c]) for c in order)
    text = (
        f"With {split}, {plural(len(all_), 'held-out row')} of {held:,} ({share(len(all_), held)}) "
        f"{'holds' if len(all_) == 1 else 'hold'} what training rows hold too ({named}): figures on them flatter."
    )
    grave = any(found[c]["rows"] >= SMALL * held for c in order if _medium(look, c))
    figures = {c or "all inputs": {k: n for k, n in found[c].items() if k in COUNTS} for c in order}
    columns = tuple(c for c in order if c) or tuple(look.inputs)
    examples = tuple(found[order[0]]["examples"])
    return [Finding("split_leak", SERIOUS if grave else WARNING, text, way_out(look), columns, figures, examples)]


def _medium(look: Look, column: str) -> bool:
    """Whether equal cells can hardly be chance: files, and all inputs together."""
    return not column or not look.scanned[column].cells


def _counted(column: str, leak: dict[str, Any]) -> str:
    """'image' in 12, 3 of them encoded or resized anew"""
    near = leak["rows"] - leak["exact_rows"]
    return f"{repr(column) if column else 'all inputs together'} in {leak['rows']:,}" + (
        f", {near:,} of them nearly the same" if near and column else ""
    )


def way_out(look: Look) -> str:
    """How to keep the same content on one side."""
    best = next((g["column"] for g in suggested(look) if g["column"] != look.group), None)
    if best and look.how != "group":
        return f'Keep them on one side: split={{"group": {best!r}}} (--group {best}).'
    return (
        'Keep them on one side: table["twins"] = plait.inspect(…).groups gives rows that share content the same number '
        '(row_groups in --json); then split={"group": "twins"}.'
    )


def group_findings(look: Look) -> list[Finding]:
    """Groups on both sides of the split: of a column that was named, or of one that looks like groups."""
    findings = []
    train, held = look.parts == 0, look.parts > 0
    named = [look.group] if look.group and look.group in look.scanned else []
    for column in named:
        groups, rows = shared(look.scanned[column].places, train, held)
        if groups:
            text = (
                f"{plural(groups, 'group')} of {column!r} stand on both sides of the split, with "
                f"{plural(len(rows), 'held-out row')} of {int(held.sum()):,} ({share(len(rows), held.sum())})."
            )
            hint = f'Split by it: split={{"group": {column!r}}} (--group {column}).'
            figures = {"groups": groups, "rows": len(rows)}
            findings.append(
                Finding("group_overlap", SERIOUS, text, hint, (column,), figures, _pairs(look, column, rows))
            )
    for group in suggested(look):
        column = group["column"]
        if column in named:
            continue
        count, rows = shared(look.scanned[column].places, train, held)
        text = (
            f"{column!r} looks like a group: {group['groups']:,} values, {group['rows_each']:.1f} rows each, and "
            f"{share(group['inside'], 1)} of the duplicates stay inside one (by chance {share(group['chance'], 1)})."
        )
        if count:
            text += f" {plural(count, 'value')} stand on both sides of the split."
        hint = f'split={{"group": {column!r}}} (--group {column}) keeps them together.'
        severity = WARNING if count else NOTE
        findings.append(Finding("group_suggested", severity, text, hint, (column,), {**group, "both_sides": count}))
    return findings


def _pairs(look: Look, column: str, rows: np.ndarray) -> tuple[tuple[int, ...], ...]:
    places = look.scanned[column].places
    return tuple((int(np.flatnonzero((look.parts == 0) & (places == places[r]))[0]), int(r)) for r in rows[:SHOWN])


def suggested(look: Look) -> list[dict[str, Any]]:
    """Columns that look like groups, the best first: several rows a value, and duplicates that stay inside one."""
    pairs = _duplicates(look)
    found = []
    for name, scanned in look.scanned.items():
        if name in look.targets or len(pairs) < LEAST_PAIRS or not _may_group(scanned):
            continue
        counts = scanned.counts
        known = pairs[(scanned.places[pairs] >= 0).all(1)]
        if len(known) < LEAST_PAIRS:
            continue
        inside = float((scanned.places[known[:, 0]] == scanned.places[known[:, 1]]).mean())
        chance = float(((counts / counts.sum()) ** 2).sum())
        if inside >= INSIDE and (inside - chance) / max(1 - chance, 1e-9) >= LIFT:
            each = float(counts.mean())
            found.append({"column": name, "groups": len(counts), "rows_each": each, "inside": inside, "chance": chance})
    return sorted(found, key=lambda g: (g["chance"] - g["inside"], g["column"]))


def _may_group(scanned: Scanned) -> bool:
    """Whether a column could name groups: short names or whole numbers, several rows each."""
    if (
        not scanned.cells
        or scanned.content
        or not LEAST_GROUPS <= len(scanned.firsts) <= scanned.here.sum() / LEAST_ROWS
    ):
        return False
    first = scanned.cells[0]
    return isinstance(first, str) or (isinstance(first, float) and all(float(c).is_integer() for c in scanned.cells))


def _duplicates(look: Look) -> np.ndarray:
    """(pairs, 2) rows that hold the same thing in a column whose cells are things."""
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for column in look.contents:
        labels = look.twins[column].alike
        order = np.argsort(labels, kind="stable")
        order = order[labels[order] >= 0]
        same = labels[order[1:]] == labels[order[:-1]]
        pairs.append(np.stack([order[:-1][same], order[1:][same]], 1))
    return np.concatenate(pairs)
