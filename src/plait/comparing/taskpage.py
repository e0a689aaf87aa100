"""The page of several targets, alone and together: one HTML file that needs nothing else."""

from __future__ import annotations

from typing import Any

from plait import __version__
from plait.comparing.advice import signed_gap
from plait.comparing.figures import clear
from plait.comparing.tasks import ALONE
from plait.report import words
from plait.report.markup import Html, div, html_of, name_html, span, table, tag
from plait.report.page import POLICY
from plait.report.style import stylesheet
from plait.report.worth import gauge, scale_of

Facts = dict[str, Any]
STYLE = """
.advice{margin:4px 0 10px;max-width:86ch}
.track.rung{min-width:160px;min-height:24px}
.sure{color:var(--accent);font-weight:650}
.sure.down{color:var(--warm)}
"""


def task_page(facts: Facts) -> str:
    """The page as text. The same facts give the same bytes."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"Targets of {facts['table']}"[:200]),
        tag("style", Html(stylesheet() + STYLE)),
    )
    items = [name_html(facts["table"]), words.rows(facts["rows"]), f"{len(facts['seeds'])} seeds"]
    header = tag(
        "header",
        tag("h1", "Do these targets help one another?"),
        tag("ul", *(tag("li", i) for i in items), class_="facts"),
    )
    said = f"Made by plait {__version__}. This file holds everything it shows and asks nothing of a network."
    note = tag(
        "p",
        "Each target is learned alone, then all of them by one model, their losses weighed in three ways. Gains are over the "
        "target alone, paired over the same rows and splits, with 95 % intervals; coloured where they are beyond chance.",
        class_="advice",
    )
    main = tag("main", tag("p", facts["advice"], class_="advice"), *(_section(t) for t in facts["tasks"]), note)
    body = tag("body", header, main, tag("footer", said))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _section(task: Facts) -> Html:
    metric = task["metric"]
    scale = scale_of(metric, [_figure(w) for w in task["ways"]])
    alone = next(w for w in task["ways"] if w["way"] == ALONE)
    rows = []
    for way in task["ways"]:
        sure = 0 if way["gain"] is None else clear(way["gain"])
        gain = "" if way["gain"] is None else signed_gap(metric, way["gain"])
        track = Html(gauge(_figure(way), _figure(alone), scale).replace('"track', '"track rung', 1))
        name = way["way"] if way["way"] == ALONE else f"together, {way['way']}"
        cell = span("sure" if sure > 0 else "sure down", gain) if sure else html_of(gain)
        rows.append([name, words.value_text(metric, way["value"]), track, words.span_text(metric, way), cell])
    title = tag("h2", name_html(task["target"]), " ", span("chip", task["modality"]))
    about = tag("p", f"{words.count(task['labelled'])} labelled rows")
    head = ["learned", f"#{words.metric_name(metric)}", "", "95 %", "#gain"]
    return tag("section", title, about, div("card", table(head, rows)))


def _figure(way: Facts) -> dict[str, float | None]:
    return {key: way[key] for key in ("value", "low", "high")}
