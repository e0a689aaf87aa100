"""What a model is worth: every metric with its interval, for all inputs and for every subset of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from plait import metrics, robustness
from plait.inference import BATCH, Subset, answers
from plait.model import Model
from plait.preparation import Dataset
from plait.types import Cell

MOST_FULL = 5  # up to so many columns every subset is judged: 2^5
MOST_SINGLE = 30  # up to so many, each alone and all but each
SUBSET_DRAWS = 200  # resamples for proper subsets
WORK, FEWEST_DRAWS = 100_000_000, 30  # rows times classes of all resamples together, and resamples at least
MANY = 100  # classes above which a proper subset has an interval of its main metric only
FEWEST = 10  # rows that an interval needs to mean anything
MOST_GONE = 0.7  # the rate of missing cells that one line tells of

Figure = dict[str, float | None]  # value, low, high
Figures = dict[Subset, dict[str, Figure]]  # subset -> metric -> figure


@dataclass
class Judged:
    """One target: its answers over the labelled rows, and its figures for each subset of columns."""

    modality: str
    names: list[str]  # classes, where an answer is probabilities
    rows: np.ndarray  # (n,) rows of the table that carry a label
    truth: np.ndarray  # (n, ...)
    answer: np.ndarray  # (n, ...), from all columns
    figures: Figures  # with 95 % intervals
    main: str  # the metric to look at first
    unseen: dict[str, int]  # labels that training never showed -> rows, which cannot be judged
    costs: dict[str, Figure]  # column -> what the main metric is lower by without it; value, low, high


@dataclass
class Evaluation:
    """The figures of every target of a model over one table."""

    columns: list[str]
    size: int
    targets: dict[str, Judged] = field(default_factory=dict)
    bad_cells: list[dict[str, Any]] = field(default_factory=list)
    unseen_names: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # column -> names training did not teach: how many
    drift: dict[str, float] = field(default_factory=dict)  # column -> AUC of telling these rows from the training rows
    missing: dict[str, dict[str, Any]] = field(
        default_factory=dict
    )  # target -> its figure over the rate of missing cells

    def __getitem__(self, target: str) -> dict[str, float | None]:
        """The values of a target's metrics, from all columns."""
        figures = self.targets[target].figures[tuple(self.columns)]
        return {name: f["value"] for name, f in figures.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: per target its metrics and those of every subset (columns joined by " + ")."""
        return {
            "rows": self.size,
            "columns": self.columns,
            "bad_cells": self.bad_cells,
            "unseen_names": self.unseen_names,
            "drift": self.drift,
            "targets": {
                t: {
                    "modality": j.modality,
                    "rows": len(j.rows),
                    "main": j.main,
                    "unseen": j.unseen,
                    "classes": j.names,
                    "metrics": j.figures[tuple(self.columns)],
                    "costs": j.costs,
                    "missing": self.missing.get(t),
                    "subsets": [{"columns": list(s), "metrics": f} for s, f in j.figures.items()],
                }
                for t, j in self.targets.items()
            },
        }

    def __str__(self) -> str:
        lines = []
        for target, judged in self.targets.items():
            lines.append(f"{target}: {len(judged.rows)} labelled rows")
            if judged.unseen:
                names = ", ".join(f"{name!r} x {n}" for name, n in list(judged.unseen.items())[:5])
                lines.append(
                    f"  not judged: {sum(judged.unseen.values())} rows with labels that training never showed: {names}"
                )
            for name, f in judged.figures[tuple(self.columns)].items():
                lines.append(f"  {name:<20} {figure_text(f)}")
            lines.append(f"  {judged.main} by what the model may see:")
            for subset, by_metric in judged.figures.items():
                lines.append(f"    {' + '.join(subset) or 'nothing':<40} {figure_text(by_metric[judged.main])}")
            if target in self.missing:
                lines.append(f"  {_missing_text(self.missing[target])}")
        return "\n".join(lines)


def figure_text(figure: Figure) -> str:
    """0.812 [0.771, 0.850]"""
    if figure["value"] is None:
        return "not defined"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _missing_text(facts: dict[str, Any]) -> str:
    """accuracy with 70 % of all cells missing: 0.610 of 0.740"""
    most, none = (robustness.at(facts, rate)["value"] for rate in (MOST_GONE, 0.0))
    say = lambda v: "not defined" if v is None else f"{v:.3f}"  # noqa: E731
    return f"{facts['metric']} with {100 * MOST_GONE:.0f} % of all cells missing: {say(most)} of {say(none)}"


def subsets_of(columns: Sequence[str]) -> list[Subset]:
    """Every subset, the whole first and nothing last; above five columns: the whole, all but one, each alone,
    nothing; above thirty: the whole and nothing."""
    columns = tuple(columns)
    sizes = range(len(columns), -1, -1)
    if len(columns) > MOST_FULL:
        few = {len(columns) - 1, 1} if len(columns) <= MOST_SINGLE else set()
        sizes = sorted({len(columns), 0} | few, reverse=True)  # type: ignore[assignment]
    return [s for k in sizes for s in combinations(columns, k)]


def evaluate(
    model: Model, data: Dataset, rows: np.ndarray, *, columns: Sequence[str], batch_size: int = BATCH, seed: int = 0
) -> Evaluation:
    """Judges a model over the labelled rows among `rows`. `columns`: its inputs, in the order they are to be shown.
    Subsets are seen by masking, from one encoding; all are drawn the same resamples, so their differences are paired."""
    columns = list(columns)
    subsets = subsets_of(columns)
    found = answers(model, data, rows, subsets=subsets, batch_size=batch_size)
    result = Evaluation(columns, len(rows))
    for target, head in model.heads.items():
        labels = data.targets[target][rows]
        known = head.known(labels).cpu().numpy()
        if not known.any():
            continue
        truth = labels.cpu().numpy()[known]
        most = max(FEWEST_DRAWS, WORK // (len(truth) * max(1, len(head.names))))
        weight = metrics.resamples(len(truth), seed=seed)[: most if len(truth) >= FEWEST else 0]
        main = head.metrics[0]
        figures, drawn = {}, {}
        for subset in subsets:
            answer = found[subset][target][known]
            whole = subset == tuple(columns)
            drawn_of = main if len(head.names) > MANY and not whole else None
            draws = head.judge(answer, truth, weight if whole else weight[:SUBSET_DRAWS], only=drawn_of)
            figures[subset] = {
                name: _figure(value[0], draws.get(name, np.zeros(0)))
                for name, value in head.judge(answer, truth, np.ones((1, len(truth)))).items()
            }
            drawn[subset] = draws[main]
        result.targets[target] = Judged(
            head.modality,
            head.names,
            rows[known],
            truth,
            found[tuple(columns)][target][known],
            figures,
            main,
            _unseen(data.labels.get(target, []), rows[~known]),
            _costs(columns, main, figures, drawn),
        )
    return result


def missing_cells(
    model: Model, data: Dataset, rows: np.ndarray, *, columns: Sequence[str], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Target -> what `robustness.curves` says of it; nothing of a target with fewer than ten rows to judge on, of a model of
    one column, and of one of more than thirty."""
    if not 2 <= len(columns) <= MOST_SINGLE or len(rows) < FEWEST:
        return {}
    found = robustness.curves(model, data, rows, columns=columns, seed=seed)
    return {t: facts for t, facts in found.items() if facts["rows"] >= FEWEST}


def _unseen(labels: Sequence[Cell], rows: np.ndarray) -> dict[str, int]:
    """Labels that are there but that the head does not know, with how many rows carry them."""
    return dict(Counter(str(labels[r]) for r in rows if labels and labels[r] is not None).most_common())


def _costs(columns: Sequence[str], main: str, figures: Figures, drawn: dict[Subset, np.ndarray]) -> dict[str, Figure]:
    """The main metric with all columns less that without one, as paired differences; positive where the column helps."""
    full, sign, costs = tuple(columns), -1 if main in metrics.LOWER_IS_BETTER else 1, {}
    for column in columns if len(columns) > 1 else ():
        rest = tuple(c for c in columns if c != column)
        if rest not in figures:
            continue
        best, without = figures[full][main]["value"], figures[rest][main]["value"]
        gap = np.nan if best is None or without is None else sign * (best - without)
        costs[column] = _figure(gap, sign * (drawn[full][: len(drawn[rest])] - drawn[rest]))
    return costs


def _figure(value: float, draws: np.ndarray) -> Figure:
    span = metrics.interval(draws)
    return {
        "value": float(value) if np.isfinite(value) else None,
        "low": span[0] if span else None,
        "high": span[1] if span else None,
    }
