"""Several processes give what one gives, in whole weights and in parts; killed together they go on; none waits for the dead."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from tests import toy
from tests.training.team import ALIKE, SHARDED, trained

import plait
from plait.errors import PlaitError
from plait.training.options import Options
from plait.training.parallel import ALONE, Team, joined
from plait.training.schedule import step_seed

ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]


def together(*arguments: Any, cwd: Path = ROOT) -> subprocess.Popen[str]:
    """Two processes by torchrun."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    return subprocess.Popen(
        [*TORCHRUN, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: subprocess.Popen[str], seconds: float = 120.0) -> tuple[int, str, str]:
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
        raise AssertionError(f"it hung:\n{errors[-3000:]}") from None
    return process.returncode, out, errors


def noted(folder: Path, name: str) -> list[Any]:
    """What each of the two processes has left."""
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alike")
    code, _, errors = done(together("-m", "tests.training.team", "alike", folder))
    assert code == 0, errors[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("way, kind", [("data", k) for k in ALIKE] + [("shard", k) for k in SHARDED])
def test_two_processes_give_what_one_gives(way: str, kind: str, alike: Path) -> None:
    weights, about = trained((ALIKE if way == "data" else SHARDED)[kind])
    both = [safetensors.torch.load_file(alike / f"{way}-{kind}-{rank}.safetensors") for rank in (0, 1)]
    notes = noted(alike, f"{way}-{kind}")
    assert notes[0] == notes[1]
    for entry, expected in zip(notes[0]["history"], about["history"], strict=True):
        assert entry["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert notes[0]["shares"] == (about["shares"] and pytest.approx(about["shares"], rel=1e-4))
    start = trained_not_at_all(kind, way)
    for name, expected in weights.items():
        assert torch.equal(both[0][name], both[1][name]), name
        assert torch.allclose(both[0][name], expected, rtol=1e-3, atol=1e-4), name
    assert any(not torch.allclose(weights[n], start[n], rtol=1e-2, atol=1e-3) for n in start), "nothing was learned"


def trained_not_at_all(kind: str, way: str) -> dict[str, torch.Tensor]:
    from tests.training.small import world

    return world(30, fusion=(ALIKE if way == "data" else SHARDED)[kind].get("fusion"))[0].state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gradnorm", "ogm-ge"])
def test_what_balances_by_chance_or_by_share_is_still_one_model(kind: str, alike: Path) -> None:
    first, second = noted(alike, kind)
    assert first == second


@pytest.mark.slow
def test_what_the_first_process_meets_all_meet(alike: Path) -> None:
    first, second = noted(alike, "agreed")
    assert first[0] == second[0] == {"rank": 0} and (first[1], second[1]) == (0, None)
    assert first[2:4] == second[2:4] == [[True, False], 3.0]
    assert first[4] == second[4] == ["DiskFullError", "no room", {"path": "/here", "needed": 7, "free": None}]
    assert first[5][0] == "ZeroDivisionError" and second[5][:2] == [
        "PlaitError",
        "Process 0 broke, ZeroDivisionError: division by zero",
    ]
    assert first[6] == second[6] and "found a step of 1 rows, expected at least one row for each" in first[6]
    assert first[7] == second[7] == ["time limit", 1], "the clock of the first counts for all"


@pytest.mark.slow
def test_killed_together_they_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    toy.make(tmp_path / "data", 40)
    code, _, errors = done(together("-m", "tests.training.team", "fits", tmp_path))
    assert code != 0 and (tmp_path / "whole/plait.json").exists(), errors[-3000:]
    assert (tmp_path / "killed.run").exists() and not (tmp_path / "killed").exists()
    code, _, errors = done(together("-m", "tests.training.team", "fits", tmp_path))
    assert code == 0, errors[-3000:]
    names = ("whole", "killed", "sharded", "broken")
    bytes_ = {name: (tmp_path / name / "weights.safetensors").read_bytes() for name in names}
    assert bytes_["whole"] == bytes_["killed"] and bytes_["sharded"] == bytes_["broken"]
    lines = [(tmp_path / name / "logs/log.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    told = [[{k: v for k, v in json.loads(line).items() if k != "rows_per_second"} for line in each] for each in lines]
    assert told[0] == told[1] and [line["epoch"] for line in told[0]] == [1, 2, 3]
    for name in names:
        first, second = noted(tmp_path, name)
        assert first == second, "the processes return the same"
        assert {"report.html", "splits.parquet"} <= set(first["extra"])
    answers = json.loads(noted(tmp_path, "whole")[0]["answers"])
    assert json.loads(plait.load(tmp_path / "whole").predict(tmp_path / "data/toy.csv").to_json()) == answers
    hidden = [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert not hidden and not list(tmp_path.glob("*.run"))


@pytest.mark.slow
def test_when_one_process_breaks_the_other_ends_with_its_reason(tmp_path: Path) -> None:
    toy.make(tmp_path / "data", 40)
    code, _, errors = done(together("-m", "tests.training.team", "breaks", tmp_path))
    assert code == 0, errors[-3000:]
    first, second = noted(tmp_path, "broken")
    assert second[:2] == ["ArithmeticError", "a cosmic ray"]
    assert first[0] == "PlaitError" and "Process 1 of 2 broke, ArithmeticError: a cosmic ray" in first[1]
    assert first[2] - second[2] < 1.5, "seconds until the other knew"
    assert [found[0] for found in noted(tmp_path, "refused")] == ["UnknownNameError"] * 2


@pytest.mark.slow
def test_the_commands_of_the_page_run_and_ctrl_c_leaves_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/parallel.md").read_text("utf-8")
    commands = [shlex.split(line) for line in re.findall(r"^    (\S.*plait fit .*)$", page, re.M)]
    assert [c[0] for c in commands] == ["torchrun"] * 2
    pd.read_csv(toy.make(tmp_path, 40))[["note", "size", "kind"]].to_csv(tmp_path / "table.csv", index=False)
    code, out, errors = done(together(*commands[1][2:], "--quiet", "--json", cwd=tmp_path))
    assert code == 0, errors[-3000:]
    assert json.loads(out)["model"] == "parts.plait", "one process speaks"
    assert "Warning" not in errors
    assert len((tmp_path / "parts.plait/logs/log.jsonl").read_text().splitlines()) == 4
    long = [w if w != "4" else "4000" for w in commands[0][2:]]
    process = together(*long, cwd=tmp_path)
    end = time.monotonic() + 60
    while not list((tmp_path / "kind.plait.run").glob("step-*")):
        assert process.poll() is None and time.monotonic() < end, "it never got there"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, out, errors = done(process, 60)
    assert "Interrupted: this is the model so far" in errors, errors[-3000:]
    assert (tmp_path / "kind.plait/plait.json").exists() and (tmp_path / "kind.plait.run").exists()
    monkeypatch.chdir(tmp_path)  # one process goes on with what two have begun
    plait.fit("table.csv", "kind", inputs=["note", "size"], epochs=4000, out="kind.plait", time_limit=0.5)
    assert re.search(r"Going on from step [1-9]", capsys.readouterr().err)


def test_one_process_is_a_team_that_waits_for_nobody() -> None:
    with joined() as team:
        assert team is ALONE and not torch.distributed.is_initialized()
        assert team.of_first(lambda: 3) == 3 and team.any(True, False) == (True, False)
        with pytest.raises(PlaitError):
            team.of_first(lambda: Options(epochs=0))
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("rows, size, processes", [(23, 8, 2), (23, 8, 3), (7, 1, 2), (5, 32, 4), (64, 32, 2)])
def test_the_shares_of_a_step_are_its_rows(rows: int, size: int, processes: int) -> None:
    drawn = np.random.default_rng(0).permutation(rows)
    each = [Team(rank, processes).parts(drawn, size) for rank in range(processes)]
    assert np.concatenate([part for parts in each for part in parts]).tolist() == drawn.tolist()
    assert len({len(parts) for parts in each}) == 1, (
        "equally many passes, or exchanges within a pass would wait forever"
    )
    assert all(len(part) for parts in each for part in parts)
    sizes = [sum(map(len, parts)) for parts in each]
    assert max(sizes) - min(sizes) <= len(each[0])
    whole = ALONE.parts(drawn, size)
    assert [p.tolist() for p in whole] == [p.tolist() for p in np.array_split(drawn, -(-rows // size))]


def test_each_process_draws_by_itself_and_the_first_as_one_alone() -> None:
    assert step_seed(3, 5, 0) == step_seed(3, 5)
    assert len({step_seed(s, step, p) for s in range(4) for step in range(10) for p in range(4)}) == 160


@pytest.mark.parametrize("beside", [{"ema": 0.9}, {"optimizer": "muon"}, {"balance": "blend"}])
def test_what_needs_whole_weights_is_refused_beside_shard(beside: dict[str, Any]) -> None:
    with pytest.raises(PlaitError, match=f"shard: found true beside {next(iter(beside))}="):
        Options(shard=True, **beside)


def test_shard_in_one_process_changes_nothing() -> None:
    plain, parts = trained({}, epochs=1), trained({}, epochs=1, shard=True)
    assert all(torch.equal(plain[0][n], parts[0][n]) for n in plain[0]) and plain[1] == parts[1]
