"""A comparison of fusions as pictures: what each way scores over what it costs to learn, and what is left when cells are
missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.comparing.advice import seconds_text
from plait.comparing.entries import ALONE, DECISION, FEATURE, LEARNER
from plait.fusion import FUSIONS
from plait.learners import LEARNERS
from plait.report import plots, words
from plait.report.hiding import scale_of, times
from plait.report.markup import Html
from plait.report.plots import ACCENT, FAINT, INK, PAPER, SERIES, WARM
from plait.robustness import AT_RANDOM, BY_VALUE, HOWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Facts = dict[str, Any]
Span = tuple[float, float]
MARKERS = {ALONE: "o", FEATURE: "s", DECISION: "D", LEARNER: "^"}
SIZES = {ALONE: 8, FEATURE: 7.2, DECISION: 7, LEARNER: 8.4}
COLOURS = {ALONE: FAINT, FEATURE: SERIES[0], DECISION: SERIES[1], LEARNER: SERIES[4]}
LINES = (ACCENT, INK, SERIES[1], SERIES[4])  # of the ways whose missing cells are drawn
WIDTH, A_WAY, LEAST_HIGH, MOST_HIGH = 7.4, 0.215, 4.6, 8.0  # inches: as high as the list beside it
NEAR, FAR, GAP = (
    0.6,
    0.6,
    0.15,
)  # at least the best so many ways, on at most so much of the axis, so far from the rest: a strip apart
FEWEST = 6  # ways from which a strip is worth its room
STRIP = 0.24  # of the height of the rest
LETTER, LINE = 0.6, 1.15  # of the size of the type: how wide a letter is, how high a line
NAMED, NUMBERED = 8.6, 7.6  # points, of a name and of a number
NAMES = 3  # the best so many are named, and the best of each kind
LEAST = 1e-3  # seconds, of a way that learns nothing
ROOM = tuple((dx, dy) for dy in (0, 9, -9, 17, -17, 26, -26, 35, -35) for dx in (1, -1))


def contest_picture(facts: Facts, key: str = "ways") -> Html:
    """Every way as a point with its interval and its place in the list; the best ones by name. The best input alone is a line
    with a band, the floor a line of dashes. What is hovered over in the list is found by the id of its group."""
    scale = scale_of(facts["metric"])
    points = _points(facts, scale)
    alone = next((p for p in points if p["name"] == facts["best_alone"]), None)
    floor = times(scale, facts["floor"]["value"])

    near, far = _spans(facts, points, floor)

    def paint(figure: Figure) -> None:
        seconds = [p["x"] for p in points] or [1.0]
        frames = _frames(figure, near, far, down=far is not None and far[0] < near[0])
        for axes, span in frames:
            axes.set_xscale("log")
            axes.set_xlim(min(seconds) / 1.7, max(seconds) * 2.4)
            axes.set_ylim(span)
            _ticks(axes, max(seconds) / min(seconds))
            _lines(axes, alone, floor)
            for point in points:
                if span[0] <= point["value"] <= span[1]:
                    _point(axes, point)
        unit = ", %" if facts["metric"] in words.SHARES else ""
        frames[0][0].set_ylabel(f"{words.metric_name(facts['metric'])}{unit}")
        figure.supxlabel("to learn, on one core", fontsize=9.5, color=FAINT)
        figure.draw_without_rendering()
        for axes, span in frames:
            _labels(axes, [p for p in points if span[0] <= p["value"] <= span[1]])

    size = (WIDTH, min(max(A_WAY * len(facts["entries"]), LEAST_HIGH), MOST_HIGH))
    return plots.draw(paint, key, f"{words.metric_name(facts['metric'])} over the time to learn", size)


def shown_missing(facts: Facts) -> list[tuple[Facts, str]]:
    """The ways whose missing cells are drawn, with their colours: the best, the plain one, the best of each other level."""
    able = [e for e in facts["entries"] if e["missing"] and e["missing"]["curves"]]
    by_name = {e["name"]: e for e in able}
    wanted = [facts["best"], facts["plain"]]
    for kind in (FEATURE, DECISION, LEARNER):
        if not any(by_name[n]["kind"] == kind for n in wanted if n in by_name):
            wanted += [e["name"] for e in able if e["kind"] == kind][:1]
    chosen = list(dict.fromkeys(n for n in wanted if n in by_name))
    return [(by_name[n], colour) for n, colour in zip(chosen, LINES)]


def missing_panels(facts: Facts, key: str = "gone") -> list[tuple[str | None, Html]]:
    """(column, None for every column; its picture), every column first; one axis for all."""
    shown, scale = shown_missing(facts), scale_of(facts["metric"])
    curves = [(c, e["missing"]["rates"], colour) for e, colour in shown for c in e["missing"]["curves"]]
    columns = list(dict.fromkeys(c["column"] for c, _, _ in curves))
    floor = times(scale, shown[0][0]["missing"]["floor"]) if shown else None
    span = plots.room([floor, *(times(scale, v) for c, _, _ in curves for v in c["values"])])
    found: list[tuple[str | None, Html]] = []
    for place, column in enumerate(sorted(columns, key=lambda c: c is not None)):
        lines = [
            {
                "rates": rates,
                "values": [times(scale, v) for v in curve["values"]],
                "colour": colour,
                "dashed": how == BY_VALUE,
            }
            for how in reversed(HOWS)
            for curve, rates, colour in reversed(curves)
            if curve["column"] == column and curve["how"] == how
        ]
        found.append((column, plots.missing(lines, floor, span, f"{key}-{place}")))
    return found


def losses(entry: Facts) -> dict[str | None, float | None]:
    """Column, None for every one -> what is left of the gain with most of its cells hidden at random."""
    return {c["column"]: c["left"] for c in entry["missing"]["curves"] if c["how"] == AT_RANDOM}


def _points(facts: Facts, scale: float) -> list[Facts]:
    named: set[str] = set()
    joint = [e for e in facts["entries"] if e["kind"] != ALONE]
    for kind in (FEATURE, DECISION, LEARNER):
        named |= {e["name"] for e in [e for e in joint if e["kind"] == kind][:1]}
    named |= {e["name"] for e in joint[:NAMES]} | {facts["plain"]}
    return [
        {
            **{k: times(scale, e[k]) for k in ("value", "low", "high")},
            "name": e["name"],
            "kind": e["kind"],
            "place": place,
            "x": max(e["seconds"], LEAST),
            "label": e["name"] if e["name"] in named and _ours(e) else str(place + 1),
        }
        for place, e in enumerate(facts["entries"])
        if e["value"] is not None
    ]


def _ours(entry: Facts) -> bool:
    """Whether a name can be drawn: it is made of names of parts, and nobody else gave it."""
    name: str = entry["name"]
    return (
        entry["kind"] != ALONE
        and (name in FUSIONS or name in LEARNERS or name.startswith("blend, "))
        and len(name) < 24
    )


def _spans(facts: Facts, points: Sequence[Facts], floor: float | None) -> tuple[Span, Span | None]:
    """The ends of the axis for the better ways, and of a second one for the rest and the floor where these lie far off."""
    sign = -1.0 if words.lower_is_better(facts["metric"]) else 1.0
    values = [p["value"] for p in points]
    every = sorted([*values, *([] if floor is None else [floor])], key=lambda v: -sign * v)  # best first
    first = next((i + 1 for i, p in enumerate(points) if p["name"] == facts["best_alone"]), 1)
    for count in range(max(math.ceil(NEAR * len(values)), first), len(every)):
        wide, gap = abs(every[0] - every[count - 1]), abs(every[count - 1] - every[count])
        if len(values) < FEWEST or gap < GAP * wide or wide > FAR * abs(every[0] - every[-1]):
            continue
        near, rest = every[:count], every[count:]
        span, spread = _span(facts["metric"], [p for p in points if p["value"] in near], near), abs(rest[0] - rest[-1])
        inner = near[-1] - sign * min(0.4 * gap, 0.3 * (wide or gap))
        towards = rest[0] + sign * min(0.15 * spread or gap, 0.4 * gap)
        away = rest[-1] - sign * (0.15 * spread or 0.4 * gap)
        if sign > 0:
            return (max(span[0], inner), span[1]), (away, towards)
        return (span[0], min(span[1], inner)), (towards, away)
    return _span(facts["metric"], points, every), None


def _span(metric: str, points: Sequence[Facts], values: Sequence[float]) -> Span:
    """The ends of an axis: every value, and as much of the intervals as leaves the values apart."""
    low, high = plots.room(values)
    reach = 0.35 * (high - low)
    ends = [p[k] for p in points for k in ("low", "high") if p[k] is not None]
    margin = 0.02 * (high - low)
    low = max(min([low, *(e - margin for e in ends)]), low - reach)
    high = min(max([high, *(e + margin for e in ends)]), high + reach)
    return low, min(high, 101.5) if metric in words.SHARES else high


def _frames(figure: Figure, near: Span, far: Span | None, *, down: bool) -> list[tuple[Axes, Span]]:
    """The picture's axes; a strip apart for what is far off, below or above, its scale its own."""
    if far is None:
        return [(figure.subplots(), near)]
    each = figure.subplots(2, 1, sharex=True, height_ratios=[1, STRIP] if down else [STRIP, 1])
    upper, lower = each
    upper.spines["bottom"].set_visible(False)
    slash: Any = {
        "marker": [(-1, -0.5), (1, 0.5)],
        "markersize": 8,
        "color": FAINT,
        "linestyle": "none",
        "clip_on": False,
    }
    upper.plot([0], [0], transform=upper.transAxes, **slash)
    lower.plot([0], [1], transform=lower.transAxes, **slash)
    lower.set_axisbelow(True)
    return [(upper, near), (lower, far)] if down else [(lower, near), (upper, far)]


def _ticks(axes: Axes, ratio: float) -> None:
    """Round times as a person says them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    axes.yaxis.set_major_locator(MaxNLocator(6 if axes.get_window_extent().height > 200 else 3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if ratio > 300 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds_text(float(value)).replace(".0 ", " ")))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _lines(axes: Axes, alone: Facts | None, floor: float | None) -> None:
    """The best input alone with its interval, and the floor."""
    if floor is not None:
        axes.axhline(floor, color=WARM, linewidth=1.2, linestyle=(0, (3, 3)))
    if alone is None:
        return
    if alone["low"] is not None:
        axes.axhspan(alone["low"], alone["high"], color=FAINT, alpha=0.1, linewidth=0)
    axes.axhline(alone["value"], color=FAINT, linewidth=1.3, linestyle=(0, (6, 3)))


def _point(axes: Axes, point: Facts) -> None:
    x, y, colour, key = point["x"], point["value"], COLOURS[point["kind"]], f"curve{point['place']}"
    if point["low"] is not None:
        axes.plot([x, x], [point["low"], point["high"]], color=colour, linewidth=1.3, alpha=0.38, gid=f"{key}-span")
    axes.plot(
        [x],
        [y],
        MARKERS[point["kind"]],
        color=colour,
        markersize=SIZES[point["kind"]],
        markeredgecolor=PAPER,
        markeredgewidth=1,
        gid=f"{key}-dot",
        zorder=3,
    )


def _labels(axes: Axes, points: Sequence[Facts]) -> None:
    """A name or a number beside each point, where it covers no other and no point; names first, they need most room."""
    unit = axes.figure.dpi / 72
    dots = {p["place"]: axes.transData.transform((p["x"], p["value"])) for p in points}
    taken = [np.array([x - 4.5 * unit, y - 4.5 * unit, x + 4.5 * unit, y + 4.5 * unit]) for x, y in dots.values()]
    frame = axes.get_window_extent()
    for point in sorted(points, key=lambda p: (p["label"].isdigit(), p["place"])):
        plain = point["label"].isdigit()
        size, (x, y) = NUMBERED if plain else NAMED, dots[point["place"]]
        wide, high = len(point["label"]) * size * LETTER * unit, size * LINE * unit
        best, where, box = np.inf, (6.5, 0.0), taken[0]
        for side, dy in ROOM:
            dx = side * (6.5 if abs(dy) < 12 else 2.0)
            left = x + dx * unit - (wide if side < 0 else 0)
            tried = np.array([left, y + dy * unit - high / 2, left + wide, y + dy * unit + high / 2])
            outside = max(0.0, frame.x0 - tried[0], tried[2] - frame.x1, frame.y0 - tried[1], tried[3] - frame.y1)
            cost = sum(_overlap(tried, other) for other in taken) + 1e3 * outside + 0.4 * abs(dy) * unit + (side < 0)
            if cost < best:
                best, where, box = cost, (dx, float(dy)), tried
        taken.append(box)
        axes.annotate(
            point["label"],
            (point["x"], point["value"]),
            xytext=where,
            textcoords="offset points",
            ha="left" if where[0] > 0 else "right",
            va="center",
            fontsize=size,
            color=FAINT if plain else INK,
            gid=f"curve{point['place']}-name",
            zorder=4,
        )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """The area that two boxes share."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))
