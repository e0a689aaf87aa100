"""The page of a comparison of fusions: one HTML file that needs nothing else; the advice, the picture, then every way."""

from __future__ import annotations

import math
from typing import Any

from plait import __version__
from plait.comparing.advice import seconds_text, signed_gap
from plait.comparing.entries import ALONE, DECISION, FEATURE, LEARNER
from plait.comparing.fusionpicture import MARKERS, contest_picture, losses, missing_panels, shown_missing
from plait.comparing.fusiontext import fusion_notes, left_text
from plait.comparing.page import SHAPES
from plait.comparing.page import STYLE as LADDER
from plait.comparing.standing import AT
from plait.report import words
from plait.report.hiding import panel
from plait.report.markup import Html, div, html_of, join, name_html, span, table, tag
from plait.report.page import POLICY
from plait.report.style import stylesheet
from plait.report.worth import gauge, scale_of, ticks

Facts = dict[str, Any]
KINDS = {
    ALONE: "one input alone",
    FEATURE: "a fusion of features",
    DECISION: "a fusion of decisions",
    LEARNER: "a learner on all features",
}
CSS = {ALONE: "soft", FEATURE: "k0", DECISION: "k1", LEARNER: "k4"}  # as fusionpicture.COLOURS
LINES = ("accent", "ink", "k1", "k4")  # as fusionpicture.LINES
STYLE = """
.verdict-card{margin:26px 0 0}
.verdict-card p{font-size:1.12rem;line-height:1.5;max-width:78ch;margin:14px 0 0}
.contest>div{display:grid;grid-template-columns:minmax(0,1fr) minmax(240px,auto);gap:10px 26px;align-items:start}
.contest>div>.scroll{margin:0}
.contest svg.plot{max-width:none;min-width:520px}
.contest svg.plot text{paint-order:stroke;stroke:var(--card);stroke-width:2.5px;stroke-linejoin:round}
.contest .legend{margin:0 0 12px;grid-template-columns:repeat(auto-fill,minmax(min(100%,230px),1fr))}
.contest .legend i.line.soft{border-top-color:var(--soft)}
svg.mark{width:11px;height:11px;flex:none;display:inline-block}
ol.entries{list-style:none;margin:0;padding:0;font-size:.8rem;display:grid;gap:0 22px;
 grid-template-columns:repeat(auto-fill,minmax(min(100%,230px),1fr))}
ol.entries li{display:flex;gap:7px;align-items:center;border-radius:5px;padding:0 4px;line-height:1.55}
ol.entries li:hover{background:rgb(var(--accent-rgb)/.1)}
ol.entries b{min-width:1.6em;text-align:right;font-weight:400;color:var(--soft);font-variant-numeric:tabular-nums}
ol.entries bdi{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;max-width:230px}
ol.entries span{font-variant-numeric:tabular-nums}
ol.entries .first bdi{font-weight:650}
.contest:has(ol.entries li:hover) [id*="-curve"]{opacity:.1}
.ways thead th,.ways thead th.n{white-space:normal;min-width:4.5em}
.ways td,.ways th{padding-right:9px}
.ways tbody th>div{display:flex;gap:8px;align-items:baseline}
.ways tbody th bdi{display:block;width:max-content;max-width:11.5em}
.ways thead .ticks{margin-top:2px}
.ways thead .ticks span:nth-child(even){display:none}
.ways tbody th b{min-width:1.5em;text-align:right;font-weight:400;color:var(--soft)}
.ways{font-size:.85rem}
.ways .left{display:inline-block;white-space:normal;width:max-content;max-width:9.5em;overflow-wrap:anywhere}
.ways .track{min-width:150px;min-height:24px}
.ways .track .dot{width:8px;height:8px;margin:-4px 0 0 -4px;box-shadow:0 0 0 1.5px var(--card)}
.ways .track.rung::after{content:"";position:absolute;top:0;height:100%;left:var(--alone);
 border-left:2px dashed var(--soft);opacity:.7}
.weights .share{display:inline-block;min-width:2.9em;text-align:right}
@media (max-width:640px){.verdict-card .than{text-align:left}}
@media (max-width:820px){.contest>div{grid-template-columns:minmax(0,1fr)}}
"""
HEAD = (
    "way",
    "{metric}",
    "#",
    "#95 %",
    "#over the best input alone{unit}",
    "#over {plain}{unit}",
    "#to learn",
    "#numbers learned",
    "#rows a second",
    "#left*",
)


def fusion_page(facts: Facts) -> str:
    """The page as text, of what a Comparison of fusions holds. The same facts give the same bytes."""
    several = any(e["weights"] and len(e["weights"]) > 1 for e in facts["entries"])
    panels = missing_panels(facts)
    links = [("picture", "Picture"), ("missing", "Missing cells") if panels else None, ("ways", "Every way")]
    links += [("weights", "Weights") if several else None, ("left-out", "Not tried") if facts["not_tried"] else None]
    sections = [_verdict(facts), _picture(facts)]
    if panels:
        sections.append(_missing(facts, panels))
    sections.append(tag("section", tag("h2", "Every way, the best first"), div("card", _table(facts)), id="ways"))
    if several:
        sections.append(_weights(facts))
    if facts["not_tried"]:
        broken = [tag("li", tag("b", name_html(e["name"])), f": {e['error']}") for e in facts["not_tried"]]
        sections.append(tag("section", tag("h2", "Not tried"), tag("ul", *broken, class_="plain"), id="left-out"))
    sections.append(tag("section", tag("h2", "How to read this"), _reading(facts), id="reading"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"Fusions for {facts['target']}"[:200]),
        tag("style", Html(stylesheet() + LADDER + STYLE + _hover(len(facts["entries"])))),
    )
    said = f"Made by plait {__version__}. This file holds everything it shows and asks nothing of a network."
    every = [link for link in links if link] + [("reading", "How to read this")]
    body = tag("body", _header(facts, every), tag("main", *sections), tag("footer", said))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(facts: Facts, links: list[tuple[str, str]]) -> Html:
    n = facts["judged_rows"]
    rows = words.count(n[0]) if len(set(n)) == 1 else f"{words.count(min(n))} to {words.count(max(n))}"
    one = len(facts["seeds"]) == 1
    splits = f"{len(facts['seeds'])} {'split' if facts['interval'] == 'splits' else 'seed'}{'' if one else 's'}"
    items = [
        name_html(facts["table"]),
        words.rows(facts["rows"]),
        f"judged on {rows} {words.held_out(facts['judged_on'])}",
        splits,
        f"{len(facts['entries'])} ways",
        f"{len(facts['columns'])} input{'' if len(facts['columns']) == 1 else 's'}",
    ]
    return tag(
        "header",
        tag("h1", "Which fusion tells ", tag("em", name_html(facts["target"]))),
        tag("ul", *(tag("li", i) for i in items), class_="facts"),
        tag("nav", *(tag("a", title, href=f"#{key}") for key, title in links)),
    )


def _verdict(facts: Facts) -> Html:
    """The advice under the figures it is about."""
    metric, by_name = facts["metric"], {e["name"]: e for e in facts["entries"]}
    best, alone = by_name.get(facts["best"] or ""), by_name.get(facts["best_alone"] or "")
    top = best or alone
    figures: list[Html] = []
    if top is not None:
        interval = words.span_text(metric, top)
        small = tag("small", interval) if interval else None
        value = div("big", words.value_text(metric, top["value"]), small)
        figures.append(tag("div", div("kind", name_html(top["name"]), f" · {words.metric_name(metric)}"), value))
    if best is not None and alone is not None:
        level = tag("b", words.value_text(metric, alone["value"]))
        figures.append(div("than", "the best input alone, ", name_html(alone["name"]), level))
    floor = tag("b", words.value_text(metric, facts["floor"]["value"]))
    figures.append(div("than", facts["floor"]["name"], floor))
    advice = tag("p", facts["advice"], class_="advice")
    return tag("section", div("card verdict-card", div("versus", *figures), advice), id="verdict")


def _mark(kind: str) -> Html:
    shape = Html(SHAPES[MARKERS[kind]])
    return tag("svg", shape, class_="mark", viewBox="0 0 12 12", style=f"fill:var(--{CSS[kind]})", aria_hidden="true")


def _picture(facts: Facts) -> Html:
    metric, there = facts["metric"], {e["kind"] for e in facts["entries"]}
    keys = [tag("li", _mark(kind), said) for kind, said in KINDS.items() if kind in there]
    if facts["best_alone"]:
        keys.append(tag("li", tag("i", class_="line soft"), "the best input alone, 95 %"))
    keys.append(tag("li", tag("i", class_="line"), facts["floor"]["name"]))
    note = (
        f"{words.metric_name(metric)}: {words.metric_meaning(metric)}. Bars are 95 % intervals, cut where they leave "
        "the picture. "
        + ("Lower is better." if words.lower_is_better(metric) else "Higher is better.")
        + " To the left is cheaper. Numbers are places in the list."
    )
    entries = [
        tag(
            "li",
            tag("b", str(place + 1)),
            _mark(e["kind"]),
            name_html(e["name"]),
            tag("span", words.value_text(metric, e["value"])),
            class_="first" if e["name"] == facts["best"] else None,
        )
        for place, e in enumerate(facts["entries"])
    ]
    return tag(
        "section",
        tag("h2", "What each is worth, and what it takes"),
        tag(
            "figure",
            tag("figcaption", "Each point is a way from the inputs to answers", tag("small", note)),
            tag("ul", *keys, class_="legend"),
            tag("div", div("scroll", contest_picture(facts), tabindex="0"), tag("ol", *entries, class_="entries")),
            class_="card ladder contest",
        ),
        id="picture",
    )


def _missing(facts: Facts, panels: list[tuple[str | None, Html]]) -> Html:
    keys = []
    for (entry, _), css in zip(shown_missing(facts), LINES):
        left = losses(entry).get(None)
        said = span("", f"{words.percent(left)} left") if left is not None else None
        keys.append(tag("li", tag("i", style=f"color:var(--{css})"), name_html(entry["name"]), said))
    keys.append(tag("li", tag("i", class_="dashes", style="color:var(--warm)"), html_of(facts["floor"]["name"])))
    unit = ", %" if facts["metric"] in words.SHARES else ""
    note = (
        f"{words.metric_name(facts['metric'])}{unit}, over the rate of hidden cells. Solid: hidden at random. Dashed: the "
        f"higher a value stands, the surer it is hidden. Left: of the gain over {facts['floor']['name']}, with "
        f"{words.percent(AT)} of all cells hidden at random."
    )
    return tag(
        "section",
        tag("h2", "When cells are missing"),
        tag(
            "figure",
            tag("figcaption", "The same models, fewer cells", tag("small", note)),
            tag("ul", *keys, class_="legend strokes"),
            div("panels", *(panel(column, picture) for column, picture in panels)),
            class_="card",
        ),
        id="missing",
    )


def _table(facts: Facts) -> Html:
    metric, entries = facts["metric"], facts["entries"]
    scale, floor = _scale(facts), facts["floor"]
    outside = floor["value"] is None or not scale[0] <= floor["value"] <= scale[1]
    prior: words.Figure = {"value": None, "low": None, "high": None} if outside else _figure(floor)
    alone = next((e["value"] for e in entries if e["name"] == facts["best_alone"]), None)
    style = None if alone is None else f"--alone:{100 * (alone - scale[0]) / ((scale[1] - scale[0]) or 1):.2f}%"
    opening = tag("div", class_="track rung" if alone is not None else "track", style=style).removesuffix("</div>")
    rows = []
    for place, entry in enumerate(entries):
        name = name_html(entry["name"])
        strong = entry["name"] in (facts["best"], facts["best_alone"])
        track = gauge(_figure(entry), prior, scale)
        rows.append(
            [
                tag("div", tag("b", str(place + 1)), _mark(entry["kind"]), tag("strong", name) if strong else name),
                Html(track.replace('<div class="track">', opening, 1)),
                tag("b", words.value_text(metric, entry["value"])),
                words.span_text(metric, entry) or "–",
                _over(metric, entry.get("over_alone")),
                _over(metric, entry.get("over_plain")),
                seconds_text(entry["seconds"]),
                words.count(entry["parameters"]),
                words.number(entry["rows_per_second"]),
                span("left", left_text(entry)),
            ]
        )
    unit = ", points" if metric in words.SHARES else ""
    said = {"metric": words.metric_name(metric), "plain": facts["plain"] or "the plain one", "unit": unit}
    names: list[object] = [h.format(**said) for h in HEAD]
    names[1] = join([names[1], ticks(metric, scale)])
    return table(names, rows, "wide ways")


def _scale(facts: Facts) -> tuple[float, float]:
    """The range of the gauges: of shares the tenths between which all values lie, else round numbers."""
    values = [e["value"] for e in facts["entries"] if e["value"] is not None]
    if facts["metric"] not in words.IN_UNITS and values and min(values) >= 0 and max(values) <= 1:
        return math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10
    return scale_of(facts["metric"], [{"value": v, "low": None, "high": None} for v in values])


def _over(metric: str, gap: Facts | None) -> Html:
    """A difference, told apart where it is sure with all of them looked at together."""
    if gap is None:
        return html_of("")
    said = signed_gap(metric, gap).removesuffix(" points")
    if not gap.get("sure"):
        return html_of(said)
    return span("sure" if (gap["value"] or 0) > 0 else "sure down", said + " !")


def _weights(facts: Facts) -> Html:
    columns = [c["name"] for c in facts["columns"]]
    rows = []
    for entry in facts["entries"]:
        weights = entry["weights"]
        if not weights or len(weights) < 2:
            continue
        most = max(max(weights.values()), 1e-9)
        cells: list[object] = [join([name_html(entry["name"])])]
        for column in columns:
            weight = weights.get(column)
            if weight is None:
                cells.append("–")
                continue
            bar = span("bar slim", tag("i", style=f"width:{100 * max(weight, 0) / most:.1f}%"))
            cells.append(join([span("share", words.percent(weight)), bar]))
        rows.append(cells)
    head = ["way", *(tag("bdi", c) for c in columns)]
    note = "How much each input counts in what was learned, when all are there; means over the splits."
    body = div("card", table(head, rows, "wide weights"), tag("p", note, class_="note"))
    return tag("section", tag("h2", "Learned weights"), body, id="weights")


def _reading(facts: Facts) -> Html:
    said = [
        *fusion_notes(facts),
        f"The orange dashes are {facts['floor']['name']}: what is reached without looking at any column. The grey dashes are "
        "the best input alone.",
        "Every way had the same prepared streams, the same splits and the same rows to be judged on. Among many ways the best "
        "looks a little better than it is: that is why only what is sure with all of them looked at together is marked.",
    ]
    return tag("ul", *(tag("li", s) for s in said), class_="plain")


def _figure(entry: Facts) -> dict[str, float | None]:
    return {k: entry[k] for k in ("value", "low", "high")}


def _hover(entries: int) -> str:
    """Pointing at a name of the list leaves its point alone in the picture."""
    return "\n".join(
        f'.contest:has(ol.entries li:nth-child({i + 1}):hover) [id*="-curve{i}-"]{{opacity:1}}' for i in range(entries)
    )
