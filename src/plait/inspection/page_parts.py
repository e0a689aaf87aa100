"""The parts of the page that look at several columns: labels, gaps, duplicates, differences, broken cells."""

from __future__ import annotations

from typing import Any

from plait.inspection.findings import plural
from plait.inspection.page_columns import Cells
from plait.report import words
from plait.report.markup import Html, div, html_of, join, name_html, span, table, tag
from plait.report.worth import gauge

MOST_CLASSES, MOST_COLUMNS, MOST_PATTERNS, MOST_BAD, MOST_GROUPS = 40, 24, 20, 40, 8


def balance(facts: dict[str, Any]) -> Html | None:
    """The classes of each target with their rows in each part."""
    parts: list[Html] = []
    for target, found in facts["targets"].items():
        parts.append(tag("h3", name_html(target)))
        missing = f", {words.count(found['missing'])} rows without a label" if found["missing"] else ""
        parts.append(tag("p", f"{words.count(found['labelled'])} labels{missing}.", class_="soft"))
        if "classes" not in found:
            quantiles = ", ".join(map(words.number, found["quantiles"]))
            parts.append(tag("p", f"Least, quarter, median, three quarters, most: {quantiles}."))
            continue
        most = max((c["rows"] for c in found["classes"]), default=1)
        lines: list[Html] = []
        for c in found["classes"][:MOST_CLASSES]:
            sides = [tag("i", style=f"flex:{c[p] / most:.4f}") for p in ("train", "valid", "test")]
            rest = tag(
                "i", style=f"flex:{1 - sum(c[p] for p in ('train', 'valid', 'test')) / most:.4f};background:none"
            )
            lines += [
                div("label", name_html(c["name"])),
                div("value", words.count(c["rows"])),
                div("stack", *sides, rest),
            ]
        left = found["class_count"] - MOST_CLASSES
        keys = div("keys", *(span("", tag("b"), p) for p in ("train", "valid", "test")))
        more = tag("p", f"and {left} more classes", class_="note") if left > 0 else None
        parts.append(div("card", div("ranges", *lines), keys, more))
    return join(parts) if parts else None


def gaps(facts: dict[str, Any]) -> Html | None:
    """Which inputs are missing together: a line for each combination, a column for each input with gaps."""
    found = facts["missing"]
    names = list(dict.fromkeys(name for pattern in found for name in pattern["missing"]))
    order = [c["name"] for c in facts["columns"] if c["name"] in names][:MOST_COLUMNS]
    if not order:
        return tag("p", "No input has a gap.", class_="soft")
    head = tag("tr", *(tag("th", name_html(n)) for n in order), tag("th", "rows"), tag("th"))
    most, lines = max(p["rows"] for p in found), []
    for pattern in found[:MOST_PATTERNS]:
        gone = set(pattern["missing"])
        marks = [
            tag("td", class_="x" if n in gone else "o", title=f"{n}: {'missing' if n in gone else 'there'}")
            for n in order
        ]
        bar = tag("td", div("bar", tag("i", style=f"width:{100 * pattern['rows'] / most:.1f}%")), class_="b")
        lines.append(tag("tr", *marks, tag("td", words.count(pattern["rows"]), class_="n"), bar))
    picture = div("scroll", tag("table", tag("thead", head), tag("tbody", *lines), class_="gaps"), tabindex="0")
    said = "Blue is there, grey is missing; the most frequent combinations first."
    left = len(found) - MOST_PATTERNS
    said += f" {words.count(left)} rarer combinations are in the JSON." if left > 0 else ""
    return div("card", picture, tag("p", said, class_="note"))


def duplicates(facts: dict[str, Any], cells: Cells) -> Html | None:
    """Rows that hold the same thing, side by side."""
    parts: list[Html] = []
    for name, found in facts["duplicates"].items():
        near = f", {words.rows(found['near_rows'])} more nearly so" if found["near_rows"] else ""
        repeat = "repeats" if found["exact_rows"] == 1 else "repeat"
        groups = plural(found["groups"], "group")
        said = f"{words.rows(found['exact_rows'])} {repeat} the content of another{near}; {groups}."
        shown = [
            div("same", *(div("", cells.of(row, name), span("note", f"row {row}")) for row in rows))
            for rows in found["examples"][:MOST_GROUPS]
        ]
        parts.append(div("card", tag("h4", name_html(name)), tag("p", said), *shown))
    return div("pair", *parts) if parts else tag("p", "None.", class_="soft")


def drift(facts: dict[str, Any]) -> Html | None:
    """How well two sets of rows are told apart by each column."""
    found = facts["drift"]
    tables = []
    if found["split"]:
        tables.append(_differences("Training and held-out rows", found["split"]))
    if found["against"] and found["against"]["columns"]:
        title = html_of(f"{facts['table']} and {found['against']['table']}")
        tables.append(_differences(title, found["against"]["columns"]))
    if not tables:
        return None
    said = (
        "How well a small classifier tells the two apart by one column alone: AUC 0.5 is no difference, 1 no overlap; "
        "the bar is the 95 % interval. What moved most is named with its medians, or shares."
    )
    return join([tag("p", said, class_="soft"), *tables])


def _differences(title: object, columns: dict[str, dict[str, Any]]) -> Html:
    rows = []
    for name, one in sorted(columns.items(), key=lambda c: -c[1]["auc"]):
        figure = {k if k != "auc" else "value": one[k] for k in ("auc", "low", "high")}
        track = gauge(figure, {"value": 0.5, "low": None, "high": None}, (0.4, 1.0))
        value = tag("b" if one["alarming"] else "span", f"{one['auc']:.2f}")
        moved = ", ".join(
            f"{m['figure']} {words.number(m['before'])} → {words.number(m['after'])}" for m in one["moved"]
        )
        gone = " → ".join(words.percent(g) for g in one["missing"])
        rows.append([name_html(name), value, div("half", track), gone, span("soft", moved or "–")])
    return div("card", tag("h4", title), table(["column", "#AUC", "", "#missing", "what moved"], rows, class_="wide"))


def broken(facts: dict[str, Any], bad: list[dict[str, Any]]) -> Html | None:
    """Cells that cannot be read, also of a second table, and those read with a remark."""
    other = facts["drift"]["against"] or {"table": "", "bad_cells": []}
    lists = (
        (bad, "They count as missing."),
        (other["bad_cells"], f"Of {other['table']}. They count as missing."),
        (facts["odd_cells"], "Read, with a remark."),
    )
    if not any(cells for cells, _ in lists):
        return tag("p", "None.", class_="soft")
    parts = []
    for cells, said in lists:
        if cells:
            rows = [
                [words.count(b["row"]), name_html(b["column"]), tag("code", b["path"]), b["reason"]]
                for b in cells[:MOST_BAD]
            ]
            more = f" The first {MOST_BAD} are shown." if len(cells) > MOST_BAD else ""
            head = tag("p", f"{words.count(len(cells))}. {said}{more}", class_="soft")
            parts.append(div("card", head, table(["row", "column", "value", "why"], rows, class_="wide")))
    return join(parts)
