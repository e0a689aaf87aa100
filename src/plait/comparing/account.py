"""What was found, as plain data: every rung with its figure, its costs, and how far it is above the one below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait import metrics
from plait.comparing.bench import Bench
from plait.comparing.figures import Figure, over_rows, over_splits, within
from plait.comparing.rungs import KINDS, LEARNED, TUNED, Ladder, Rung
from plait.comparing.trial import Trial, floor, main_metric
from plait.presets import CLASSIC, SETS, WEIGHTS
from plait.report import words
from plait.weights.catalogue import BEST

Facts = dict[str, Any]
Score = tuple[dict[str, float], np.ndarray]  # metrics, and the main one over resamples
FLOORS = {
    "category": "the most frequent class",
    "labels": "how frequent each label is",
    "number": "the mean",
}  # kind of task -> what is answered without looking at any column


@dataclass
class Climb:
    """A rung and its trials, one a seed."""

    rung: Rung
    trials: list[Trial] = field(default_factory=list)

    @property
    def scores(self) -> list[Score]:
        """Its figures by seed."""
        return [(t.metrics, t.draws) for t in self.trials]

    @property
    def choice(self) -> tuple[float, float] | None:
        """Its mean score on validation rows."""
        found = [t.choice for t in self.trials if t.choice is not None]
        return (float(np.mean([a for a, _ in found])), float(np.mean([b for _, b in found]))) if found else None


class Judge:
    """Turns trials into figures with intervals."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.main = bench, main_metric(bench)
        self.sign = -1.0 if self.main in metrics.LOWER_IS_BETTER else 1.0
        self.floor: list[Score] = [floor(bench, place) for place in range(len(bench.seeds))]
        sizes = [(len(bench.judged(i)[1]), int(np.isin(p, (0, 1)).sum())) for i, p in enumerate(bench.parts)]
        self.share = float(np.mean([test / max(train, 1) for test, train in sizes]))

    def level(self, scores: Sequence[Score]) -> Figure:
        """The main metric, with its 95 % interval."""
        figure = self._figure([m[self.main] for m, _ in scores], [d for _, d in scores])
        return within(figure, 0.0, np.inf if self.main in words.IN_UNITS else 1.0)

    def gap(self, one: Sequence[Score], other: Sequence[Score]) -> Figure:
        """How much better one is than the other, paired by row and by split; above zero where it is better."""
        values = [self.sign * (a[self.main] - b[self.main]) for (a, _), (b, _) in zip(one, other)]
        return self._figure(values, [self.sign * (a - b) for (_, a), (_, b) in zip(one, other)])

    def _figure(self, values: list[float], draws: list[np.ndarray]) -> Figure:
        return over_splits(values, self.share, draws) if self.bench.drawn else over_rows(values, draws)


def chosen(climbs: Sequence[Climb], kind: str, modality: str) -> Climb | None:
    """The best of a kind: by the validation rows where there are any, never by the rows that are judged on; else the one
    that plait takes by itself."""
    fine = [c for c in climbs if c.rung.kind == kind and c.trials]
    if not fine:
        return None
    if all(c.choice is not None for c in fine):
        return max(fine, key=lambda c: c.choice or (0.0, 0.0))
    inner = SETS.get(modality, modality)
    usual = (CLASSIC.get(inner), *BEST.get(WEIGHTS.get(inner, ""), ()))
    return next((c for name in usual for c in fine if c.rung.name == name), fine[0])


def rungs_json(judge: Judge, climbs: Sequence[Climb]) -> list[Facts]:
    """The rungs from the lowest up."""
    found: list[Facts] = []
    below, name = judge.floor, FLOORS[_task(judge.bench)]
    for climb in climbs:
        if climb.trials:
            found.append(_rung_json(judge, climb, below, name))
            below, name = climb.scores, climb.rung.name
        else:
            found.append({"name": climb.rung.name, "kind": climb.rung.kind, "error": climb.rung.error})
    return found


def _rung_json(judge: Judge, climb: Climb, below: Sequence[Score], name: str) -> Facts:
    trials = climb.trials
    columns = list(trials[0].ready)
    each = {c: list({id(t.ready[c]): t.ready[c] for t in trials}.values()) for c in columns}  # one a split
    rate = {
        c: sum(r.prepare_seconds for r in ready if r.fresh) / max(sum(r.fresh for r in ready), 1)
        for c, ready in each.items()
    }
    per_row = sum(rate.values())
    predict = float(np.mean([t.predict_seconds for t in trials]))
    names = trials[0].metrics
    return {
        "name": climb.rung.name,
        "kind": climb.rung.kind,
        "encoders": climb.rung.encoders,
        **judge.level(climb.scores),
        "metrics": {n: float(np.mean([t.metrics[n] for t in trials])) for n in names},
        "seeds": [t.metrics[judge.main] for t in trials],
        "above": {"name": name, **judge.gap(climb.scores, below)},
        "prepare": {
            "seconds": float(sum(np.mean([r.prepare_seconds for r in v if r.fresh] or [0.0]) for v in each.values())),
            "seconds_a_row": per_row,
            "cells": {c: sum(r.fresh for r in v) for c, v in each.items()},
            "load_seconds": float(sum(max(r.load_seconds for r in v) for v in each.values())),
        },
        "learn_seconds": float(np.mean([t.learn_seconds for t in trials])),
        "cells_bytes": sum(v[0].held for v in each.values()),
        "weights_bytes": int(np.mean([t.weights_bytes for t in trials])),
        "rows_per_second": {"prepared": 1 / max(predict, 1e-9), "raw": 1 / max(predict + per_row, 1e-9)},
        "error": None,
    }


def column_json(judge: Judge, ladder: Ladder, climbs: Sequence[Climb]) -> Facts:
    """One column: its rungs, which of a kind is best, and how these compare."""
    best = {kind: chosen(climbs, kind, ladder.modality) for kind in KINDS}
    pairs = {}
    for one, other in (("pretrained", "classic"), ("pretrained", LEARNED), ("classic", LEARNED), (TUNED, "pretrained")):
        a, b = best[one], best[other]
        if a is not None and b is not None:
            pairs[f"{one} - {other}"] = judge.gap(a.scores, b.scores)
    for kind, climb in best.items():
        if climb is not None:
            pairs[f"{kind} - floor"] = judge.gap(climb.scores, judge.floor)
    return {
        "name": ladder.column,
        "modality": ladder.modality,
        "rungs": rungs_json(judge, climbs),
        "absent": ladder.absent,
        "best": {kind: climb.rung.name for kind, climb in best.items() if climb is not None},
        "gaps": pairs,
    }


def single(judge: Judge, ladders: Sequence[tuple[Ladder, list[Climb]]]) -> tuple[str, Climb] | None:
    """The line of one column alone that came out best on the rows judged: that it was picked so makes it hard to beat."""
    every = [(ladder.column, c) for ladder, climbs in ladders for c in climbs if c.trials]
    rank = lambda pair: judge.sign * float(np.mean([m[judge.main] for m, _ in pair[1].scores]))  # noqa: E731
    return max(every, key=rank) if every else None


def about(judge: Judge) -> Facts:
    """What all rungs share."""
    bench = judge.bench
    parts = [{n: int((p == i).sum()) for i, n in enumerate(("train", "valid", "test"))} for p in bench.parts]
    return {
        "table": bench.table.name,
        "rows": len(bench.table),
        "target": bench.target,
        "modality": bench.schema.targets[bench.target],
        "metric": judge.main,
        "learner": bench.learner,
        "split": bench.how,
        "seeds": list(bench.seeds),
        "parts": parts,
        "judged_on": ("train", "valid", "test")[bench.judged(0)[0]],
        "judged_rows": [len(bench.judged(i)[1]) for i in range(len(bench.seeds))],
        "interval": "splits" if bench.drawn else "rows",
        "floor": {"name": FLOORS[_task(bench)], **judge.level(judge.floor)},
    }


def _task(bench: Bench) -> str:
    head, known = bench.heads[0], bench.known(0, 0)
    return head.task(bench.targets[0][known])[0].kind
