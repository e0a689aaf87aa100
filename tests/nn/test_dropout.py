"""Dropout against torch's: the same in the mean, as often zero, nothing outside of training, the same again by the same seed."""

from __future__ import annotations

import pytest
import torch

from plait.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_numbers_are_left_out_by_chance_and_the_rest_makes_up_for_it(p: float) -> None:
    torch.manual_seed(0)
    out = Dropout(p)(torch.ones(1000, 1001))
    assert float((out == 0).float().mean()) == pytest.approx(p, abs=3e-3)
    assert float(out.mean()) == pytest.approx(1, abs=5e-2 * p / (1 - p))
    assert out.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=2e-4)
    theirs = torch.nn.functional.dropout(torch.ones(1000, 1001), p)
    assert float(out.var()) == pytest.approx(float(theirs.var()), rel=2e-2)


def test_neighbours_and_calls_are_independent() -> None:
    torch.manual_seed(1)
    layer, x = Dropout(0.5), torch.ones(400_000)
    first, second = layer(x) - 1, layer(x) - 1
    for lag in (1, 2, 3, 4, 8):
        assert abs(float((first[lag:] * first[:-lag]).mean())) < 0.01
    assert abs(float((first * second).mean())) < 0.01


def test_the_gradient_goes_where_the_numbers_went() -> None:
    torch.manual_seed(2)
    x = torch.randn(7, 5, 3, requires_grad=True)
    out = Dropout(0.3)(x)
    out.sum().backward()
    torch.testing.assert_close(out.detach(), x.detach() * x.grad)


def test_it_follows_the_seed_and_rests_outside_of_training() -> None:
    layer, x = Dropout(0.4), torch.randn(33)
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(layer(x))
    assert torch.equal(found[0], found[1])
    before = torch.get_rng_state()
    assert layer.eval()(x) is x and Dropout(0.0)(x) is x
    assert torch.equal(before, torch.get_rng_state())
    assert layer.train()(x.to(torch.bfloat16)).dtype == torch.bfloat16
