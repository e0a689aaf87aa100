"""Checkpoints of a run: each an atomic set of files, so a run killed at any moment goes on from the last whole one.

A run's folder holds `start` (what the run was started with) and `step-*` folders. No random state is kept: order and
draws of a step are functions of the seed and the step (schedule.py).
"""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from plait import files, moves
from plait.errors import DataChangedError, ModelFormatError, OutputError
from plait.tensors import packed
from plait.training.identity import Identity
from plait.training.optimizers import Optimizers
from plait.training.sharding import like, whole

KEPT = 2
COPIES = (
    4  # a checkpoint holds the weights, their two moments, and the best weights so far; Options.copies knows of more
)


@dataclass
class Found:
    """A checkpoint."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]
    same_data: bool  # whether it was written with the data that the run has now


class Checkpoints:
    """The checkpoints of one run, in one folder."""

    def __init__(self, folder: Path, identity: Identity, *, allow_data_change: bool = False) -> None:
        """Raises DataChangedError when the folder holds a run that was started with other options, or with other data
        unless `allow_data_change`."""
        self.folder, self.data = folder, identity.mark
        self.changed: list[str] = []  # what of the data has changed since the run was first started
        self.check(folder)
        moves.sweep(folder)
        if not self.started(folder):
            files.write_set(folder / "start", identity.contents())
            return
        start = files.read_set(folder / "start")
        old, self.changed = Identity.read(start), json.loads(start.get("changed.json", b"[]"))
        if other := old.other_options(identity):
            raise _another(folder, other)
        changed = old.difference(identity)
        if changed and not allow_data_change:
            listed = "\n".join(f"  {line}" for line in changed)
            raise DataChangedError(
                f"{folder} holds an interrupted run, and its data have changed since:\n{listed}\nPut them back to go on. "
                f"Or go on from its weights with the data as they are now: allow_data_change=True (--allow-data-change). "
                f"Or delete the folder to start over, or choose another name."
            )
        if changed:
            self.changed += changed
            about = {"changed.json": json.dumps(self.changed, indent=1).encode()}
            files.write_set(folder / "start", {**identity.contents(), **about}, replace=True)

    @staticmethod
    def started(folder: Path) -> bool:
        """Whether `folder` holds a run of ours that has not been ended."""
        moves.settle(folder / "start")
        return (folder / "start").is_dir()

    @staticmethod
    def spec(folder: Path) -> dict[str, Any] | None:
        """The completed spec that the run in `folder` was started with, if there is one."""
        return Identity.read(files.read_set(folder / "start")).spec if Checkpoints.started(folder) else None

    @staticmethod
    def check(folder: Path) -> None:
        """Raises OutputError when `folder` holds anything but a run of ours."""
        if not folder.exists() or (folder.is_dir() and Checkpoints.started(folder)):
            return
        if not folder.is_dir() or any(not moves.LEFTOVER.fullmatch(p.name) for p in folder.iterdir()):
            raise OutputError(
                f"{folder} is where the checkpoints of this run would go, but it holds something else. Move it away, or "
                f"choose another name with out= (--out)."
            )

    @staticmethod
    def check_room(folder: Path, model: nn.Module, *, copies: int = COPIES) -> None:
        """Raises DiskFullError when there is no space for the checkpoints of this model: those that are kept, and the
        one that is being written. `copies`: how many times a checkpoint holds the weights."""
        size = copies * sum(v.numel() * v.element_size() for v in model.state_dict().values())
        there = len(list(folder.glob("step-*")))
        files.check_room(folder, size * max(1, KEPT + 1 - there), what="The checkpoints of this run")

    def save(self, step: int, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> None:
        """Writes the set of one step and forgets all but the last two. Raises OutputError."""
        contents: dict[str, Any] = {f"{name}.safetensors": packed(group) for name, group in tensors.items()}
        contents["state.json"] = json.dumps({"data": self.data, "state": state}).encode()
        written = self.folder / f"step-{step:09d}"
        files.write_set(written, contents, replace=True)
        sets = self._sets()
        here = sets.index(written) + 1
        for old in [
            *sets[: max(0, here - KEPT)],
            *sets[here:],
        ]:  # later ones are damaged, or this step would not be run
            shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> Found | None:
        """The newest checkpoint that is whole, or None. Warns of those that are not."""
        sets = self._sets()
        for folder in reversed(sets):
            try:
                contents = files.read_set(folder)
            except ModelFormatError as error:
                before = "the one before it" if folder != sets[0] else "the beginning: no other checkpoint is left"
                warnings.warn(f"Checkpoint damaged, going on from {before}. {error}", RuntimeWarning, stacklevel=2)
                continue
            about = json.loads(contents.pop("state.json"))
            tensors = {n.removesuffix(".safetensors"): safetensors.torch.load(c) for n, c in contents.items()}
            return Found(tensors, about["state"], about["data"] == self.data)
        return None

    def delete(self) -> None:
        """The run is over: its model has been written. Renamed first, so that no half of it is ever taken for a run."""
        gone = moves.beside(self.folder, "part")
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        moves.sweep(self.folder.parent, self.folder.name)

    def _sets(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("step-*") if p.is_dir())


def _another(folder: Path, options: list[str]) -> DataChangedError:
    return DataChangedError(
        f"{folder} holds an interrupted run that was started with another {', '.join(options)}. "
        f"Give the same again to go on, delete the folder to start over, or choose another name."
    )


def optimizer_tensors(optimizer: Optimizers, names: dict[Tensor, str], *, keep: bool = True) -> dict[str, Tensor]:
    """The state of an optimizer by the names of its parameters; put together where it lies in parts. Without `keep` nothing:
    the process only gives its parts to the others."""
    found = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensor = whole(value)
                if keep:
                    found[f"{names[parameter]}|{key}"] = tensor
    return found


def restore_optimizer(optimizer: Optimizers, names: dict[Tensor, str], tensors: dict[str, Tensor]) -> None:
    """The state that `optimizer_tensors` gave, back in place."""
    by_name = {n: p for p, n in names.items()}
    for key, value in tensors.items():
        name, field = key.rsplit("|", 1)
        parameter = by_name[name]
        # Laid out in memory as the parameter is: the fused optimizer walks both side by side.
        laid_out = value if field == "step" else torch.empty_like(parameter).copy_(like(value, parameter))
        optimizer.holder(parameter).state[parameter][field] = laid_out
