"""The gradient of one step: its batches varied, passed through the model, their losses added up as if they were one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from plait.model import Model
from plait.nn import rows as batches
from plait.objectives.base import Objective
from plait.training import mixing
from plait.training.balance import Modulation, Show, keep
from plait.training.blending import blended
from plait.training.optimizers import OBJECTIVE
from plait.training.options import Options
from plait.training.parallel import ALONE, Team
from plait.types import Batch, Pass, Tokens


def accelerator_for(precision: str, team: Team = ALONE) -> tuple[Any, str]:
    """accelerate's handle on devices, and the precision it computes in. bf16 is chosen by what the chip can do."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState

    for shared in (AcceleratorState, GradientState, PartialState):
        shared._reset_state()  # a second fit in one process may choose another precision
    if precision == "auto":
        able = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else torch.cpu._is_avx512_bf16_supported()
        precision = "bf16" if able else "fp32"
    several_on_cpu = team.several and not torch.cuda.is_available()
    return Accelerator(mixed_precision="bf16" if precision == "bf16" else "no", cpu=several_on_cpu), precision


def seeded(seed: int, device: torch.device) -> None:
    """Every random draw on this device follows from the seed. On a CPU torch.manual_seed also tells devices that are not there,
    and writes down the stack for each: a tenth of a small model's step."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextmanager
def attached(model: Model, objective: Objective) -> Iterator[None]:
    """In this block the objective is a part of the model, so that what it learns is trained, averaged and kept with it."""
    model.add_module(OBJECTIVE, objective)
    try:
        yield
    finally:
        del model._modules[OBJECTIVE]


def gradient(
    accelerator: Any,
    wrapped: Any,
    model: Model,
    objective: Objective,
    parts: Sequence[Batch],
    *,
    show: Show = Show(),
    modulation: Modulation | None = None,
    blend: dict[str, float] | None = None,
    options: Options | None = None,
    team: Team = ALONE,
) -> Tensor:
    """Adds the gradient of the loss over all `parts` of a step to the parameters, and returns that loss. `wrapped`: the model
    as the accelerator runs it. `show`: which cells are shown. `modulation` sees every pass, and scales the gradient at last.
    `blend`: weights of the losses of all columns together and each alone; None: of all together only. `options`: whether rows
    are mixed. With several processes in the `team`, `parts` are those of this one; gradient and loss are those of the whole
    step in all of them."""
    weights = shares(model, parts, team)
    totals = []
    for part, weight in zip(parts, weights):
        batch = vary(model, _moved(part, accelerator.device), *show)
        mix = mixing.drawn(options, batch) if options else None
        with accelerator.autocast():
            passed = passing(wrapped, model, batch) if mix is None else mixed(wrapped, model, batch, mix)
            losses = objective(passed) if blend is None else blended(model, objective, passed, batch, blend)
            if modulation:
                modulation.see(passed, batch["targets"])
        if weight:
            losses = {name: loss * weight.get(name, weight[""]) for name, loss in losses.items()}
        total = torch.stack(list(losses.values())).sum()
        accelerator.backward(total)
        totals.append(total.detach())
    found = team.summed(model, objective, totals[0] if len(totals) == 1 else torch.stack(totals).sum())
    if modulation:
        if team.several:
            modulation.share(team)
        modulation.apply()
    return found


def passing(wrapped: Any, model: Model, batch: Batch, change: Any = None) -> Pass:
    """One pass. Its streams are those that the losses were made from; what accelerate gives in bf16 are copies of them. `change`:
    a forward pre-hook of the fusion that puts others in their place."""
    streams: dict[str, Tokens] = {}
    hooks = [*([change] if change else []), lambda _, given: streams.update(given[0])]
    handles = [model.top.register_forward_pre_hook(hook) for hook in hooks]
    try:
        passed: Pass = wrapped(batch)
    finally:
        for handle in handles:
            handle.remove()
    return passed._replace(streams=streams)


def mixed(wrapped: Any, model: Model, batch: Batch, mix: mixing.Mix) -> Pass:
    """One pass over rows mixed with each other: pixels before their encoder, tokens before the fusion, labels in the loss."""
    rows = mixing.both(batch["inputs"], mix)
    inputs = {c: mixing.mixed_pixels(i, rows[c], mix) if mixing.pictured(i) else i for c, i in batch["inputs"].items()}
    tokens = [c for c, i in inputs.items() if not mixing.pictured(i)]

    def change(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        streams = {c: mixing.mixed_tokens(s, rows[c], mix) if c in tokens else s for c, s in given[0].items()}
        return (streams, *given[1:])

    with mixing.answering(model, torch.stack(list(rows.values())).any(0), mix):
        return passing(wrapped, model, {**batch, "inputs": inputs}, change)


def shares(model: Model, parts: Sequence[Batch], team: Team = ALONE) -> list[dict[str, Tensor]]:
    """For each part of a step, by the name of a loss: its share of the rows that the loss is a mean over. That of a target
    is over the rows labelled with it, any other ("") over all rows; so the sum over the parts of all processes is the mean
    over the step."""
    if len(parts) == 1 and not team.several:
        return [{}]
    counts: list[dict[str, Tensor]] = []
    for part in parts:
        known = {f"{t}_loss": model.heads[t].known(y).sum() for t, y in part["targets"].items()}
        first = next(iter(part["inputs"].values()))
        counts.append({**known, "": torch.tensor(len(first[batches.mark(first)]))})
    whole = {name: torch.stack([c[name] for c in counts]).sum() for name in counts[0]}
    if team.several:
        whole = dict(zip(whole, team.total(torch.stack([n.cpu() for n in whole.values()]))))
    whole = {name: n.clamp_min(1) for name, n in whole.items()}
    return [{name: n / whole[name] for name, n in c.items()} for c in counts]


def vary(model: Model, batch: Batch, dropout: float, alone: bool = False, column: str | None = None) -> Batch:
    """A training batch: each column augmented, and present cells hidden as balance.Show says."""
    inputs = batch["inputs"]
    shown = keep({c: i[batches.mark(i)] > 0 for c, i in inputs.items()}, Show(dropout, alone, column))
    varied = {c: model.encoders[c].augment(batches.drop(i, shown[n])) for n, (c, i) in enumerate(inputs.items())}
    return {**batch, "inputs": varied}


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {
        "inputs": {c: {k: t.to(device, non_blocking=True) for k, t in i.items()} for c, i in batch["inputs"].items()},
        "targets": batch["targets"],
    }
