"""What a model is worth when cells are missing: at every rate, of one column or of all, at random or as their values decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from plait import metrics
from plait.inference import BATCH, masked, to_device
from plait.model import Model, vectors
from plait.preparation import Dataset

RATES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
MOST_ROWS = 2000  # rows that are judged, at most
MOST_COLUMNS = 10  # columns that have curves of their own, at most
DRAWS, FEWEST_DRAWS, WORK = 200, 100, 200_000  # resamples of an interval: so many, at least, and rows of all together
POWER_STEPS = 50
AT_RANDOM, BY_VALUE = HOWS = "at random", "by value"

Facts = dict[str, Any]


def curves(model: Model, data: Dataset, rows: np.ndarray, *, columns: Sequence[str], seed: int = 0) -> dict[str, Facts]:
    """Target -> {"metric", "rows", "floor", "curves": [{"column" (None: every column), "how", "points": [{"rate", "value", "low",
    "high"}]}]}. Of a column the share `rate` of its cells is hidden, drawn at random (missing completely at random, Rubin
    1976), or the more surely the higher the cell stands among its column's (missing not at random): by its value, or by the
    first principal component of what its encoder says. Hidden at one rate stays hidden at the next. 95 % intervals, by
    bootstrap over the rows, are given of what is hidden at random only: they take the most time."""
    rows = np.asarray(rows)
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    rank = _ranks(model, data, rows)
    names = list(columns)[:MOST_COLUMNS]
    groups: list[str | None] = [*(names if len(columns) > 1 else []), None]
    plans = [(column, how) for column in groups for how in HOWS]
    whole = dict.fromkeys(columns, np.ones(len(rows), bool))
    keeps: list[dict[str, np.ndarray]] = [{}, whole]
    for column, how in plans:
        for rate in RATES[1:]:
            gone = {
                c: ~hidden(rank[c], rate, how, seed=[seed, place])
                for place, c in enumerate(sorted(columns))
                if column in (c, None)
            }
            keeps.append({**whole, **gone})
    found = masked(model, data, rows, keeps)
    return {t: _facts(model.heads[t], data.targets[t][rows], t, found, plans, seed) for t in model.heads}


def at(facts: Facts, rate: float, *, column: str | None = None, how: str = AT_RANDOM) -> Facts:
    """The point of a curve at one of RATES, of what `curves` says of a target."""
    curve = next(c for c in facts["curves"] if c["column"] == column and c["how"] == how)
    point: Facts = next(p for p in curve["points"] if p["rate"] == rate)
    return point


def hidden(rank: np.ndarray, rate: float, how: str, *, seed: Sequence[int]) -> np.ndarray:
    """(n,) bool: which cells are hidden. `rank`: (n,) in 0..1. By value the chance of a cell rises with its rank and is `rate` in
    the mean: 2 rate rank up to one half, 1 - 2 (1 - rate) (1 - rank) above."""
    draw = np.random.default_rng(list(seed)).random(len(rank))
    if how == AT_RANDOM:
        return draw < rate
    chance = 2 * rate * rank if rate <= 0.5 else 1 - 2 * (1 - rate) * (1 - rank)
    found: np.ndarray = draw < chance
    return found


@torch.no_grad()
def _ranks(model: Model, data: Dataset, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Column -> (n,) where each cell stands among all, 0..1, along the first principal component of its stream."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    parts: dict[str, list[np.ndarray]] = {}
    training = model.training
    model.eval()
    for start in range(0, len(rows), BATCH):
        inputs = to_device(data.batch(rows[start : start + BATCH])["inputs"], device)
        for column, (x, _) in vectors(model.encode(inputs)).items():
            parts.setdefault(column, []).append(x.float().cpu().numpy())
    model.train(training)
    found = {}
    for column, part in parts.items():
        every = np.concatenate(part)
        every = every - every.mean(0)
        place = np.argsort(np.argsort(every @ _axis(every), kind="stable"), kind="stable")
        found[column] = (place + 0.5) / max(len(place), 1)
    return found


def _axis(x: np.ndarray) -> np.ndarray:
    """(D,) the direction in which x (n, D), centred, varies most, by power iteration; its largest number is positive."""
    axis: np.ndarray = x.std(0) + 1e-12
    for _ in range(POWER_STEPS if x.shape[1] > 1 else 0):
        axis = x.T @ (x @ axis)
        axis = axis / (np.linalg.norm(axis) + 1e-30)
    return axis * (np.sign(axis[np.abs(axis).argmax()]) or 1)


def _facts(
    head: Any,
    labels: torch.Tensor,
    target: str,
    found: Sequence[Mapping[str, np.ndarray]],
    plans: Sequence[tuple[str | None, str]],
    seed: int,
) -> Facts:
    known = head.known(labels).cpu().numpy()
    truth = labels.cpu().numpy()[known]
    main = head.metrics[0]
    if not known.any():
        return {"metric": main, "rows": 0, "floor": None, "curves": []}
    one = np.ones((1, len(truth)))
    draws = int(np.clip(WORK // len(truth), FEWEST_DRAWS, DRAWS))
    weight = metrics.resamples(len(truth), seed=seed, draws=draws)

    def point(rate: float, answer: np.ndarray, *, drawn: bool) -> Facts:
        value = float(head.judge(answer, truth, one, only=main)[main][0])
        span = metrics.interval(head.judge(answer, truth, weight, only=main)[main]) if drawn else None
        return {
            "rate": rate,
            "value": value if np.isfinite(value) else None,
            "low": span[0] if span else None,
            "high": span[1] if span else None,
        }

    nothing, whole, *rest = (answer[target][known] for answer in found)
    full, size, each = point(0.0, whole, drawn=True), len(RATES) - 1, []
    for place, (column, how) in enumerate(plans):
        answers = rest[place * size : (place + 1) * size]
        points = [point(r, a, drawn=how == AT_RANDOM) for r, a in zip(RATES[1:], answers)]
        each.append({"column": column, "how": how, "points": [dict(full), *points]})
    floor = point(1.0, nothing, drawn=False)["value"]
    return {"metric": main, "rows": len(truth), "floor": floor, "curves": each}
