"""The page of an inspection: one HTML file that needs nothing else, warnings first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait import __version__
from plait.data.table import Table
from plait.inspection.described import Facts
from plait.inspection.findings import SERIOUS, SEVERITIES, WARNING, Finding, plural
from plait.inspection.page_columns import Cells, column_card
from plait.inspection.page_parts import balance, broken, drift, duplicates, gaps
from plait.report import words
from plait.report.markup import Html, div, folded, html_of, join, name_html, span, tag
from plait.report.page import POLICY
from plait.report.style import stylesheet

BYTES = 1_900_000  # of pictures and sounds, as they stand in the page
MOST_COLUMNS, MOST_FINDINGS, EVIDENCE = 120, 60, 3
STYLE = """
.finding{border-left:5px solid var(--line);margin:12px 0;padding:14px 18px}
.finding.serious{border-left-color:var(--warm)}
.finding.warning{border-left-color:rgb(var(--warm-rgb)/.45)}
.finding p{margin:2px 0 4px;max-width:86ch}
.badge{display:inline-block;border-radius:6px;padding:0 8px;font-size:.78rem;font-weight:600;line-height:1.6;
 background:rgb(128 138 150/.16);color:var(--soft)}
.badge.serious{background:var(--warm);color:var(--card)}
.badge.warning{background:rgb(var(--warm-rgb)/.2);color:var(--ink)}
.way{color:var(--soft);font-size:.92rem}
.cols{display:grid;align-items:start;grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr));gap:16px;margin:14px 0}
.cols .card{padding:16px 18px;font-size:.9rem}
.cols h3{margin:0 0 2px;font-size:1rem;overflow-wrap:anywhere}
.cols h3 .chip{font-size:.78rem;font-weight:500;margin-left:6px}
.fill{display:flex;height:8px;border-radius:4px;overflow:hidden;gap:1px;margin:8px 0 4px;background:rgb(128 138 150/.14)}
.fill i{background:rgb(var(--accent-rgb)/.7)}
.fill i.off{background:rgb(128 138 150/.3)}
.fill i.bad{background:var(--warm)}
.shown{display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start;margin:8px 0}
.shown>*{min-width:0;max-width:100%}
.shown img{display:block;max-width:84px;max-height:84px;border-radius:6px;background:#fff}
.shown audio{width:210px;max-width:100%;height:32px;display:block}
.shown q{quotes:none;display:block;unicode-bidi:plaintext;overflow-wrap:anywhere}
.same{display:flex;flex-wrap:wrap;gap:6px 10px;align-items:flex-start;padding:8px 0;border-top:1px solid var(--line)}
.same:first-of-type{border-top:0}
.same>div{min-width:0;max-width:230px;font-size:.85rem}
.same img{display:block;max-width:96px;max-height:96px;border-radius:6px;background:#fff}
.same audio{width:200px;height:32px;display:block}
.same q{quotes:none;display:block;overflow-wrap:anywhere}
.same .note{display:block;font-size:.74rem}
.hist{margin:8px 0 2px}
.hist svg{display:block;width:100%;height:46px}
.hist rect{fill:rgb(var(--accent-rgb)/.6)}
.hist .ends{display:flex;justify-content:space-between;font-size:.74rem;color:var(--soft)}
.gaps{border-collapse:separate;border-spacing:2px;width:auto;font-size:.85rem}
.gaps th,.gaps td{border:0;padding:2px 4px}
.gaps thead th{text-align:center}
.gaps thead bdi{writing-mode:vertical-rl;max-height:120px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;
 display:inline-block}
.gaps td.o{min-width:26px;height:22px;border-radius:5px;background:rgb(var(--accent-rgb)/.55)}
.gaps td.x{min-width:26px;height:22px;border-radius:5px;background:rgb(128 138 150/.14)}
.gaps td.n{padding-left:10px}
.gaps td.b{min-width:90px;width:160px}
.track.half{min-width:110px;min-height:24px}
.ranges>.stack{grid-column:2;display:flex;height:12px;background:rgb(var(--accent-rgb)/.07);border-radius:4px;overflow:hidden;gap:1px}
.stack i{background:rgb(var(--accent-rgb)/.75)}
.stack i:nth-child(2){background:rgb(var(--accent-rgb)/.45)}
.stack i:nth-child(3){background:rgb(var(--warm-rgb)/.75)}
@media (max-width:640px){.ranges>.stack{grid-column:1/-1}}
"""


def inspection_page(table: Table, facts: Facts, findings: Sequence[Finding], bad_cells: list[Facts]) -> str:
    """The page as text, of what an Inspection holds. The same arguments give the same bytes: it holds no date and no
    time."""
    cells = Cells(table, facts["columns"], BYTES)
    sections = [
        ("findings", "Findings", _findings(facts, findings, cells)),
        ("columns", "Columns", _columns(facts, cells)),
        ("targets", "Labels", balance(facts)),
        ("missing", "What is missing together", gaps(facts)),
        ("duplicates", "Duplicates", duplicates(facts, cells)),
        ("drift", "Differences", drift(facts)),
        ("broken", "Cells that cannot be read", broken(facts, bad_cells)),
    ]
    shown = [(key, title, body) for key, title, body in sections if body]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"What is in {facts['table']}"[:200]),
        tag("style", Html(stylesheet() + STYLE)),
    )
    parts = [tag("section", tag("h2", title), body, id=key) for key, title, body in shown]
    body = tag("body", _header(facts, findings, shown), tag("main", *parts), tag("footer", *_footer(facts)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(facts: Facts, findings: Sequence[Finding], shown: list[tuple[str, str, Html]]) -> Html:
    split = " · ".join(f"{name} {words.count(n)}" for name, n in facts["split"]["rows"].items() if n)
    by = {"column": "as a column says", "group": "drawn by group", "time": "by time", "chance": "drawn by chance"}
    counts = [sum(f.severity == s for f in findings) for s in SEVERITIES]
    said = join(
        [
            span(f"badge {s}", f"{n} {s if n == 1 or s == SERIOUS else s + 's'}")
            for s, n in zip(SEVERITIES, counts)
            if n
        ],
        " ",
    )
    items = [
        html_of(plural(facts["rows"], "row")),
        html_of(plural(len(facts["columns"]), "column")),
        html_of(f"{split} ({by[facts['split']['by']]})"),
        said,
    ]
    return tag(
        "header",
        tag("h1", "What is in ", tag("em", name_html(facts["table"]))),
        tag("ul", *(tag("li", i) for i in items if i), class_="facts"),
        tag("nav", *(tag("a", title, href=f"#{key}") for key, title, _ in shown)),
    )


def _footer(facts: dict[str, Any]) -> list[object]:
    sampled = " ".join(facts["sampled"])
    said = f"Made by plait {__version__}. This file holds everything it shows and asks nothing of a network. "
    return [said, "Rows are counted from 0. ", sampled]


def _findings(facts: Facts, findings: Sequence[Finding], cells: Cells) -> Html:
    if not findings:
        return tag("p", "Nothing to warn of.", class_="soft")
    kinds = {c["name"]: c for c in facts["columns"]}
    cards = [_finding(f, cells, kinds) for f in findings[:MOST_FINDINGS]]
    left = len(findings) - MOST_FINDINGS
    return join([*cards, tag("p", f"{left} more are in the JSON.", class_="note") if left > 0 else None])


def _finding(finding: Finding, cells: Cells, kinds: dict[str, Any]) -> Html:
    shown: list[Html] = []
    if finding.severity in (SERIOUS, WARNING):
        seen = [c for c in finding.columns if c in kinds and cells.may_show(c)]
        inputs = sorted((c for c in seen if kinds[c]["role"] == "input"), key=lambda c: not cells.filed(c))
        seen = inputs[:2] + [c for c in seen if kinds[c]["role"] == "target"]
        for rows in finding.examples[:EVIDENCE]:
            shown.append(div("same", *(_row(row, seen, cells, named=len(inputs) > 1) for row in rows[:4])))
    return div(
        f"card finding {finding.severity}",
        tag("p", span(f"badge {finding.severity}", finding.severity), " ", finding.text),
        tag("p", finding.way_out, class_="way") if finding.way_out else None,
        *shown,
    )


def _row(row: int, columns: list[str], cells: Cells, *, named: bool) -> Html:
    """Some cells of a row, one under the other."""
    each = [join([span("note", name_html(c)) if named else None, cells.of(row, c)]) for c in columns]
    return div("", *each, span("note", f"row {row}"))


def _columns(facts: dict[str, Any], cells: Cells) -> Html:
    read = [c for c in facts["columns"] if "present" in c]
    cards = [column_card(c, facts["rows"], cells) for c in read[:MOST_COLUMNS]]
    left = len(read) - MOST_COLUMNS
    more = tag("p", f"{left} more are in the JSON.", class_="note") if left > 0 else None
    unread = [c for c in facts["columns"] if "present" not in c][:MOST_COLUMNS]
    items = [tag("li", name_html(c["name"]), span("note", f" · {c['role']} · {c['reason']}")) for c in unread]
    rest = folded(f"{plural(len(unread), 'column')} not read", tag("ul", *items, class_="plain")) if unread else None
    return join([div("cols", *cards), more, rest])
