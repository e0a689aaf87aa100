"""Curves over shots in words: the table in a terminal, and how its figures are to be read."""

from __future__ import annotations

import io
from typing import Any

from plait.comparing.text import heading
from plait.report import words

Facts = dict[str, Any]


def named(count: int | None) -> str:
    """8 examples a class"""
    return "all rows" if count is None else f"{count} example{'s' if count > 1 else ''} a class"


def notes(facts: Facts) -> list[str]:
    """What the figures hold, and where there were fewer rows than were asked for."""
    said = []
    for step in facts["shots"]:
        if step["short"]:
            names = [f"{n} ({rows})" for n, rows in list(step["short"].items())[:8]]
            more = f" and {len(step['short']) - 8} more" if len(step["short"]) > 8 else ""
            said.append(
                f"{named(step['shots'])}: fewer training rows, in some split, have {', '.join(names)}{more}; all of them "
                f"were taken, so that the draw holds {step['rows']:.0f} rows."
            )
    if facts["left_out"]:
        asked = ", ".join(map(str, facts["left_out"]))
        said.append(
            f"{asked} a class: left out, no class has so many training rows; the largest has {facts['largest']}."
        )
    for curve in facts["curves"]:
        for point in curve["points"]:
            if point["error"]:
                said.append(f"{curve['name']}, {named(point['shots'])}: not tried: {point['error']}")
    means = "splits, corrected for their overlap" if facts["interval"] == "splits" else "the rows judged and the draws"
    said.append(
        f"Intervals: 95 %, over {means}. Each draw holds the smaller ones. All rows: what plait.fit learns from, validation "
        f"rows too. Encoders saw all training rows, without labels."
    )
    return said


def cells_of(facts: Facts, curve: Facts) -> list[tuple[str, str]]:
    """By count, the value and its interval."""
    metric = facts["metric"]
    return [
        ("-", "") if p["value"] is None else (words.value_text(metric, p["value"]), words.span_text(metric, p))
        for p in curve["points"]
    ]


def heads_of(facts: Facts) -> list[tuple[str, str]]:
    """By count, its name and how many rows were learned from."""
    return [("all" if s["shots"] is None else str(s["shots"]), f"{s['rows']:.0f} rows") for s in facts["shots"]]


def shots_text(facts: Facts) -> str:
    """Everything as lines of text."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column(Text("examples a class"), overflow="fold")
    for head, rows in heads_of(facts):
        grid.add_column(Text(f"{head}\n{rows}"), justify="right", overflow="fold")
    for curve in facts["curves"]:
        grid.add_row(Text(curve["name"]), *(Text(f"{value}\n{span}") for value, span in cells_of(facts, curve)))
    buffer = io.StringIO()
    Console(file=buffer, width=132, color_system=None, legacy_windows=False).print(grid)
    lines = [line.rstrip() for line in buffer.getvalue().rstrip().splitlines()]
    return "\n".join([heading(facts), "", *lines, "", facts["advice"], "", *notes(facts)])
