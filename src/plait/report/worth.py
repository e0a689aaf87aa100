"""What each input is worth: a target's main figure for every subset, what dropping one costs, the weights learned."""

from __future__ import annotations

import math
from collections.abc import Sequence

from plait.evaluation import Judged
from plait.inference import Subset
from plait.report import words
from plait.report.markup import Html, div, join, name_html, span, tag

MOST_ROWS = 40


def worth(judged: Judged, columns: Subset, weights: dict[str, float] | None, order: Sequence[str]) -> Html:
    """The whole part, as HTML. `columns`: all inputs, as the evaluation has them; `order`: as they are to be read."""
    metric = judged.main
    better = "lower is better" if words.lower_is_better(metric) else "higher is better"
    parts: list[object] = [
        tag("h3", "What each input is worth"),
        tag(
            "p",
            f"{words.metric_name(metric)} when the model may see only some of the inputs, from best to worst "
            f"({better}); the bars are 95 % intervals, the dashed line is what it scores seeing nothing.",
            class_="soft",
        ),
        div("card", _ranges(judged, columns, order)),
    ]
    if len(columns) > 1:
        parts.append(div("pair", _costs(judged, columns), _weights(weights)))
    return join(parts)


def gauge(figure: words.Figure, prior: words.Figure, scale: tuple[float, float], *, nothing: bool = False) -> Html:
    """A dot with its interval on a scale, and where the model stands that sees nothing."""
    low, high = figure["low"], figure["high"]
    marks: list[Html] = []
    if prior["value"] is not None:
        marks.append(tag("i", class_="prior", style=f"left:{_place(prior['value'], scale)}"))
    if low is not None and high is not None:
        left, right = _share(low, scale), _share(high, scale)
        marks.append(tag("i", class_="span", style=f"left:{left:.2f}%;width:{right - left:.2f}%"))
    if figure["value"] is not None:
        marks.append(tag("i", class_="dot", style=f"left:{_place(figure['value'], scale)}"))
    return div("track none" if nothing else "track", *marks)


def scale_of(metric: str, figures: Sequence[words.Figure]) -> tuple[float, float]:
    """The range of a gauge that holds these figures: 0 to 1 where they are shares, else round numbers."""
    values = [v for f in figures for v in (f["value"], f["low"], f["high"]) if v is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if metric not in words.IN_UNITS and low >= 0 and high <= 1:
        return 0.0, 1.0
    start = 0.0 if low >= 0 else -_round_up(-low)
    return start, _round_up(high) if high > 0 else 0.0


def ticks(metric: str, scale: tuple[float, float]) -> Html:
    """The numbers under a gauge."""
    at = [scale[0] + (scale[1] - scale[0]) * i / 4 for i in range(5)]
    said = [words.percent(v) if metric in words.SHARES else f"{v:.4g}".replace("-", words.MINUS) for v in at]
    return div("ticks", *(span("", t, style=f"left:{i * 25}%") for i, t in enumerate(said)))


def chips(columns: Sequence[str]) -> Html:
    """A subset of the inputs."""
    return join(span("chip", name_html(c)) for c in columns) if columns else span("none", "nothing")


def _ranges(judged: Judged, columns: Subset, reading: Sequence[str]) -> Html:
    metric = judged.main
    figures = {s: f[metric] for s, f in judged.figures.items()}
    order = sorted(figures, key=lambda s: _rank(metric, figures[s]["value"]))
    if len(order) > MOST_ROWS:
        keep = {columns, (), *[s for s in order if s not in (columns, ())][: MOST_ROWS - 2]}
        order = [s for s in order if s in keep]
    scale = scale_of(metric, [figures[s] for s in order])
    lines: list[Html] = []
    for subset in order:
        figure = figures[subset]
        value = tag("b", words.value_text(metric, figure["value"]))
        interval = words.span_text(metric, figure)
        lines += [
            div("label", chips(sorted(subset, key=list(reading).index))),
            div("value", value, *([" ", tag("small", interval)] if interval else [])),
            gauge(figure, figures[()], scale, nothing=not subset),
        ]
    left_out = len(figures) - len(order)
    note = tag("p", f"{left_out} more subsets are in report.json.", class_="note") if left_out else None
    return join([div("ranges", *lines, ticks(metric, scale)), note])


def _costs(judged: Judged, columns: Subset) -> Html:
    """What dropping one column costs: the figure with all, less the figure without it, with its paired interval."""
    metric = judged.main
    costs = {c: f for c, f in judged.costs.items() if f["value"] is not None}
    most = max((abs(f["value"] or 0.0) for f in costs.values()), default=0.0) or 1.0
    lines: list[Html] = []
    for column in sorted(costs, key=lambda c: -(costs[c]["value"] or 0.0))[:MOST_ROWS]:
        cost, low, high = (costs[column][k] for k in ("value", "low", "high"))
        without = judged.figures[tuple(c for c in columns if c != column)][metric]["value"]
        assert cost is not None
        sure = (
            f" (95 %: {_cost_text(metric, high)} to {_cost_text(metric, low)})"
            if low is not None and high is not None
            else ""
        )
        lines += [
            div("label", "without ", chips((column,))),
            div(
                "value",
                tag("b", _cost_text(metric, cost)),
                " ",
                tag("small", f"to {words.value_text(metric, without)}{sure}"),
            ),
            div(
                "bar",
                tag("i", class_="minus" if cost < 0 else None, style=f"width:{100 * abs(cost) / most:.1f}%"),
            ),
        ]
    gain = any((f["value"] or 0.0) < 0 for f in costs.values())
    note = "What the figure loses when one input is taken away and the others stay; paired over the rows." + (
        " Orange: it does better without." if gain else ""
    )
    return tag(
        "figure",
        tag("figcaption", "What dropping one costs", tag("small", note)),
        div("ranges", *lines),
        class_="card",
    )


def _weights(weights: dict[str, float] | None) -> Html | None:
    if not weights:
        return None
    most = max(max(weights.values()), 1e-9)
    lines: list[Html] = []
    for column in sorted(weights, key=lambda c: -weights[c])[:MOST_ROWS]:
        lines += [
            div("label", chips((column,))),
            div("value", tag("b", words.percent(weights[column]))),
            div("bar", tag("i", style=f"width:{100 * max(weights[column], 0) / most:.1f}%")),
        ]
    note = "How much each stream counts in the fusion, when all are there."
    return tag("figure", tag("figcaption", "Learned weights", tag("small", note)), div("ranges", *lines), class_="card")


def _cost_text(metric: str, cost: float) -> str:
    """+12 points; −0.031"""
    sign = "+" if cost < 0 else words.MINUS
    if words.lower_is_better(metric):
        sign = words.MINUS if cost < 0 else "+"
    size = abs(cost)
    if metric in words.SHARES:
        return f"{sign}{100 * size:.1f} points"
    return sign + (words.number(size) if metric in words.IN_UNITS else f"{size:.3f}")


def _rank(metric: str, value: float | None) -> float:
    if value is None:
        return math.inf
    return value if words.lower_is_better(metric) else -value


def _round_up(value: float) -> float:
    """The next number whose quarters are round."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(power * m for m in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if value <= power * m * (1 + 1e-9))


def _share(value: float, scale: tuple[float, float]) -> float:
    return min(max(100 * (value - scale[0]) / ((scale[1] - scale[0]) or 1.0), 0.0), 100.0)


def _place(value: float, scale: tuple[float, float]) -> str:
    return f"{_share(value, scale):.2f}%"
