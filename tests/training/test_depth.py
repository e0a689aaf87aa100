"""Stochastic depth: what is left out, how often, and where."""

from __future__ import annotations

import pytest
import torch
from tests.training.small import world

import plait
from plait.errors import PlaitError
from plait.nn.attention import Transformer
from plait.nn.convolution import Residual
from plait.nn.skip import Skip, deepen
from plait.training.depth import set_depth
from plait.training.options import Options


def test_rows_are_left_out_by_chance_and_the_mean_stays() -> None:
    skip, x = Skip(), torch.ones(20_000, 3)
    skip.chance = 0.3
    torch.manual_seed(0)
    out = skip(x)
    gone = (out == 0).all(1)
    assert float(gone.float().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(out[~gone], torch.full_like(out[~gone], 1 / 0.7)) and float(out.mean()) == pytest.approx(
        1, abs=0.02
    )
    assert skip.eval()(x) is x


def test_chances_rise_evenly_and_a_row_past_all_blocks_is_itself() -> None:
    stack = Transformer(8, 4, 2)
    assert deepen(stack, 0.8) == 4
    assert [block.skip.chance for block in stack.blocks] == pytest.approx([0.2, 0.4, 0.6, 0.8])  # type: ignore[union-attr]
    for block in stack.blocks:
        block.skip.chance = 1 - 1e-9  # type: ignore[union-attr, assignment]
    x, mask = torch.randn(5, 3, 8), torch.ones(5, 3, dtype=torch.bool)
    torch.testing.assert_close(stack(x, mask), stack.norm(x))


def test_a_convolution_left_out_leaves_the_shortcut() -> None:
    block, x = Residual(3, 4, stride=2), torch.randn(6, 3, 8, 8)
    block.skip.chance = 1 - 1e-9
    out, _ = block(x)
    torch.testing.assert_close(out, torch.relu(block.short(x[:, :, ::2, ::2])))


def test_nothing_is_drawn_without_it() -> None:
    stack, x, mask = Transformer(8, 2, 2), torch.randn(5, 3, 8), torch.ones(5, 3, dtype=torch.bool)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    stack(x, mask)
    assert torch.equal(before, torch.get_rng_state())


def test_the_option_reaches_encoders_and_fusion() -> None:
    model, _ = world(fusion={"name": "attention", "depth": 2, "heads": 2})
    set_depth(model, Options(stochastic_depth=0.4))
    chances = sorted(m.chance for m in model.modules() if isinstance(m, Skip))
    assert chances == pytest.approx([0.2, 0.4, 0.4])  # the fusion's two, the text's one


def test_it_is_refused_where_nothing_has_residual_blocks() -> None:
    rows = [{"size": float(i % 2), "kind": "ab"[i % 2]} for i in range(40)]
    with pytest.raises(PlaitError, match=r"stochastic_depth: found 0\.1, and nothing"):
        plait.fit(rows, "kind", training={"stochastic_depth": 0.1}, fusion="concat", quiet=True)
