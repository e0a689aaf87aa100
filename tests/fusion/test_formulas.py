"""Each fusion against its published equation, written once more in NumPy, with streams and tokens missing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import erf
from typing import Any

import numpy as np
import pytest
import torch

from plait.fusion import FUSIONS
from plait.fusion.base import Fusion
from plait.nn import rows
from plait.types import Tokens

WIDTH, HEADS = 16, 4
COLUMNS = ["a", "b", "c"]
Weights = dict[str, np.ndarray]
Row = dict[int, tuple[np.ndarray, np.ndarray]]  # column -> its tokens (N, D) that are present, their positions (N, 3)
gelu = np.vectorize(lambda x: 0.5 * x * (1 + erf(x / 2**0.5)))


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    found: np.ndarray = x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)
    return found


def norm(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    found: np.ndarray = x * w[f"{name}.weight"] + w[f"{name}.bias"]
    return found


def mlp(w: Weights, name: str, x: np.ndarray, last: int = 3) -> np.ndarray:
    return linear(w, f"{name}.{last}", gelu(linear(w, f"{name}.0", x)))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    x = np.exp(x - x.max(axis, keepdims=True))
    found: np.ndarray = x / x.sum(axis, keepdims=True)
    return found


def pool(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    found: np.ndarray = softmax(linear(w, f"{name}.score", x)[:, 0]) @ x
    return found


def pooled(w: Weights, row: Row) -> dict[int, np.ndarray]:
    return {i: norm(w, f"pooled.norms.{i}", pool(w, f"pooled.pools.{i}", x)) for i, (x, _) in row.items()}


def side_by_side(parts: dict[int, np.ndarray]) -> np.ndarray:
    return np.concatenate([parts.get(i, np.zeros(WIDTH)) for i in range(len(COLUMNS))])


def tagged(w: Weights, row: Row) -> dict[int, np.ndarray]:
    """Each token with its column and its place: 8 sines and 8 cosines of seconds, row * 30 and column * 30."""
    found = {}
    for i, (x, position) in row.items():
        angle = (position * [1, 30, 30])[..., None] * 1000.0 ** -(np.arange(8) / 7)
        place = np.nan_to_num(np.concatenate([np.sin(angle), np.cos(angle)], -1).reshape(len(x), 48))
        found[i] = norm(w, f"tagged.norms.{i}", x) + w["tagged.column"][i] + linear(w, "tagged.place", place)
    return found


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Several heads side by side, one after the other."""
    parts = []
    for h in np.split(np.arange(WIDTH), HEADS):
        parts.append(softmax(query[:, h] @ key[:, h].T / np.sqrt(len(h))) @ value[:, h])
    return np.concatenate(parts, 1)


def layer(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """nn.attention.Block."""
    y = norm(w, f"{name}.norm1", x)
    key, value = np.split(linear(w, f"{name}.attention.key_value", y), 2, -1)
    x = x + linear(w, f"{name}.attention.out", attention(linear(w, f"{name}.attention.query", y), key, value))
    return x + mlp(w, f"{name}.mlp", norm(w, f"{name}.norm2", x), last=2)


# The formulas: the weights of a fusion and what is present in one row -> the fused vector


def gated(w: Weights, row: Row) -> np.ndarray:
    x = pooled(w, row)
    score = linear(w, "gate", linear(w, "look", side_by_side(x))).reshape(len(COLUMNS), WIDTH)
    z = dict(zip(row, softmax(score[list(row)], 0)))
    return norm(w, "norm", sum(z[i] * np.tanh(linear(w, f"maps.{i}", x[i])) for i in row))


def tensor(w: Weights, row: Row) -> np.ndarray:
    x, rank = pooled(w, row), len(w["maps.0.bias"])
    one = [np.r_[1.0, np.tanh(linear(w, f"maps.{i}", x[i])) if i in row else np.zeros(rank)] for i in range(3)]
    return norm(w, "norm", mlp(w, "mlp", np.einsum("i,j,k->ijk", *one).ravel()))


def tensor_of_pairs(w: Weights, row: Row) -> np.ndarray:
    x, rank = pooled(w, row), len(w["maps.0.bias"])
    one = [np.r_[1.0, np.tanh(linear(w, f"maps.{i}", x[i])) if i in row else np.zeros(rank)] for i in range(3)]
    return norm(w, "norm", mlp(w, "mlp", np.concatenate([np.outer(a, b).ravel() for a, b in combinations(one, 2)])))


def lowrank(w: Weights, row: Row) -> np.ndarray:
    x, total = pooled(w, row), np.zeros(WIDTH)
    for r in range(4):
        here = slice(r * WIDTH, (r + 1) * WIDTH)
        product = np.ones(WIDTH)
        for i in row:
            factor = np.c_[w[f"factors.{i}.weight"], w[f"factors.{i}.bias"]][here]  # w_i^(r), (D, D + 1)
            product = product * (factor @ np.r_[x[i], 1.0])
        total = total + product
    return norm(w, "norm", total)


def bilinear(w: Weights, row: Row) -> np.ndarray:
    x = pooled(w, row)
    size = len(w["alone.0.bias"])
    parts = [linear(w, f"alone.{i}", x[i]) if i in row else np.zeros(size) for i in range(3)]
    for i, j in combinations(range(3), 2):
        z = np.zeros(size)
        if i in row and j in row:
            z = (linear(w, f"left.{i}", x[i]) * linear(w, f"right.{j - 1}", x[j])).reshape(size, -1).sum(1)
            z = np.sign(z) * np.sqrt(np.abs(z))
            z = z / np.linalg.norm(z)
        parts.append(z)
    return norm(w, "norm", linear(w, "out", np.concatenate(parts)))


def progressive(w: Weights, row: Row) -> np.ndarray:
    def own(name: str, x: np.ndarray) -> np.ndarray:
        return norm(w, f"{name}.norm", gelu(linear(w, f"{name}.map", x)))

    s, h = pooled(w, row), np.zeros(WIDTH)
    for step in range(3):
        if step:
            s = {i: own(f"own.{step - 1}.each.{i}", x) for i, x in s.items()}
            h = w["keep"][step - 1] * h
        h = own(f"central.{step}", h + sum(w["take"][step, i] * x for i, x in s.items()))
    return h


def experts(w: Weights, row: Row) -> np.ndarray:
    v = np.r_[side_by_side(pooled(w, row)), [float(i in row) for i in range(3)]]
    g = softmax(linear(w, "router", v))
    return norm(w, "norm", sum(g[e] * mlp(w, f"experts.{e}", v) for e in range(4)))


def cross(w: Weights, row: Row) -> np.ndarray:
    x = tagged(w, row)
    crossed = {}
    for i in row:
        y, c = x[i], "crossings.0"
        if others := [x[j] for j in row if j != i]:
            query = linear(w, f"{c}.query.{i}", norm(w, f"{c}.norm", y))
            key, value = np.split(linear(w, f"{c}.key_value", norm(w, f"{c}.source", np.concatenate(others))), 2, -1)
            y = y + linear(w, f"{c}.out.{i}", attention(query, key, value))
        crossed[i] = y + mlp(w, f"{c}.mlps.{i}", norm(w, f"{c}.after", y))
    z = {}
    for i, y in crossed.items():
        y = y + linear(w, "own.out", attention(*np.split(linear(w, "own.map", norm(w, "own.norm", y)), 3, -1)))
        z[i] = pool(w, f"pools.{i}", y + mlp(w, "own.mlp", norm(w, "own.after", y)))
    return norm(w, "norm", mlp(w, "mlp", side_by_side(z)))


def bottleneck(w: Weights, row: Row) -> np.ndarray:
    x, f = tagged(w, row), w["shared"]
    for step in range(2):
        both = {i: layer(w, f"layers.{step}.blocks.{i}", np.concatenate([x[i], f])) for i in row}
        x, f = {i: y[: -len(f)] for i, y in both.items()}, np.mean([y[-len(f) :] for y in both.values()], 0)
    return norm(w, "norm", f.mean(0) + np.mean([pool(w, f"pools.{i}", x[i]) for i in row], 0))


def perceiver(w: Weights, row: Row) -> np.ndarray:
    x, z = np.concatenate(list(tagged(w, row).values())), w["latents"]
    for r in ("readings.0", "readings.1"):
        query = linear(w, f"{r}.attention.query", norm(w, f"{r}.norm", z))
        key, value = np.split(linear(w, f"{r}.attention.key_value", norm(w, f"{r}.source", x)), 2, -1)
        z = z + linear(w, f"{r}.attention.out", attention(query, key, value))
        z = z + mlp(w, f"{r}.mlp", norm(w, f"{r}.after", z))
        z = layer(w, f"{r}.block", z)
    return norm(w, "norm", z.mean(0))


def graph(w: Weights, row: Row) -> np.ndarray:
    """Node by node over lists of neighbours."""
    x = tagged(w, row)
    nodes: dict[Any, np.ndarray] = {i: pool(w, f"pools.{i}", x[i]) for i in row}
    nodes |= {(i, n): token for i in row for n, token in enumerate(x[i])}
    near: dict[Any, list[Any]] = {i: [*row, *((i, n) for n in range(len(x[i])))] for i in row}
    near |= {(i, n): [(i, n), i] for i in row for n in range(len(x[i]))}
    for step in range(3):
        name, after = f"layers.{step}", {}
        source = {k: linear(w, f"{name}.source", v).reshape(HEADS, -1) for k, v in nodes.items()}
        for k, v in nodes.items():
            pair = np.stack([source[j] for j in near[k]]) + linear(w, f"{name}.target", v).reshape(HEADS, -1)
            share = softmax((np.where(pair > 0, pair, 0.2 * pair) * w[f"{name}.score"]).sum(-1), 0)
            found = (share[..., None] * np.stack([source[j] for j in near[k]])).sum(0).ravel()
            after[k] = norm(w, f"{name}.norm", v + np.where(found > 0, found, np.expm1(found)))
        nodes = after
    return norm(w, "norm", pool(w, "pool", np.stack([nodes[i] for i in row])))


def temporal(w: Weights, row: Row) -> np.ndarray:
    times = {i: np.unique(p[np.isfinite(p[:, 0]), 0]) for i, (_, p) in row.items()}
    known = np.concatenate(list(times.values()))
    length = min(max([1, *map(len, times.values())]), STEPS)
    first, last = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    clock, step = (
        np.linspace(first, last, length) if length > 1 else np.array([first]),
        (last - first) / max(length - 1, 1),
    )
    total = np.zeros((length, WIDTH))
    for k, now in enumerate(clock):
        found = {}
        for i, (x, position) in row.items():
            reach = max(step, np.ptp(times[i]) / max(len(times[i]) - 1, 1) if len(times[i]) else 0.0, 1e-6)
            weight = [1.0 if np.isnan(t) else max(0.0, 1 - abs(t - now) / reach) for t in position[:, 0]]
            if sum(weight) > 1e-3:
                found[i] = linear(w, f"maps.{i}.1", norm(w, f"maps.{i}.0", np.average(x, 0, weight)))
        if found:
            share = softmax(w["score"][list(found)])
            total[k] = sum(a * v for a, v in zip(share, found.values()))
    some = total.any(1)
    total = total + np.concatenate([gru(w, total, ""), gru(w, total[::-1], "_reverse")[::-1]], 1)
    return norm(w, "norm", mlp(w, "mlp", pool(w, "pool", total[some])))


def gru(w: Weights, x: np.ndarray, way: str) -> np.ndarray:
    """Cho et al. 2014, as torch numbers its gates: reset, update, new."""
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    h, out = np.zeros(WIDTH // 2), []
    for step in x:
        a = np.split(w[f"time.layers.weight_ih_l0{way}"] @ step + w[f"time.layers.bias_ih_l0{way}"], 3)
        b = np.split(w[f"time.layers.weight_hh_l0{way}"] @ h + w[f"time.layers.bias_hh_l0{way}"], 3)
        z = sigmoid(a[1] + b[1])
        h = (1 - z) * np.tanh(a[2] + sigmoid(a[0] + b[0]) * b[2]) + z * h
        out.append(h)
    return np.stack(out)


STEPS = 4
FORMULAS: dict[str, tuple[Callable[[Weights, Row], np.ndarray], dict[str, Any]]] = {
    "gated": (gated, {}),
    "tensor": (tensor, {}),
    "tensor, pairs": (tensor_of_pairs, {"size": 300}),
    "lowrank": (lowrank, {"rank": 4}),
    "bilinear": (bilinear, {}),
    "progressive": (progressive, {"depth": 2}),
    "experts": (experts, {"experts": 4}),
    "cross": (cross, {"heads": HEADS}),
    "bottleneck": (bottleneck, {"depth": 2, "heads": HEADS}),
    "perceiver": (perceiver, {"depth": 2, "heads": HEADS}),
    "graph": (graph, {"depth": 3, "heads": HEADS}),
    "temporal": (temporal, {"steps": STEPS}),
}


def streams_of() -> dict[str, Tokens]:
    """Rows with everything, with each subset of the streams, and with nothing; tokens missing in the middle too."""
    subsets = [[i for i in range(3) if code >> i & 1] for code in (7, 7, 7, 1, 2, 3, 4, 5, 6, 0)]
    streams = {}
    for i, n in enumerate((1, 6, 4)):
        there = torch.tensor([i in s for s in subsets])[:, None]
        mask = there & ((torch.rand(len(subsets), n) < 0.7) | (torch.arange(n) == 0))
        position = torch.rand(len(subsets), n, 3) * torch.tensor([5.0, 1, 1])
        position[..., i] = torch.nan  # no row, or no column
        position[:, 0, 0] = torch.nan  # a first token without seconds
        streams[COLUMNS[i]] = Tokens(torch.randn(len(subsets), n, WIDTH), mask, position if i else None)
    return streams


def row_of(streams: dict[str, Tokens], b: int) -> Row:
    row = {}
    for i, c in enumerate(COLUMNS):
        x, mask, position = streams[c]
        place = torch.full((*mask.shape, 3), torch.nan) if position is None else position
        if mask[b].any():
            row[i] = (x[b][mask[b]].double().numpy(), place[b][mask[b]].double().numpy())
    return row


@pytest.mark.parametrize("name", FORMULAS)
def test_a_fusion_is_its_published_equation(name: str) -> None:
    formula, options = FORMULAS[name]
    fusion: Fusion = FUSIONS.build({"name": name.split(",")[0], **options}, columns=COLUMNS, width=WIDTH).eval()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
        streams = streams_of()
        found = fusion(streams)
    weights = {k: v.double().numpy() for k, v in fusion.state_dict().items()}
    assert found.mask[:, 0].tolist() == [True] * 9 + [False]
    for b in range(9):
        expected = formula(weights, row_of(streams, b))
        np.testing.assert_allclose(found.x[b].mean(0).numpy(), expected, rtol=0, atol=2e-4, err_msg=f"row {b}")


def test_every_fusion_of_features_with_an_equation_of_its_own_is_tested() -> None:
    elsewhere = {"concat", "weighted", "product", "attention", "ensemble"}  # the contracts; the layers of nn
    features = {f for f in FUSIONS if issubclass(FUSIONS.load(f), Fusion)}
    assert {name.split(",")[0] for name in FORMULAS} == features - elsewhere


def test_even_times_are_interpolated_linearly_on_the_common_clock() -> None:
    from plait.fusion.temporal import on_one_clock

    fast, slow = torch.linspace(0, 8, 9), torch.linspace(0, 8, 5)
    ramp = lambda t: torch.stack([t, 3 - t], 1)  # noqa: E731
    streams = [at(ramp(fast), fast), at(ramp(slow), slow), at(torch.ones(2, 2), torch.full((2,), torch.nan))]
    x, here, lengths = on_one_clock(streams, 32)
    assert here.all() and lengths.tolist() == [9]
    assert torch.allclose(x[0, :, 0], ramp(fast), atol=1e-5) and torch.allclose(x[0, :, 1], ramp(fast), atol=1e-5)
    assert torch.allclose(x[0, :, 2], torch.ones(9, 2))


def test_a_stream_that_ends_early_is_absent_afterwards() -> None:
    from plait.fusion.temporal import on_one_clock

    long, short = torch.arange(9.0), torch.arange(4.0)
    _, here, _ = on_one_clock([at(torch.randn(9, 2), long), at(torch.randn(4, 2), short)], 32)
    assert here[0, :, 0].all() and here[0, :, 1].tolist() == [True] * 4 + [False] * 5


def test_more_tokens_than_the_clock_has_steps_all_count() -> None:
    from plait.fusion.temporal import on_one_clock

    x = torch.randn(50, 2, requires_grad=True)
    found, here, lengths = on_one_clock([at(x, torch.linspace(0, 7, 50))], 8)
    found.sum().backward()
    assert lengths.tolist() == [8] and here.all() and (x.grad != 0).all()  # type: ignore[union-attr]


def at(x: torch.Tensor, seconds: torch.Tensor) -> Tokens:
    """One row whose tokens are at these seconds."""
    position = torch.full((len(x), 3), torch.nan)
    position[:, 0] = seconds
    return Tokens(x[None], rows.length_mask(torch.tensor([len(x)]), len(x)), position[None])


@pytest.mark.parametrize("m", range(1, 13))
def test_the_outer_product_stays_bounded(m: int) -> None:
    fusion = FUSIONS.build({"name": "tensor", "size": 4096}, columns=[f"c{i}" for i in range(m)], width=WIDTH)
    assert fusion.mlp[0].in_features <= 4096 and fusion.rank >= 5
    assert len(fusion.groups) == (1 if m <= 4 else m * (m - 1) // 2)
