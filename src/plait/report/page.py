"""The report page: one HTML file that needs nothing else, to be read from top to bottom."""

from __future__ import annotations

from typing import Any

from plait import __version__
from plait.data.table import Table
from plait.evaluation import Evaluation, Judged
from plait.predictor import Predictor
from plait.report import plots, words
from plait.report.content import details, learning
from plait.report.encoded import inputs, networks
from plait.report.hiding import hiding
from plait.report.kinds import KINDS
from plait.report.markup import Html, div, folded, html_of, join, name_html, span, table, tag
from plait.report.media import Media
from plait.report.style import stylesheet
from plait.report.tried import tried
from plait.report.worth import gauge, scale_of, ticks, worth

ENOUGH = 1_900_000  # characters of a page after which further targets are given without pictures
MOST_COLUMNS, MOST_CELLS, MOST_BAD, MOST_CURVES = 200, 12, 20, 6
NO_CURVE = "No learning curve was kept."
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"  # whatever a name may hold


def report_page(predictor: Predictor, table: Table, evaluation: Evaluation) -> str:
    """The page as text. `table`: the one that was fitted, which the rows of the evaluation index. The same arguments
    give the same bytes: the page holds no date and no time."""
    record, media = predictor.record, Media(table, options=predictor.schema.options)
    sections = [_overview(predictor, evaluation)]
    for number, target in enumerate(_judged(predictor, evaluation)):
        full = sum(map(len, sections)) < ENOUGH
        sections.append(
            _target(number, target, evaluation.targets[target], predictor, evaluation, media if full else None)
        )
    sections += [tried(predictor), _learning(predictor), _data(predictor, evaluation), _limits(record, evaluation)]
    title = f"{words.listed(list(predictor.targets))} from {words.listed(list(predictor.inputs))}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title[:200]),
        tag("style", Html(stylesheet())),
    )
    body = tag(
        "body",
        _header(predictor, evaluation),
        tag("main", *sections),
        tag(
            "footer",
            f"Made by plait {__version__}. This file holds everything it shows and asks nothing of a network; "
            f"the same figures as data are in report.json beside it.",
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(predictor: Predictor, result: Evaluation) -> Html:
    record = predictor.record
    parts = dict(zip(("train", "valid", "test"), record.get("parts") or []))
    facts = [
        name_html(record.get("table", "the table")),
        words.rows(record.get("rows") or len(result.targets)),
        join([f"judged on {words.count(result.size)} ", words.held_out(record.get("judged_on", "test"))]),
    ]
    if parts:
        facts.append(html_of(" · ".join(f"{k} {words.count(v)}" for k, v in parts.items() if v)))
    names = [
        ("#figures", "Figures"),
        *((f"#target-{i}", t) for i, t in enumerate(_judged(predictor, result))),
        ("#learning", "Learning"),
        ("#data", "Data"),
        ("#limits", "Limits"),
    ]
    emphasised = lambda all_: _listed([tag("em", name_html(n)) for n in list(all_)[:12]], len(all_))  # noqa: E731
    return tag(
        "header",
        tag(
            "h1",
            "Predicting ",
            emphasised(predictor.targets),
            " from ",
            _listed([name_html(n) for n in list(predictor.inputs)[:12]], len(predictor.inputs)),
        ),
        tag("ul", *(tag("li", f) for f in facts), class_="facts"),
        tag("nav", *(tag("a", name_html(n), href=h) for h, n in names[:30])),
    )


def _judged(predictor: Predictor, result: Evaluation) -> list[str]:
    """The targets that were judged, in the order they were asked for."""
    return [t for t in predictor.targets if t in result.targets]


def _listed(names: list[Html], all_: int) -> Html:
    if all_ > len(names):
        return join([join(names, ", "), f" and {all_ - len(names)} more"])
    return join([join(names[:-1], ", "), " and ", names[-1]]) if len(names) > 1 else join(names)


def _overview(predictor: Predictor, result: Evaluation) -> Html:
    """The headline figure of each target, beside what knowing nothing gives."""
    part, columns = predictor.record.get("judged_on", "test"), words.every(result)
    cards = []
    for target in _judged(predictor, result):
        judged = result.targets[target]
        metric = judged.main
        full, prior = judged.figures[columns][metric], judged.figures[()][metric]
        scale = scale_of(metric, [full, prior])
        span_ = words.span_text(metric, full)
        big = div("big", words.value_text(metric, full["value"]), tag("small", span_) if span_ else None)
        than = div("than", "knowing nothing", tag("b", words.value_text(metric, prior["value"])))
        better = ", lower is better" if words.lower_is_better(metric) else ""
        said = words.sentence(judged, columns, part).replace("–", "\u2060–\u2060")  # an interval stays on one line
        cards.append(
            div(
                "card",
                div("kind", name_html(target), f" · {words.metric_name(metric)}{better}"),
                div("versus", big, than),
                gauge(full, prior, scale),
                ticks(metric, scale),
                tag("p", said),
            )
        )
    for target in predictor.targets:
        if target not in result.targets:
            cards.append(
                div(
                    "card",
                    div("kind", name_html(target)),
                    tag(
                        "p", "None of the rows judged carries a label that the model knows, so it could not be judged."
                    ),
                )
            )
    return tag("section", div("heads", *cards), id="figures")


def _target(
    number: int, target: str, judged: Judged, predictor: Predictor, result: Evaluation, media: Media | None
) -> Html:
    columns = words.every(result)
    head = tag("h2", name_html(target))
    about = f"{judged.modality} · {words.rows(len(judged.rows))} judged"
    if judged.names:
        about += f" · {words.count(len(judged.names))} classes"
    parts: list[object] = [
        head,
        tag("p", about, class_="soft"),
        _metrics(judged, columns),
        worth(judged, columns, predictor.model.weights(), list(predictor.inputs)),
    ]
    kind = KINDS.get(judged.modality)
    if media is not None and target in result.missing:
        parts.append(hiding(result.missing[target], f"t{number}-gone"))
    if media is None:
        parts.append(
            tag(
                "p", "Curves and examples are left out to keep this page small; they are in report.json.", class_="soft"
            )
        )
    elif kind:
        facts = details(judged)
        parts += [kind.figures(facts, judged.names, f"t{number}"), _worst(facts, kind, predictor, media)]
    return tag("section", *parts, id=f"target-{number}")


def _metrics(judged: Judged, columns: tuple[str, ...]) -> Html:
    full, prior = judged.figures[columns], judged.figures[()]
    rows = []
    for metric in sorted(full, key=lambda m: m != judged.main):
        figure, strong = full[metric], "b" if metric == judged.main else "span"
        arrow = span("soft", " ↓", title="lower is better") if words.lower_is_better(metric) else None
        name = tag(strong, words.metric_name(metric), arrow)
        rows.append(
            [
                name,
                tag(strong, words.value_text(metric, figure["value"])),
                words.span_text(metric, figure) or "–",
                words.value_text(metric, prior[metric]["value"]),
                span("soft", words.metric_meaning(metric)),
            ]
        )
    lower = any(map(words.lower_is_better, full))
    return div(
        "card",
        table(["", "#all inputs", "#95 % interval", "#knowing nothing", "what it says"], rows, class_="wide figures"),
        tag("p", "↓ lower is better.", class_="note") if lower else None,
    )


def _worst(facts: dict[str, Any], kind: Any, predictor: Predictor, media: Media) -> Html:
    examples = facts["worst"]
    title = tag("h3", "What it got most wrong")
    if not examples:
        return join([title, tag("p", "Nothing: every row judged is right.", class_="soft")])
    inputs = list(predictor.inputs.items())
    cards = []
    for example in examples:
        cells = [div("cell", span("k", name_html(c)), media.cell(example["row"], c, m)) for c, m in inputs[:MOST_CELLS]]
        more = len(inputs) - MOST_CELLS
        cards.append(
            div(
                "card",
                div("row", f"row {example['row']}"),
                div("verdict", kind.verdict(example)),
                *cells,
                span("none", f"and {more} more columns") if more > 0 else None,
            )
        )
    note = kind.worst + " Rows are counted from 0."
    return join([title, tag("p", note, class_="soft"), div("wrong", *cards)])


def _learning(predictor: Predictor) -> Html:
    found = learning(predictor.record)
    history, best = found["epochs"], found["best_epoch"]
    head = tag("h2", "Learning")
    if not history:
        return (
            Html("")
            if predictor.leaderboard
            else tag("section", head, tag("p", NO_CURVE, class_="soft"), id="learning")
        )
    curves = [
        _curve(
            "Training loss",
            "what training makes small; inputs are hidden at random while it learns",
            [e.get("loss") for e in history],
            best,
            "learn-loss",
        )
    ]
    for i, (target, metric) in enumerate(_watched(predictor, history)[:MOST_CURVES]):
        values = [e.get("valid", {}).get(target, {}).get(metric) for e in history]
        curves.append(
            _curve(
                join([words.metric_name(metric), " of ", name_html(target)]),
                "on the validation rows",
                values,
                best,
                f"learn-{i}",
            )
        )
    said = f"{len(history)} epoch{'s' if len(history) != 1 else ''}."
    if best is not None:
        said += f" The weights of epoch {best} were kept (marked)."
    if found["stopped"]:
        said += f" Stopped early: {found['stopped']}."
    return tag("section", head, tag("p", said, class_="soft"), div("pair", *curves), id="learning")


def _watched(predictor: Predictor, history: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """For each target that was validated, the metric that was watched, or else its main one."""
    watched = history[-1].get("watched")
    valid: dict[str, Any] = next((e["valid"] for e in reversed(history) if e.get("valid")), {})
    mains = {t: predictor.model.heads[t].metrics[0] for t in valid}
    return [(t, str(watched) if watched in by else mains[t]) for t, by in valid.items()]


def _curve(title: object, note: str, values: list[float | None], best: int | None, key: str) -> Html:
    return tag(
        "figure",
        tag("figcaption", title, tag("small", note)),
        plots.epochs(values, best, key, "Learning curve"),
        class_="card",
    )


def _data(predictor: Predictor, result: Evaluation) -> Html:
    record = predictor.record
    columns = predictor.schema.columns
    rows = [[name_html(c.name), c.modality or "–", c.role, span("soft", c.reason)] for c in columns[:MOST_COLUMNS]]
    schema = [div("card", table(["column", "modality", "role", "why"], rows, class_="wide"))]
    if len(columns) > MOST_COLUMNS:
        schema.append(tag("p", f"{len(columns) - MOST_COLUMNS} more columns are in report.json.", class_="note"))
    return tag(
        "section",
        tag("h2", "Data"),
        _split(record),
        tag("h3", "Columns"),
        *schema,
        tag("h3", "Cells that could not be read"),
        _bad(result),
        tag("h3", "How it was made"),
        _making(predictor),
        id="data",
    )


def _split(record: dict[str, Any]) -> Html | None:
    parts = record.get("parts")
    if not parts:
        return None
    total, names = max(sum(parts), 1), ("train", "valid", "test")
    return join(
        [
            tag("h3", "Split"),
            tag("p", _split_words(record), class_="soft"),
            div(
                "parts",
                *(tag("i", style=f"flex:{n / total:.4f}") for n in parts),
                role="img",
                aria_label="shares of the split",
            ),
            div(
                "keys",
                *(
                    span("", tag("b"), f"{name} {words.count(n)} ({words.percent(n / total)})")
                    for name, n in zip(names, parts)
                ),
            ),
        ]
    )


def _split_words(record: dict[str, Any]) -> Html:
    how = record.get("split") or {}
    if how.get("column"):
        said: list[object] = ["As the column ", name_html(how["column"]), " says."]
    elif how.get("time"):
        said = ["By time: the earliest values of ", name_html(how["time"]), " train, the latest test."]
    elif how.get("group"):
        said = ["By chance, rows that share a value of ", name_html(how["group"]), " staying together."]
    else:
        said = ["By chance", ", the classes kept in proportion." if how.get("stratify") else "."]
    return join([*said, f" Seed {record.get('seed')}."])


def _bad(result: Evaluation) -> Html:
    bad = result.bad_cells
    if not bad:
        return tag("p", "None.", class_="soft")
    rows = [
        [words.count(b["row"]), name_html(b["column"]), tag("code", b["path"]), b["reason"]] for b in bad[:MOST_BAD]
    ]
    more = f" The first {MOST_BAD} are shown; all are in report.json." if len(bad) > MOST_BAD else ""
    return join(
        [
            tag("p", f"{words.count(len(bad))}. They count as missing.{more}", class_="soft"),
            div("card", table(["row", "column", "value", "why"], rows, class_="wide")),
        ]
    )


def _making(predictor: Predictor) -> Html:
    spec, record = predictor.spec, predictor.record
    size = sum(p.numel() for p in predictor.model.parameters())
    outputs = [[name_html(t), tag("code", part["name"])] for t, part in list(spec["outputs"].items())[:MOST_COLUMNS]]
    options = [
        [tag("code", k), "as fits the data" if v is None else str(v)] for k, v in (record.get("training") or {}).items()
    ]
    said = tag(
        "p",
        "Each input has its encoder; ",
        tag("code", spec["fusion"]["name"]),
        " fuses them at width ",
        f"{predictor.model.width}; {words.count(size)} parameters in all.",
        class_="soft",
    )
    return join(
        [
            said,
            div(
                "pair",
                inputs(predictor, MOST_COLUMNS),
                div("card", table(["target", "head"], outputs)),
            ),
            networks(predictor, MOST_COLUMNS),
            folded("Training options", div("card", table(["option", "value"], options))),
        ]
    )


def _limits(record: dict[str, Any], result: Evaluation) -> Html:
    return tag(
        "section",
        tag("h2", "Limits"),
        tag("ul", *(tag("li", said) for said in words.limits(record, result)), class_="plain"),
        id="limits",
    )
