"""Plots as inline SVG: drawn by matplotlib, coloured by the page's CSS variables so that they follow light and dark.

No name that a user gave is drawn: legends and titles are HTML around the picture, where every script has its fonts.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.report.markup import Html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

HUES = 10  # colours of series; after them come dashes
INK, FAINT, GRID, ACCENT, WARM, PAPER = (f"#0100{i:02x}" for i in range(6))
SERIES = tuple(f"#0101{i:02x}" for i in range(HUES))
VARIABLES = {
    INK: "--ink",
    FAINT: "--soft",
    GRID: "--line",
    ACCENT: "--accent",
    WARM: "--warm",
    PAPER: "--paper",
    **{c: f"--k{i}" for i, c in enumerate(SERIES)},
}  # what stands for a CSS variable in matplotlib's output
DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
DASHES_CSS = ("", "5 2", "1.5 1.5", "6 2 1.5 2")

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "plait",
    "svg.image_inline": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,
    "text.usetex": False,
    "path.simplify": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "grid.linestyle": "-",
    "grid.alpha": 1.0,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.spines.bottom": True,
    "axes.linewidth": 0.8,
    "axes.labelsize": 9.5,
    "axes.unicode_minus": True,
    "axes.titlesize": 10,
    "axes.xmargin": 0.04,
    "axes.ymargin": 0.06,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "axes.formatter.useoffset": False,
    "patch.linewidth": 0,
}


def dash_of(place: int) -> str:
    """The CSS dash pattern of the series at a place."""
    return DASHES_CSS[place // HUES % len(DASHES_CSS)]


def roc(curves: Sequence[dict[str, Any]], key: str) -> Html:
    """ROC curves of several classes; each lies in a group of id "<key>-curve<place>"."""

    def paint(figure: Figure) -> None:
        axes = _square(figure, "false positive rate", "true positive rate")
        for place, curve in enumerate(curves):
            if curve["auc"] is not None:
                x, y = np.asarray(curve["points"], dtype=float).T
                (line,) = axes.plot(
                    x,
                    y,
                    color=SERIES[place % HUES],
                    linestyle=DASHES[place // HUES % len(DASHES)],
                    solid_joinstyle="round",
                )
                line.set_gid(f"curve{place}")

    return draw(paint, key, "ROC curves: true positive rate over false positive rate", (4.6, 4.2))


def calibration(bins: Sequence[dict[str, Any]], key: str) -> Html:
    """Share of right answers over confidence, and below it how many rows have that confidence."""

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        x, y = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        upper.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
        upper.plot(x, y, color=ACCENT, marker="o", markersize=5.5, markeredgecolor=PAPER, markeredgewidth=1)
        upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), ylabel="share that is right")
        centre = [(min(int(c * 10 + 1e-6), 9) + 0.5) / 10 for c in x]
        lower.bar(centre, [b["rows"] for b in bins], width=0.092, color=ACCENT, alpha=0.55)
        lower.set(xlabel="confidence", ylabel="rows")
        _whole(lower.yaxis, 3)

    return draw(paint, key, "Calibration: share of right answers over confidence", (4.6, 4.2))


def scatter(points: Any, key: str) -> Html:
    """Predicted over true values; the diagonal is being right."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        x, y = np.asarray(points, dtype=float).reshape(-1, 2).T
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        pad = (high - low or 1.0) * 0.04
        axes.plot([low, high], [low, high], color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
        axes.plot(x, y, "o", color=ACCENT, alpha=0.55, markersize=5, markeredgewidth=0)
        axes.set(xlabel="true", ylabel="predicted", xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
        axes.set_box_aspect(0.85)

    return draw(paint, key, "Predicted over true values", (4.6, 4.2))


def residuals(histogram: dict[str, Any], key: str) -> Html:
    """How far predictions lie off, as a histogram."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        edges = np.asarray(histogram["edges"], dtype=float)
        axes.bar(
            (edges[:-1] + edges[1:]) / 2, histogram["counts"], width=np.diff(edges) * 0.92, color=ACCENT, alpha=0.75
        )
        axes.axvline(0, color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
        axes.set(xlabel="predicted minus true", ylabel="rows")
        _whole(axes.yaxis)

    return draw(paint, key, "Histogram of residuals", (4.6, 4.2))


def epochs(values: Sequence[float | None], best: int | None, key: str, label: str) -> Html:
    """One figure over the epochs 1, 2, …; the epoch that was kept is marked."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        y = _gaps(values)
        x = np.arange(1, len(y) + 1)
        if best is not None:
            axes.axvline(best, color=WARM, linewidth=1.2, linestyle=(0, (3, 3)))
        axes.plot(x, y, color=ACCENT, marker="o" if len(y) < 16 else None, markersize=4)
        if best is not None and best <= len(y) and np.isfinite(y[best - 1]):
            axes.plot([best], [y[best - 1]], "o", color=WARM, markersize=7, markeredgecolor=PAPER, markeredgewidth=1.2)
        axes.set(xlabel="epoch", xlim=(0.5, len(y) + 0.5))
        _whole(axes.xaxis)

    return draw(paint, key, label, (4.6, 2.6))


def missing(lines: Sequence[dict[str, Any]], floor: float | None, span: tuple[float, float], key: str) -> Html:
    """A figure over the share of cells that are hidden, one small panel. `lines`: "rates", "values", "colour", maybe "low" and
    "high", "dashed". `span`: of the axis, the same for all panels of a figure; `floor`: what seeing nothing gives."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        if floor is not None:
            axes.axhline(floor, color=WARM, linewidth=1.2, linestyle=(0, (3, 3)))
        for line in lines:
            x = 100 * np.asarray(line["rates"], dtype=float)
            low, high = (_gaps(line.get(k) or [None]) for k in ("low", "high"))
            if len(low) == len(x) and np.isfinite(low).any():
                axes.fill_between(x, low, high, color=line["colour"], alpha=0.14, linewidth=0)
            style: Any = (0, (4, 2)) if line.get("dashed") else "solid"
            width = 1.3 if line.get("dashed") else 1.8
            axes.plot(x, _gaps(line["values"]), color=line["colour"], linestyle=style, linewidth=width)
        axes.set(xlim=(-1, 92), ylim=span, xticks=[0, 30, 50, 70, 90], xlabel="cells hidden, %")

    return draw(paint, key, "The figure over the share of cells that are hidden", (3.1, 2.4))


def room(values: Sequence[float | None], share: float = 0.07) -> tuple[float, float]:
    """The ends of an axis on which all these values have room."""
    known = [v for v in values if v is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    pad = (high - low or abs(high) or 1.0) * share
    return low - pad, high + pad


def _gaps(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def draw(paint: Callable[[Figure], None], key: str, label: str, size: tuple[float, float]) -> Html:
    """The SVG element of what `paint` draws on a figure of this size (inches). The same drawing gives the same bytes,
    whatever matplotlib's settings are. `key` must be its own for each plot of a page."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that DejaVu lacks, a range of one point: nothing a reader can act on
        settings: Any = {**_settings(), **STYLE}
        with matplotlib.rc_context(settings):
            figure = Figure(figsize=size, layout="constrained")
            FigureCanvasSVG(figure)
            paint(figure)
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(buffer.getvalue().decode("utf-8"), key, label)


def _settings() -> dict[str, Any]:
    """matplotlib's own defaults, without those that choose backends or touch the user's session."""
    import matplotlib

    return {
        k: v
        for k, v in matplotlib.rcParamsDefault.items()
        if k.startswith(
            (
                "axes",
                "figure",
                "font",
                "grid",
                "lines",
                "patch",
                "path",
                "savefig",
                "svg",
                "text",
                "xtick",
                "ytick",
                "hist",
                "scatter",
                "markers",
            )
        )
    }


def _whole(axis: Axis, most: int = 8) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=most, integer=True, steps=[1, 2, 5, 10]))


def _square(figure: Figure, xlabel: str, ylabel: str) -> Axes:
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), xlabel=xlabel, ylabel=ylabel)
    return axes


def _inline(svg: str, key: str, label: str) -> Html:
    """The SVG file as an element of a page: no prolog, names of its own, CSS variables for colours, one decimal."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r"<style[^>]*>.*?</style>\s*", "", svg, count=1, flags=re.S)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    head = svg[: svg.index(">") + 1]
    box = re.search(r'viewBox="([^"]+)"', head)
    assert box is not None
    body = svg[len(head) :]
    body = re.sub(r' (?:d|x|y|width|height|transform)="[^"]*"', _rounded, body)
    body = body.replace("xlink:href=", "href=")
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    names = {n for pair in used for n in pair if n}
    body = re.sub(
        r' id="([^"]+)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in names or m[1].startswith("curve") else "", body
    )
    body = re.sub(r'href="#', f'href="#{key}-', body).replace("url(#", f"url(#{key}-")
    body = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", body)
    body = re.sub(r" ?font-family: [^;\"]+;?", "", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r"\s*\n\s*", "\n", body)
    return Html(f'<svg class="plot" role="img" aria-label="{label}" viewBox="{box[1]}">{body}')


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"\d+\.\d{2,}", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), attribute[0])
