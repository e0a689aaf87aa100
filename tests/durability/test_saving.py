"""A name always holds one whole model, the old one or the new one, whoever is killed and however many save at once."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tests import toy
from tests.durability.conftest import Forks, leftovers, visible

import plait


@pytest.fixture(scope="module")
def models(small: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four models, each with files that no other has."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAIT_CACHE", str(folder / "cache"))
        for seed in range(4):
            model = toy.fit(small, inputs=["note", "size"], epochs=1, seed=seed)
            model.extra = {f"{seed}-{i}.txt": bytes([48 + seed]) * 1000 for i in range(3)}
            model.save(folder / f"{seed}")
    return [folder / f"{seed}" for seed in range(4)]


def which(place: Path, models: list[Path]) -> int:
    """Which of the models a name holds; it must be one, whole and unmixed."""
    loaded = plait.load(place)
    number: int = loaded.record["seed"]
    assert sorted(loaded.extra) == [f"{number}-{i}.txt" for i in range(3)]
    expected = safetensors.torch.load((models[number] / "weights.safetensors").read_bytes())
    assert all(torch.equal(value, expected[name]) for name, value in loaded.model.state_dict().items())
    return number


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [True, False], ids=["one step", "two steps"])
def test_killed_while_it_replaces_a_model(forks: Forks, models: list[Path], tmp_path: Path, exchange: bool) -> None:
    store, generator = tmp_path / "store", np.random.default_rng(int(exchange))
    shutil.copytree(models[0], store / "m")
    found: list[int] = []
    for number in range(25):
        job = forks.start(
            "saving.again_and_again",
            models=[str(models[1 + number % 2]), str(models[2 - number % 2])],
            place=store / "m",
            exchange=exchange,
            ready=tmp_path / f"{number}",
        )
        assert job.until((tmp_path / f"{number}").exists), job.errors
        time.sleep(generator.uniform(0, 0.4))
        if exchange:
            assert visible(store) == ["m"], "there is no moment without a model"
        job.kill()
        job.wait()
        found.append(which(store / "m", models))
        assert visible(store) == ["m"]
    assert set(found) <= {0, 1, 2} and len(set(found)) > 1, "some were killed before, some after"
    plait.load(models[3]).save(store / "m", overwrite=True)
    assert which(store / "m", models) == 3 and leftovers(store) == []


@pytest.mark.parametrize("exchange", [True, False], ids=["one step", "two steps"])
@pytest.mark.parametrize("overwrite", [True, False], ids=["replacing", "not replacing"])
def test_four_save_under_one_name(
    forks: Forks, models: list[Path], tmp_path: Path, overwrite: bool, exchange: bool
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    jobs = [
        forks.start(
            "saving.once", model=m, place=store / "m", overwrite=overwrite, exchange=exchange, go=tmp_path / "go"
        )
        for m in models
    ]
    (tmp_path / "go").touch()
    while any(job.running() for job in jobs):
        if (store / "m").exists():
            which(store / "m", models)
    codes = [job.wait() for job in jobs]
    if overwrite:
        assert codes == [0, 0, 0, 0], [job.errors for job in jobs]
    else:
        assert sorted(codes) == [0, 3, 3, 3], [job.errors for job in jobs]
        assert which(store / "m", models) == codes.index(0)
    assert visible(store) == ["m"] and leftovers(store) == []


def test_four_save_under_four_names(forks: Forks, models: list[Path], tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    jobs = [
        forks.start("saving.once", model=m, place=store / m.name, overwrite=False, exchange=True, go=tmp_path / "go")
        for m in models
    ]
    (tmp_path / "go").touch()
    assert [job.wait() for job in jobs] == [0, 0, 0, 0]
    assert [which(store / m.name, models) for m in models] == [0, 1, 2, 3] and leftovers(store) == []
