"""One rung on one split: prepared, trained or learned, judged, and timed at every step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from plait import metrics
from plait.comparing.bench import QUIET, Bench, Ready
from plait.comparing.rungs import TRAINED, Rung
from plait.evaluation import FEWEST
from plait.facts import outsource
from plait.inference import answers
from plait.learning import check as check_fixed
from plait.model import Model
from plait.nn.linear import goals
from plait.preparation import Dataset
from plait.training.loop import INTERRUPTED
from plait.work import Work, begun, tuned_epochs

LINKS = {
    "category": torch.log,
    "labels": lambda share: share.clamp(1e-6, 1 - 1e-6).logit(),
    "number": lambda mean: mean[..., 0],
}  # kind of task -> what turns the mean of its goals into an output of the head


@dataclass
class Trial:
    """What one rung is worth on one split, and what it took."""

    metrics: dict[str, float]
    draws: np.ndarray  # (R,) the main metric over resamples of the rows; none where these are few
    choice: (
        tuple[float, float] | None
    )  # main metric and loss on the validation rows, which it did not learn from; more is better
    ready: dict[str, Ready]
    learn_seconds: float  # what the encoders learn of the training rows, and the training
    predict_seconds: float  # for a row, from prepared cells
    weights_bytes: int  # in a model folder


def main_metric(bench: Bench) -> str:
    """The metric to look at first."""
    return bench.heads[0].metrics[0]


def run(bench: Bench, rung: Rung, place: int, *, choose: bool) -> Trial:
    """The trial of a rung on the split of a seed. `choose`: it is judged on the validation rows too. Raises whatever a
    rung may break of."""
    learner = None if rung.kind in TRAINED else bench.learner
    if rung.through and bench.options.epochs is None:
        bench = copy(bench)
        count = int((bench.parts[place] == 0).sum())
        bench.options = replace(bench.options, epochs=tuned_epochs(count, bench.options.batch_size))
    specs = bench.specs(rung.encoders, learner)
    ready = {column: bench.ready(column, part, place) for column, part in specs["inputs"].items()}
    spec = bench.spec(ready, specs, place)
    part, rows = bench.judged(place)
    data = data_of(bench, ready, place)
    began = time.perf_counter()
    model = made(bench, spec, specs, data, bench.parts[place], place)
    learned = time.perf_counter() - began
    found, draws = _judge(bench, model, data, rows, place)
    began = time.perf_counter()
    answers(model, data, rows)  # a second time: the first one warms up
    seconds = (time.perf_counter() - began) / max(len(rows), 1)
    choice = None
    valid = bench.known(place, 1)
    if choose and part == 2 and len(valid):
        judged = model
        if learner is not None:  # it learned of the validation rows too; the loop has only stopped by them
            without = np.where(bench.parts[place] == 1, -1, bench.parts[place])
            judged = made(bench, bench.spec(ready, specs, place), specs, data, without, place)
        choice = _choice(bench, judged, data, valid, place)
    facts = sum(r.fact_seconds for r in ready.values())
    return Trial(found, draws, choice, ready, facts + learned, seconds, model_bytes(model, spec))


def data_of(bench: Bench, ready: Mapping[str, Ready], place: int) -> Dataset:
    cells = {c: r.cells for c, r in ready.items()}
    labels = {bench.target: bench.labels}
    return Dataset(cells, {}, {bench.target: bench.targets[place]}, len(bench.table), labels)


def made(
    bench: Bench, spec: dict[str, Any], specs: dict[str, Any], data: Dataset, parts: np.ndarray, place: int
) -> Model:
    """The model, by the loop or by the learner, as plait.fit would make it."""
    seed = bench.seeds[place]
    model = begun(spec, seed)
    data.encoders = dict(model.encoders.items())
    work = Work(spec, model, data, bench.table, parts, bench.how, bench.options, seed, QUIET)
    if "learner" in specs:
        check_fixed(model, specs)
        work.learn()
        return work.model
    state = work.train(None, None, None)
    if state.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    data.targets = {t: y.cpu() for t, y in data.targets.items()}
    return work.model.to("cpu")


def _judge(
    bench: Bench, model: Model, data: Dataset, rows: np.ndarray, place: int
) -> tuple[dict[str, float], np.ndarray]:
    answer = next(iter(answers(model, data, rows).values()))[bench.target]
    return figures(bench, answer, rows, place)


def figures(bench: Bench, answer: np.ndarray, rows: np.ndarray, place: int) -> tuple[dict[str, float], np.ndarray]:
    """Metrics, and the main one over resamples that are the same for every rung."""
    head, truth = bench.heads[place], bench.targets[place][rows].numpy()
    values = {name: float(v[0]) for name, v in head.judge(answer, truth, np.ones((1, len(truth)))).items()}
    if len(truth) < FEWEST:
        return values, np.zeros(0)
    weight = metrics.resamples(len(truth), seed=bench.seeds[0])
    main = head.metrics[0]
    return values, head.judge(answer, truth, weight, only=main)[main]


def _choice(bench: Bench, model: Model, data: Dataset, rows: np.ndarray, place: int) -> tuple[float, float]:
    answer = next(iter(answers(model, data, rows).values()))[bench.target]
    head, truth = bench.heads[place], bench.targets[place][rows].numpy()
    values = {name: float(v[0]) for name, v in head.judge(answer, truth, np.ones((1, len(truth)))).items()}
    main = head.metrics[0]
    return (-values[main] if main in metrics.LOWER_IS_BETTER else values[main]), -head.share(values)  # type: ignore[arg-type]


def floor(bench: Bench, place: int) -> tuple[dict[str, float], np.ndarray]:
    """The figures of knowing nothing but the training labels: their shares, or their mean."""
    head, (_, rows) = bench.heads[place], bench.judged(place)
    task, goal = head.task(bench.targets[place][bench.known(place, 0)])
    mean = torch.from_numpy(goals(goal, task).mean(0, keepdims=True))
    answer = head.answer(LINKS[task.kind](mean)).numpy()
    return figures(bench, np.repeat(answer, len(rows), axis=0), rows, place)


def model_bytes(model: Model, spec: dict[str, Any]) -> int:
    """What the weights, the frozen networks and the learned facts of a model take in its folder."""
    facts: dict[str, bytes] = {}
    outsource(spec, facts)
    size = lambda module: sum(t.nbytes for t in module.state_dict().values())  # noqa: E731
    nets = sum(size(net.module()) for _, encoder in model.encoders.items() for net in encoder.nets)
    return int(size(model) + nets + sum(map(len, facts.values())))
