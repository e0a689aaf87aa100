"""What encoders without a parameter share: samples that are fair, principal components held against NumPy's SVD."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plait.nn import fixed


def test_a_sample_is_fair_seeded_in_order_and_makes_only_what_it_keeps() -> None:
    counts, made = np.zeros(20), 0

    def make(cell: int) -> int:
        nonlocal made
        made += 1
        return -cell

    cells = [None if i % 3 == 0 else i for i in range(30)]
    for seed in range(3000):
        found = fixed.sample(iter(cells), 5, seed)
        assert len(set(found)) == 5 and found == sorted(found) and found == fixed.sample(cells, 5, seed)
        counts[[c - 1 - c // 3 for c in found]] += 1
    np.testing.assert_allclose(counts / 3000, 5 / 20, atol=0.04)
    assert fixed.sample(cells, 5, 1, make=make) == [-c for c in fixed.sample(cells, 5, 1)]
    assert 5 <= made < 20
    assert fixed.sample(cells, 99) == [c for c in cells if c is not None]
    assert fixed.sample([None], 3) == []


@pytest.mark.parametrize("shape", [(50, 6), (5, 30), (8, 8)])
@pytest.mark.parametrize("whiten", [False, True])
def test_principal_components_are_those_of_the_singular_value_decomposition(
    shape: tuple[int, int], whiten: bool
) -> None:
    x = np.random.default_rng(0).standard_normal(shape) * np.linspace(3, 1, shape[1]) + 7
    found = fixed.learn_pca(x, 3, whiten=whiten)
    left, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    scores = left[:, :3] * (len(x) ** 0.5 if whiten else values[:3])
    scores /= np.sqrt((scores**2).mean())
    projected = np.stack([fixed.project(row, **found) for row in x])
    assert projected.dtype == np.float32
    sign = np.sign((projected * scores).sum(0))
    np.testing.assert_allclose(projected * sign, scores, atol=2e-4)


def test_directions_without_variance_are_left_out() -> None:
    plane = np.random.default_rng(1).standard_normal((40, 2)) @ np.random.default_rng(2).standard_normal((2, 9))
    assert fixed.learn_pca(plane, 5)["components"].shape == (2, 9)
    for nothing in (np.zeros((0, 9)), plane[:1], np.repeat(plane[:1], 7, 0), np.full((3, 9), 1e6)):
        found = fixed.learn_pca(nothing, 5, whiten=True)
        assert found["components"].shape == (1, 9) and not found["components"].any()
        assert not fixed.project(plane[3], **found).any()


def test_a_unit_vector_has_a_mean_square_of_one_and_zeros_stay() -> None:
    np.testing.assert_allclose(fixed.unit(np.array([3.0, 4.0])), np.array([0.6, 0.8]) * 2**0.5, rtol=1e-6)
    assert not fixed.unit(np.zeros(4)).any()
    inputs = fixed.collate([{"features": np.ones(2, np.float32)}, None], 2)
    tokens = fixed.tokens({**inputs, "features": torch.ones(2, 2)})
    assert tokens.x.tolist() == [[[1, 1]], [[0, 0]]] and tokens.mask.tolist() == [[True], [False]]
