"""Fusions at decision level, and the ensemble, against closed forms: Bayes' rule, precision-weighted means, NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from plait.fusion import FUSIONS
from plait.heads import HEADS
from plait.heads.base import Head
from plait.model import DecisionLevel, FeatureLevel
from plait.types import Tokens

COLUMNS = ["a", "b", "c"]
WIDTH = 8


def head_of(kind: str) -> Head:
    cells: Any = {"category": ["x", "y", "z"], "labels": [("x",), ("y", "z")], "number": [0.0, 1.0, 2.0]}[kind]
    head: Head = HEADS.build(HEADS.complete(kind, cells), width=WIDTH)
    return head.eval()


def experts(n: int = 400) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """A class and three streams that are normal around it, independent given the class: (class, prior, stream -> its
    posterior (n, 3))."""
    generator = torch.Generator().manual_seed(0)
    prior = torch.tensor([0.5, 0.3, 0.2])
    y = torch.multinomial(prior, n, replacement=True, generator=generator)
    found = {}
    for i, column in enumerate(COLUMNS):
        means = torch.randn(3, generator=generator)
        x = means[y] + (0.7 + 0.3 * i) * torch.randn(n, generator=generator)
        log = -((x[:, None] - means) ** 2) / (2 * (0.7 + 0.3 * i) ** 2)
        found[column] = (log + prior.log()).softmax(-1)
    return y, prior, found


def test_product_of_experts_is_bayes_rule_where_streams_are_independent_given_the_label() -> None:
    _, prior, each = experts()
    fusion = FUSIONS.build("product_of_experts", columns=COLUMNS)
    here = {c: torch.ones(len(each["a"]), dtype=torch.bool) for c in COLUMNS}
    here["b"][::2] = False
    weight = fusion(here)
    found = head_of("category").multiply(
        [each[c].log() for c in COLUMNS], [weight[c] for c in COLUMNS], prior.log().expand(400, 3)
    )
    p = {c: v.numpy().astype(np.float64) for c, v in each.items()}
    exact = p["a"] * p["c"] / prior.numpy()
    exact[1::2] = (p["a"] * p["b"] * p["c"] / prior.numpy() ** 2)[1::2]
    exact /= exact.sum(1, keepdims=True)
    assert np.allclose(found.detach().exp().numpy(), exact, atol=1e-5)


def test_product_of_experts_beats_the_mean_where_its_assumption_holds() -> None:
    y, prior, each = experts(4000)
    head, one = head_of("category"), torch.ones(4000)
    outs = [each[c].log() for c in COLUMNS]
    product = head.multiply(outs, [one] * 3, prior.log().expand(4000, 3))
    mean = head.mix(outs, [one / 3] * 3)
    loss = lambda out: float(torch.nn.functional.cross_entropy(out, y))  # noqa: E731
    assert loss(product) < loss(mean) - 0.02


def test_numbers_are_multiplied_as_normal_densities() -> None:
    rng = np.random.default_rng(0)
    noise = np.array([0.5, 1.0, 2.0])  # variances; that of the prior is 1, its mean 0
    x = rng.normal(size=(3, 50))
    posterior = x / (1 + noise[:, None])
    exact = (x / noise[:, None]).sum(0) / (1 + (1 / noise).sum())
    head = head_of("number")
    outs = [torch.from_numpy(p).float() for p in posterior]
    weights = [torch.full((50,), 1 / v) for v in noise.tolist()]
    found = head.multiply(outs, weights, torch.zeros(50))
    assert np.allclose(found.numpy(), exact, atol=1e-5)
    alone = head.multiply(outs, [weights[0], torch.zeros(50), torch.zeros(50)], torch.zeros(50))
    assert np.allclose(alone.numpy(), posterior[0], atol=1e-6)


def test_labels_are_multiplied_as_odds() -> None:
    rng = np.random.default_rng(1)
    p, q, prior = rng.uniform(0.1, 0.9, (3, 20, 3))
    odds = (p / (1 - p)) * (q / (1 - q)) / (prior / (1 - prior))
    logit = lambda v: torch.from_numpy(np.log(v / (1 - v))).float()  # noqa: E731
    found = head_of("labels").multiply([logit(p), logit(q)], [torch.ones(20)] * 2, logit(prior))
    assert np.allclose(found.exp().numpy(), odds, rtol=1e-4)


@pytest.mark.parametrize("name", ["votes", "product_of_experts"])
def test_learned_weights_are_moved_by_the_joint_loss_alone_and_no_stream_by_them(name: str) -> None:
    torch.manual_seed(0)
    top = DecisionLevel(
        FUSIONS.build(name, columns=COLUMNS), lambda: {"kind": head_of("category")}, COLUMNS, width=WIDTH
    )
    y = torch.randint(0, 3, (64,))
    streams = {
        c: Tokens(torch.randn(64, 1, WIDTH).requires_grad_(), torch.ones(64, 1, dtype=torch.bool)) for c in COLUMNS
    }
    _, losses = top(streams, {"kind": y})
    losses["kind"].sum().backward()
    (weight,) = list(top.fusion.parameters())
    assert weight.grad is not None and weight.grad.abs().sum() > 0
    alone = DecisionLevel(
        FUSIONS.build("average", columns=COLUMNS), lambda: {"kind": head_of("category")}, COLUMNS, width=WIDTH
    )
    alone.load_state_dict(top.state_dict(), strict=False)
    again = {c: Tokens(s.x.detach().requires_grad_(), s.mask) for c, s in streams.items()}
    _, others = alone(again, {"kind": y})
    others["kind"].sum().backward()
    for c in COLUMNS:
        assert torch.allclose(streams[c].x.grad, again[c].x.grad, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["votes", "product_of_experts"])
def test_a_stream_of_noise_loses_its_weight(name: str) -> None:
    torch.manual_seed(0)
    y, prior, each = experts(2000)
    outs = [each["a"].log(), torch.log_softmax(2 * torch.randn(2000, 3), -1)]
    fusion = FUSIONS.build(name, columns=["a", "noise"])
    head, here = head_of("category"), {c: torch.ones(2000, dtype=torch.bool) for c in ("a", "noise")}
    optimizer = torch.optim.Adam(fusion.parameters(), lr=0.1)
    for _ in range(200):
        weight = fusion(here)
        given = [weight["a"], weight["noise"]]
        out = (
            head.multiply(outs, given, prior.log().expand(2000, 3))
            if fusion.rule == "product"
            else head.mix(outs, given)
        )
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(out, y).backward()
        optimizer.step()
    weights = fusion.weights()
    assert weights["noise"] < 0.1 < 0.9 < weights["a"]


def test_an_ensemble_is_its_equation_and_answers_with_the_mean_of_its_members() -> None:
    torch.manual_seed(0)
    fusion = FUSIONS.build({"name": "ensemble", "members": 5}, columns=COLUMNS, width=WIDTH).eval()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    streams = {c: Tokens(torch.randn(6, 1, WIDTH), torch.ones(6, 1, dtype=torch.bool)) for c in COLUMNS}
    streams["b"].mask[2] = False
    found = fusion(streams).x.detach().numpy()
    arrays = {n: p.detach().numpy().astype(np.float64) for n, p in fusion.named_parameters()}
    x = np.concatenate([streams[c].x[:, 0].numpy() for c in COLUMNS], 1)
    x[2, WIDTH : 2 * WIDTH] = arrays["absent"][1]
    erf = np.vectorize(__import__("math").erf)
    for k in range(5):
        h = (x * arrays["scale_in.0"][k]) @ arrays["layers.0.weight"].T * arrays["scale_out.0"][k] + arrays["bias.0"][k]
        h = h * 0.5 * (1 + erf(h / np.sqrt(2)))
        h = (h * arrays["scale_in.1"][k]) @ arrays["layers.1.weight"].T * arrays["scale_out.1"][k] + arrays["bias.1"][k]
        h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
        assert np.allclose(found[:, k], h * arrays["norm.weight"] + arrays["norm.bias"], atol=1e-4)
    top = FeatureLevel(fusion, lambda: {"kind": head_of("category")}, COLUMNS, width=WIDTH).eval()
    outputs, _ = top(streams, {})
    with torch.no_grad():
        own = [
            top.heads["kind"](Tokens(torch.from_numpy(found[:, k : k + 1]), torch.ones(6, 1, dtype=torch.bool)))
            for k in range(5)
        ]
    assert torch.allclose(outputs["kind"].softmax(-1), torch.stack([o.softmax(-1) for o in own]).mean(0), atol=1e-5)
