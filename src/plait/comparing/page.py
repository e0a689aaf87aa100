"""The page of a comparison: one HTML file that needs nothing else; the picture, the advice, then every rung."""

from __future__ import annotations

from typing import Any

from plait import __version__
from plait.comparing.figures import clear
from plait.comparing.picture import AXIS, MARKERS, ladder_picture
from plait.comparing.rungs import TRAINED
from plait.comparing.text import cells_of, notes
from plait.report import words
from plait.report.markup import Html, div, html_of, join, name_html, span, table, tag
from plait.report.page import POLICY
from plait.report.plots import HUES
from plait.report.style import stylesheet
from plait.report.worth import gauge, scale_of

Facts = dict[str, Any]
STYLE = """
.ladder svg.plot{max-width:1000px;min-width:640px;overflow:hidden}
.ladder .legend{margin-top:14px}
.legend i{width:12px;height:12px;border-radius:3px;flex:none}
.legend i.line{height:0;border-top:2px dashed var(--warm);border-radius:0;width:20px}
.legend svg.mark{width:12px;height:12px;fill:var(--soft)}
.advice{margin:4px 0 10px;max-width:86ch}
.track.rung{min-width:130px;min-height:24px}
.best th,.best td{font-weight:650}
.sure{color:var(--accent);font-weight:650}
.sure.down{color:var(--warm)}
"""
SHAPES = {
    "o": '<circle cx="6" cy="6" r="5"/>',
    "s": '<rect x="1.5" y="1.5" width="9" height="9"/>',
    "D": '<path d="M6 0L12 6L6 12L0 6Z"/>',
    "^": '<path d="M6 1L12 11L0 11Z"/>',
}
HEAD = ("encoder", "{metric}", "#", "#", "#above the rung below", "#to prepare a row", "#to learn", "#rows a second")
SPACE = ("#cells", "#weights")
KINDS = {
    "scratch": "trained from scratch by the loop",
    "classic": "classic, nothing to train",
    "pretrained": "pretrained, frozen",
    "tuned": "pretrained, then trained on by the loop",
}


def comparison_page(facts: Facts) -> str:
    """The page as text, of what a Comparison holds. The same facts give the same bytes."""
    groups = [(f"column-{i}", c["name"], c) for i, c in enumerate(facts["columns"])]
    if facts["together"]:
        groups.append(("together", "All columns together", facts["together"]))
    sections = [tag("section", tag("h2", "What each is worth, and what it takes"), _picture(facts), id="picture")]
    sections += [_section(facts, key, title, group) for key, title, group in groups]
    sections.append(tag("section", tag("h2", "How to read this"), _reading(facts), id="reading"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"Encoders for {facts['target']}"[:200]),
        tag("style", Html(stylesheet() + STYLE)),
    )
    said = f"Made by plait {__version__}. This file holds everything it shows and asks nothing of a network."
    links = [("picture", "Picture"), *((key, title) for key, title, _ in groups), ("reading", "How to read this")]
    body = tag("body", _header(facts, links), tag("main", *sections), tag("footer", said))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(facts: Facts, links: list[tuple[str, str]]) -> Html:
    metric, n = facts["metric"], facts["judged_rows"]
    rows = words.count(n[0]) if len(set(n)) == 1 else f"{words.count(min(n))} to {words.count(max(n))}"
    splits = f"{len(facts['seeds'])} splits" if facts["interval"] == "splits" else f"{len(facts['seeds'])} seed"
    splits += "s" if facts["interval"] == "rows" and len(facts["seeds"]) > 1 else ""
    items = [
        name_html(facts["table"]),
        words.rows(facts["rows"]),
        f"judged on {rows} {words.held_out(facts['judged_on'])}",
        splits,
        f"{facts['floor']['name']}: {words.figure_words(metric, facts['floor'])}",
    ]
    return tag(
        "header",
        tag("h1", "Which encoder tells ", tag("em", name_html(facts["target"]))),
        tag("ul", *(tag("li", i) for i in items), class_="facts"),
        tag("nav", *(tag("a", name_html(title), href=f"#{key}") for key, title in links)),
    )


def _picture(facts: Facts) -> Html:
    keys = [
        tag("li", tag("i", style=f"background:var(--k{i % HUES})"), name_html(c["name"]))
        for i, c in enumerate(facts["columns"])
    ]
    if facts["together"]:
        keys.append(tag("li", tag("i", style="background:var(--ink)"), html_of("all columns together")))
    for kind, said in KINDS.items():
        shape = Html(SHAPES[MARKERS[kind]])
        keys.append(tag("li", tag("svg", shape, class_="mark", viewBox="0 0 12 12", aria_hidden="true"), html_of(said)))
    keys.append(tag("li", tag("i", class_="line"), html_of(facts["floor"]["name"])))
    note = (
        f"{words.metric_name(facts['metric'])}: {words.metric_meaning(facts['metric'])}. Bars are 95 % intervals. "
        + ("Lower is better." if words.lower_is_better(facts["metric"]) else "Higher is better.")
        + f" To the left is cheaper: the time {AXIS}, with every network that is run for it."
    )
    caption = tag("figcaption", "Each point is an encoder", tag("small", note))
    return tag(
        "figure",
        caption,
        div("scroll", ladder_picture(facts), tabindex="0"),
        tag("ul", *keys, class_="legend"),
        class_="card ladder",
    )


def _section(facts: Facts, key: str, title: str, group: Facts) -> Html:
    kind = span("chip", group["modality"]) if "modality" in group else None
    lines: list[object] = [tag("h2", name_html(title), " ", kind), tag("p", group["advice"], class_="advice")]
    fine = [r for r in group["rungs"] if not r["error"]]
    if fine:
        lines.append(div("card", _table(facts, group, fine)))
    broken = [tag("li", tag("b", r["name"]), f" was not tried: {r['error']}") for r in group["rungs"] if r["error"]]
    broken += [
        tag(
            "li",
            tag("b", a["name"]),
            " is not here: ",
            tag("code", a["get"]),
            f" ({a['megabytes']} MB, {a['licence']})",
        )
        for a in group.get("absent", [])
    ]
    if broken:
        lines.append(tag("ul", *broken, class_="plain"))
    return tag("section", *lines, id=key)


def _table(facts: Facts, group: Facts, rungs: list[Facts]) -> Html:
    every = [r for c in facts["columns"] for r in c["rungs"] if not r["error"]]
    scale = scale_of(facts["metric"], [_figure(r) for r in [*every, *rungs, facts["floor"]]])
    best = [name for kind, name in group.get("best", {}).items() if kind not in TRAINED]
    rows = []
    for rung in rungs:
        name, value, interval, above, *costs = cells_of(facts, rung)
        sure = clear(rung["above"])
        gap = span("sure" if sure > 0 else "sure down", above) if sure else html_of(above)
        label = join([name, span("note", " best of its kind") if rung["name"] in best else None])
        track = Html(gauge(_figure(rung), _figure(facts["floor"]), scale).replace('"track', '"track rung', 1))
        used = [f"{c}: {_encoder(part)}" for c, part in rung["encoders"].items()]
        if len(used) > 1:
            label = join([label, tag("br"), span("note", ", ".join(used))])
        rows.append([label, track, tag("b", value), interval, gap, *costs])
    names = [h.format(metric=words.metric_name(facts["metric"])) for h in (*HEAD, *SPACE)]
    return table(names, rows, "wide")


def _encoder(part: Any) -> str:
    """A spec in a word: the weights, or the encoder."""
    if not isinstance(part, dict):
        return str(part)
    return _encoder(part["encoder"]) if "encoder" in part else str(part.get("weights", part["name"]))


def _figure(rung: Facts) -> dict[str, float | None]:
    return {k: rung[k] for k in ("value", "low", "high")}


def _reading(facts: Facts) -> Html:
    said = [
        *notes(facts),
        f"The dashed line is {facts['floor']['name']}: what is right without looking at any column.",
        "Every rung was judged on the same rows. The best of a kind was chosen on validation rows, by what was learned "
        "without them; still, among many rungs some difference will look sure by chance.",
        "Cells: what the prepared cells take on disk. Weights: what the encoder, its network and what was learned take in a "
        "model folder.",
    ]
    return tag("ul", *(tag("li", s) for s in said), class_="plain")
