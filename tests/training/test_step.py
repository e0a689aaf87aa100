"""Gradients that are added up over batches are the gradient of one large batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.small import world

from plait.objectives.supervised import Supervised
from plait.progress import Progress
from plait.training import step as steps
from plait.training.loop import train
from plait.training.options import Options
from plait.training.prefetch import prefetch

ROWS = np.random.default_rng(3).permutation(23)  # 23: into four parts of 6, 6, 6 and 5


def gradients(parts: int, **how: Any) -> tuple[float, dict[str, torch.Tensor]]:
    model, data = world(**how)
    accelerator, _ = steps.accelerator_for("fp32")
    [(batches, rows, _)] = list(prefetch(data, [ROWS], size=-(-23 // parts)))
    assert len(batches) == parts and (rows == ROWS).all()
    loss = steps.gradient(accelerator, model, model, Supervised(weights={"value": 2.0}), batches)
    return float(loss), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("fusion", ["concat", "average"])
@pytest.mark.parametrize("parts", [2, 4, 23])
def test_the_gradient_of_parts_is_that_of_all_rows_at_once(parts: int, fusion: str) -> None:
    how = {"fusion": {"name": "concat", "dropout": 0.0} if fusion == "concat" else {"name": "average"}}
    whole, one = gradients(1, **how)
    total, several = gradients(parts, **how)
    assert total == pytest.approx(whole, rel=1e-5)
    assert one.keys() == several.keys() and len(one) > 10
    for name, expected in one.items():
        assert torch.allclose(several[name], expected, rtol=1e-4, atol=1e-6), name


def test_the_mean_over_parts_would_be_another_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels are spread unevenly enough for the test above to see it."""
    whole, _ = gradients(1)
    monkeypatch.setattr(steps, "shares", lambda model, parts, team: [{"": torch.tensor(1 / len(parts))}] * len(parts))
    total, _ = gradients(4)
    assert total != pytest.approx(whole, rel=1e-3)


def test_shares_are_of_labelled_rows_and_add_up() -> None:
    model, data = world()
    [(batches, _, _)] = list(prefetch(data, [ROWS], size=6))
    shares = steps.shares(model, batches)
    for name in ("kind_loss", "value_loss", "tags_loss", ""):
        assert float(sum(s[name] for s in shares)) == pytest.approx(1.0)
    known = np.array([model.heads["value"].known(b["targets"]["value"]).sum() for b in batches])
    np.testing.assert_allclose([float(s["value_loss"]) for s in shares], known / known.sum(), rtol=1e-6)
    np.testing.assert_allclose([float(s[""]) for s in shares], np.array([6, 6, 6, 5]) / 23, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_training_with_parts_is_training_with_large_batches(optimizer: str) -> None:
    found = []
    for size, accumulate in ((10, 1), (5, 2), (2, 5)):
        model, data = world()
        options = Options(
            epochs=2, batch_size=size, accumulate=accumulate, modality_dropout=0.0, precision="fp32", optimizer=optimizer,
            learning_rate=1e-3,
        )  # fmt: skip
        state = train(
            model, Supervised(), data, train_rows=np.arange(24), valid_rows=np.arange(0), options=options, seed=0,
            checkpoints=None, deadline=None, progress=Progress(quiet=True),
        )  # fmt: skip
        assert state.step == 6
        found.append((state.history[-1]["loss"], model.state_dict()))
    for loss, weights in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-4)
        for name, expected in found[0][1].items():
            assert torch.allclose(weights[name], expected, rtol=1e-3, atol=1e-4), name
