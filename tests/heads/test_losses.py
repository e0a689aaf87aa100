"""The losses of heads against torch, scikit-learn, and the formulas of their papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from plait.errors import PlaitError
from plait.heads import HEADS
from plait.heads.category import UNKNOWN, CategoryHead
from plait.heads.labels import LabelsHead
from plait.heads.number import LOSSES, NumberHead

WIDTH = 4
TARGET = torch.tensor([0, 1, 2, UNKNOWN, 2])


def category(**options: Any) -> CategoryHead:
    return CategoryHead(width=WIDTH, classes=["a", "b", "c"], **options)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_loss_with_gamma_zero_is_cross_entropy(smoothing: float) -> None:
    logits = torch.randn(5, 3)
    expected = F.cross_entropy(logits, TARGET, ignore_index=UNKNOWN, reduction="none", label_smoothing=smoothing)
    found = category(gamma=0.0, smoothing=smoothing).train().loss(logits, TARGET)
    assert torch.equal(found, expected)
    near = category(gamma=1e-6, smoothing=smoothing).train().loss(logits, TARGET)
    assert torch.allclose(near, expected, rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_its_formula(gamma: float) -> None:
    logits = torch.randn(5, 3)
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    expected = [-((1 - row[y]) ** gamma) * np.log(row[y]) if y >= 0 else 0.0 for row, y in zip(p, TARGET.tolist())]
    np.testing.assert_allclose(category(gamma=gamma).eval().loss(logits, TARGET).numpy(), expected, rtol=1e-4)


def test_focal_loss_of_labels_is_its_formula_and_cross_entropy_at_zero() -> None:
    logits, truth = torch.randn(4, 3), torch.tensor([[0.0, 1, 1], [1, 0, 0], [torch.nan] * 3, [0, 0, 0]])
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    p = np.where(truth.numpy() > 0.5, p, 1 - p)
    for gamma in (0.0, 2.0):
        expected = np.where([True, True, False, True], (-((1 - p) ** gamma) * np.log(p)).mean(1), 0)
        head = LabelsHead(width=WIDTH, classes=["a", "b", "c"], gamma=gamma)
        np.testing.assert_allclose(head.loss(logits, truth).numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_losses_of_certain_answers_have_gradients(gamma: float) -> None:
    logits = torch.tensor([[80.0, -80.0, 0.0]], requires_grad=True)
    category(gamma=gamma).loss(logits, torch.tensor([0])).sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    head, logits = (
        LabelsHead(width=WIDTH, classes=["a", "b"], gamma=gamma),
        torch.tensor([[80.0, -80.0]]).requires_grad_(),
    )
    head.loss(logits, torch.tensor([[1.0, 0.0]])).sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_effective_numbers_are_those_of_the_paper() -> None:
    cells, beta = ["a"] * 90 + ["b"] * 9 + ["c", None], 0.99
    found = np.array(CategoryHead.learn(cells, effective=beta)["weights"])
    seen = np.array([sum(beta**i for i in range(n)) for n in (90, 9, 1)])  # the geometric sum that the paper closes
    np.testing.assert_allclose(found, 3 / seen / (1 / seen).sum())
    near = np.array(CategoryHead.learn(cells, effective=1 - 1e-9)["weights"])
    np.testing.assert_allclose(near * [90, 9, 1], (near * [90, 9, 1]).mean(), rtol=1e-4)  # towards 1: as balance=1
    assert "weights" not in CategoryHead.learn(cells, effective=0.0)
    spec = HEADS.complete({"name": "category", "effective": beta}, cells)
    np.testing.assert_allclose(HEADS.build(spec, width=WIDTH).weights.numpy(), found, rtol=1e-6)


def number(**options: Any) -> NumberHead:
    return NumberHead(width=WIDTH, mean=5.0, std=2.0, **options)


def test_the_losses_of_numbers_are_those_of_torch_and_sklearn() -> None:
    from sklearn.metrics import mean_pinball_loss

    output, target = torch.randn(50), 5 + 2 * 3 * torch.randn(50, dtype=torch.float64)
    z = ((target - 5) / 2).float()
    close = {"rtol": 1e-5, "atol": 1e-6}
    for kind, expected in (
        ("squared", F.mse_loss(output, z, reduction="none")),
        ("absolute", F.l1_loss(output, z, reduction="none")),
        ("huber", F.smooth_l1_loss(output, z, reduction="none")),
    ):
        assert torch.allclose(number(loss=kind).loss(output, target), expected, **close), kind
    wide = torch.where((output - z).abs() < 2.5, 0.5 * (output - z) ** 2, 2.5 * ((output - z).abs() - 1.25))
    assert torch.allclose(number(loss="huber", delta=2.5).loss(output, target), wide, **close)
    for q in (0.1, 0.5, 0.9):
        found = number(loss="quantile", quantile=q).loss(output, target)
        assert float(found.mean()) == pytest.approx(mean_pinball_loss(z.numpy(), output.numpy(), alpha=q), rel=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
def test_a_missing_number_costs_nothing(kind: str) -> None:
    found = number(loss=kind).loss(torch.randn(3), torch.tensor([1.0, torch.nan, 1e300], dtype=torch.float64))
    assert found[1] == 0 and found.isfinite().all() and (found[[0, 2]] > 0).all()


@pytest.mark.parametrize("quantile", [0.2, 0.9])
def test_the_quantile_loss_learns_the_quantile(quantile: float) -> None:
    head, labels = (
        number(loss="quantile", quantile=quantile),
        torch.from_numpy(np.random.default_rng(0).exponential(4, 999)),
    )
    grid = torch.linspace(-3, 8, 2001)
    costs = torch.stack([head.loss(torch.full((999,), float(v)), labels).sum() for v in grid])
    best = float(head.answer(grid[costs.argmin()]))
    assert best == pytest.approx(float(np.quantile(labels.numpy(), quantile)), abs=0.05)


def test_heads_name_what_is_wrong_with_their_options() -> None:
    for spec, text in (
        ({"name": "number", "loss": "hubber", "mean": 0.0, "std": 1.0}, "Did you mean 'huber'"),
        ({"name": "number", "quantile": 1.0, "mean": 0.0, "std": 1.0}, "found delta=1.0, quantile=1.0; expected"),
        ({"name": "category", "gamma": -1.0, "classes": ["a", "b"]}, "gamma=-1.0; expected"),
        ({"name": "category", "smoothing": 1.0, "classes": ["a", "b"]}, "smoothing=1.0"),
        ({"name": "labels", "gamma": -1.0, "classes": ["a", "b"]}, "gamma=-1.0; expected"),
    ):
        with pytest.raises(PlaitError, match=text):
            HEADS.build(spec, width=WIDTH)
    for effective, balance in ((1.0, 0.0), (0.9, 0.5)):
        with pytest.raises(PlaitError, match="expected an effective"):
            HEADS.complete({"name": "category", "effective": effective, "balance": balance}, ["a", "b"])
