"""Objectives that learn how much each target counts, against closed forms and the papers' equations in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.small import world
from torch import Tensor

from plait.errors import PlaitError
from plait.heads.number import NumberHead
from plait.objectives import OBJECTIVES, asked
from plait.objectives.gradnorm import BALANCE, GradNorm
from plait.progress import Progress
from plait.training import step as steps
from plait.training.loop import State, train
from plait.training.options import Options
from plait.training.prefetch import prefetch
from plait.types import Pass, Tokens

LEARNED = ("uncertainty", "gradnorm")
TARGETS = ["kind", "tags", "value"]


def passed(losses: dict[str, Tensor], known: dict[str, Any] | None = None, x: Tensor | None = None) -> Pass:
    streams = {} if x is None else {"a": Tokens(x, torch.ones(x.shape[:2], dtype=torch.bool))}
    here = {t: torch.ones(len(v), dtype=torch.bool) for t, v in losses.items()}
    return Pass(streams, {}, losses, {t: torch.tensor(k) for t, k in known.items()} if known else here)


# Uncertainty


def test_the_terms_are_kendalls() -> None:
    objective = OBJECTIVES.build("uncertainty", targets=["b", "a"])
    with torch.no_grad():
        objective.log_variance.copy_(torch.tensor([0.5, -1.0]))  # of a, b: by name
    losses = {
        "b": torch.tensor([1.0, 3.0, 0.0]),
        "a": torch.tensor([0.0, 2.0, 2.0]),
        "c": torch.tensor([1.0, 1.0, 1.0]),
    }
    found = objective(passed(losses, {"b": [True, True, False], "a": [False, True, True], "c": [True] * 3}))
    expected = {"b_loss": np.exp(1.0) * 2 - 1, "a_loss": np.exp(-0.5) * 2 + 0.5, "c_loss": 1.0}
    assert {k: v.item() for k, v in found.items()} == pytest.approx(expected)
    assert objective.shares() == pytest.approx({"a": np.exp(-0.5), "b": np.exp(1.0)})


def test_at_the_optimum_the_variance_is_the_loss() -> None:
    """d/ds (exp(-s) L + s) = 0 where exp(s) = L; for constant losses, and whatever the optimizer."""
    constant = {"a": 0.02, "b": 7.0, "c": 1.0}
    objective = OBJECTIVES.build("uncertainty", targets=list(constant))
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.1)
    for _ in range(800):
        optimizer.zero_grad()
        sum(objective(passed({t: torch.full((4,), v) for t, v in constant.items()})).values()).backward()
        optimizer.step()
    assert objective.log_variance.exp().tolist() == pytest.approx(list(constant.values()), rel=1e-3)
    assert objective.shares() == pytest.approx({t: 1 / v for t, v in constant.items()}, rel=1e-3)


def test_a_target_without_a_label_in_a_batch_is_left_alone() -> None:
    objective = OBJECTIVES.build("uncertainty", targets=["a", "b"])
    losses = {"a": torch.ones(2), "b": torch.zeros(2)}
    sum(objective(passed(losses, {"a": [True, True], "b": [False, False]})).values()).backward()
    assert objective.log_variance.grad.tolist() == [0.0, 0.0]  # a: -1 + 1, at its optimum; b: nothing
    losses["a"] = 3 * losses["a"]
    sum(objective(passed(losses, {"a": [True, True], "b": [False, False]})).values()).backward()
    assert objective.log_variance.grad.tolist() == [-2.0, 0.0]


# GradNorm

N, D, RATE = 6, 4, 0.05
SCALES = {"a": 1.0, "b": 1000.0}


def problem() -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    generator = np.random.default_rng(1)
    base = generator.normal(size=(N, D))
    return base, {t: generator.normal(size=D) for t in SCALES}, {t: generator.normal(size=N) for t in SCALES}


def losses_of(x: Tensor, scales: dict[str, float] = SCALES) -> dict[str, Tensor]:
    _, out, y = problem()
    return {t: s * (x[:, 0] @ torch.from_numpy(out[t]) - torch.from_numpy(y[t])) ** 2 for t, s in scales.items()}


def test_three_updates_are_those_of_the_paper() -> None:
    """Equations 1 and 2, the gradients by hand; w = T softmax(v)."""
    scales, alpha = {"a": 1.0, "b": 3.0}, 1.5
    base, out, y = problem()
    shared, v, first = np.eye(D), np.zeros(2), np.zeros(2)
    objective = OBJECTIVES.build({"name": "gradnorm", "alpha": alpha}, targets=["a", "b"]).double()
    weight = torch.eye(D, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight, objective.logits], lr=RATE)
    for number in range(3):
        x = base @ shared
        errors = {t: x @ out[t] - y[t] for t in scales}
        loss = np.array([s * (errors[t] ** 2).mean() for t, s in scales.items()])
        slope = [2 * s / N * np.outer(errors[t], out[t]) for t, s in scales.items()]
        first = loss if number == 0 else first
        w = 2 * np.exp(v) / np.exp(v).sum()
        norms = np.array([np.linalg.norm(g) for g in slope])
        fallen = loss / first
        wanted = (w * norms).mean() * (fallen / fallen.mean()) ** alpha
        by_w = np.sign(w * norms - wanted) * norms / (w * norms).mean()
        v = v - RATE * (np.diag(w) - np.outer(w, w) / 2) @ by_w
        shared = shared - RATE * base.T @ sum(a * g for a, g in zip(w, slope))

        optimizer.zero_grad()
        streams = (torch.from_numpy(base) @ weight)[:, None]
        given = passed(losses_of(streams, scales), x=streams)
        balance = objective._balance(given, {t: v.mean() for t, v in given.losses.items()}, objective.weights())
        assert balance.item() == pytest.approx(np.abs(w * norms - wanted).sum() / (w * norms).mean())
        found = objective(passed(losses_of(streams, scales), x=streams))
        total = sum(found.values())
        assert total.item() == pytest.approx(float(w @ loss)), "the balance adds nothing to the loss"
        total.backward()
        optimizer.step()
        np.testing.assert_allclose(weight.detach().numpy(), shared, rtol=1e-6)
        np.testing.assert_allclose(objective.logits.detach().numpy(), v, rtol=1e-6)
    assert abs(v).max() > 0.01 and sum(objective.shares().values()) == pytest.approx(2)


@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_the_gradients_of_two_targets_of_very_different_scale_become_equal(alpha: float) -> None:
    """Of losses that do not fall: all rates are 1 then, whatever alpha."""
    base, _, _ = problem()
    objective = OBJECTIVES.build({"name": "gradnorm", "alpha": alpha}, targets=list(SCALES))
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
    x = torch.from_numpy(base)[:, None].requires_grad_()
    norms = {t: torch.autograd.grad(v.mean(), x)[0].norm().item() for t, v in losses_of(x).items()}
    assert norms["b"] > 100 * norms["a"]
    for number in range(600):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - number / 600)
        optimizer.zero_grad()
        sum(objective(passed(losses_of(x), x=x)).values()).backward()
        optimizer.step()
    shares = objective.shares()
    assert shares["a"] * norms["a"] == pytest.approx(shares["b"] * norms["b"], rel=0.05)
    assert sum(shares.values()) == pytest.approx(2)


def test_neither_sees_the_others_gradient() -> None:
    base, _, _ = problem()
    objective = OBJECTIVES.build("gradnorm", targets=list(SCALES))
    x = torch.from_numpy(base)[:, None].requires_grad_()
    found = objective(passed(losses_of(x), x=x))
    alone = torch.autograd.grad(sum(v for k, v in found.items() if k != BALANCE), x, retain_graph=True)[0]
    together = torch.autograd.grad(sum(found.values()), x, retain_graph=True)[0]
    assert torch.equal(alone, together)
    [of_weights] = torch.autograd.grad(found[BALANCE], objective.logits, retain_graph=True)
    assert of_weights.abs().min() > 0
    rest = sum(v for k, v in found.items() if k != BALANCE)
    assert torch.autograd.grad(rest, objective.logits, allow_unused=True) == (None,)


def test_a_target_that_falls_slower_gets_a_larger_gradient() -> None:
    base, _, _ = problem()
    objective = OBJECTIVES.build({"name": "gradnorm"}, targets=list(SCALES))
    x = torch.from_numpy(base)[:, None].requires_grad_()
    objective(passed(losses_of(x, {"a": 2.0, "b": 2.0}), x=x))
    slow = {"a": 2.0, "b": 0.2}  # b has fallen to a tenth
    sum(objective(passed(losses_of(x, slow), x=x)).values()).backward()
    assert objective.logits.grad[0] < 0 < objective.logits.grad[1], "a step raises the weight of a"


def test_one_labelled_target_moves_nothing_and_judging_neither() -> None:
    base, _, _ = problem()
    x = torch.from_numpy(base)[:, None].requires_grad_()
    objective: GradNorm = OBJECTIVES.build("gradnorm", targets=list(SCALES))
    objective.eval()
    found = objective(passed(losses_of(x), x=x))
    assert set(found) == {"a_loss", "b_loss"} and not objective.seen.any()
    objective.train()
    with torch.no_grad():
        assert set(objective(passed(losses_of(x), x=x))) == {"a_loss", "b_loss"} and not objective.seen.any()
    losses = losses_of(x)
    losses["b"] = losses["b"] * 0
    sum(objective(passed(losses, {"a": [True] * N, "b": [False] * N}, x=x)).values()).backward()
    assert objective.seen.tolist() == [True, False] and objective.logits.grad.tolist() == [0.0, 0.0]


# In training


def trained(spec: Any, *, scale: float = 1.0, monkeypatch: Any = None, **options: Any) -> tuple[Any, Any, State, Any]:
    if monkeypatch is not None:
        real = NumberHead._of
        monkeypatch.setattr(NumberHead, "_of", lambda self, o, z: scale * real(self, o, z))
    model, data = world()
    objective = OBJECTIVES.build(spec, targets=list(TARGETS))
    how = {"epochs": 2, "batch_size": 8, "precision": "fp32", "modality_dropout": 0.0, **options}
    state = train(
        model, objective, data, train_rows=np.arange(24), valid_rows=np.arange(0), options=Options(**how), seed=0,
        checkpoints=None, deadline=None, progress=Progress(quiet=True),
    )  # fmt: skip
    return model, data, state, objective


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("fusion", ["concat", "average"])
@pytest.mark.parametrize("name", LEARNED)
def test_what_the_objective_learns_is_trained_and_leaves_the_model(
    name: str, fusion: str, accumulate: int, precision: str
) -> None:
    model, _, state, objective = trained(name, batch_size=8, accumulate=accumulate, precision=precision, ema=0.5)
    assert all(float(p.detach().abs().min()) > 0 for p in objective.parameters()), "each has moved"
    assert not [n for n in model.state_dict() if "objective" in n] and dict(model.named_children()).keys() >= {"top"}
    assert state.shares == objective.shares() and set(state.shares or {}) == set(TARGETS)
    assert all(np.isfinite(e["loss"]) for e in state.history)


def test_the_gradients_of_bf16_are_seen() -> None:
    """What accelerate gives are copies in fp32, which the losses do not come from."""
    model, data = world()
    accelerator, _ = steps.accelerator_for("bf16")
    wrapped = accelerator.prepare_model(model)
    [(batches, _, _)] = list(prefetch(data, [np.arange(24)], size=24))
    with accelerator.autocast():
        found = steps.passing(wrapped, model, batches[0])
        given = [s.x for s in found.streams.values()]
        assert given[0].dtype == torch.bfloat16
        gradients = torch.autograd.grad(found.losses["kind"].sum(), given)
    assert all(float(g.float().norm()) > 0 for g in gradients)


def test_norms_become_equal_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times as large a loss of one target: norms of the weighted gradients end within a factor of three, where
    without weights they are far apart."""

    def spread(model: Any, data: Any, shares: dict[str, float]) -> float:
        [(batches, _, _)] = list(prefetch(data, [np.arange(24)], size=24))
        found = steps.passing(model, model, batches[0])
        given = [s.x for s in found.streams.values()]
        norms = []
        for target, loss in found.losses.items():
            mean = shares.get(target, 1.0) * loss.sum() / found.known[target].sum()
            parts = torch.autograd.grad(mean, given, retain_graph=True)
            norms.append(float(torch.stack([p.square().sum() for p in parts]).sum().sqrt()))
        return max(norms) / min(norms)

    spec = {"name": "gradnorm", "alpha": 0.0, "rate": 1000.0}
    model, data, state, _ = trained(spec, scale=1000.0, monkeypatch=monkeypatch, epochs=60, learning_rate=1e-4)
    model.train()
    assert state.shares and spread(model, data, state.shares) < 3 < 30 < spread(model, data, {})


def test_the_largest_norm_of_the_gradient_is_of_the_models_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the objective learns has a loss of its own: it must not shrink the step of the model."""
    from accelerate import Accelerator

    real, seen = Accelerator.clip_grad_norm_, []
    monkeypatch.setattr(
        Accelerator, "clip_grad_norm_", lambda self, given, *more: (seen.append(given), real(self, given, *more))[1]
    )
    model, _, state, _ = trained("gradnorm")
    own = {id(p) for p in model.parameters()}
    assert len(seen) == state.step > 0 and all({id(p) for p in given} == own for given in seen)


def test_shares_of_fixed_weights_and_none() -> None:
    assert OBJECTIVES.build("supervised", targets=["y"]).shares() is None
    assert OBJECTIVES.build({"name": "supervised", "weights": {"y": 3.0}}).shares() == {"y": 3.0}


@pytest.mark.parametrize(
    "spec", [{"name": "gradnorm", "alpha": -1}, {"name": "gradnorm", "rate": 0}, {"name": "uncertainty", "rate": -2.0}]
)
def test_values_that_cannot_be_are_told(spec: Any) -> None:
    with pytest.raises(PlaitError, match=r"found .*expected"):
        OBJECTIVES.build(spec, targets=["y"])


def test_a_learner_has_no_objective() -> None:
    assert asked("supervised", "ridge") is None and asked("gradnorm", None) == {"name": "gradnorm"}
    with pytest.raises(PlaitError, match="a learner is given too"):
        asked("gradnorm", {"name": "ridge"})
