"""Every schedule against the one of torch.optim.lr_scheduler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from plait.training.options import SCHEDULES, Options
from plait.training.schedule import drops, order, planned, rate

PEAK, TOTAL, STEPS, EPOCHS = 0.4, 60, 5, 12


def by_torch(make: Any, steps: int, **arguments: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = make(optimizer, **arguments)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def ours(schedule: str, warmup: float, **more: Any) -> list[float]:
    return [rate(s, TOTAL, peak=PEAK, warmup=warmup, schedule=schedule, **more) for s in range(TOTAL)]


@pytest.mark.parametrize("warmup", [0.1, 0.5])
@pytest.mark.parametrize("schedule", ["cosine", "constant", "step", "exponential"])
def test_schedules_are_those_of_torch_after_the_warm_up(schedule: str, warmup: float) -> None:
    rise, period = round(TOTAL * warmup), 7
    make, arguments = {
        "cosine": (lr_scheduler.CosineAnnealingLR, {"T_max": TOTAL - rise}),
        "constant": (lr_scheduler.ConstantLR, {"factor": 1.0}),
        "step": (lr_scheduler.StepLR, {"step_size": period, "gamma": 0.3}),
        "exponential": (lr_scheduler.ExponentialLR, {"gamma": 0.3 ** (1 / period)}),
    }[schedule]
    found = ours(schedule, warmup, decay=0.3, period=period)
    np.testing.assert_allclose(found[rise:], by_torch(make, TOTAL - rise, **arguments), atol=1e-9)
    linear = by_torch(lr_scheduler.LinearLR, rise, start_factor=1 / rise, total_iters=rise - 1)
    np.testing.assert_allclose(found[:rise], linear, atol=1e-9)


@pytest.mark.parametrize("warmup", [0.1, 0.3])
def test_one_cycle_is_that_of_torch(warmup: float) -> None:
    with_torch = by_torch(
        lr_scheduler.OneCycleLR, TOTAL - 1, max_lr=PEAK, total_steps=TOTAL, pct_start=warmup, cycle_momentum=False
    )
    np.testing.assert_allclose(ours("one-cycle", warmup)[:-1], with_torch, rtol=1e-6)
    assert ours("one-cycle", warmup)[-1] == pytest.approx(PEAK / 25 / 1e4)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_is_that_of_torch(patience: int) -> None:
    scores = np.random.default_rng(patience).integers(0, 3, 40).astype(float)  # with equals
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", factor=0.5, patience=patience - 1, threshold=0.0, threshold_mode="abs", eps=0.0
    )
    for epoch, score in enumerate(scores.tolist()):
        optimizer.step()
        scheduler.step(score)
        found = drops(scores[: epoch + 1].tolist(), patience=patience)
        assert 0.5**found == optimizer.param_groups[0]["lr"], (epoch, scores)
    assert drops(scores.tolist(), patience=patience) > 2, "nothing was shown"
    assert drops([None, 1.0, None, None], patience=2) == 1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_plan_is_within_its_peak_and_follows_from_the_step(schedule: str) -> None:
    options = Options(schedule=schedule, learning_rate=PEAK, decay=0.5, decay_epochs=2)
    scores: list[float | None] = [1.0, 0.5, 0.5]
    found = [planned(options, s, steps=STEPS, epochs=EPOCHS, scores=scores) for s in range(STEPS * EPOCHS)]
    assert all(0 <= r <= PEAK * (1 + 1e-9) for r in found) and found[0] < max(found)
    expected = {
        "constant": PEAK, "plateau": PEAK / 2, "step": PEAK * 0.5 ** (56 // 10), "exponential": PEAK * 0.5 ** (56 / 10),
        "cosine": PEAK * 0.5 * (1 + math.cos(math.pi * 56 / 57)), "one-cycle": PEAK / 25 / 1e4,
    }[schedule]  # fmt: skip
    assert found[-1] == pytest.approx(expected, rel=1e-9)


def test_a_curriculum_puts_short_rows_first_and_draws_among_equals() -> None:
    rows, lengths = np.arange(100, 160), np.arange(60) % 4
    first, other = (order(rows, seed=1, epoch=e, lengths=lengths) for e in (0, 1))
    assert sorted(first) == sorted(rows) and (np.diff(lengths[first - 100]) >= 0).all()
    assert (first != other).any() and (first == order(rows, seed=1, epoch=0, lengths=lengths)).all()
    plain = order(rows, seed=1, epoch=0)
    assert (np.diff(lengths[plain - 100]) < 0).any()
    assert all((first[lengths[first - 100] == n] == plain[lengths[plain - 100] == n]).all() for n in range(4))


@pytest.mark.parametrize("schedule", ["plateau", "step"])
def test_the_loop_steps_at_the_rates_of_the_plan(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.training.small import world

    from plait.objectives.supervised import Supervised
    from plait.progress import Progress
    from plait.training import loop

    scores, taken = [0.5, 0.1, 0.6, 0.2, 0.2, 0.2], []
    judged = iter(scores)
    monkeypatch.setattr(loop, "validate", lambda *_: {"score": next(judged), "slack": 0.0, "watched": "loss"})
    real = loop.optimizers.Optimizers.step
    monkeypatch.setattr(
        loop.optimizers.Optimizers, "step", lambda self, rate: (taken.append(rate), real(self, rate))[1]
    )
    model, data = world()
    options = Options(
        epochs=6, batch_size=8, schedule=schedule, decay=0.5, decay_epochs=1, warmup=0.0, learning_rate=0.01
    )
    loop.train(
        model, Supervised(), data, train_rows=np.arange(16), valid_rows=np.arange(16, 24), options=options, seed=0,
        checkpoints=None, deadline=None, progress=Progress(quiet=True),
    )  # fmt: skip
    falls = [0, 0, 1, 1, 2, 3] if schedule == "plateau" else [0, 1, 2, 3, 4, 5]
    # A step counts from the end of the warm-up, which is one step at least.
    expected = [falls[e] if schedule == "plateau" else max(0, (2 * e + s - 1) // 2) for e in range(6) for s in range(2)]
    np.testing.assert_allclose(taken, 0.01 * 0.5 ** np.array(expected, dtype=float))
