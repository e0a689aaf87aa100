"""Checkpoints of a run: each an atomic set of files, so a run killed at any moment goes on from the last whole one.

A run's folder holds `run.json` (what the run was started with) and `step-*` folders. No random state is kept: order and
draws of a step are functions of the seed and the step (schedule.py).
"""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from plait import files
from plait.errors import DataChangedError, ModelFormatError, OutputError

KEPT = 2


class Checkpoints:
    """The checkpoints of one run, in one folder."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        """`identity`: everything the run's bytes depend on. Raises DataChangedError when the folder holds a run that was
        started with anything else."""
        self.folder = folder
        self.check(folder)
        known = folder / "start"
        if known.exists():
            old = json.loads(files.read_set(known)["run.json"])
            changed = [k for k in {**old, **identity} if old.get(k) != json.loads(json.dumps(identity)).get(k)]
            if changed:
                raise DataChangedError(
                    f"{folder} holds an interrupted run that was started with another {', '.join(sorted(changed))}. "
                    f"Give the same again to go on, delete the folder to start over, or choose another name."
                )
        else:
            files.write_set(known, {"run.json": json.dumps(identity, indent=1).encode()})

    @staticmethod
    def started(folder: Path) -> bool:
        """Whether `folder` holds a run of ours that has not been ended."""
        return (folder / "start").is_dir()

    @staticmethod
    def check(folder: Path) -> None:
        """Raises OutputError when `folder` holds anything but a run of ours."""
        if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or Checkpoints.started(folder))):
            raise OutputError(
                f"{folder} is where the checkpoints of this run would go, but it holds something else. Move it away, or "
                f"choose another name with out= (--out)."
            )

    def save(self, step: int, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> None:
        """Writes the set of one step and forgets all but the last two."""
        contents = {
            f"{name}.safetensors": safetensors.torch.save({k: v.contiguous() for k, v in group.items()})
            for name, group in tensors.items()
        }
        contents["state.json"] = json.dumps(state).encode()
        files.write_set(self.folder / f"step-{step:09d}", contents, replace=True)
        for old in self._sets()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
        """The newest checkpoint that is whole, or None."""
        for folder in reversed(self._sets()):
            try:
                contents = files.read_set(folder)
            except ModelFormatError:
                continue  # damaged: the one before it is whole
            state = json.loads(contents.pop("state.json"))
            return {n.removesuffix(".safetensors"): safetensors.torch.load(c) for n, c in contents.items()}, state
        return None

    def delete(self) -> None:
        """The run is over: its model has been written. Renamed first, so that no half of it is ever taken for a run."""
        gone = self.folder.with_name(f".{self.folder.name}.{uuid.uuid4().hex[:8]}.old")
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _sets(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("step-*") if p.is_dir())


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: dict[Tensor, str]) -> dict[str, Tensor]:
    """The state of an optimizer by the names of its parameters."""
    return {
        f"{names[p]}|{key}": value
        for p, state in optimizer.state.items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, names: dict[Tensor, str], tensors: dict[str, Tensor]) -> None:
    """The state that `optimizer_tensors` gave, back in place."""
    by_name = {n: p for p, n in names.items()}
    for key, value in tensors.items():
        name, field = key.rsplit("|", 1)
        parameter = by_name[name]
        # Laid out in memory as the parameter is: the fused optimizer walks both side by side.
        laid_out = value if field == "step" else torch.empty_like(parameter).copy_(value)
        optimizer.state[parameter][field] = laid_out
