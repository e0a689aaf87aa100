"""Planted problems: what each fusion can and cannot learn from two streams, by its structure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from plait.fusion import FUSIONS
from plait.fusion.base import Fusion
from plait.types import Tokens

WIDTH, STEPS = 32, 100
BINDS = {  # whether the fused vector can hold what only both streams together say; if not, it is a sum over the streams
    "concat": True,
    "weighted": False,
    "product": True,
    "attention": True,
    "gated": True,
    "experts": True,
    "ensemble": True,
    "tensor": True,
    "lowrank": True,
    "bilinear": True,
    "progressive": True,
    "cross": True,
    "bottleneck": True,
    "perceiver": True,
    "graph": True,
    "temporal": True,
}
every_fusion = pytest.mark.parametrize("name", BINDS)


def problem(kind: str, n: int, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    """Two streams, each a fixed random embedding of its bit plus noise, and a label: what both say ("redundant"), what only
    the first says ("unique"), or whether they agree ("xor")."""
    random, fixed = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(99)
    bits = 2.0 * torch.randint(0, 2, (2, n), generator=random) - 1
    if kind == "redundant":
        bits[1] = bits[0]
    embedding = torch.randn(2, 1, WIDTH, generator=fixed)
    x = bits[..., None] * embedding + 0.5 * torch.randn(2, n, WIDTH, generator=random)
    return dict(zip("ab", x)), (bits.prod(0) if kind == "xor" else bits[0]) > 0


def streams(x: dict[str, Tensor]) -> dict[str, Tokens]:
    return {c: Tokens(v[:, None], v.new_ones(len(v), 1, dtype=torch.bool)) for c, v in x.items()}


def learned(name: str, kind: str) -> float:
    """Accuracy on new rows of the fusion and a linear head."""
    fusion: Fusion = FUSIONS.build({"name": name}, columns=["a", "b"], width=WIDTH)
    head = nn.Linear(WIDTH, 1)
    optimizer = torch.optim.AdamW([*fusion.parameters(), *head.parameters()], lr=3e-3)
    x, y = problem(kind, 512, seed=0)
    for _ in range(STEPS):
        some = torch.randint(0, len(y), (128,))
        out = head(fusion(streams({c: v[some] for c, v in x.items()})).x.mean(1)).squeeze(1)
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(out, y[some].float()).backward()
        optimizer.step()
    fusion.eval()
    x, y = problem(kind, 2000, seed=1)
    with torch.no_grad():
        out = head(fusion(streams(x)).x.mean(1)).squeeze(1)
    return float(((out > 0) == y).float().mean())


def test_the_table_names_every_fusion_of_features() -> None:
    assert BINDS.keys() == {f for f in FUSIONS if issubclass(FUSIONS.load(f), Fusion)}


@every_fusion
def test_a_fusion_that_cannot_bind_is_a_sum_over_the_streams(name: str) -> None:
    fusion: Fusion = FUSIONS.build({"name": name}, columns=["a", "b"], width=WIDTH).eval()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        a, b = torch.randn(2, 50, WIDTH)
        p, q = torch.randn(2, 50, WIDTH)
        f = lambda x, y: fusion(streams({"a": x, "b": y})).x  # noqa: E731
        together = f(a, p) - f(a, q) - f(b, p) + f(b, q)  # zero for f(x, y) = g(x) + h(y), and only for these
    assert (together.abs().max() > 1e-2) == BINDS[name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["redundant", "unique"])
@every_fusion
def test_a_fusion_learns_what_one_stream_says_alone(name: str, kind: str) -> None:
    assert learned(name, kind) >= 0.97


@pytest.mark.slow
@every_fusion
def test_only_a_fusion_that_binds_learns_what_no_stream_says_alone(name: str) -> None:
    accuracy = learned(name, "xor")
    assert accuracy >= 0.98 if BINDS[name] else accuracy < 0.65
