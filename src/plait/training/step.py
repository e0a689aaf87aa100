"""The gradient of one step: its batches varied, passed through the model, their losses added up as if they were one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from plait.model import Model
from plait.nn import rows as batches
from plait.objectives.base import Objective
from plait.types import Batch


def accelerator_for(precision: str) -> tuple[Any, str]:
    """accelerate's handle on devices, and the precision it computes in. bf16 is chosen by what the chip can do."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState

    for shared in (AcceleratorState, GradientState, PartialState):
        shared._reset_state()  # a second fit in one process may choose another precision
    if precision == "auto":
        able = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else torch.cpu._is_avx512_bf16_supported()
        precision = "bf16" if able else "fp32"
    return Accelerator(mixed_precision="bf16" if precision == "bf16" else "no"), precision


def gradient(
    accelerator: Any, wrapped: Any, model: Model, objective: Objective, parts: Sequence[Batch], *, dropout: float
) -> Tensor:
    """Adds the gradient of the loss over all `parts` of a step to the parameters, and returns that loss. `wrapped`: the model
    as the accelerator runs it."""
    weights = shares(model, parts)
    totals = []
    for part, weight in zip(parts, weights):
        batch = vary(model, _moved(part, accelerator.device), dropout)
        with accelerator.autocast():
            losses = objective(wrapped(batch))
        if len(parts) > 1:
            losses = {name: loss * weight.get(name, weight[""]) for name, loss in losses.items()}
        total = torch.stack(list(losses.values())).sum()
        accelerator.backward(total)
        totals.append(total.detach())
    return totals[0] if len(totals) == 1 else torch.stack(totals).sum()


def shares(model: Model, parts: Sequence[Batch]) -> list[dict[str, Tensor]]:
    """For each part of a step, by the name of a loss: its share of the rows that the loss is a mean over. That of a target
    is over the rows labelled with it, any other ("") over all rows; so the sum over parts is the mean over the step."""
    if len(parts) == 1:
        return [{}]
    counts: list[dict[str, Tensor]] = []
    for part in parts:
        known = {f"{t}_loss": model.heads[t].known(y).sum() for t, y in part["targets"].items()}
        first = next(iter(part["inputs"].values()))
        counts.append({**known, "": torch.tensor(len(first[_mark(first)]))})
    whole = {name: torch.stack([c[name] for c in counts]).sum().clamp_min(1) for name in counts[0]}
    return [{name: n / whole[name] for name, n in c.items()} for c in counts]


def vary(model: Model, batch: Batch, dropout: float) -> Batch:
    """A training batch: each column augmented, and present cells hidden with chance `dropout` (modality dropout; Neverova
    et al. 2016). A row that would be hidden altogether is shown whole."""
    inputs = batch["inputs"]
    first = next(iter(inputs.values()))
    size, device = len(first[_mark(first)]), first[_mark(first)].device
    keep = torch.rand(len(inputs), size, device=device) >= dropout
    here = torch.stack([i[_mark(i)] > 0 for i in inputs.values()])
    keep = keep | ~(keep & here).any(0)
    varied = {c: model.encoders[c].augment(batches.drop(i, keep[n])) for n, (c, i) in enumerate(inputs.items())}
    return {**batch, "inputs": varied}


def _mark(inputs: dict[str, Tensor]) -> str:
    return "present" if "present" in inputs else "lengths"


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {
        "inputs": {c: {k: t.to(device, non_blocking=True) for k, t in i.items()} for c, i in batch["inputs"].items()},
        "targets": batch["targets"],
    }
