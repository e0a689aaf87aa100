"""Gradient blending: its loss, its measurements and its weights against NumPy; history that says them; a planted imbalance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.small import world
from tests.training.test_balance import ROWS, run

from plait.errors import PlaitError
from plait.inference import kept
from plait.objectives.supervised import Supervised
from plait.training import blending
from plait.training import step as steps
from plait.training.options import Options
from plait.training.prefetch import prefetch

WEIGHTS = {"": 0.4, "note": 0.3, "shade": 0.1, "size": 0.2}


def gradient(parts: int, weights: dict[str, float] | None) -> tuple[float, dict[str, torch.Tensor], Any, Any]:
    model, data = world()
    accelerator, _ = steps.accelerator_for("fp32")
    [(batches, _, _)] = list(prefetch(data, [ROWS], size=24 // parts))
    loss = steps.gradient(accelerator, model, model, Supervised(weights={"value": 2.0}), batches, blend=weights)
    return float(loss), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, model, data


def test_the_loss_is_the_weighted_sum_of_all_together_and_each_alone() -> None:
    loss, found, model, data = gradient(1, WEIGHTS)
    model.zero_grad()
    batch = data.batch(ROWS)
    streams = model.encode(batch["inputs"])
    total = torch.zeros(())
    for name, weight in WEIGHTS.items():
        seen = kept(streams, {name: np.ones(24, bool)}) if name else streams
        rows = streams[name].mask.any(1) if name else torch.ones(24, dtype=torch.bool)
        _, losses = model.top(seen, batch["targets"])
        for target, each in losses.items():
            known = model.heads[target].known(batch["targets"][target]).sum()
            total = total + weight * (2.0 if target == "value" else 1.0) * each[rows].sum() / known
    total.backward()
    assert loss == pytest.approx(total.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(found[name], parameter.grad, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("parts", [2, 4])
def test_the_gradient_of_parts_is_that_of_all_rows_at_once(parts: int) -> None:
    whole, one, _, _ = gradient(1, WEIGHTS)
    total, several, _, _ = gradient(parts, WEIGHTS)
    assert total == pytest.approx(whole, rel=1e-5)
    for name, expected in one.items():
        assert torch.allclose(several[name], expected, rtol=1e-4, atol=1e-6), name


def test_all_weight_on_all_together_is_training_as_usual() -> None:
    plain, one, _, _ = gradient(1, None)
    total, other, _, _ = gradient(1, {"": 1.0, "note": 0.0, "shade": 0.0, "size": 0.0})
    assert total == pytest.approx(plain, rel=1e-6)
    for name, expected in one.items():
        assert torch.allclose(other[name], expected, atol=1e-6), name


def test_losses_are_means_over_rows_that_have_the_column_and_the_label() -> None:
    model, data = world()
    model.train()
    found = blending.losses(model, data, ROWS)
    assert model.training and list(found) == ["", "note", "shade", "size"]
    model.eval()
    batch = data.batch(ROWS)
    with torch.no_grad():
        streams = model.encode(batch["inputs"])
        for name in found:
            seen = kept(streams, {name: np.ones(24, bool)}) if name else streams
            here = np.stack([s.mask.any(1) for c, s in streams.items() if name in ("", c)]).any(0)
            outputs, _ = model.top(seen, {})
            each = []
            for target, y in batch["targets"].items():
                rows = here & model.heads[target].known(y).numpy()
                each.append(model.heads[target].loss(outputs[target], y).numpy()[rows].mean())
            assert found[name] == pytest.approx(np.mean(each), rel=1e-5), name


def test_weights_are_generalisation_over_overfitting_squared() -> None:
    before = {"train": {"": 2.0, "a": 2.0, "b": 2.0}, "valid": {"": 2.0, "a": 2.0, "b": 2.0}}
    now = {"train": {"": 1.0, "a": 1.2, "b": 0.5}, "valid": {"": 1.4, "a": 1.4, "b": 2.1}}
    valid, train = (np.array([[x[k][n] for n in ("", "a", "b")] for x in (before, now)]) for k in ("valid", "train"))
    gain, over = valid[0] - valid[1], (valid[1] - train[1]) - (valid[0] - train[0])
    raw = np.maximum(gain, 0) / over**2
    found = blending.weighed(before, now)
    np.testing.assert_allclose([found[n] for n in ("", "a", "b")], raw / raw.sum(), rtol=1e-9)
    assert found["a"] > found[""] > found["b"] == 0.0, "b has only been learned by heart"
    worse = {"train": now["train"], "valid": {"": 3.0, "a": 3.0, "b": 3.0}}
    assert blending.weighed(before, worse) == {"": 1 / 3, "a": 1 / 3, "b": 1 / 3}
    same = {"train": {"": 1.0, "a": 1.0, "b": 2.0}, "valid": {"": 1.0, "a": 1.0, "b": 2.0}}
    assert blending.weighed(before, same) == {"": 0.5, "a": 0.5, "b": 0.0}, "no division by zero"


def test_the_history_says_what_was_measured_and_each_super_epoch_follows_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[dict[str, float]] = []
    real = steps.blended
    monkeypatch.setattr(steps, "blended", lambda *g: (used.append(dict(g[4])), real(*g))[1])
    model, data = world()
    state = run(model, data, valid=8, balance="blend", batch_size=16, epochs=10, patience=10)
    entries = [e["blend"] for e in state.history]
    assert len(entries) == len(used) == 10
    equal = dict.fromkeys(["", "note", "shade", "size"], 0.25)
    assert entries[0]["weights"] == equal and used[:2] == [equal] * 2, "before the first measurement"
    for epoch in range(10):
        if epoch % 2 == 1 and epoch < 9:
            previous = entries[epoch - 1]
            assert entries[epoch]["weights"] == blending.weighed(previous["losses"], entries[epoch]["losses"])
        elif epoch:
            assert entries[epoch] == entries[epoch - 1]
        assert sum(used[epoch].values()) == pytest.approx(1)
        assert not epoch or used[epoch] == entries[epoch - 1]["weights"]
    assert len({str(e) for e in entries}) == 5 and used[-1] != equal


def test_the_subsample_is_as_large_as_validation_and_always_the_same() -> None:
    rows = np.arange(100, 200)
    found = blending.sample(rows, 15, seed=3)
    assert len(set(found)) == 15 and set(found) <= set(rows) and (found == blending.sample(rows, 15, seed=3)).all()
    assert len(blending.sample(rows, 150, seed=3)) == 100


def test_it_needs_validation_rows() -> None:
    model, data = world()
    with pytest.raises(PlaitError, match=r"found 'blend'.*no validation row"):
        run(model, data, balance="blend")
    Options(balance="blend").check(valid=3)


def imbalanced(n: int, seed: int = 0) -> pd.DataFrame:
    """Two kinds. `easy` tells them by its sign, rightly for 80 of 100 rows; `hard` always, by which of eight stripes it is in."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 2, n)
    told = np.where(generator.random(n) < 0.8, kind, 1 - kind)
    stripe = 2 * generator.integers(0, 4, n) + kind
    parts = generator.choice(["train", "valid", "test"], n, p=[0.4, 0.2, 0.4])
    return pd.DataFrame(
        {
            "easy": 2.0 * told - 1 + generator.normal(0, 0.2, n),
            "hard": stripe + generator.uniform(0.1, 0.9, n),
            "kind": np.where(kind, "yes", "no"),
            "part": parts,
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ogm-ge", "blend"])
def test_a_column_that_leads_is_held_back_without_harm(kind: str) -> None:
    import plait

    found = {}
    for how in ("none", kind):
        model = plait.fit(
            imbalanced(1000),
            "kind",
            inputs=["easy", "hard"],
            encoders={c: {"name": "number_periodic", "width": 16} for c in ("easy", "hard")},
            fusion="concat",
            split="part",
            epochs=25,
            training={"balance": how, "modality_dropout": 0.0},
            quiet=True,
        )
        found[how] = model.record["evaluation"]["targets"]["kind"]
    both = {how: f["metrics"]["accuracy"]["value"] for how, f in found.items()}
    hard = {
        how: next(s for s in f["subsets"] if s["columns"] == ["hard"])["metrics"]["accuracy"]["value"]
        for how, f in found.items()
    }
    print(both, hard)
    assert both["none"] > 0.7 and both[kind] >= both["none"] - 0.03 and hard[kind] >= hard["none"] - 0.03
