"""The ladder in a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from plait.comparing.advice import seconds_text, signed_gap
from plait.comparing.figures import clear
from plait.comparing.rungs import TRAINED
from plait.report import words

Facts = dict[str, Any]
HEAD = (
    "encoder",
    "#{metric}",
    "95 %",
    "#above the rung below",
    "#prepare a row",
    "#learn",
    "#rows/s",
    "#cells",
    "#weights",
)
WIDTH = 132


def size_text(size: float) -> str:
    """12 kB, 3.4 MB"""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB" if size >= 1e3 or not size else f"{size:.0f} B"
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def cells_of(facts: Facts, rung: Facts, best: Sequence[str] = ()) -> list[str]:
    """A rung as the cells of a row."""
    metric = facts["metric"]
    mark = " *" if rung["name"] in best else ""
    sure = " !" if clear(rung["above"]) else ""
    return [
        rung["name"] + mark,
        words.value_text(metric, rung["value"]),
        words.span_text(metric, rung),
        signed_gap(metric, rung["above"]) + sure,
        seconds_text(rung["prepare"]["seconds_a_row"]),
        seconds_text(rung["learn_seconds"]),
        f"{words.number(rung['rows_per_second']['raw'])}",
        size_text(rung["cells_bytes"]),
        size_text(rung["weights_bytes"]),
    ]


def rung_line(metric: str, rung: Facts) -> str:
    """A rung in a few words, while work goes on."""
    return (
        f"{words.figure_words(metric, rung)}, {seconds_text(rung['prepare']['seconds_a_row'])} to prepare a row, "
        f"{seconds_text(rung['learn_seconds'])} to learn"
    )


def table_text(facts: Facts) -> str:
    """Everything as lines of text."""
    groups: list[tuple[str, Facts]] = [(f"{c['name']} ({c['modality']})", c) for c in facts["columns"]]
    if facts["together"]:
        groups.append(("all columns together", facts["together"]))
    lines = [heading(facts)]
    for title, group in groups:
        lines += ["", _table(facts, title, group), group["advice"]]
        lines += [f"not tried: {r['name']}: {r['error']}" for r in group["rungs"] if r["error"]]
        lines += [f"not here: {a['get']} ({a['megabytes']} MB, {a['licence']})" for a in group.get("absent", [])]
    return "\n".join([*lines, "", *notes(facts)])


def heading(facts: Facts) -> str:
    """What was compared, on which rows, over what floor."""
    metric, n = facts["metric"], facts["judged_rows"]
    rows = words.count(n[0]) if len(set(n)) == 1 else f"{words.count(min(n))} to {words.count(max(n))}"
    times = f", {len(facts['seeds'])} splits" if facts["interval"] == "splits" else ""
    return (
        f"{facts['target']} of {facts['table']}: {words.metric_name(metric)} on {rows} {words.held_out(facts['judged_on'])}"
        f"{times}; {facts['floor']['name']}: {words.figure_words(metric, facts['floor'])}"
    )


def notes(facts: Facts) -> list[str]:
    """How the figures are to be read."""
    means = (
        f"over {len(facts['seeds'])} splits, corrected for their overlap"
        if facts["interval"] == "splits"
        else "by bootstrap over the rows judged, paired"
    )
    return [
        f"Intervals: 95 %, {means}. ! a difference beyond chance; above zero is better. * the best of its kind, chosen "
        f"on validation rows. Frozen encoders are judged by {facts['learner']['name']}.",
        "Prepare a row: on all cores, from an empty cache. Learn: what the encoder learns of the training rows, and the "
        "training. Rows/s: from raw cells to answers.",
    ]


def _table(facts: Facts, title: str, group: Facts) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in HEAD:
        plain = name.lstrip("#").format(metric=words.metric_name(facts["metric"]))
        table.add_column(Text(plain), justify="right" if name.startswith("#") else "left", overflow="fold")
    best = [name for kind, name in group.get("best", {}).items() if kind not in TRAINED]
    for rung in group["rungs"]:
        if not rung["error"]:
            table.add_row(*(Text(cell) for cell in cells_of(facts, rung, best)))
    buffer = io.StringIO()
    Console(file=buffer, width=WIDTH, color_system=None, legacy_windows=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip().splitlines())
