"""What several processes run, started by torchrun: python -m tests.training.team TASK FOLDER. Each leaves files to look at."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from tests import toy
from tests.training.small import world

from plait.errors import DiskFullError, PlaitError
from plait.objectives import OBJECTIVES
from plait.progress import Progress
from plait.training.loop import train
from plait.training.options import Options
from plait.training.parallel import ALONE, Team, joined

PLAIN: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 10,
    "modality_dropout": 0.0,
    "precision": "fp32",
    "learning_rate": 1e-3,
}
ALIKE: dict[str, dict[str, Any]] = {  # what several processes and one must agree on
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1},
    "parts": {"batch_size": 5, "accumulate": 2, "soup": 2},
    "average": {"fusion": {"name": "average"}, "ema": 0.9},
    "uncertainty": {"objective": "uncertainty"},
    "blend": {"balance": "blend", "optimizer": "sgd", "learning_rate": 0.1},
}
SHARDED: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1, "l1": 1e-3, "fusion": {"name": "average"}},
    "parts": {"batch_size": 5, "accumulate": 2, "soup": 2},
    "uncertainty": {"objective": "uncertainty"},
}
FIT: dict[str, Any] = {"inputs": ["picture", "note", "size"], "epochs": 3}  # with batch norm, dropout, augmentation


def trained(
    kind: dict[str, Any], team: Team = ALONE, *, deadline: float | None = None, **more: Any
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and history of a model without chance, of 24 training rows and six that judge."""
    given = {**PLAIN, **kind, **more}
    model, data = world(30, fusion=given.pop("fusion", None))
    objective = OBJECTIVES.build(given.pop("objective", "supervised"), targets=list(model.heads))
    state = train(
        model, objective, data, train_rows=np.arange(24), valid_rows=np.arange(24, 30), options=Options(**given), seed=0,
        checkpoints=None, deadline=deadline, progress=Progress(quiet=True), team=team,
    )  # fmt: skip
    assert all(type(p.data) is torch.Tensor for p in model.parameters())
    return model.state_dict(), {
        "history": state.history,
        "shares": state.shares,
        "stopped": [state.stopped, state.step],
    }


def note(folder: Path, name: str, value: Any) -> None:
    rank = os.environ.get("RANK", "0")
    (folder / f"{name}-{rank}.json").write_text(json.dumps(value))


def alike(folder: Path) -> None:
    """Trains every kind in the team; the weights of every process are kept, so that they can be compared."""
    with joined() as team:
        for way, kinds, more in (("data", ALIKE, {}), ("shard", SHARDED, {"shard": True})):
            for name, kind in kinds.items():
                weights, about = trained(kind, team, **more)
                safetensors.torch.save_file(
                    {k: v.contiguous() for k, v in weights.items()}, folder / f"{way}-{name}-{team.rank}.safetensors"
                )
                note(folder, f"{way}-{name}", about)
        for name in ("gradnorm", "ogm-ge"):
            kind = {"objective": name} if name == "gradnorm" else {"balance": name}
            weights, _ = trained(kind, team)
            note(folder, name, hashlib.sha256(b"".join(v.numpy().tobytes() for v in weights.values())).hexdigest())
        agreed(folder, team)


def agreed(folder: Path, team: Team) -> None:
    """What the first process meets, all meet."""
    found: list[Any] = [team.of_first(lambda: {"rank": team.rank}), team.only_first(lambda: team.rank)]
    found += [list(team.any(team.rank == 1, False)), float(team.total(torch.tensor(team.rank + 1.0)))]

    def full() -> None:
        raise DiskFullError("no room", path="/here", needed=7, free=None)

    for work in (full, lambda: 1 / 0):
        try:
            team.of_first(work)
        except (PlaitError, ZeroDivisionError) as error:
            plain = {k: v for k, v in vars(error).items() if k != "agreed"}
            found.append([type(error).__name__, str(error), plain])
    try:
        trained({"batch_size": 1}, team)
    except PlaitError as error:
        found.append(str(error))
    found.append(trained({}, team, deadline=0.0 if team.first else None)[1]["stopped"])
    note(folder, "agreed", found)


def fits(folder: Path) -> None:
    """Runs in whole weights and in parts that nothing disturbs; one in parts that is terminated, and goes on; one that is
    killed after its fourth checkpoint. Called again, only what is left."""
    from plait.training.checkpoint import Checkpoints

    train.__kwdefaults__["save_seconds"] = 0.0  # type: ignore[index]
    real, end, terminated = Checkpoints.save, lambda: os.kill(os.getpid(), 9), lambda: os.kill(os.getpid(), 15)
    again = (folder / "killed.run").exists()
    for name, ends in (
        ("whole", None),
        ("sharded", None),
        ("broken", terminated),
        ("killed", None if again else end),
    ):
        if (folder / name).exists():
            continue
        Checkpoints.save = ending(real, ends) if ends else real  # type: ignore[method-assign]
        how = {
            "out": folder / name,
            "training": {"batch_size": 8, "shard": name in ("sharded", "broken")},
            "log": "jsonl",
        }
        try:
            model = toy.fit(folder / "data/toy.csv", **FIT, **how)
        except SystemExit as stop:
            assert stop.code == 143
            Checkpoints.save = real  # type: ignore[method-assign]
            model = toy.fit(folder / "data/toy.csv", **FIT, **how)
        weights = {k: v.numpy().tobytes() for k, v in model.model.state_dict().items()}
        digest = hashlib.sha256(b"".join(v for _, v in sorted(weights.items()))).hexdigest()
        answers = model.predict(folder / "data/toy.csv").to_json()
        note(
            folder, name, {"weights": digest, "record": model.record, "extra": sorted(model.extra), "answers": answers}
        )


def ending(real: Any, end: Any) -> Any:
    """Checkpoints.save, with what happens after the fourth."""
    saves = [0]

    def save(self: Any, *given: Any) -> None:
        real(self, *given)
        saves[0] += 1
        if saves[0] == 4:
            end()

    return save


def breaks(folder: Path) -> None:
    """The second process breaks in the middle of an epoch, and its script does not end by it."""
    from plait.training.loop import _Run

    real = _Run.advance

    def broken(self: _Run, state: Any, *given: Any) -> None:
        if state.step == 3 and self.team.rank == 1:
            raise ArithmeticError("a cosmic ray")
        real(self, state, *given)

    _Run.advance = broken  # type: ignore[method-assign]
    began = time.monotonic()
    try:
        toy.fit(folder / "data/toy.csv", inputs=["size"], epochs=3)
    except (PlaitError, ArithmeticError) as error:
        note(folder, "broken", [type(error).__name__, str(error), time.monotonic() - began])
        time.sleep(2)  # the other must not need this process to end
    try:  # refused by all alike: no group is needed for it, nor lost by it
        toy.fit(folder / "data/toy.csv", targets="kin", inputs=["size"])
    except PlaitError as error:
        note(folder, "refused", [type(error).__name__, str(error)])


if __name__ == "__main__":
    {"alike": alike, "fits": fits, "breaks": breaks}[sys.argv[1]](Path(sys.argv[2]))
