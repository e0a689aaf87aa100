"""When cells are missing: a target's main figure over the share of cells that are hidden, a small panel a column."""

from __future__ import annotations

from typing import Any

from plait.evaluation import MOST_GONE
from plait.report import plots, words
from plait.report.markup import Html, div, join, name_html, tag
from plait.report.plots import ACCENT, SERIES
from plait.robustness import AT_RANDOM, BY_VALUE, at

Facts = dict[str, Any]
COLOURS = {AT_RANDOM: ACCENT, BY_VALUE: SERIES[6]}
SAID = {
    AT_RANDOM: "hidden at random (band: 95 %)",
    BY_VALUE: "the higher a value, the surer it is hidden",
}


def hiding(facts: Facts, key: str) -> Html:
    """The whole part, as HTML. `facts`: of one target, as `robustness.curves` gives them."""
    scale = scale_of(facts["metric"])
    curves = {(c["column"], c["how"]): c["points"] for c in facts["curves"]}
    columns = list(dict.fromkeys(column for column, _ in curves))
    floor = times(scale, facts["floor"])
    every = [times(scale, p[k]) for points in curves.values() for p in points for k in ("value", "low", "high")]
    span = plots.room([*every, floor])
    panels = []
    for place, column in enumerate(sorted(columns, key=lambda c: c is not None)):
        lines = [_line(points, how, scale) for (of, how), points in curves.items() if of == column]
        picture = plots.missing(lines, floor, span, f"{key}-{place}")
        panels.append(panel(column, picture))
    note = "Rows keep their labels; what is hidden at one rate stays hidden at the next."
    return join(
        [
            tag("h3", "When cells are missing"),
            tag("p", _sentence(facts), class_="soft"),
            div("card", _legend(), div("panels", *panels), tag("p", note, class_="note")),
        ]
    )


def panel(column: str | None, picture: Html) -> Html:
    """One small picture under the name of its column; None is every column."""
    title = "every column" if column is None else name_html(column)
    return tag("figure", tag("figcaption", title), picture)


def scale_of(metric: str) -> float:
    """Shares are drawn in percent."""
    return 100.0 if metric in words.SHARES else 1.0


def times(scale: float, value: float | None) -> float | None:
    """A figure on the scale of a picture."""
    return None if value is None else scale * value


def _line(points: list[Facts], how: str, scale: float) -> Facts:
    return {
        "rates": [p["rate"] for p in points],
        "values": [times(scale, p["value"]) for p in points],
        "low": [times(scale, p["low"]) for p in points] if how == AT_RANDOM else None,
        "high": [times(scale, p["high"]) for p in points] if how == AT_RANDOM else None,
        "colour": COLOURS[how],
        "dashed": how == BY_VALUE,
    }


def _sentence(facts: Facts) -> str:
    """With 70 % of all cells hidden at random, accuracy goes from 74 % to 61 %; knowing nothing gives 25 %."""
    metric = facts["metric"]
    none, most = (words.value_text(metric, at(facts, rate)["value"]) for rate in (0.0, MOST_GONE))
    name = words.metric_name(metric)
    unit = f"{name}, %" if metric in words.SHARES else name
    better = "lower is better" if words.lower_is_better(metric) else "higher is better"
    return (
        f"With {words.percent(MOST_GONE)} of all cells hidden at random, {name[0].lower() if name[1:2].islower() else name[0]}"
        f"{name[1:]} goes from {none} to {most}; knowing nothing gives {words.value_text(metric, facts['floor'])}. "
        f"The panels show {unit} ({better})."
    )


def _legend() -> Html:
    keys = [
        tag("li", tag("i", class_="dashes" if how == BY_VALUE else "solid", style=f"color:{css}"), SAID[how])
        for how, css in ((AT_RANDOM, "var(--accent)"), (BY_VALUE, "var(--k6)"))
    ]
    keys.append(tag("li", tag("i", class_="dashes", style="color:var(--warm)"), "knowing nothing"))
    return tag("ul", *keys, class_="legend strokes")
