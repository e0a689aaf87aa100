"""The learning-rate range test: a short run with a rate that rises from step to step shows which rates a model bears."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from plait.errors import PlaitError
from plait.model import Model
from plait.objectives.base import Objective
from plait.preparation import Dataset
from plait.training import optimizers
from plait.training.averages import copied
from plait.training.balance import shown
from plait.training.options import Options
from plait.training.prefetch import prefetch
from plait.training.schedule import order, step_seed
from plait.training.step import accelerator_for, attached, gradient

LOW, HIGH, STEPS = 1e-6, 1.0, 100
WORSE = 4.0  # times the best loss: far enough
SPAN = 7  # losses that are averaged, so that one batch does not decide

Found = list[tuple[float, float]]


def range_test(
    model: Model,
    objective: Objective,
    data: Dataset,
    rows: np.ndarray,
    options: Options,
    seed: int,
    *,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
) -> Found:
    """[(rate, loss)] of `steps` steps over `rows`, the rate rising evenly in its logarithm from `low` to `high` (Smith 2017),
    with the optimizer that the options name, and without their `balance`. It ends early where the loss is four times the best
    or not finite. Model and objective are afterwards what they were before. Raises PlaitError."""
    if not 0 < low < high or steps < 2:
        raise PlaitError(
            f"Range test: found low={low!r}, high={high!r}, steps={steps!r}; expected 0 < low < high, steps > 1."
        )
    accelerator, _ = accelerator_for(options.precision)
    with attached(model, objective):
        model.to(accelerator.device)
        data.targets = {t: y.to(accelerator.device) for t, y in data.targets.items()}
        before, modes = copied(model), [(m, m.training) for m in model.modules()]
        gradients = [(p, p.grad) for p in model.parameters()]
        optimizer = optimizers.build(model, options, objective)
        found: Found = []
        rates = np.geomspace(low, high, steps).tolist()
        with torch.random.fork_rng():
            try:
                model.train()
                optimizer.zero_grad()
                for rate, (parts, _, _) in zip(
                    rates, prefetch(data, _todo(rows, options, seed, steps), size=options.batch_size)
                ):
                    torch.manual_seed(step_seed(seed, len(found)))
                    show = shown(options, len(found), total=steps, columns=list(data.columns))
                    loss = float(gradient(accelerator, model, model, objective, parts, show=show, options=options))
                    if not math.isfinite(loss):
                        break
                    found.append((rate, loss))
                    if len(found) > SPAN and _smooth(found)[-1] > WORSE * _smooth(found).min():
                        break
                    torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
                    optimizer.step(rate)
                    optimizer.zero_grad()
            finally:
                model.load_state_dict(before)
                for module, mode in modes:
                    module.training = mode
                for parameter, own in gradients:
                    parameter.grad = own
    return found


def suggested(found: Sequence[tuple[float, float]]) -> float:
    """The rate at which the loss, averaged over seven steps, falls most steeply in the logarithm of the rate. Raises
    PlaitError where it falls nowhere."""
    if len(found) < 2 * SPAN:
        raise PlaitError(
            f"Range test: found {len(found)} losses, expected at least {2 * SPAN}. Take more steps, or a lower lowest rate."
        )
    rates = np.log([rate for rate, _ in found])
    smooth = _smooth(found)
    middle = rates[SPAN // 2 : SPAN // 2 + len(smooth)]
    slope = np.gradient(smooth, middle)
    if slope.min() >= 0:
        raise PlaitError(
            "Range test: the loss falls at no rate; expected it to fall somewhere. Try a lower lowest rate."
        )
    return float(np.exp(middle[int(slope.argmin())]))


def _smooth(found: Sequence[tuple[float, float]]) -> np.ndarray:
    return np.convolve([loss for _, loss in found], np.full(SPAN, 1 / SPAN), "valid")


def _todo(rows: np.ndarray, options: Options, seed: int, steps: int) -> list[np.ndarray]:
    """The rows of each step, epoch after epoch as in training."""
    each = -(-len(rows) // options.step_rows)
    todo: list[np.ndarray] = []
    for epoch in range(-(-steps // each)):
        todo += np.array_split(order(rows, seed=seed, epoch=epoch), each)
    return todo[:steps]
