"""Moving averages and soups are their closed forms, and are what is judged and kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.small import world
from torch import nn

from plait.objectives.supervised import Supervised
from plait.progress import Progress
from plait.training import loop
from plait.training.averages import Soup, copied, moved
from plait.training.loop import State, train
from plait.training.options import Options
from plait.training.validation import validate

TRAIN, VALID = np.arange(18), np.arange(18, 30)


class Numbers(nn.Module):
    """One weight, one counter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.count: torch.Tensor
        self.register_buffer("count", torch.tensor(0))


@pytest.mark.parametrize("decay", [0.3, 0.99])
def test_a_moving_average_is_its_closed_form(decay: float) -> None:
    model, seen = Numbers(), np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    average = copied(model)
    for step, value in enumerate(seen):
        model.weight.data, model.count = torch.from_numpy(value.copy()), torch.tensor(step)
        moved(average, model, decay=decay, step=step)
    rates = np.minimum(decay, (1 + np.arange(40)) / (10 + np.arange(40)))
    after = np.append(np.cumprod(rates[::-1])[::-1][1:], 1.0)  # how much of what step t gave is left at the end
    expected = ((1 - rates) * after) @ seen  # the start is zero
    np.testing.assert_allclose(average["weight"].numpy(), expected, rtol=1e-4, atol=1e-6)
    assert average["count"] == 39
    if decay == 0.3:  # from the fourth step on as every textbook has it
        assert (rates[4:] == decay).all()


def test_a_soup_is_the_mean_of_the_best_and_of_equals_the_last() -> None:
    soup, model = Soup(2), Numbers()
    scores = [0.1, 0.9, None, 0.5, 0.5]
    for epoch in range(5):
        model.weight.data, model.count = torch.full((2,), float(epoch)), torch.tensor(epoch)
        soup.offer(epoch, copied(model), scores[: epoch + 1])
    assert list(soup.held) == [1, 4] and soup.mean()["weight"].tolist() == [2.5, 2.5] and soup.mean()["count"] == 4
    other = Soup(2)
    other.restore({"model": {}, **soup.tensors()})
    assert list(other.held) == [1, 4] and torch.equal(other.mean()["weight"], soup.mean()["weight"])
    last = Soup(3)
    for epoch in range(12):
        last.offer(epoch, copied(model), [None] * (epoch + 1))
    assert list(last.held) == [9, 10, 11]


def run(valid: np.ndarray = VALID, **options: Any) -> tuple[State, Any, Any, list[dict[str, torch.Tensor]]]:
    """A training, and the weights after each of its steps."""
    model, data = world(30)
    seen: list[dict[str, torch.Tensor]] = []
    real = loop._Run.advance

    def advance(self: Any, *given: Any) -> None:
        real(self, *given)
        seen.append(copied(self.model))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Run, "advance", advance)
        state = train(
            model, Supervised(), data, train_rows=TRAIN, valid_rows=valid, seed=0, checkpoints=None, deadline=None,
            options=Options(batch_size=6, precision="fp32", **options), progress=Progress(quiet=True),
        )  # fmt: skip
    return state, model, data, seen


def test_the_average_is_what_is_judged_and_kept() -> None:
    state, model, data, seen = run(epochs=4, ema=0.8)
    start = copied(world(30)[0])
    average, judged = start, []
    for step, weights in enumerate(seen):
        decay = min(0.8, (1 + step) / (10 + step))
        average = {k: decay * v + (1 - decay) * weights[k] for k, v in average.items()}
        if step % 3 == 2:
            judged.append(average)
    kept = model.state_dict()
    assert all(torch.allclose(kept[k], v, rtol=1e-4, atol=1e-6) for k, v in judged[state.best_epoch].items())
    assert not all(torch.allclose(kept[k], v, rtol=1e-3) for k, v in seen[3 * state.best_epoch + 2].items())
    assert validate(model, data, VALID, Options())["score"] == pytest.approx(state.history[state.best_epoch]["score"])


def test_an_average_changes_nothing_of_the_steps() -> None:
    plain, averaged = run(epochs=3)[3], run(epochs=3, ema=0.9)[3]
    assert all(torch.equal(a[k], b[k]) for a, b in zip(plain, averaged) for k in a)


def test_a_soup_without_validation_rows_is_the_mean_of_the_last_epochs() -> None:
    state, model, _, seen = run(valid=np.arange(0), epochs=5, soup=3)
    after = [seen[3 * epoch + 2] for epoch in (2, 3, 4)]
    for name, weight in model.state_dict().items():
        assert torch.allclose(weight, torch.stack([w[name] for w in after]).mean(0), rtol=1e-5, atol=1e-7), name
    assert state.history[-1]["soup"] == {"epochs": [2, 3, 4], "score": None, "kept": True}


@pytest.mark.parametrize("better", [True, False])
def test_a_soup_is_kept_where_the_validation_rows_like_it(better: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = validate, [0]

    def judged(*given: Any) -> dict[str, Any]:
        calls[0] += 1
        return {**real(*given), "score": {1: 0.1, 2: 0.5, 3: 0.3, 4: 0.6 if better else 0.4}[calls[0]], "slack": 0.0}

    monkeypatch.setattr(loop, "validate", judged)
    state, model, _, seen = run(epochs=3, soup=2)
    assert state.history[-1]["soup"] == {"epochs": [1, 2], "score": 0.6 if better else 0.4, "kept": better}
    assert state.best_epoch == 1
    expected = {k: (v + seen[8][k]) / 2 if better else v for k, v in seen[5].items()}
    assert all(torch.allclose(w, expected[k], atol=1e-7) for k, w in model.state_dict().items())
