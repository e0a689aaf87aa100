"""How the entries of a comparison stand: each with its interval, against the best input alone and against the plainest fusion,
corrected for how many are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plait.comparing.account import Judge, Score, about
from plait.comparing.contest import Outcome
from plait.comparing.entries import ALONE, PLAIN, Entry
from plait.comparing.trial import figures
from plait.fusion import DEFAULT
from plait.robustness import RATES

Facts = dict[str, Any]
LEVEL = 0.05  # of all differences together
AT = 0.7  # the rate of missing cells that one figure tells of


def standing(
    judge: Judge, entries: Sequence[Entry], outcomes: Mapping[tuple[str, int], Outcome], left: Mapping[str, str]
) -> Facts:
    """Everything that was found, as plain JSON; entries from the best down."""
    bench, places = judge.bench, range(len(judge.bench.seeds))
    scores: dict[str, list[Score]] = {}
    found, broken = [], [{"name": n, "error": why} for n, why in left.items()]
    for entry in entries:
        each = [outcomes[entry.name, place] for place in places]
        error = next((o.facts["error"] for o in each if o.facts.get("error")), None)
        if error:
            broken.append({"name": entry.name, "error": error})
            continue
        scores[entry.name] = [figures(bench, o.answer, bench.judged(p)[1], p) for p, o in zip(places, each)]
        found.append(_entry_json(judge, entry, scores[entry.name], each))
    rank = lambda e: judge.sign * e["value"] if e["value"] is not None else -math.inf  # noqa: E731
    found.sort(key=rank, reverse=True)
    facts = {**about(judge), "entries": found, "not_tried": broken}
    alone = [e for e in found if e["kind"] == ALONE]
    joint = [e for e in found if e["kind"] != ALONE]
    facts["best_alone"] = alone[0]["name"] if alone else None
    facts["best"] = joint[0]["name"] if joint else None
    facts["plain"] = (
        PLAIN
        if PLAIN in scores
        else next((n for n in (DEFAULT, *(e.name for e in entries if e.kind != ALONE)) if n in scores), None)
    )
    for against, name in (("alone", facts["best_alone"]), ("plain", facts["plain"])):
        if name is None:
            continue
        others = [e for e in joint if e["name"] != name]
        for e in others:
            e[f"over_{against}"] = judge.gap(scores[e["name"]], scores[name])
        sure = holm([chance(judge, scores[e["name"]], scores[name]) for e in others])
        for e, fine in zip(others, sure):
            e[f"over_{against}"]["sure"] = fine
    return facts


def _entry_json(judge: Judge, entry: Entry, scores: Sequence[Score], each: Sequence[Outcome]) -> Facts:
    mean = lambda key: float(np.mean([o.facts[key] for o in each]))  # noqa: E731
    names = scores[0][0]
    weights = [o.facts["weights"] for o in each if o.facts["weights"]]
    return {
        **entry.to_json(),
        **judge.level(scores),
        "metrics": {n: float(np.mean([m[n] for m, _ in scores])) for n in names},
        "seeds": [m[judge.main] for m, _ in scores],
        "seconds": mean("seconds"),
        "cpu_seconds": mean("cpu_seconds"),
        "rows_per_second": mean("rows_per_second"),
        "parameters": int(mean("parameters")),
        "weights": {
            c: float(np.mean([w.get(c, 0.0) for w in weights])) for c in sorted({c for w in weights for c in w})
        }
        if weights
        else None,
        "missing": _missing([o.facts["curves"] for o in each if "curves" in o.facts]),
    }


def _missing(curves: Sequence[Facts]) -> Facts | None:
    """The curves of missing cells, averaged over the splits, and how much of the gain over knowing nothing is left when most
    cells of one column are gone."""
    if not curves:
        return None
    floor = float(np.mean([c["floor"] for c in curves]))
    found = []
    for place, curve in enumerate(curves[0]["curves"]):
        values = np.array([[p["value"] for p in c["curves"][place]["points"]] for c in curves], float).mean(0)
        gain = values[0] - floor
        left = float((values[RATES.index(AT)] - floor) / gain) if abs(gain) > 1e-9 else None
        found.append({"column": curve["column"], "how": curve["how"], "values": values.tolist(), "left": left})
    return {"rates": list(RATES), "floor": floor, "curves": found}


def chance(judge: Judge, one: Sequence[Score], other: Sequence[Score]) -> float:
    """The chance of a difference at least as large were there none, two-sided: Student's t over splits, corrected for their
    overlap (Nadeau & Bengio 2003), or over resamples of the rows."""
    values = np.array([a[judge.main] - b[judge.main] for (a, _), (b, _) in zip(one, other)])
    draws = [a - b for (_, a), (_, b) in zip(one, other) if len(a)]
    if not np.isfinite(values).all():
        return 1.0
    if judge.bench.drawn:
        spread, freedom = float(values.std(ddof=1)), len(values) - 1
        error = math.sqrt(1 / len(values) + judge.share) * spread
        if draws:
            error = max(error, float(np.mean([d.std() for d in draws])) / math.sqrt(len(values)))
    elif draws:
        error, freedom = float(np.mean(draws, 0).std()), 1000
    else:
        return 1.0
    if error == 0:
        return 1.0 if values.mean() == 0 else 0.0
    return 2 * tail(abs(float(values.mean())) / error, freedom)


def tail(t: float, freedom: int) -> float:
    """The chance that Student's t with so many degrees of freedom is above t >= 0, by the trapezoid rule in the angle
    atan(t / sqrt(freedom)), in which its density is a power of the cosine."""
    angle = np.linspace(math.atan(t / math.sqrt(freedom)), math.pi / 2, 4001)
    log = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(math.pi)
    height = math.exp(log) * np.cos(angle) ** (freedom - 1)
    return float(((height[1:] + height[:-1]) / 2 * np.diff(angle)).sum())


def holm(chances: Sequence[float]) -> list[bool]:
    """Which differences are sure when all are looked at together (Holm 1979): the k-th smallest chance of m is held against
    LEVEL / (m - k + 1), until one fails."""
    sure = [False] * len(chances)
    for k, place in enumerate(sorted(range(len(chances)), key=lambda i: chances[i])):
        if chances[place] > LEVEL / (len(chances) - k):
            break
        sure[place] = True
    return sure
