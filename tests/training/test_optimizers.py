"""Optimizers against their published updates in NumPy; groups, rates of encoders, and the L1 step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import toy
from tests.training.small import world

from plait.errors import PlaitError
from plait.training import optimizers
from plait.training.lion import Lion
from plait.training.optimizers import Optimizers, build, groups, hidden, rates, shrink
from plait.training.options import OPTIMIZERS, Options

RATE, DECAY = 0.03, 0.2
Array = np.ndarray


def steps(optimizer: torch.optim.Optimizer, weight: torch.nn.Parameter, gradients: list[Array]) -> Array:
    for gradient in gradients:
        weight.grad = torch.from_numpy(gradient.astype(np.float32))
        optimizer.step()
    return weight.detach().numpy()


def drawn(shape: tuple[int, ...]) -> tuple[Array, list[Array]]:
    generator = np.random.default_rng(0)
    return generator.normal(size=shape), [generator.normal(size=shape) for _ in range(3)]


def test_lion_is_its_published_update() -> None:
    start, gradients = drawn((4, 3))
    weight = torch.nn.Parameter(torch.from_numpy(start.astype(np.float32)))
    found = steps(Lion([weight], lr=RATE, betas=(0.9, 0.99), weight_decay=DECAY), weight, gradients)
    w, m = start.copy(), np.zeros_like(start)
    for g in gradients:  # algorithm 2 of Chen et al. 2023
        update = np.sign(0.9 * m + (1 - 0.9) * g)
        w = w - RATE * (update + DECAY * w)
        m = 0.99 * m + (1 - 0.99) * g
    np.testing.assert_allclose(found, w, rtol=1e-5)
    assert np.abs(w - start).max() > RATE, "something has moved"


def newton_schulz(g: Array) -> Array:
    """Jordan 2024: X <- a X + b (X X^T) X + c (X X^T)^2 X, five times, from X = G / |G|."""
    x = (g.T if g.shape[0] > g.shape[1] else g) / np.linalg.norm(g)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if g.shape[0] > g.shape[1] else x


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_muon_is_its_published_update(shape: tuple[int, int]) -> None:
    start, gradients = drawn(shape)
    layer = torch.nn.Linear(shape[1], shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(start))
    options = Options(optimizer="muon", learning_rate=RATE, weight_decay=DECAY)
    [muon] = optimizers._muon([("weight", layer.weight)], {}, options)
    found = steps(muon, layer.weight, gradients)
    w, m = start.copy(), np.zeros_like(start)
    for g in gradients:
        m = 0.95 * m + (1 - 0.95) * g
        update = newton_schulz(0.95 * m + (1 - 0.95) * g)  # Nesterov's
        w = (1 - RATE * DECAY) * w - RATE * 0.2 * np.sqrt(max(shape)) * update
    moved = np.abs(w - start).mean()
    assert np.abs(found - w).max() < 0.05 * moved, "as far as bfloat16 goes, in which torch iterates"
    singular = np.linalg.svd(newton_schulz(gradients[0]), compute_uv=False)
    assert (singular > 0.6).all() and (singular < 1.4).all(), "the update is nearly orthogonal"


def test_muon_has_the_inner_matrices_and_adamw_the_rest() -> None:
    model, _ = world(fusion={"name": "attention"})
    muon, adamw = build(model, Options(optimizer="muon")).each
    names = {p: n for n, p in model.named_parameters()}
    inner = {names[p] for g in muon.param_groups for p in g["params"]}
    rest = {names[p] for g in adamw.param_groups for p in g["params"]}
    assert inner == hidden(model) and not inner & rest and inner | rest == set(names.values())
    assert all(dict(model.named_parameters())[n].ndim == 2 for n in inner)
    assert any(n.startswith("adapters.") for n in inner) and any(n.startswith("top.fusion.") for n in inner)
    assert not any("heads" in n or "embed" in n for n in inner)
    single, _ = world(fusion={"name": "average"})
    assert not any("top.each" in n or "top.heads" in n for n in hidden(single)), "heads of single streams are heads"


def test_muon_without_a_torch_that_has_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(PlaitError, match=r"expected torch from 2\.9"):
        build(world()[0], Options(optimizer="muon"))


def test_the_default_is_adamw_in_two_groups() -> None:
    model, _ = world()
    [optimizer] = build(model, Options()).each
    assert type(optimizer) is torch.optim.AdamW and optimizer.defaults["fused"]
    matrices, vectors = optimizer.param_groups
    assert matrices["params"] == [p for p in model.parameters() if p.ndim > 1] and matrices["weight_decay"] == 0.05
    assert vectors["params"] == [p for p in model.parameters() if p.ndim <= 1] and vectors["weight_decay"] == 0
    assert matrices["factor"] == vectors["factor"] == 1.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_steps_at_the_rate_times_the_factor(optimizer: str) -> None:
    model, data = world()
    model.encoders["size"].rates = {next(n for n, _ in model.encoders["size"].named_parameters()): 0.25}
    found = build(model, Options(optimizer=optimizer))
    assert {g["factor"] for g in found.param_groups} == {1.0, 0.25}
    assert sum(len(g["params"]) for g in found.param_groups) == len(list(model.parameters()))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    sum(loss.sum() for loss in model(data.batch(np.arange(24))).losses.values()).backward()  # type: ignore[union-attr]
    found.step(0.01)
    assert {g["lr"] for g in found.param_groups} == {0.01, 0.0025}
    assert any((p != before[n]).any() for n, p in model.named_parameters())
    found.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_a_rate_factor_scales_the_step_of_its_parameter_alone() -> None:
    moved: dict[float, dict[str, torch.Tensor]] = {}
    for factor in (1.0, 0.5, 0.0):
        model, data = world()
        own = next(n for n, p in model.encoders["note"].named_parameters() if p.ndim > 1)
        model.encoders["note"].rates = {own: factor}
        [name] = rates(model)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        optimizer = build(model, Options(optimizer="lion", weight_decay=0.0))
        sum(loss.sum() for loss in model(data.batch(np.arange(24))).losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step(0.01)
        moved[factor] = {n: p.detach() - before[n] for n, p in model.named_parameters()}
    assert moved[1.0][name].abs().max() > 0.009
    assert torch.allclose(moved[0.5][name], 0.5 * moved[1.0][name], atol=1e-6) and not moved[0.0][name].any()
    assert all(torch.equal(moved[0.5][n], moved[1.0][n]) for n in moved[1.0] if n != name)


def test_rates_of_parameters_that_are_not_there_are_told() -> None:
    model, _ = world()
    for wrong in ({"nowhere": 1.0}, {next(n for n, _ in model.encoders["note"].named_parameters()): -1.0}):
        model.encoders["note"].rates = wrong
        with pytest.raises(PlaitError, match="encoder of column 'note' sets the rate of"):
            rates(model)


def test_l1_is_the_proximal_step() -> None:
    weight = torch.nn.Parameter(torch.tensor([[1.0, -0.5, 0.05, -0.05]]))
    bias = torch.nn.Parameter(torch.tensor([0.05]))
    weight.grad, bias.grad = torch.zeros(1, 4), torch.zeros(1)
    shrink([{"params": [weight, bias], "lr": 0.1, "factor": 1.0}], 1.0)
    assert torch.allclose(weight, torch.tensor([[0.9, -0.4, 0.0, 0.0]])) and weight[0, 2] == 0 and bias == 0.05


def test_l1_ends_at_the_lasso_of_an_orthogonal_design() -> None:
    """min 1/2 |w - a|^2 + l1 |w| is soft thresholding (Tibshirani 1996)."""
    aim, l1 = np.array([[2.0, -1.0, 0.3, -0.2]]), 0.5
    weight = torch.nn.Parameter(torch.zeros(1, 4))
    sgd: Any = torch.optim.SGD(groups([("w", weight)], {}, 0.0), lr=0.1)
    optimizer = Optimizers([sgd], l1=l1)
    for _ in range(200):
        weight.grad = weight.detach() - torch.from_numpy(aim).float()
        optimizer.step(0.1)
    expected = np.sign(aim) * np.maximum(np.abs(aim) - l1, 0)
    np.testing.assert_allclose(weight.detach().numpy(), expected, atol=1e-5)
    assert (weight[0, 2:] == 0).all(), "exactly"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns_what_is_planted_with_what_it_is_usually_given(optimizer: str, tmp_path: Path) -> None:
    model = toy.fit(
        toy.make(tmp_path, 90), inputs=["note", "size"], epochs=12, training={"batch_size": 8, "optimizer": optimizer}
    )
    assert model.record["evaluation"]["targets"]["kind"]["metrics"]["accuracy"]["value"] >= 0.9
