"""How a training begins: the first weights, and short rows first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import toy
from tests.training.small import frame, world

from plait.errors import PlaitError
from plait.objectives.supervised import Supervised
from plait.preparation import Dataset
from plait.progress import Progress
from plait.training.averages import copied
from plait.training.curriculum import row_lengths
from plait.training.initial import initialise
from plait.training.loop import train
from plait.training.options import INITS, Options


def drawn(how: str, seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    model, _ = world(fusion={"name": "attention"}, width=32)
    before = copied(model)
    initialise(model, how, seed=seed)
    return before, copied(model)


@pytest.mark.parametrize("how", INITS)
def test_the_matrices_after_the_encoders_are_drawn_as_asked(how: str) -> None:
    state = torch.random.get_rng_state()
    before, after = drawn(how)
    assert torch.equal(state, torch.random.get_rng_state())
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert not any(k.startswith("encoders.") or k.endswith("bias") or before[k].ndim < 2 for k in changed)
    assert all(before[k].any() for k in changed), "layers that begin at zero stay there"
    if how == "default":
        assert not changed
        return
    assert any(k.startswith("adapters.") for k in changed) and any(".heads." in k for k in changed)
    assert any(k.startswith("top.fusion.") for k in changed)
    for name in changed:
        weight = after[name].double()
        out, into = weight.shape
        if how == "orthogonal":
            gram = weight @ weight.T if out <= into else weight.T @ weight
            assert torch.allclose(gram, torch.eye(len(gram)).double(), atol=1e-5), name
        elif how == "xavier":
            bound = (6 / (into + out)) ** 0.5
            assert 0.6 * bound < weight.abs().max() <= bound + 1e-6, name
        elif weight.numel() > 300:
            assert float(weight.std()) == pytest.approx((2 / into) ** 0.5, rel=0.15), name


def test_the_first_weights_follow_from_the_seed() -> None:
    one, same, other = drawn("xavier", 1)[1], drawn("xavier", 1)[1], drawn("xavier", 2)[1]
    assert all(torch.equal(one[k], same[k]) for k in one) and any(not torch.equal(one[k], other[k]) for k in one)


def test_the_length_of_a_row_is_that_of_its_cells() -> None:
    _, data = world()
    rows = np.array([0, 5, 3, 2])
    table = frame(24)
    tokens = np.array(
        [np.nan if c is None else sum(map(len, c.values())) for c in data.columns["note"].rows(np.arange(24))]
    )
    here = {c: table[c].notna().to_numpy() for c in ("size", "shade")}
    expected = np.nan_to_num(tokens / np.nanmean(tokens[rows])) + here["size"] + here["shade"]
    np.testing.assert_allclose(row_lengths(data, rows), expected[rows])
    assert len(set(row_lengths(data, np.arange(24)))) > 4
    assert (row_lengths(Dataset({}, {}, {}, 3), np.arange(3)) == 0).all()


def test_short_rows_come_first_in_that_share_of_the_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.training.loop import _Run

    model, data = world()
    lengths, seen = row_lengths(data, np.arange(24)), []
    real = _Run.advance

    def advance(self: Any, state: Any, parts: Any, rows: np.ndarray) -> None:
        seen.extend(rows.tolist())
        real(self, state, parts, rows)

    monkeypatch.setattr(_Run, "advance", advance)
    train(
        model, Supervised(), data, train_rows=np.arange(24), valid_rows=np.arange(0), seed=0, checkpoints=None,
        deadline=None, options=Options(epochs=4, batch_size=8, curriculum=0.5), progress=Progress(quiet=True),
    )  # fmt: skip
    epochs = np.array(seen).reshape(4, 24)
    assert all(sorted(e) == list(range(24)) for e in epochs.tolist()), "every row once in every epoch"
    rising = [(np.diff(lengths[e]) >= 0).all() for e in epochs]
    assert rising == [True, True, False, False]


def test_plateau_without_validation_rows_is_told_before_the_first_step(tmp_path: Path) -> None:
    options: dict[str, Any] = {"split": {"valid": 0.0, "test": 0.2}, "inputs": ["note", "size"]}
    with pytest.raises(PlaitError, match=r"found .plateau.*no validation row"):
        toy.fit(toy.make(tmp_path / "data", 30), training={"schedule": "plateau"}, out=tmp_path / "m", **options)
    assert not list((tmp_path / "m.run").glob("step-*"))
