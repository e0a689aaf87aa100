"""The page of curves over shots: one HTML file that needs nothing else; the picture, what it says, the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plait import __version__
from plait.comparing.shotstext import cells_of, heads_of, notes
from plait.report import words
from plait.report.markup import Html, div, html_of, join, name_html, table, tag
from plait.report.page import POLICY
from plait.report.plots import DASHES, HUES, PAPER, SERIES, WARM, draw
from plait.report.style import stylesheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Facts = dict[str, Any]
SIZE = (9.6, 4.8)  # inches
APART = 1.6  # times the largest count: where all rows stand at least
STYLE = """
.shots svg.plot{max-width:1000px;min-width:640px}
.shots .legend{margin-top:14px}
.legend i{width:12px;height:12px;border-radius:3px;flex:none}
.legend i.line{height:0;border-top:2px dashed var(--warm);border-radius:0;width:20px}
.advice{margin:4px 0 10px;max-width:86ch}
.shots td small,.figures small{display:block;color:var(--soft);font-weight:400}
"""


def shots_page(facts: Facts) -> str:
    """The page as text, of what a Shots holds. The same facts give the same bytes."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"Few examples of {facts['target']}"[:200]),
        tag("style", Html(stylesheet() + STYLE)),
    )
    sections = [
        tag(
            "section",
            tag("h2", "Over the examples a class"),
            tag("p", facts["advice"], class_="advice"),
            _figure(facts),
        ),
        tag("section", tag("h2", "The figures"), div("card figures", _table(facts))),
        tag("section", tag("h2", "How to read this"), tag("ul", *(tag("li", n) for n in notes(facts)), class_="plain")),
    ]
    said = f"Made by plait {__version__}. This file holds everything it shows and asks nothing of a network."
    body = tag("body", _header(facts), tag("main", *sections), tag("footer", said))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(facts: Facts) -> Html:
    n, count = facts["judged_rows"], len(facts["seeds"])
    rows = words.count(n[0]) if len(set(n)) == 1 else f"{words.count(min(n))} to {words.count(max(n))}"
    items = [
        name_html(facts["table"]),
        words.rows(facts["rows"]),
        f"judged on {rows} {words.held_out(facts['judged_on'])}",
        f"{count} splits" if facts["interval"] == "splits" else f"{count} draw{'s' if count > 1 else ''}",
        f"{facts['floor']['name']}: {words.figure_words(facts['metric'], facts['floor'])}",
    ]
    return tag(
        "header",
        tag("h1", "How many examples ", tag("em", name_html(facts["target"])), " takes"),
        tag("ul", *(tag("li", i) for i in items), class_="facts"),
    )


def _figure(facts: Facts) -> Html:
    metric = facts["metric"]
    keys = [
        tag("li", tag("i", style=f"background:var(--k{i % HUES})"), name_html(c["name"]))
        for i, c in enumerate(facts["curves"])
    ]
    keys.append(tag("li", tag("i", class_="line"), html_of(facts["floor"]["name"])))
    note = f"{words.metric_name(metric)}: {words.metric_meaning(metric)}. Bands are 95 % intervals."
    return tag(
        "figure",
        tag("figcaption", "Each curve is a learner on the same prepared inputs", tag("small", note)),
        div("scroll", shots_picture(facts), tabindex="0"),
        tag("ul", *keys, class_="legend"),
        class_="card shots",
    )


def _table(facts: Facts) -> Html:
    heads = [join([head, tag("small", rows)]) for head, rows in heads_of(facts)]
    rows = [
        [name_html(c["name"]), *(join([value, tag("small", span)]) for value, span in cells_of(facts, c))]
        for c in facts["curves"]
    ]
    return table(["examples a class", *heads], rows, "wide")


def places(facts: Facts) -> list[float]:
    """Where each count stands: at itself; all rows at their mean a class, but to the right of the others."""
    finite = [float(s["shots"]) for s in facts["shots"] if s["shots"] is not None]
    most = max(finite, default=1.0 / APART)
    mean = facts["shots"][-1]["rows"] / facts["classes"]
    return [float(s["shots"]) if s["shots"] is not None else max(mean, APART * most) for s in facts["shots"]]


def shots_picture(facts: Facts, key: str = "shots") -> Html:
    """A curve a way, with its band; the floor dashed."""
    metric, x = facts["metric"], np.array(places(facts))
    scale = 100.0 if metric in words.SHARES else 1.0
    name = words.metric_name(metric)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        if facts["floor"]["value"] is not None:
            axes.axhline(scale * facts["floor"]["value"], color=WARM, linewidth=1.2, linestyle=(0, (3, 3)))
        for i, curve in enumerate(facts["curves"]):
            colour, dash = SERIES[i % HUES], DASHES[i // HUES % len(DASHES)]
            low, value, high = (
                scale * np.array([np.nan if p[k] is None else p[k] for p in curve["points"]], float)
                for k in ("low", "value", "high")
            )
            axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(x, value, "o", color=colour, linestyle=dash, markersize=6.5, markeredgecolor=PAPER)
        axes.set_xscale("log")
        axes.set_xlim(x.min() / 1.15, x.max() * 1.15)
        axes.set_xticks(x, labels=[head for head, _ in heads_of(facts)])
        axes.set_xticks([], minor=True)
        axes.set(xlabel="examples a class", ylabel=name + (", %" if metric in words.SHARES else ""))

    return draw(paint, key, f"{name} over the examples a class", SIZE)
