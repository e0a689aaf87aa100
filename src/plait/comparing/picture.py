"""The ladder as one picture: what a rung is worth over what it takes to answer a new row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.comparing.advice import seconds_text
from plait.report import words
from plait.report.markup import Html
from plait.report.plots import FAINT, HUES, INK, PAPER, SERIES, WARM, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {"scratch": "o", "classic": "s", "pretrained": "D", "tuned": "^"}
AXIS = "to answer a new row, from its files"  # preparing it, and the networks that are run for each answer
SIZE = (9.6, 5.2)  # inches
LETTER, LINE = 0.62, 1.25  # of the size of the type: how wide a letter is, how high a line
LABEL = 8.5  # points
ROOM = ((9, 0, "left"), (-9, 0, "right"), (9, 11, "left"), (9, -11, "left"), (-9, 11, "right"), (-9, -11, "right"))


def ladder_picture(facts: dict[str, Any], key: str = "ladder") -> Html:
    """Every rung as a point with its interval; a colour a column, all columns together in ink, the floor dashed."""
    points = _points(facts)
    metric = facts["metric"]
    scale = 100.0 if metric in words.SHARES else 1.0

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        floor = facts["floor"]["value"]
        if floor is not None:
            axes.axhline(scale * floor, color=WARM, linewidth=1.2, linestyle=(0, (3, 3)))
        for point in points:
            _point(axes, point, scale)
        axes.set_xscale("log")
        seconds = [p["x"] for p in points] or [1e-3]
        axes.set_xlim(min(seconds) / 2.5, max(seconds) * 6)
        _ticks(axes)
        unit = ", %" if metric in words.SHARES else ""
        axes.set(xlabel=AXIS, ylabel=f"{words.metric_name(metric)}{unit}")
        figure.draw_without_rendering()
        _labels(axes, points, scale)

    return draw(paint, key, f"{words.metric_name(metric)} over the time to answer a new row", SIZE)


def _points(facts: dict[str, Any]) -> list[dict[str, Any]]:
    groups: list[tuple[str, Sequence[dict[str, Any]]]] = [
        (SERIES[place % HUES], column["rungs"]) for place, column in enumerate(facts["columns"])
    ]
    if facts["together"]:
        groups.append((INK, facts["together"]["rungs"]))
    return [
        {**r, "colour": colour, "x": 1 / r["rows_per_second"]["raw"]}
        for colour, rungs in groups
        for r in rungs
        if not r["error"] and r["value"] is not None
    ]


def _point(axes: Axes, point: dict[str, Any], scale: float) -> None:
    x, y, colour = point["x"], scale * point["value"], point["colour"]
    if point["low"] is not None:
        axes.plot([x, x], [scale * point["low"], scale * point["high"]], color=colour, linewidth=1.6, alpha=0.55)
    axes.plot(
        [x],
        [y],
        MARKERS[point["kind"]],
        color=colour,
        markersize=8.5 if point["kind"] != "pretrained" else 8,
        markeredgecolor=PAPER,
        markeredgewidth=1.2,
    )


def _ticks(axes: Axes) -> None:
    """Powers of ten as a person says them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds_text(float(value)).replace(".0 ", " ")))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, which="major")
    axes.grid(False, which="minor")


def _labels(axes: Axes, points: Sequence[dict[str, Any]], scale: float) -> None:
    """A name beside each point, where it covers no other name and no point."""
    dots = [axes.transData.transform((p["x"], scale * p["value"])) for p in points]
    unit = axes.figure.dpi / 72
    taken = [np.array([x - 5 * unit, y - 5 * unit, x + 5 * unit, y + 5 * unit]) for x, y in dots]
    frame = axes.get_window_extent()
    for point, (x, y) in sorted(zip(points, dots), key=lambda pair: -float(pair[1][1])):
        name = point["name"].removesuffix(", from scratch")
        wide, high = len(name) * LABEL * LETTER * unit, LABEL * LINE * unit
        best, where, box = np.inf, ROOM[0], taken[0]
        for room in [(dx, dy + step, side) for step in (0, 22, -22, 33, -33) for dx, dy, side in ROOM]:
            left = x + room[0] * unit - (wide if room[2] == "right" else 0)
            middle = y + room[1] * unit
            tried = np.array([left, middle - high / 2, left + wide, middle + high / 2])
            outside = max(0.0, frame.x0 - tried[0]) + max(0.0, tried[2] - frame.x1)
            cost = sum(_overlap(tried, other) for other in taken) + 1e3 * outside + abs(room[1]) * 0.5
            if cost < best:
                best, where, box = cost, room, tried
        taken.append(box)
        axes.annotate(
            name,
            (point["x"], scale * point["value"]),
            xytext=(where[0], where[1]),
            textcoords="offset points",
            ha=where[2],
            va="center",
            fontsize=LABEL,
            color=INK if point["colour"] == INK else FAINT,
        )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """The area that two boxes share."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))
