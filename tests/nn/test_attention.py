"""Attention against torch's own, masks, positions, pooling, and recurrent layers against themselves row by row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.nn.attention import Attention, Transformer, sinusoid
from plait.nn.convolution import FEWEST, BatchNorm
from plait.nn.named import Named
from plait.nn.pooling import AttentionPool, mean, present
from plait.nn.recurrent import Recurrent
from plait.nn.rows import length_mask
from plait.types import Tokens

LENGTHS = torch.tensor([5, 1, 3, 7])
MASK = length_mask(LENGTHS, 7)


def by_torch(attention: Attention, x: Tensor, mask: Tensor, memory: Tensor) -> Tensor:
    heads = lambda t: t.unflatten(-1, (attention.heads, -1)).transpose(1, 2)  # noqa: E731
    key, value = attention.key_value(memory).chunk(2, -1)
    out = F.scaled_dot_product_attention(
        heads(attention.query(x)), heads(key), heads(value), attn_mask=mask[:, None, None, :]
    )
    return attention.out(out.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_attention_equals_that_of_torch(heads: int) -> None:
    attention, x, other = Attention(16, heads), torch.randn(4, 7, 16), torch.randn(4, 3, 16)
    assert torch.allclose(attention(x, MASK), by_torch(attention, x, MASK, x), atol=1e-5)
    assert torch.allclose(attention(other, MASK, x), by_torch(attention, other, MASK, x), atol=1e-5)


def test_attention_with_every_key_masked_is_finite_forwards_and_backwards() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        attention, x = Attention(16, 2).to(dtype), torch.randn(2, 3, 16, dtype=dtype, requires_grad=True)
        out = attention(x, torch.zeros(2, 3, dtype=torch.bool))
        out.sum().backward()
        assert out.isfinite().all() and x.grad is not None and x.grad.isfinite().all()


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(AssertionError, match="width 10 is not a multiple of heads 4"):
        Attention(10, 4)


def test_a_transformer_does_not_see_padding() -> None:
    blocks, x = Transformer(16, 2, 2).eval(), torch.randn(4, 7, 16)
    out = blocks(x, MASK)
    noisy = torch.where(MASK[..., None], x, 100 * torch.randn_like(x))
    assert torch.allclose(blocks(noisy, MASK)[MASK], out[MASK], atol=1e-5)
    for row, n in enumerate(LENGTHS.tolist()):
        alone = blocks(x[row : row + 1, :n], torch.ones(1, n, dtype=torch.bool))
        assert torch.allclose(alone[0], out[row, :n], atol=1e-5)


@pytest.mark.parametrize("width", [2, 6, 7, 16])
def test_positions_are_sines_of_geometric_wavelengths(width: int) -> None:
    position = torch.tensor([[0.0, 1.0, 250.5], [3.0, -2.0, 1e3]])
    found, half = sinusoid(position, width, longest=1000.0), width // 2
    assert found.shape == (2, 3, width)
    for i in range(half):
        rate = 1000.0 ** (-i / max(half - 1, 1))
        for a in range(2):
            for b in range(3):
                assert found[a, b, i].item() == pytest.approx(math.sin(position[a, b].item() * rate), abs=1e-4)
                assert found[a, b, half + i].item() == pytest.approx(math.cos(position[a, b].item() * rate), abs=1e-4)
    assert width % 2 == 0 or not found[..., -1].any()


def test_pooling_is_over_what_is_present() -> None:
    x, lengths = torch.randn(4, 7, 8), torch.tensor([5, 0, 1, 7])
    tokens = Tokens(x, length_mask(lengths, 7))
    pool = AttentionPool(8)
    for i, n in enumerate(lengths.tolist()):
        expected = x[i, :n].mean(0) if n else torch.zeros(8)
        assert torch.allclose(mean(tokens)[i], expected, atol=1e-6)
        assert torch.allclose(pool(tokens)[i], expected, atol=1e-6)  # all weights are equal at the start
    assert present(tokens).tolist() == [True, False, True, True]
    nn.init.normal_(pool.score.weight)
    for i, n in enumerate(lengths.tolist()):
        weight = (x[i, :n] @ pool.score.weight[0]).softmax(0)
        assert torch.allclose(pool(tokens)[i], weight @ x[i, :n], atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_layers_see_each_row_to_its_end(cell: str) -> None:
    layers, x = Recurrent(5, 8, cell=cell, depth=2, dropout=0.0).eval(), torch.randn(4, 7, 5)
    lengths = torch.tensor([5, 0, 1, 7])
    out = layers(x, lengths)
    assert out.shape == (4, 7, 8)
    for i, n in enumerate(lengths.tolist()):
        assert not out[i, n:].any()
        if n:
            assert torch.allclose(out[i, :n], layers.layers(x[i : i + 1, :n])[0][0], atol=1e-6)


def test_recurrent_layers_refuse_what_they_cannot_be() -> None:
    with pytest.raises(AssertionError, match="'rnn', expected one of"):
        Recurrent(4, 8, cell="rnn", depth=1, dropout=0.0)
    with pytest.raises(AssertionError, match="width 7 is odd"):
        Recurrent(4, 7, cell="gru", depth=1, dropout=0.0)


def test_batch_norm_equals_that_of_torch_where_there_is_enough_to_norm() -> None:
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    for _ in range(3):
        x = torch.randn(4, 3, 5, 6) * 3 + 1
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-5)
    assert all(
        torch.allclose(ours.state_dict()[f"norm.{k}"], theirs.state_dict()[k])
        for k in ("running_mean", "running_var", "weight", "bias")
    )


def test_batch_norm_of_next_to_nothing_uses_and_keeps_its_statistics() -> None:
    norm = BatchNorm(3)
    norm(torch.randn(4, 3, 5, 6) * 3 + 1)
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    x = torch.randn(1, 3, 1, FEWEST - 1)
    assert torch.equal(norm(x), norm.eval()(x))
    assert all(torch.equal(v, before[k]) for k, v in norm.state_dict().items())


def test_modules_have_any_name_and_belong_to_it() -> None:
    names = ["keys", "a.b", "文本", "", "type", "0"]
    first = Named({n: nn.Linear(2, i + 1) for i, n in enumerate(names)})
    second = Named({n: nn.Linear(2, names.index(n) + 1) for n in reversed(names)})
    second.load_state_dict(first.state_dict())
    assert list(first) == sorted(names) and len(first) == 6
    for n in names:
        assert first[n].out_features == names.index(n) + 1
        assert torch.equal(first[n].weight, second[n].weight)
    assert {n: m.out_features for n, m in first.items()} == {n: names.index(n) + 1 for n in names}
    with pytest.raises(ValueError, match="nope"):
        first["nope"]
