"""Gradient blending: the loss of all columns together and those of each alone, weighed by how they generalise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.inference import BATCH, to_device
from plait.model import Model
from plait.objectives.base import Objective
from plait.preparation import Dataset
from plait.training.balance import only
from plait.training.options import Options
from plait.training.schedule import order
from plait.types import Batch, Pass

JOINT = ""  # the name of all columns together, among those of columns
PARTS = 5  # super-epochs in a run, at most
PLACE = 2**32 - 3  # of the order that the subsample is taken from, among those of epochs
FLOOR = 1e-3  # a change of overfitting smaller than this is noise, and is taken for it
Losses = dict[str, dict[str, float]]  # "train", "valid" -> loss of all columns together, and of each alone


def ends(options: Options, epoch: int, epochs: int) -> bool:
    """Whether a super-epoch ends with this epoch, and there is training left to be weighed."""
    return options.balance == "blend" and (epoch + 1) % max(1, epochs // PARTS) == 0 and epoch + 1 < epochs


def blended(
    model: Model, objective: Objective, passed: Pass, batch: Batch, weights: dict[str, float]
) -> dict[str, Tensor]:
    """The losses of the objective, sum_k w_k L_k over all columns together and each alone (Wang, Tran & Feiszli 2020, eq. 1),
    from one encoding. `weights` may be empty: all equal. Rows without a column add nothing to its loss."""
    weights = weights or equal(model)
    total = {name: weights[JOINT] * loss for name, loss in objective(passed).items()}
    for column, stream in passed.streams.items():
        streams, present = only(passed.streams, column), stream.mask.any(1)
        outputs, losses = model.top(streams, batch["targets"])
        alone = Pass(streams, outputs, {t: loss * present for t, loss in losses.items()}, passed.known)
        for name, loss in objective(alone).items():
            total[name] = total[name] + weights[column] * loss
    return total


def equal(model: Model) -> dict[str, float]:
    """Before anything is measured."""
    names = [JOINT, *model.encoders]
    return {name: 1 / len(names) for name in names}


def sample(rows: np.ndarray, size: int, *, seed: int) -> np.ndarray:
    """So many training rows, the same ones throughout a run."""
    return order(rows, seed=seed, epoch=PLACE)[:size]


def measured(model: Model, data: Dataset, *, train_rows: np.ndarray, valid_rows: np.ndarray) -> Losses:
    """The losses over these rows."""
    return {"train": losses(model, data, train_rows), "valid": losses(model, data, valid_rows)}


@torch.no_grad()
def losses(model: Model, data: Dataset, rows: np.ndarray) -> dict[str, float]:
    """The mean over targets of the mean loss of each, of all columns together and of each alone; each over the rows that
    are labelled and have the column. 0 without any."""
    device = next(model.parameters()).device
    modes = [(m, m.training) for m in model.modules()]
    sums = {(name, t): np.zeros(2) for name in (JOINT, *model.encoders) for t in model.heads}
    model.eval()
    for start in range(0, len(rows), BATCH):
        batch = data.batch(rows[start : start + BATCH])
        streams = model.encode(to_device(batch["inputs"], device))
        every = torch.stack([s.mask.any(1) for s in streams.values()]).any(0)
        shown = {JOINT: (streams, every)} | {c: (only(streams, c), s.mask.any(1)) for c, s in streams.items()}
        for name, (some, present) in shown.items():
            outputs, _ = model.top(some, {})
            for target, y in batch["targets"].items():
                head = model.heads[target]
                loss = head.loss(outputs[target], y.to(device))[present & head.known(y).to(device)]
                sums[name, target] += float(loss.double().sum()), len(loss)
    for module, mode in modes:
        module.training = mode
    return {
        name: float(np.mean([sums[name, t][0] / max(1.0, sums[name, t][1]) for t in model.heads]))
        for name in (JOINT, *model.encoders)
    }


def weighed(before: Losses, now: Losses) -> dict[str, float]:
    """w proportional to dG / dO^2 (the paper's proposition 1), of sum 1: dG, by how much the validation loss has fallen since
    the measurement before; dO, by how much the gap between validation and training loss has grown. What has not fallen
    gets no weight; where nothing has, all are equal. A gap that has changed by less than FLOOR counts as that."""
    gain, over = {}, {}
    for name in now["valid"]:
        gain[name] = max(0.0, before["valid"][name] - now["valid"][name])
        gaps = [each["valid"][name] - each["train"][name] for each in (before, now)]
        over[name] = max(FLOOR, abs(gaps[1] - gaps[0]))
    raw = {name: gain[name] / over[name] ** 2 for name in gain}
    total = sum(raw.values())
    return {name: r / total if total else 1 / len(raw) for name, r in raw.items()}


def update(before: dict[str, Any], now: Losses) -> dict[str, Any]:
    """What a measurement says, as plain JSON: its losses, and the weights from here on. `before`: the same of the one before;
    empty at first, where all are equal."""
    if before:
        return {"losses": now, "weights": weighed(before["losses"], now)}
    return {"losses": now, "weights": {name: 1 / len(now["valid"]) for name in now["valid"]}}
