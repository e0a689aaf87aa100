"""A column on the page: how much of it is there, a few cells to see or hear, how its figures are spread."""

from __future__ import annotations

from typing import Any

from plait.data.ledger import shown
from plait.data.table import Table
from plait.inspection.findings import amount
from plait.inspection.scan import is_filed
from plait.report import words
from plait.report.markup import Html, div, join, name_html, span, tag
from plait.report.media import Media

LETTERS = 120  # of a value
UNITS = {"seconds": " s", "width": " px", "loudness": " dB"}
BAR, HIGH = 10, 46  # of a histogram


class Cells:
    """Cells as HTML, within a budget."""

    def __init__(self, table: Table, columns: list[dict[str, Any]], budget: int) -> None:
        self._table, self._media = table, Media(table, budget)
        self._kinds = {c["name"]: c["modality"] for c in columns if c["modality"]}

    def filed(self, column: str) -> bool:
        """Whether its cells are files, or lists: pictures, sounds."""
        return is_filed(self._kinds[column])

    def may_show(self, column: str) -> bool:
        """Whether the cells of a column were read."""
        return column in self._kinds

    def of(self, row: int, column: str) -> Html:
        """One cell: a thumbnail, a player, or what stands in the table."""
        kind = self._kinds[column]
        value = self._table.frame[column].iloc[row]
        if self.filed(column) or isinstance(value, (list, tuple)):
            return self._media.cell(row, column, kind)
        text = shown(value)
        return tag("q", text if len(text) <= LETTERS else text[:LETTERS] + " …", dir="auto")


def column_card(column: dict[str, Any], rows: int, cells: Cells) -> Html:
    """All about one column."""
    name = tag("h3", name_html(column["name"]), span("chip", column["modality"] or "not read"))
    role = span("note", f"{column['role']} · {column['reason']}")
    parts: list[object] = [name, role, _filling(column, rows)]
    if column["examples"]:
        items = [div("", cells.of(e["row"], column["name"])) for e in column["examples"]]
        parts.append(div("shown", *items))
    parts += [histogram(figure, h) for figure, h in column["histograms"].items()]
    if column.get("most_frequent"):
        parts.append(_frequent(column["most_frequent"], column["present"]))
    if column["reasons"]:
        said = [tag("li", f"{n} × {reason}") for reason, n in list(column["reasons"].items())[:4]]
        parts.append(tag("ul", *said, class_="plain bad"))
    return div("card", *parts)


def _filling(column: dict[str, Any], rows: int) -> Html:
    present, missing, broken = column["present"], column["missing"], column["broken"]
    bar = div(
        "fill",
        *(tag("i", class_=c, style=f"flex:{n / max(rows, 1):.4f}") for c, n in
          ((None, present), ("bad", broken), ("off", missing)) if n),
    )  # fmt: skip
    said = [f"{words.count(column['distinct'])} distinct"]
    said += [f"{words.count(missing)} missing"] if missing else []
    said += [f"{words.count(broken)} broken"] if broken else []
    said += [f"{words.count(column['near_duplicates'])} nearly the same"] if column["near_duplicates"] else []
    said += [f"{words.count(column['odd'])} with a remark"] if column["odd"] else []
    return join([bar, span("note", " · ".join(said))])


def histogram(figure: str, found: dict[str, Any]) -> Html:
    """The counts as bars, and the ends of the range."""
    counts, unit = found["counts"], UNITS.get(figure, "")
    most = max(max(counts), 1)
    bars = [
        tag("rect", x=i * BAR, y=f"{HIGH * (1 - n / most):.1f}", width=BAR - 1, height=f"{HIGH * n / most:.1f}")
        for i, n in enumerate(counts)
        if n
    ]
    picture = tag(
        "svg",
        *bars,
        viewBox=f"0 0 {len(counts) * BAR} {HIGH}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"how {figure} is spread",
    )
    ends = [amount(found[end]) + unit for end in ("low", "high")]
    return div("hist", picture, div("ends", span("", ends[0]), span("", figure), span("", ends[1])))


def _frequent(names: list[list[Any]], present: int) -> Html:
    lines: list[Html] = []
    most = max(n for _, n in names)
    for name, n in names[:6]:
        lines += [
            div("label", name_html(name if len(name) <= 40 else name[:40] + " …")),
            div("value", words.count(n)),
            div("bar", tag("i", style=f"width:{100 * n / most:.1f}%")),
        ]
    return div("ranges", *lines)
