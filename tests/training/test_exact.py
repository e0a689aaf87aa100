"""Same seed, same bytes; killed anywhere and started again, same bytes; one order for each seed and epoch."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests import toy

from plait.errors import DataChangedError, OutputError
from plait.training.schedule import order, rate, step_seed

SCRIPT = """
import sys, pathlib, torch
torch.set_num_threads(int(sys.argv[3]))
import plait.training.loop as loop
loop.SAVE_SECONDS = 0.0
loop.train.__kwdefaults__["save_seconds"] = 0.0
from tests import toy
toy.fit(sys.argv[1], out=sys.argv[2], epochs=4)
"""


def fit_in_a_process(
    table: Path, out: Path, threads: int = 1, script: str = SCRIPT, **environment: str
) -> subprocess.Popen[bytes]:
    with open(errors(out), "wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-c", script, str(table), str(out), str(threads)],
            env={**os.environ, "OMP_WAIT_POLICY": "passive", **environment},  # threads of a busy machine must not spin
            cwd=Path(__file__).parents[2],
            stderr=stderr,
        )


def errors(out: Path) -> Path:
    return out.with_name(f"{out.name}.err")


def weights(out: Path) -> str:
    return hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    table = toy.make(tmp_path / "data", 40)
    runs = [fit_in_a_process(table, tmp_path / f"m{i}", PYTHONHASHSEED=str(i)) for i in range(2)]
    for i, run in enumerate(runs):
        assert run.wait(120) == 0, errors(tmp_path / f"m{i}").read_text()
    assert weights(tmp_path / "m0") == weights(tmp_path / "m1")


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    table = toy.make(tmp_path / "data", 40)
    for seed in (0, 1):
        toy.fit(table, seed=seed, epochs=1, out=tmp_path / f"m{seed}")
    assert weights(tmp_path / "m0") != weights(tmp_path / "m1")


def checkpoints(folder: Path) -> list[Path]:
    """Those that are there; none where the run has just removed the folder, its model being written."""
    try:
        return sorted(folder.glob("step-*"))
    except FileNotFoundError:
        return []


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_killed_at_random_moments_and_started_again_ends_in_the_same_bytes(tmp_path: Path, threads: int) -> None:
    table = toy.make(tmp_path / "data", 60)
    assert fit_in_a_process(table, tmp_path / "whole", threads).wait(120) == 0
    generator, kills = np.random.default_rng(threads), 0
    out, run_folder = tmp_path / "killed", tmp_path / "killed.run"
    for _ in range(40):
        process = fit_in_a_process(table, out, threads)
        before = checkpoints(run_folder)
        while process.poll() is None and checkpoints(run_folder) == before:
            time.sleep(0.005)  # until this process has made some way
        time.sleep(generator.uniform(0, 0.25))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        code = process.wait(120)
        if code == 0 or (out.exists() and not run_folder.exists()):  # killed when all was done
            break
        assert code == -signal.SIGKILL, errors(out).read_text()
    assert kills >= 2, "nothing was killed: the test shows nothing"
    assert weights(out) == weights(tmp_path / "whole")
    assert not run_folder.exists()


@pytest.mark.slow
def test_a_run_is_not_gone_on_with_other_data_or_options(tmp_path: Path) -> None:
    table = toy.make(tmp_path / "data", 40)
    process = fit_in_a_process(table, tmp_path / "m")
    while process.poll() is None and not list((tmp_path / "m.run").glob("step-*")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert (tmp_path / "m.run").exists(), "the run was over before it could be killed"
    with pytest.raises(DataChangedError, match="seed"):
        toy.fit(table, seed=1, epochs=4, out=tmp_path / "m")
    table.write_text(table.read_text().replace("a ripe tomato", "a rotten tomato"))
    with pytest.raises(DataChangedError, match="column 'note'"):
        toy.fit(table, epochs=4, out=tmp_path / "m")


@pytest.mark.slow
def test_interrupted_training_leaves_a_usable_model(tmp_path: Path) -> None:
    table = toy.make(tmp_path / "data", 60)
    script = SCRIPT.replace("epochs=4", "epochs=4000")
    process = fit_in_a_process(table, tmp_path / "m", script=script)
    while process.poll() is None and not list((tmp_path / "m.run").glob("step-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, errors(tmp_path / "m").read_text()
    import plait

    model = plait.load(tmp_path / "m")
    assert model.record["stopped"] == "interrupted"
    assert len(model.predict(table)) == 60


def test_order_is_a_permutation_that_seed_and_epoch_decide() -> None:
    rows = np.arange(100, 150)
    first = order(rows, seed=3, epoch=1)
    assert sorted(first) == sorted(rows)
    assert (first == order(rows, seed=3, epoch=1)).all()
    assert (first != order(rows, seed=3, epoch=2)).any() and (first != order(rows, seed=4, epoch=1)).any()
    seeds = {step_seed(s, step) for s in range(20) for step in range(50)}
    assert len(seeds) == 1000 and all(0 <= s < 2**63 for s in seeds)


def test_rate_rises_to_its_peak_and_falls_to_zero_as_half_a_cosine() -> None:
    rates = [rate(s, 100, peak=2.0, warmup=0.1) for s in range(101)]
    assert (
        rates[0] == pytest.approx(0.2) and rates[9] == pytest.approx(2.0) and rates[100] == pytest.approx(0, abs=1e-12)
    )
    assert rates[55] == pytest.approx(1.0), "half way down the cosine"
    falling = rates[10:]
    assert all(a >= b for a, b in itertools.pairwise(falling))


@pytest.mark.slow
def test_a_run_that_breaks_after_any_save_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.training.checkpoint import Checkpoints
    from plait.training.loop import train

    monkeypatch.setitem(train.__kwdefaults__, "save_seconds", 0.0)
    table, real = toy.make(tmp_path / "data", 40), Checkpoints.save
    toy.fit(table, epochs=2, out=tmp_path / "whole")
    saves: list[int] = []

    def breaking(self: Checkpoints, step: int, *arguments: object) -> None:
        real(self, step, *arguments)  # type: ignore[arg-type]
        saves.append(step)
        if len(saves) in (1, 3, 4, 6):
            raise RuntimeError("as if killed")

    monkeypatch.setattr(Checkpoints, "save", breaking)
    for _ in range(4):
        with pytest.raises(RuntimeError, match="as if killed"):
            toy.fit(table, epochs=2, out=tmp_path / "broken")
    toy.fit(table, epochs=2, out=tmp_path / "broken")
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")
    assert len(saves) == 6, "each step but the last of an epoch, and each epoch"


@pytest.mark.slow
def test_a_run_cut_by_a_time_limit_goes_on_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import plait.fitting as fitting

    table = toy.make(tmp_path / "data", 40)
    toy.fit(table, epochs=3, out=tmp_path / "whole")

    def dies(*_: object, **__: object) -> None:
        raise RuntimeError("as if killed while judging")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(fitting, "evaluate", dies)
        toy.fit(table, epochs=3, out=tmp_path / "cut", time_limit=1e-3)
    toy.fit(table, epochs=3, out=tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_folder_of_others_is_never_taken_for_a_run(tmp_path: Path) -> None:
    table = toy.make(tmp_path / "data", 20)
    (tmp_path / "m.run").mkdir()
    (tmp_path / "m.run" / "mine.txt").write_text("thesis")
    with pytest.raises(OutputError, match="holds something else"):
        toy.fit(table, epochs=1, out=tmp_path / "m")
    assert (tmp_path / "m.run" / "mine.txt").read_text() == "thesis"
