"""The range test finds the rate that was planted, and leaves the model as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.small import world

from plait.errors import PlaitError
from plait.objectives.supervised import Supervised
from plait.training.averages import copied
from plait.training.options import OPTIMIZERS, Options
from plait.training.range_test import range_test, suggested

ROWS = np.arange(24)


def found(optimizer: str = "adamw", **more: Any) -> tuple[list[tuple[float, float]], Any]:
    model, data = world()
    options = Options(optimizer=optimizer, batch_size=8, precision="fp32")
    return range_test(model, Supervised(), data, ROWS, options, 0, **more), model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_model_is_afterwards_what_it_was(optimizer: str) -> None:
    model, data = world()
    model.eval()
    first = next(model.parameters())
    first.grad = torch.full_like(first, 3.0)
    before, drawn = copied(model), torch.random.get_rng_state()
    options = Options(optimizer=optimizer, batch_size=8, precision="fp32")
    curve = range_test(model, Supervised(), data, ROWS, options, 0, steps=12)
    assert len(curve) == 12 and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m.training for m in model.modules()) and torch.equal(drawn, torch.random.get_rng_state())
    assert first.grad is not None and (first.grad == 3.0).all()
    assert all(p.grad is None for p in model.parameters() if p is not first)


def test_the_rate_rises_evenly_and_the_curve_repeats() -> None:
    curve, _ = found(low=1e-5, high=1e-1, steps=41)
    rates = np.log10([rate for rate, _ in curve])
    np.testing.assert_allclose(np.diff(rates), 0.1, rtol=1e-6)
    assert rates[0] == pytest.approx(-5) and curve == found(low=1e-5, high=1e-1, steps=41)[0]


def test_it_ends_where_the_loss_breaks() -> None:
    curve, _ = found("sgd", high=1e6, steps=60)
    assert 14 <= len(curve) < 60 and all(np.isfinite(loss) for _, loss in curve)
    best = suggested(curve)
    assert curve[0][0] < best < curve[-1][0]


def test_the_suggestion_is_where_the_loss_falls_most_steeply() -> None:
    rates = np.geomspace(1e-6, 1, 121)
    for planted in (1e-4, 1e-2):
        losses = 2 / (1 + np.exp(3 * np.log(rates / planted)))  # steepest at `planted`
        noise = 0.01 * np.random.default_rng(0).normal(size=121)
        best = suggested(list(zip(rates.tolist(), (losses + noise).tolist())))
        assert planted / 1.6 < best < planted * 1.6


def test_what_shows_nothing_is_told() -> None:
    with pytest.raises(PlaitError, match="found 3 losses, expected at least 14"):
        suggested([(1e-3, 1.0)] * 3)
    with pytest.raises(PlaitError, match="falls at no rate"):
        suggested([(10.0**-i, float(10 - i)) for i in range(20, 0, -1)])
    for wrong in ({"low": 0.0}, {"low": 1.0, "high": 0.1}, {"steps": 1}):
        with pytest.raises(PlaitError, match="expected 0 < low < high"):
            found(**wrong)
