"""Random kernels against plain loops, and what Dempster et al. (2020) say of how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from plait.nn.kernels import LENGTHS, Block, draw, respond


def by_loops(values: np.ndarray, block: Block) -> list[tuple[float, float]]:
    """(share above 0, highest answer) of each kernel, one product at a time."""
    span = (block.length - 1) * block.dilation
    pad = span // 2 if block.padded or len(values) <= span else 0
    found = []
    for k in range(len(block.weight)):
        weight = block.weight[k].reshape(len(block.channels), block.length)
        answers = []
        for t in range(-pad, len(values) + pad - span):
            total = float(block.bias[k])
            for row, c in enumerate(block.channels):
                for i in range(block.length):
                    at = t + i * block.dilation
                    total += float(weight[row, i]) * float(values[at, c]) if 0 <= at < len(values) else 0.0
            answers.append(total)
        found.append((float(np.mean(np.array(answers) > 0)), max(answers)))
    return found


@pytest.mark.parametrize("steps, channels", [(40, 1), (33, 3), (5, 2), (1, 1)])
def test_answers_are_those_of_plain_loops(steps: int, channels: int) -> None:
    values = np.random.default_rng(0).standard_normal((steps, channels))
    blocks = draw(40, channels=channels, longest=40, seed=3)
    found = respond(values, blocks)
    assert found.dtype == np.float32 and found.shape == (80,)
    expected = np.array([pair for block in blocks for pair in by_loops(values, block)])
    np.testing.assert_allclose(found[:40], expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(found[40:], expected[:, 1], rtol=1e-4, atol=1e-5)


def test_kernels_are_drawn_as_the_paper_says() -> None:
    blocks = draw(16_000, channels=5, longest=200, seed=0)
    assert {b.length for b in blocks} == set(LENGTHS)
    assert 0.4 < np.mean([b.padded for b in blocks]) < 0.6
    assert all(b.dilation >= 1 and (b.length - 1) * b.dilation < 200 for b in blocks)
    assert max(b.dilation * (b.length - 1) for b in blocks) > 180, "the widest span the series"
    assert {len(b.channels) for b in blocks} == {1, 2, 3, 4, 5}
    assert all(len(set(b.channels.tolist())) == len(b.channels) for b in blocks)
    for b in blocks[:50]:
        weight = b.weight.reshape(len(b.weight), len(b.channels), b.length)
        np.testing.assert_allclose(weight.sum(2), 0, atol=1e-5)
    bias = np.concatenate([b.bias for b in blocks])
    assert -1 <= bias.min() < -0.99 and 0.99 < bias.max() <= 1 and abs(bias.mean()) < 0.02


def test_a_seed_gives_its_kernels_again_and_more_kernels_begin_with_the_same() -> None:
    few, again, more, other = (draw(n, channels=3, longest=50, seed=s) for n, s in ((32, 1), (32, 1), (64, 1), (32, 2)))
    for a, b, c in zip(few, again, more):
        assert all(np.array_equal(x, y) and np.array_equal(x, z) for x, y, z in zip(a, b, c))
    assert not np.array_equal(few[0].weight, other[0].weight)


def test_without_padding_the_level_of_a_channel_does_not_count() -> None:
    values = np.random.default_rng(0).standard_normal((60, 2))
    blocks = [b._replace(padded=False) for b in draw(64, channels=2, longest=30, seed=0)]
    np.testing.assert_allclose(respond(values, blocks), respond(values + np.array([3, -5]), blocks), atol=0.05)
