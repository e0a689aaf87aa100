"""A comparison of fusions in words: what to take, and the table in a terminal."""

from __future__ import annotations

import io
from typing import Any

from plait.comparing.advice import gap_text, seconds_text, signed_gap
from plait.comparing.figures import clear
from plait.comparing.standing import AT
from plait.comparing.text import heading
from plait.report import words
from plait.robustness import AT_RANDOM

Facts = dict[str, Any]
WIDTH = 150
HEAD = (
    "way",
    "#{metric}",
    "95 %",
    "#over the best input alone",
    "#over {plain}",
    "#seconds",
    "#numbers learned",
    "#rows/s",
    "left*",
)


def fusion_advice(facts: Facts) -> str:
    """What to take, in a few plain sentences: whether fusion is worth it, which, and what a cheaper one loses."""
    metric, by_name = facts["metric"], {e["name"]: e for e in facts["entries"]}
    alone, best = by_name.get(facts["best_alone"] or ""), by_name.get(facts["best"] or "")
    if best is None:
        return "No fusion could be tried."
    said = []
    if alone is None or len(best["columns"]) < 2:
        said.append(
            f"{best['name']} comes out best, {words.figure_words(metric, best)}; there is one input only, so nothing is fused."
        )
    else:
        gap = best["over_alone"]
        size = gap_text(metric, gap)
        if gap["sure"] and (gap["value"] or 0) > 0:
            said.append(
                f"Fusion is worth it: {best['name']} beats the best input by itself, {alone['name']}, by {size}."
            )
        elif clear(gap) > 0:
            said.append(
                f"{best['name']} is {size} above the best input by itself, {alone['name']}; with so many ways compared "
                "that may be chance."
            )
        elif gap["sure"] and (gap["value"] or 0) < 0:
            said.append(f"Do not fuse: {alone['name']} beats the best fusion, {best['name']}, by {size}.")
        else:
            said.append(f"That fusion helps is not sure: {best['name']} and {alone['name']} differ by {size}.")
    plain = by_name.get(facts["plain"] or "")
    if plain is not None and plain["name"] != best["name"]:
        gap = best["over_plain"]
        if gap["sure"] and (gap["value"] or 0) > 0:
            said.append(f"Over {plain['name']} it gains {gap_text(metric, gap)}, surely.")
        else:
            said.append(
                f"It cannot be told from {plain['name']} ({signed_gap(metric, gap)}), which learns in "
                f"{seconds_text(plain['seconds'])}: take that."
            )
    said += _idle(facts, by_name)
    worse = [
        e["name"]
        for e in facts["entries"]
        if e.get("over_alone", {}).get("sure") and (e["over_alone"]["value"] or 0) < 0
    ]
    if worse:
        said.append(f"Surely below the best input by itself: {', '.join(worse)}.")
    return " ".join(said)


def _idle(facts: Facts, by_name: dict[str, Facts]) -> list[str]:
    """Inputs of which the best fusion loses nothing when most of their cells are gone."""
    best = by_name[facts["best"]]
    idle = [
        c["column"]
        for c in (best["missing"] or {}).get("curves", [])
        if c["column"] is not None and c["how"] == AT_RANDOM and c["left"] is not None and c["left"] >= 0.99
    ]
    if not idle:
        return []
    return [
        f"With {100 * AT:.0f} % of its cells hidden nothing is lost: {', '.join(idle)} adds little or nothing to the rest."
    ]


def fusions_text(facts: Facts) -> str:
    """Everything as lines of text."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in HEAD:
        title = name.strip("#*").format(metric=words.metric_name(facts["metric"]), plain=facts["plain"])
        table.add_column(
            Text(title + "*" * name.endswith("*")), justify="right" if name.startswith("#") else "left", overflow="fold"
        )
    for entry in facts["entries"]:
        table.add_row(*(Text(cell) for cell in cells_of(facts, entry)))
    buffer = io.StringIO()
    Console(file=buffer, width=WIDTH, color_system=None, legacy_windows=False).print(table)
    lines = [
        heading(facts),
        "",
        *(line.rstrip() for line in buffer.getvalue().rstrip().splitlines()),
        "",
        facts["advice"],
    ]
    lines += [f"not tried: {e['name']}: {e['error']}" for e in facts["not_tried"]]
    return "\n".join([*lines, "", *fusion_notes(facts)])


def cells_of(facts: Facts, entry: Facts) -> list[str]:
    """An entry as the cells of a row."""
    metric = facts["metric"]

    def over(key: str) -> str:
        gap = entry.get(key)
        return "" if gap is None else signed_gap(metric, gap) + (" !" if gap["sure"] else "")

    return [
        entry["name"],
        words.value_text(metric, entry["value"]),
        words.span_text(metric, entry),
        over("over_alone"),
        over("over_plain"),
        seconds_text(entry["seconds"]),
        words.count(entry["parameters"]),
        words.number(entry["rows_per_second"]),
        left_text(entry),
    ]


def left_text(entry: Facts) -> str:
    """What is left of the gain over knowing nothing when most cells of the column that matters most are gone: 81 % (text)."""
    curves = [
        c
        for c in (entry["missing"] or {}).get("curves", [])
        if c["how"] == AT_RANDOM and c["column"] is not None and c["left"] is not None
    ]
    if not curves:
        return ""
    worst = min(curves, key=lambda c: c["left"])
    return f"{100 * worst['left']:.0f} % ({worst['column']})"


def fusion_notes(facts: Facts) -> list[str]:
    """How the figures are to be read."""
    means = (
        f"over {len(facts['seeds'])} splits, corrected for their overlap (Nadeau & Bengio 2003)"
        if facts["interval"] == "splits"
        else "by bootstrap over the rows judged, paired"
    )
    return [
        f"Intervals: 95 %, {means}. ! a difference that is sure with all of them looked at together (Holm 1979).",
        f"* of the gain over {facts['floor']['name']}, what is left with {100 * AT:.0f} % of the cells gone of the column named, "
        f"the one whose loss is the worst. Seconds: to learn from prepared streams, on one core.",
    ]
