"""Several targets at once: what each gains or loses by the others, and by how their losses are weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plait import metrics
from plait.comparing.account import Facts
from plait.comparing.advice import signed_gap
from plait.comparing.bench import QUIET, Bench
from plait.comparing.figures import Figure, clear, over_rows, over_splits
from plait.evaluation import FEWEST
from plait.heads.base import Head
from plait.inference import answers
from plait.preparation import Dataset
from plait.progress import Progress
from plait.report import words
from plait.training.loop import INTERRUPTED
from plait.work import Work, begun

ALONE = "alone"
WAYS = ("supervised", "uncertainty", "gradnorm")  # objectives that weigh the losses of several targets
Score = tuple[float, np.ndarray]  # main metric, and over resamples of the rows


def tasks(benches: Mapping[str, Bench], encoders: Mapping[str, Any], fusion: Any, progress: Progress) -> Facts:
    """Facts of every target, alone and together. `benches`: target -> bench, all with the same splits."""
    first = next(iter(benches.values()))
    targets = list(benches)
    scores: dict[tuple[str, str], list[Score]] = {}
    jobs = [(ALONE, [t]) for t in targets] + [(way, targets) for way in WAYS]
    with progress.bar("Comparing", len(jobs) * len(first.seeds), unit="fits") as bar:
        for place in range(len(first.seeds)):
            for way, group in jobs:
                found = _trial({t: benches[t] for t in group}, encoders, fusion, way, place)
                for target, score in found.items():
                    scores.setdefault((target, way), []).append(score)
                bar.advance(1, f"{way}: {', '.join(group)}")
    each = [_target_json(target, benches[target], scores) for target in targets]
    facts: Facts = {
        "table": first.table.name,
        "rows": len(first.table),
        "seeds": list(first.seeds),
        "fusion": fusion,
        "interval": "splits" if first.drawn else "rows",
        "tasks": each,
    }
    facts["advice"] = " ".join(_said(task) for task in each)
    return facts


def _trial(
    benches: Mapping[str, Bench], encoders: Mapping[str, Any], fusion: Any, way: str, place: int
) -> dict[str, Score]:
    """The scores of the targets of one fit."""
    first = next(iter(benches.values()))
    specs = first.specs(encoders, None, fusion)
    ready = {c: first.ready(c, part, place) for c, part in specs["inputs"].items()}
    spec = {**first.spec(ready, specs, place), "outputs": {t: b.outputs[place] for t, b in benches.items()}}
    seed = first.seeds[place]
    model = begun(spec, seed)
    data = Dataset(
        {c: r.cells for c, r in ready.items()},
        dict(model.encoders.items()),
        {t: b.targets[place] for t, b in benches.items()},
        len(first.table),
        {t: b.labels for t, b in benches.items()},
    )
    objective = "supervised" if way == ALONE else way
    work = Work(spec, model, data, first.table, first.parts[place], first.how, first.options, seed, QUIET, objective)
    state = work.train(None, None, None)
    if state.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    data.targets = {t: y.cpu() for t, y in data.targets.items()}
    found = {}
    for target, bench in benches.items():
        rows = bench.judged(place)[1]
        answer = next(iter(answers(model.to("cpu"), data, rows).values()))[target]
        found[target] = _score(bench.heads[place], answer, bench.targets[place][rows].numpy(), first.seeds[0])
    return found


def _score(head: Head, answer: np.ndarray, truth: np.ndarray, seed: int) -> Score:
    main = head.metrics[0]
    if not len(truth):
        return float("nan"), np.zeros(0)
    value = float(head.judge(answer, truth, np.ones((1, len(truth))), only=main)[main][0])
    if len(truth) < FEWEST:
        return value, np.zeros(0)
    return value, head.judge(answer, truth, metrics.resamples(len(truth), seed=seed), only=main)[main]


def _target_json(target: str, bench: Bench, scores: Mapping[tuple[str, str], Sequence[Score]]) -> Facts:
    main = bench.heads[0].metrics[0]
    sign = -1.0 if main in metrics.LOWER_IS_BETTER else 1.0
    alone = scores[target, ALONE]
    ways = []
    for way in (ALONE, *WAYS):
        own = scores[target, way]
        gap = _figure(
            bench,
            [sign * (a - b) for (a, _), (b, _) in zip(own, alone)],
            [sign * (a - b) for (_, a), (_, b) in zip(own, alone)],
        )
        level = _figure(bench, [v for v, _ in own], [d for _, d in own])
        ways.append({"way": way, **level, "gain": None if way == ALONE else gap})
    labelled = int((np.array([v is not None for v in bench.labels])).sum())
    return {
        "target": target,
        "modality": bench.schema.targets[target],
        "metric": main,
        "labelled": labelled,
        "ways": ways,
    }


def _figure(bench: Bench, values: list[float], draws: list[np.ndarray]) -> Figure:
    sizes = [(len(bench.judged(i)[1]), int(np.isin(p, (0, 1)).sum())) for i, p in enumerate(bench.parts)]
    share = float(np.mean([test / max(train, 1) for test, train in sizes]))
    return over_splits(values, share, draws) if bench.drawn else over_rows(values, draws)


def _said(task: Facts) -> str:
    """One sentence of a target: whether the others help it, and by which weighing."""
    joint = [w for w in task["ways"] if w["gain"] is not None and w["gain"]["value"] is not None]
    if not joint:
        return f"{task['target']} has no label among the rows judged of some split: nothing can be said."
    best = max(joint, key=lambda w: w["gain"]["value"])
    size = signed_gap(task["metric"], best["gain"])
    verdict = {
        1: "gains from the others",
        -1: "loses by the others",
        0: "is neither helped nor hurt, as far as can be told",
    }
    return f"{task['target']} {verdict[clear(best['gain'])]} ({size} with {best['way']})."


def tasks_text(facts: Facts) -> str:
    """Everything as lines of text."""
    lines = [
        f"{facts['table']}: {len(facts['tasks'])} targets, each alone and all together, {len(facts['seeds'])} seeds"
    ]
    for task in facts["tasks"]:
        name = words.metric_name(task["metric"])
        lines += ["", f"{task['target']} ({task['modality']}, {words.count(task['labelled'])} labelled rows), {name}"]
        for way in task["ways"]:
            gap = (
                ""
                if way["gain"] is None
                else signed_gap(task["metric"], way["gain"]) + (" !" if clear(way["gain"]) else "")
            )
            title = way["way"] if way["way"] == ALONE else f"together, {way['way']}"
            value = words.value_text(task["metric"], way["value"])
            lines.append(f"  {title:<24} {value:>8}  {words.span_text(task['metric'], way):<16} {gap}")
    return "\n".join(
        [
            *lines,
            "",
            facts["advice"],
            "",
            "Gains are over the target alone, paired, with 95 % intervals. ! beyond chance.",
        ]
    )
