"""A column in figures: what its cells are, how many are missing, broken or the same, how large, and which come most often."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from plait.data.ledger import shown
from plait.data.schema import Column
from plait.inspection.look import Look
from plait.inspection.scan import Scanned

Facts = dict[str, Any]

EXAMPLES, NAMES, BINS = 3, 10, 24
CLUSTERS, MEMBERS = 12, 6  # of duplicates, listed
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
HISTOGRAMS = ("value", "characters", "seconds", "width", "steps", "items", "brightness", "loudness", "mean")
MOST_HISTOGRAMS = 3


def described(look: Look, column: Column) -> Facts:
    """The facts of one column."""
    facts: Facts = {"name": column.name, "modality": column.modality, "role": column.role, "reason": column.reason}
    scanned = look.scanned.get(column.name)
    if scanned is None:
        return facts
    twins = look.twins[column.name]
    rows, broken = int(scanned.here.sum()), int(scanned.bad.sum())
    reasons = Counter(b.reason for b in look.ledger.bad if b.column == column.name)
    facts |= {
        "present": rows,
        "missing": len(scanned.places) - rows - broken,
        "broken": broken,
        "reasons": dict(reasons.most_common()),
        "odd": sum(b.column == column.name for b in look.ledger.odd),
        "distinct": len(scanned.firsts),
        "near_duplicates": twins.near_rows if scanned.content else 0,
        "examples": _examples(look, scanned),
        "figures": {name: _quantiles(scanned, name) for name in scanned.figures if rows},
        "histograms": {name: _histogram(scanned, name) for name in _telling(scanned)},
    }
    counts = scanned.counts
    if scanned.cells and counts.max(initial=0) > 1 and "value" not in scanned.figures:
        order = np.argsort(-counts, kind="stable")[:NAMES]
        facts["most_frequent"] = [[_name(scanned.cells[i]), int(counts[i])] for i in order]
    return facts


def _name(cell: Any) -> str:
    return (", ".join(map(str, cell)) if isinstance(cell, tuple) else str(cell))[:200]


def _examples(look: Look, scanned: Scanned) -> list[Facts]:
    """A few cells from over the whole column, by row."""
    if not len(scanned.firsts):
        return []
    picked = np.unique(np.linspace(0, len(scanned.firsts) - 1, EXAMPLES).round().astype(int))
    values = look.table.frame[scanned.name]
    return [{"row": int(r), "value": shown(values.iloc[int(r)])} for r in scanned.firsts[picked]]


def _quantiles(scanned: Scanned, figure: str) -> list[float]:
    """Least, quarter, median, three quarters and most, over the rows."""
    values = scanned.row_values(figure)
    known = values[np.isfinite(values)]
    return [float(q) for q in np.quantile(known, QUANTILES)] if len(known) else []


def _telling(scanned: Scanned) -> list[str]:
    """The figures worth a histogram: those that vary, a few."""
    names = [n for n in HISTOGRAMS if n in scanned.figures and (scanned.content or n == "value")]
    return [n for n in names if len(np.unique(scanned.figures[n][np.isfinite(scanned.figures[n])])) > 1][
        :MOST_HISTOGRAMS
    ]


def _histogram(scanned: Scanned, figure: str) -> Facts:
    """Counts over even bins between the 0.5 and the 99.5 percentile; what lies outside counts at the ends."""
    values = scanned.row_values(figure)
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.005, 0.995])
    if not low < high:
        low, high = known.min(), known.max()
    counts, edges = np.histogram(known.clip(low, high), bins=min(BINS, max(5, len(np.unique(known)))))
    return {"counts": counts.tolist(), "low": float(edges[0]), "high": float(edges[-1])}


def duplicates(look: Look) -> Facts:
    """Column -> how many rows repeat the content of another, and examples of such rows."""
    found = {}
    for name in look.contents:
        twins = look.twins[name]
        if twins.exact_rows + twins.near_rows == 0:
            continue
        groups = twins.clusters()
        fresh = [g for g in groups if len(set(twins.exact[g].tolist())) > 1]  # nearly the same first: they show more
        listed = (fresh[: CLUSTERS // 2] + [g for g in groups if len(set(twins.exact[g].tolist())) == 1])[:CLUSTERS]
        found[name] = {
            "exact_rows": twins.exact_rows,
            "near_rows": twins.near_rows,
            "groups": len(groups),
            "examples": [_spread(twins.exact, g) for g in listed],
        }
    return found


def _spread(exact: np.ndarray, rows: np.ndarray) -> list[int]:
    """A few rows of a group, of different contents first."""
    _, firsts = np.unique(exact[rows], return_index=True)
    rest = np.setdiff1d(np.arange(len(rows)), firsts)
    return [int(rows[i]) for i in [*firsts, *rest][:MEMBERS]]
