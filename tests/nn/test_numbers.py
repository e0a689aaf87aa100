"""Numbers for encoders: the scale they are learned on, and the formulas of the papers."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

from plait.encoders.number_periodic import NumberPeriodic
from plait.encoders.number_piecewise import NumberPiecewise
from plait.nn.numbers import CLIP, Scale, learn_scale

VALUES = np.random.default_rng(0).lognormal(size=200)


def test_the_scale_is_the_mean_and_standard_deviation_of_what_is_present() -> None:
    found = learn_scale([*VALUES.tolist(), None])
    assert found["mean"] == pytest.approx(VALUES.mean()) and found["std"] == pytest.approx(VALUES.std())


@pytest.mark.parametrize(
    "cells, expected",
    [
        ([], (0, 1)),
        ([None], (0, 1)),
        ([3.0], (3, 1)),
        ([3.0, 3.0], (3, 1)),
        ([0.0], (0, 1)),
        ([1e308, -1e308], (0, 1e308)),
        ([1e308, 1e308], (1e308, 1)),
        ([5e-324, 0.0], None),
    ],
    ids=str,
)
def test_the_scale_of_odd_columns_is_usable(cells: list[float | None], expected: tuple[float, float] | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learn_scale(cells)
        assert found["std"] > 0 and np.isfinite(list(found.values())).all()
        if expected:
            assert (found["mean"], found["std"]) == pytest.approx(expected)
        present = [c for c in cells if c is not None]
        assert all(np.isfinite(p["value"]).all() for p in Scale(**found).prepare([*present, 1e308, -1e308, 0.0]))


def test_values_are_standardised_in_double_precision_and_clipped() -> None:
    year = Scale(mean=2.0**40, std=1.0)  # float32 would not tell these apart
    ready = year.prepare([2.0**40 + 0.5, 2.0**40 - 1, 2.0**41, 0.0])
    assert [p["value"].tolist() for p in ready] == [[0.5], [-1.0], [CLIP], [-CLIP]]
    assert year.prepare([1.0])[0]["value"].dtype == np.float32


def test_piecewise_is_equation_1_of_the_paper() -> None:
    edges = [0.0, 1.0, 3.0, 10.0]
    encoder = NumberPiecewise(edges=edges, width=4)
    for x in (-5.0, 0.0, 0.25, 1.0, 2.0, 3.0, 9.0, 10.0, 99.0):
        expected = []
        for t, (low, high) in enumerate(pairwise(edges), start=1):
            if x < low and t > 1:
                expected.append(0.0)
            elif x >= high and t < len(edges) - 1:
                expected.append(1.0)
            else:
                expected.append((x - low) / (high - low))
        inside = np.clip(expected, 0, 1)  # ours does not go on past the outer edges: an outlier stays an outlier
        np.testing.assert_allclose(encoder.prepare([x])[0]["filled"], inside, rtol=1e-6)


@pytest.mark.parametrize("bins", [1, 4, 16])
def test_piecewise_edges_are_quantiles_that_rise(bins: int) -> None:
    edges = NumberPiecewise.learn([*VALUES.tolist(), None], bins=bins)["edges"]
    assert edges == sorted(set(edges)) and len(edges) == bins + 1
    counts = np.histogram(VALUES, edges)[0]
    assert counts.max() - counts.min() <= 1 + 200 % bins
    for odd in ([], [3.0], [1.0] * 50 + [2.0], [0.0, 1e308, -1e308]):
        NumberPiecewise(edges=NumberPiecewise.learn(odd, bins=bins)["edges"])


def test_piecewise_of_huge_values_is_finite() -> None:
    encoder = NumberPiecewise(edges=NumberPiecewise.learn([-1e308, 0.0, 1e308])["edges"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(np.isfinite(p["filled"]).all() for p in encoder.prepare([-1.7e308, 0.0, 1.7e308]))


def test_periodic_is_the_formula_of_the_paper() -> None:
    encoder = NumberPeriodic(mean=2.0, std=0.5, width=6, frequencies=3)
    cells = [2.0, 2.25, -1.0]
    v = torch.tensor([(c - 2.0) / 0.5 for c in cells])
    angle = 2 * np.pi * v[:, None] * encoder.frequency
    features = torch.cat([v[:, None], torch.sin(angle), torch.cos(angle)], 1)
    expected = torch.relu(features @ encoder.out.weight.T + encoder.out.bias)
    found = encoder(encoder.collate([*encoder.prepare(cells), None]))
    assert torch.allclose(found.x[:3, 0], expected, atol=1e-5)
    assert found.mask.tolist() == [[True], [True], [True], [False]]
