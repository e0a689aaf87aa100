"""Which columns are missing together, how often, and whether a gap tells the target."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from plait.data.ledger import BadCell
from plait.inspection.findings import SERIOUS, WARNING, Finding, plural, share
from plait.inspection.look import Look
from plait.inspection.scan import Scanned

SHOWN = 4  # columns named in a sentence
STRONG, SURE = 0.2, 1e-4  # Cramér's V, or correlation; chance of it arising by itself, over all pairs together
BROKEN = 0.05  # share of broken cells at which plait.fit stops


def patterns(look: Look) -> list[dict[str, Any]]:
    """Each combination of inputs that are missing together, and its rows, the most frequent first."""
    names = look.inputs
    if not names:
        return []
    gaps = ~np.stack([look.scanned[c].here for c in names], 1)
    kinds, place = np.unique(np.packbits(gaps, axis=1), axis=0, return_inverse=True)
    counts = np.bincount(place.ravel(), minlength=len(kinds))
    each = np.unpackbits(kinds, axis=1, count=len(names)).astype(bool)
    order = np.lexsort((each.sum(1), -counts))
    return [{"missing": [n for n, gone in zip(names, each[i]) if gone], "rows": int(counts[i])} for i in order]


def gap_findings(look: Look) -> list[Finding]:
    """Gaps that tell the target, rows without any input, and columns that are mostly gone or broken."""
    findings = broken_findings(look.scanned, look.ledger.bad)
    rows = len(look.table)
    nothing = next((p["rows"] for p in patterns(look) if len(p["missing"]) == len(look.inputs)), 0)
    if nothing:
        text = f"{plural(nothing, 'row')} of {rows:,} ({share(nothing, rows)}) hold none of the inputs."
        findings.append(Finding("empty_rows", WARNING, text, "Leave them out: nothing can be told from them."))
    for target in look.targets:
        told = [one for one in telling(look) if one["target"] == target]
        if told:
            words = "; ".join(
                f"{t['column']!r} {t['words']} ({t['measure']} {t['strength']:.2f})" for t in told[:SHOWN]
            )
            more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
            text = f"Gaps tell {target!r}: {words}{more}."
            way_out = "A model will use the gaps: make sure they will be there, for the same reason, in new rows."
            columns = (*(t["column"] for t in told), target)
            findings.append(Finding("telling_gaps", WARNING, text, way_out, columns, {"columns": told}))
    return findings


def broken_findings(scanned: dict[str, Scanned], cells: list[BadCell], other: str = "") -> list[Finding]:
    """Columns with cells that cannot be read. `other`: the name of the table, where it is not the one inspected."""
    findings = []
    for name, column in scanned.items():
        bad = int(column.bad.sum())
        filled = bad + int(column.here.sum())
        if bad:
            whose, many = f" in {other}" if other else "", bad > BROKEN * filled
            said = f"cannot be read ({share(bad, filled)}): {_reasons(cells, name)}."
            text = f"{plural(bad, 'cell')} of {name!r}{whose} {said}"
            stops = " plait.fit stops above 5 %, unless max_bad allows more." if many and not other else ""
            way_out = f"Repair them; they count as missing.{stops}"
            figures = {"cells": bad, "filled": filled, **({"table": other} if other else {})}
            findings.append(Finding("bad_cells", SERIOUS if many else WARNING, text, way_out, (name,), figures))
    return findings


def _reasons(cells: list[BadCell], name: str) -> str:
    reasons = Counter(cell.reason for cell in cells if cell.column == name)
    first = reasons.most_common(3)
    return "; ".join(f"{reason} ({n})" for reason, n in first)


def telling(look: Look) -> list[dict[str, Any]]:
    """Inputs whose gaps go with a target, surely and not only a little."""
    found = []
    tests = max(1, len(look.inputs) * len(look.targets))
    for target in look.targets:
        codes, names = look.codes(target)
        known = codes >= 0
        for column in look.inputs:
            gone = ~look.scanned[column].here[known]
            if not 0 < gone.sum() < len(gone):
                continue
            if look.numeric(target):
                one = _of_number(gone, look.scanned[target].row_values("value")[known])
            else:
                one = _of_classes(gone, codes[known], names)
            if one and one["strength"] >= STRONG and one["chance"] < SURE / tests:
                found.append({"column": column, "target": target, **one})
    return sorted(found, key=lambda f: -f["strength"])


def _of_classes(gone: np.ndarray, codes: np.ndarray, names: list[str]) -> dict[str, Any] | None:
    """Chi-square over presence and class; classes with few rows count as one."""
    counts = np.bincount(codes, minlength=len(names))
    few = counts < 5
    cells = np.stack([np.bincount(codes[~gone], minlength=len(names)), np.bincount(codes[gone], minlength=len(names))])
    table = np.concatenate([cells[:, ~few], cells[:, few].sum(1, keepdims=True)], 1).astype(float)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2:
        return None
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    chi, freedom = float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1
    rates = np.where(counts > 0, cells[1] / np.maximum(counts, 1), np.nan)
    usual = counts * cells[1].sum() / counts.sum()
    most = int(np.argmax(np.where(few, -1, np.abs(cells[1] - usual) / np.sqrt(np.maximum(usual, 1e-9)))))
    others = (cells[1].sum() - cells[1][most]) / max(counts.sum() - counts[most], 1)
    words = f"is missing in {share(rates[most], 1)} of {names[most]!r} and {share(others, 1)} of the rest"
    strength = math.sqrt(chi / table.sum())
    return {"measure": "Cramér's V", "strength": strength, "chance": _chi_chance(chi, freedom), "words": words}


def _chi_chance(chi: float, freedom: int) -> float:
    """The chance of a chi-square so large (Wilson & Hilferty 1931)."""
    spread = 2 / (9 * freedom)
    return 0.5 * math.erfc(((chi / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))


def _of_number(gone: np.ndarray, values: np.ndarray) -> dict[str, Any] | None:
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float)
    if ranks.std() == 0:
        return None
    strength = abs(float(np.corrcoef(gone, ranks)[0, 1]))
    chance = math.erfc(strength * math.sqrt(len(values)) / math.sqrt(2))
    there, away = float(np.median(values[~gone])), float(np.median(values[gone]))
    words = f"is missing where its median is {away:.3g}, not {there:.3g}"
    return {"measure": "rank correlation", "strength": strength, "chance": chance, "words": words}
