"""What is particular to a kind of target: confusions, curves, residuals, and its worst examples in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plait.report import plots, words
from plait.report.markup import Html, div, html_of, join, name_html, span, table, tag

Facts = dict[str, Any]
MOST_LINES = 100  # of a table of classes
SMALL = 14  # classes from which on the matrix is set small


@dataclass(frozen=True)
class Kind:
    """How one kind of target is shown."""

    figures: Callable[[Facts, list[str], str], Html]  # details, classes, key of its plots
    verdict: Callable[[Facts], Html]  # one of the worst examples: what is true, what the model said
    worst: str  # what is meant by worst


def _category(facts: Facts, names: list[str], key: str) -> Html:
    shown = [names[i] for i in facts["classes_shown"]]
    mixed = div("beside", _matrix(facts["confusion"], shown), _confused(facts["confused"]))
    note = "On the dashed line, confidence and share of right answers agree; below it the model is too sure of itself."
    trust = _plot("Is it right as often as it says?", note, plots.calibration(facts["calibration"], f"{key}-cal"))
    return join(
        [
            tag("h3", "What is mistaken for what"),
            div("card", mixed, _matrix_note(len(shown), len(names))),
            tag("h3", "Class by class"),
            _classes(facts["per_class"]),
            div("pair", _roc(facts["roc"], key, len(names)), trust),
        ]
    )


def _labels(facts: Facts, names: list[str], key: str) -> Html:
    note = tag("p", "A label is said when its probability reaches one half.", class_="soft")
    return join(
        [
            tag("h3", "Label by label"),
            note,
            _classes(facts["per_class"]),
            div("pair", _roc(facts["roc"], key, len(names))),
        ]
    )


def _number(facts: Facts, names: list[str], key: str) -> Html:
    dots = "Each dot is a row; on the dashed line the prediction is right."
    off = "Rows by predicted minus true; right of the dashed line the prediction is too high."
    return div(
        "pair",
        _plot("Predicted and true", dots, plots.scatter(facts["points"], f"{key}-dots")),
        _plot("How far off", off, plots.residuals(facts["residuals"], f"{key}-off")),
    )


def _plot(title: str, note: str, plot: Html) -> Html:
    return tag("figure", tag("figcaption", title, tag("small", note)), plot, class_="card")


def _confused(pairs: Sequence[Facts]) -> Html:
    """The commonest confusions, in words."""
    if not pairs:
        return tag("p", "Nothing: every row is right.", class_="soft")
    said = [
        tag("li", tag("b", f"{words.count(p['rows'])}×"), name_html(p["truth"]), " → ", name_html(p["answer"]))
        for p in pairs[:8]
    ]
    return div("", tag("h4", "Most often"), tag("ul", *said, class_="mixed"))


def _matrix(matrix: Any, names: list[str]) -> Html:
    """Rows are the truth, columns the answer; the shade is the share of the row."""
    head = tag("tr", tag("td"), *(tag("th", name_html(n), scope="col", title=n) for n in names))
    body = []
    for i, line in enumerate(matrix):
        total = max(int(sum(line)), 1)
        cells = [
            _shade(int(value), value / total, i == j, f"{names[i]} → {names[j]}: {value} of {int(sum(line))}")
            for j, value in enumerate(line)
        ]
        body.append(tag("tr", tag("th", name_html(names[i]), scope="row", title=names[i]), *cells))
    size = "matrix small" if len(names) > SMALL else "matrix"
    return div("scroll", tag("table", tag("thead", head), tag("tbody", *body), class_=size), tabindex="0")


def _matrix_note(shown: int, all_: int) -> Html:
    note = (
        "Rows: what is true. Columns: what the model said. The shade is the share of the row; blue is right, "
        "orange wrong."
    )
    if shown < all_:
        note += f" {shown} of {all_} classes are shown, those with most rows and confusions; the share is among them."
    return tag("p", note, class_="note")


def _shade(value: int, share: float, right: bool, title: str) -> Html:
    if not value:
        return tag("td", 0, class_="zero")
    classes = " ".join(c for c, on in (("hit", right), ("deep", share > 0.6)) if on)
    return tag("td", words.count(value), class_=classes or None, style=f"--a:{0.1 + 0.85 * share:.2f}", title=title)


def _classes(lines: Sequence[Facts]) -> Html:
    order = sorted(range(len(lines)), key=lambda i: (-lines[i]["rows"], i))
    found = [
        [
            name_html(c["name"]),
            words.count(c["rows"]),
            words.count(c["said"]),
            *(_ratio(c[m]) for m in ("precision", "recall", "f1")),
        ]
        for c in (lines[i] for i in order[:MOST_LINES])
    ]
    body = table(["", "#rows", "#said", "#precision", "#recall", "#F1"], found, class_="wide")
    note = f"{len(lines) - MOST_LINES} more are in report.json." if len(lines) > MOST_LINES else ""
    return div(
        "card",
        body,
        tag(
            "p",
            "Precision: when it says this, how often that is true. Recall: how much of it is found. "
            "F1: both in one. " + note,
            class_="note",
        ),
    )


def _ratio(value: float | None) -> Html:
    if value is None:
        return html_of("–")
    return join([f"{value:.2f}", span("bar slim", tag("i", style=f"width:{100 * value:.0f}%"))])


def _roc(curves: Sequence[Facts], key: str, classes: int) -> Html:
    order = sorted(curves, key=lambda c: (c["auc"] is None, -(c["auc"] or 0), c["name"]))
    legend = []
    for place, curve in enumerate(order):
        line = tag(
            "svg",
            tag(
                "line",
                x1=1,
                x2=21,
                y1=4,
                y2=4,
                style=f"stroke:var(--k{place % plots.HUES});stroke-width:2.4",
                stroke_dasharray=plots.dash_of(place) or None,
            ),
            viewBox="0 0 22 8",
            aria_hidden="true",
        )
        area = "–" if curve["auc"] is None else f"{curve['auc']:.2f}"
        legend.append(tag("li", line, name_html(curve["name"]), span("", area), title=curve["name"]))
    note = "Each class against the rest, area under the curve beside its name. The dashed line is guessing."
    if len(order) == 1:
        note = "Area under the curve beside the name of the class. The dashed line is guessing."
    elif len(order) < classes:
        note += f" {len(order)} of {classes} classes are shown."
    return tag(
        "figure",
        tag("figcaption", "Can it rank them?", tag("small", note)),
        div("", plots.roc(order, f"{key}-roc"), tag("ul", *legend, class_="legend")),
        class_="card roc",
    )


def _said(kind: str, name: object, value: object, aside: str) -> Html:
    return join([span("k", kind), span(f"v {name}", value), span("p", aside)])


def _category_verdict(example: Facts) -> Html:
    others = [[n, p] for n, p in example["likely"] if n not in (example["truth"], example["answer"])]
    also = [_said("or", "soft", name_html(n), words.percent(p)) for n, p in others[:1] if p >= 0.05]
    return join(
        [
            _said("said", "false", name_html(example["answer"]), words.percent(example["probability"])),
            _said("true", "true", name_html(example["truth"]), words.percent(example["truth_probability"])),
            *also,
        ]
    )


def _number_verdict(example: Facts) -> Html:
    off = words.number(abs(example["residual"]))
    aside = f"{off} too {'high' if example['residual'] > 0 else 'low'}"
    return join(
        [
            _said("said", "false", words.number(example["answer"]), aside),
            _said("true", "true", words.number(example["truth"]), ""),
        ]
    )


def _labels_verdict(example: Facts) -> Html:
    lines = [_said("true", "true", join(map(name_html, example["truth"][:20]), ", ") or "no label", "")]
    if example["false"]:
        lines.append(_said("wrongly", "false", _graded(example["false"]), ""))
    if example["missed"]:
        lines.append(_said("missed", "false", _graded(example["missed"]), ""))
    return join(lines)


def _graded(pairs: Sequence[Any]) -> Html:
    return join((span("", name_html(n), f" {words.percent(p)}") for n, p in pairs[:12]), ", ")


KINDS = {
    "category": Kind(_category, _category_verdict, "Rows that are wrong, and of which the model was most sure."),
    "labels": Kind(
        _labels, _labels_verdict, "Rows with the largest loss over their labels; beside a label its probability."
    ),
    "number": Kind(_number, _number_verdict, "Rows whose prediction lies farthest from the truth."),
}
