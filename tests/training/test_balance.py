"""Balance between columns: the cells a step shows are those it claims, gradients are scaled as OGM-GE says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.small import world

from plait.inference import kept
from plait.objectives import OBJECTIVES
from plait.objectives.supervised import Supervised
from plait.progress import Progress
from plait.training import balance, loop
from plait.training import step as steps
from plait.training.balance import Modulation, Show, coefficient, keep, ratios, shown
from plait.training.options import Options
from plait.training.prefetch import prefetch

COLUMNS = ["a", "b", "c"]
ROWS = np.arange(24)


def shows(total: int, **options: Any) -> list[Show]:
    return [shown(Options(**options), s, total=total, columns=COLUMNS) for s in range(total)]


# What a step shows


def test_modality_dropout_goes_evenly_from_one_chance_to_the_other() -> None:
    assert shows(3) == [Show(dropout=0.3)] * 3
    found = [s.dropout for s in shows(11, modality_dropout=[0.1, 0.6])]
    np.testing.assert_allclose(found, np.linspace(0.1, 0.6, 11))
    assert shows(1, modality_dropout=[0.1, 0.6]) == [Show(dropout=0.1)]


def test_alone_first_then_as_without_it() -> None:
    assert shows(10, alone_first=0.3) == [Show(alone=True)] * 3 + [Show(dropout=0.3)] * 7


def test_alternate_goes_through_the_columns_and_then_all() -> None:
    cycle = [Show(alone=True, column=c) for c in COLUMNS] + [Show(dropout=0.0)]
    assert shows(9, alternate=True, modality_dropout=0.0) == [*cycle, *cycle, cycle[0]]


HERE = {
    "a": torch.tensor([True, True, False, False, True] * 80),
    "b": torch.tensor([True, False, True, False, True] * 80),
    "c": torch.tensor([True, True, True, False, False] * 80),
}
PRESENT = torch.stack(list(HERE.values()))


def test_each_row_shows_one_of_its_own_columns_each_as_often() -> None:
    torch.manual_seed(0)
    found = keep(HERE, Show(alone=True)) & PRESENT
    assert (found.sum(0) == PRESENT.any(0)).all(), "one where there is one"
    of_three = found[:, PRESENT.sum(0) == 3].float().mean(1)
    assert ((of_three - 1 / 3).abs() < 0.15).all() and not torch.equal(found[:, ::5], found[:, :1].expand(3, 80))
    again = keep(HERE, Show(alone=True)) & PRESENT
    assert not torch.equal(found, again), "drawn anew"


@pytest.mark.parametrize("column", COLUMNS)
def test_one_column_alone_but_rows_without_it_are_whole(column: str) -> None:
    found = keep(HERE, Show(alone=True, column=column)) & PRESENT
    has, place = HERE[column], COLUMNS.index(column)
    assert (found[:, has].sum(0) == 1).all() and found[place, has].all()
    assert torch.equal(found[:, ~has], PRESENT[:, ~has])


def test_dropout_is_what_it_was() -> None:
    """The draws of before: first of all, one a cell."""
    torch.manual_seed(3)
    found = keep(HERE, Show(dropout=0.4))
    torch.manual_seed(3)
    drawn = torch.rand(3, 400) >= 0.4
    assert torch.equal(found, drawn | ~(drawn & PRESENT).any(0))


def seen_in_training(monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[dict[str, torch.Tensor]]:
    """The masks of every pass of a training."""
    model, data = world()
    masks: list[dict[str, torch.Tensor]] = []
    real = steps.passing

    def watched(*given: Any) -> Any:
        found = real(*given)
        masks.append({c: s.mask.any(1) for c, s in found.streams.items()})
        return found

    monkeypatch.setattr(steps, "passing", watched)
    run(model, data, batch_size=24, epochs=8, **options)
    return masks


def run(model: Any, data: Any, *, valid: int = 0, objective: Any = "supervised", **options: Any) -> loop.State:
    how = {"epochs": 2, "batch_size": 8, "precision": "fp32", "modality_dropout": 0.0, **options}
    return loop.train(
        model, OBJECTIVES.build(objective, targets=list(model.heads)), data,
        train_rows=np.arange(24 - valid), valid_rows=np.arange(24 - valid, 24),
        options=Options(**how), seed=0, checkpoints=None, deadline=None, progress=Progress(quiet=True),
    )  # fmt: skip


def test_training_shows_exactly_the_cells_that_alternate_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = seen_in_training(monkeypatch, alternate=True)
    order = [loop.order(ROWS, seed=0, epoch=e) for e in range(8)]
    _, data = world()
    present = {c: np.array([cell is not None for cell in cells.rows(ROWS)]) for c, cells in data.columns.items()}
    names = list(data.columns)
    assert names == ["note", "shade", "size"] and len(masks) == 8
    for step, found in enumerate(masks):
        column = [*names, None][step % 4]
        for name in names:
            whole = present[name][order[step]]
            alone = whole & (name == column) | whole & ~present[column][order[step]] if column else whole
            assert (found[name].numpy() == alone).all(), (step, name)


def test_training_shows_one_column_a_row_at_first_and_then_all(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = seen_in_training(monkeypatch, alone_first=0.5)
    counts = [torch.stack(list(found.values())).sum(0) for found in masks]
    assert all(int(c.max()) == 1 for c in counts[:4]) and all(int(c.max()) == 3 for c in counts[4:])
    assert not torch.equal(masks[0]["note"], masks[1]["note"])


# OGM-GE


def test_the_coefficients_are_those_of_equations_9_and_10() -> None:
    found = ratios({"a": 12.0, "b": 4.0, "c": 2.0})
    assert found == {"a": 12 / 3, "b": 4 / 7, "c": 2 / 8}
    assert ratios({"a": 3.0, "b": 1.5}) == {"a": 2.0, "b": 0.5}, "as in the paper, of two"
    assert ratios({"a": 3.0}) == {"a": 1.0}
    assert [coefficient(r, 0.3) for r in (0.5, 1.0, 4.0)] == [1.0, 1.0, pytest.approx(1 - math.tanh(1.2))]


def gradients(
    modulated: bool, *, parts: int = 1, alpha: float = 0.3
) -> tuple[Any, dict[str, Any], dict[str, float], Any]:
    model, data = world()
    accelerator, _ = steps.accelerator_for("fp32")
    [(batches, _, _)] = list(prefetch(data, [ROWS], size=24 // parts))
    modulation = Modulation(model, alpha) if modulated else None
    steps.gradient(accelerator, model, model, Supervised(), batches, modulation=modulation)
    factors = modulation.factors() if modulation else {}
    return model, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, factors, data


def by_hand(model: Any, data: Any) -> dict[str, float]:
    """Equation 8, by plait.inference's masks and the answers: how much of the truth each column tells alone."""
    model.eval()
    batch = data.batch(ROWS)
    with torch.no_grad():
        streams = model.encode(batch["inputs"])
        scores = {}
        for column, stream in streams.items():
            answers = model.answer(kept(streams, {column: np.ones(24, bool)}))
            outputs, _ = model.top(kept(streams, {column: np.ones(24, bool)}), {})
            here, told = stream.mask.any(1).numpy(), []
            kind = batch["targets"]["kind"].numpy()
            rows = here & (kind >= 0)
            told += answers["kind"].numpy()[rows, kind[rows]].tolist()
            for target in ("value", "tags"):
                known = here & model.heads[target].known(batch["targets"][target]).numpy()
                loss = model.heads[target].loss(outputs[target], batch["targets"][target]).numpy()
                told += np.exp(-loss[known]).tolist()
            scores[column] = float(np.mean(told))
    return scores


@pytest.mark.parametrize("parts", [1, 3])
def test_gradients_of_encoder_and_adapter_are_scaled_and_nothing_else(
    parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance.torch, "randn_like", torch.zeros_like)
    _, plain, _, _ = gradients(False, parts=parts)
    model, found, factors, data = gradients(True, parts=parts)
    scores = by_hand(model, data)
    rho = {c: s / np.mean([o for k, o in scores.items() if k != c]) for c, s in scores.items()}
    expected = {c: 1 - np.tanh(0.3 * r) if r > 1 else 1.0 for c, r in rho.items()}
    assert factors == pytest.approx(expected, rel=1e-5) and min(expected.values()) < 0.8 < max(expected.values()) == 1
    names = {p: n for n, p in model.named_parameters()}
    own = {
        names[p]: expected[c]
        for c in expected
        for part in (model.encoders[c], model.adapters[c])
        for p in part.parameters()
    }
    assert plain.keys() == found.keys()
    for name, gradient in plain.items():
        assert torch.allclose(found[name], gradient * own.get(name, 1.0), rtol=1e-4, atol=1e-7), name


def test_the_noise_has_the_deviation_of_the_gradient() -> None:
    part = torch.nn.Linear(200, 100, bias=False)
    part.weight.grad = 3 * torch.randn(100, 200) + 1
    before = part.weight.grad.clone()
    balance._modulate(part, 0.25)
    noise = part.weight.grad - 0.25 * before
    assert float(noise.std()) == pytest.approx(float(before.std()), rel=0.03) and abs(float(noise.mean())) < 0.1
    assert abs(float((noise * before).mean() / before.var())) < 0.05, "of its own"


def test_judging_columns_leaves_modes_and_draws_of_the_model_alone() -> None:
    model, data = world(fusion={"name": "concat", "dropout": 0.5})
    model.train()
    model.encoders["note"].eval()
    [(batches, _, _)] = list(prefetch(data, [ROWS], size=24))
    found = steps.passing(model, model, batches[0])
    modes, before = [m.training for m in model.modules()], torch.random.get_rng_state()
    modulation = Modulation(model, 0.3)
    modulation.see(found, batches[0]["targets"])
    assert modes == [m.training for m in model.modules()] and torch.equal(before, torch.random.get_rng_state())
    assert all(n > 0 for n in modulation.counts.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("fusion", ["concat", "average", "product"])
@pytest.mark.parametrize("kind", ["ogm-ge", "blend"])
def test_every_kind_of_fusion_trains_with_it(kind: str, fusion: str, precision: str) -> None:
    model, data = world(fusion={"name": fusion})
    state = run(model, data, valid=6, balance=kind, accumulate=2, batch_size=4, epochs=3, precision=precision)
    assert all(np.isfinite(e["loss"]) for e in state.history) and state.step == 9


@pytest.mark.parametrize("objective", ["uncertainty", "gradnorm"])
@pytest.mark.parametrize("kind", ["ogm-ge", "blend"])
def test_columns_and_targets_are_balanced_together(kind: str, objective: str) -> None:
    model, data = world()
    state = run(model, data, valid=6, balance=kind, objective=objective, epochs=3, alone_first=0.3)
    assert all(np.isfinite(e["loss"]) for e in state.history) and set(state.shares or {}) == set(model.heads)
