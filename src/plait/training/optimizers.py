"""The optimizers by name, their groups of parameters, the rate of each group, and the L1 step after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from plait.errors import PlaitError
from plait.model import Model
from plait.objectives.base import Objective
from plait.training.lion import Lion
from plait.training.options import Options

OBJECTIVE = "objective"  # the name under which an objective is attached to a model while it is trained
HEADS = ("top.heads.", "top.each.")  # where the parameters of heads are in a model
Group = dict[str, Any]
Named = Sequence[tuple[str, Tensor]]


class Optimizers:
    """One or two torch optimizers, stepped as one. Each group has a "factor", by which the scheduled rate is multiplied."""

    def __init__(self, each: list[torch.optim.Optimizer], *, l1: float = 0.0) -> None:
        self.each, self.l1 = each, l1

    @property
    def param_groups(self) -> list[Group]:
        return [group for optimizer in self.each for group in optimizer.param_groups]

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """Parameter -> what its optimizer keeps of it. To be read; `holder` says where it can be written."""
        return {p: state for optimizer in self.each for p, state in optimizer.state.items()}

    def holder(self, parameter: Tensor) -> torch.optim.Optimizer:
        """The optimizer that has this parameter."""
        return next(o for o in self.each if any(p is parameter for g in o.param_groups for p in g["params"]))

    def step(self, rate: float) -> None:
        """One step at this rate, then the one towards zero that L1 asks for."""
        for group in self.param_groups:
            group["lr"] = rate * group["factor"]
        for optimizer in self.each:
            optimizer.step()
        if self.l1:
            shrink(self.param_groups, self.l1)

    def zero_grad(self) -> None:
        for optimizer in self.each:
            optimizer.zero_grad(set_to_none=True)


def build(model: Model, options: Options, objective: Objective | None = None) -> Optimizers:
    """The optimizer that the options name. AdamW (Loshchilov & Hutter 2019), Lion (Chen et al. 2023) and Muon decay weights
    beside the gradient; Adam (Kingma & Ba 2015), SGD (Nesterov's, Sutskever et al. 2013) and RMSprop (Hinton 2012) add the
    L2 penalty to it. Biases, norms and single vectors are not decayed. `objective`: the one
    attached to the model, whose parameters have rates of their own."""
    factors = rates(model)
    if objective is not None:
        factors |= {f"{OBJECTIVE}.{name}": factor for name, factor in objective.rates.items()}
    named = list(model.named_parameters())
    if options.optimizer == "muon":
        inner = hidden(model)
        own = [(n, p) for n, p in named if n in inner]
        rest = [(n, p) for n, p in named if n not in inner]
        return Optimizers([*_muon(own, factors, options), _adamw(rest, factors, options, OTHERS)], l1=options.l1)
    return Optimizers([_single(named, factors, options)], l1=options.l1)


OTHERS = (0.9, 0.999)  # betas of AdamW beside Muon


def _single(named: Named, factors: dict[str, float], options: Options) -> torch.optim.Optimizer:
    found, rate = groups(named, factors, options.weight_decay), options.learning_rate
    if options.optimizer == "adamw":
        return _adamw(named, factors, options, options.betas)
    if options.optimizer == "adam":
        return torch.optim.Adam(found, lr=rate, betas=options.betas, fused=True)
    if options.optimizer == "sgd":
        ahead = options.nesterov and options.momentum > 0
        return torch.optim.SGD(found, lr=rate, momentum=options.momentum, nesterov=ahead)
    if options.optimizer == "rmsprop":
        return torch.optim.RMSprop(found, lr=rate, momentum=options.momentum)
    assert options.optimizer == "lion"
    return Lion(found, lr=rate, betas=options.betas)


def _adamw(
    named: Named, factors: dict[str, float], options: Options, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    found = groups(named, factors, options.weight_decay)
    return torch.optim.AdamW(found, lr=options.learning_rate, betas=betas, fused=True)


def _muon(named: Named, factors: dict[str, float], options: Options) -> Iterator[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024), its steps as large as AdamW's (Liu et al. 2025), so that one rate suits both."""
    muon = getattr(torch.optim, "Muon", None)
    if muon is None:
        raise PlaitError(
            f"Training option optimizer: found 'muon', which torch {torch.__version__} does not have; expected torch from 2.9. "
            f"pip install -U torch, or choose another optimizer."
        )
    if named:
        yield muon(
            [g for g in groups(named, factors, options.weight_decay) if g["params"]],
            lr=options.learning_rate,
            momentum=options.momentum,
            nesterov=options.nesterov,
            adjust_lr_fn="match_rms_adamw",
        )


def groups(named: Named, factors: dict[str, float], weight_decay: float) -> list[Group]:
    """Matrices, then vectors, which are not decayed; those with a factor of their own in groups after them."""
    found: dict[tuple[float, bool], list[Tensor]] = {(1.0, True): [], (1.0, False): []}
    for name, parameter in named:
        found.setdefault((factors.get(name, 1.0), parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if matrices else 0.0, "factor": factor}
        for (factor, matrices), parameters in found.items()
    ]


def rates(model: Model) -> dict[str, float]:
    """Name in the model -> factor of the learning rate, as the encoders' `rates` say (layer-wise rates; Howard & Ruder
    2018). Raises PlaitError."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {}
    for column, encoder in model.encoders.items():
        own = dict(encoder.named_parameters())
        for name, factor in encoder.rates.items():
            if name not in own or not factor >= 0:
                raise PlaitError(
                    f"The encoder of column {column!r} sets the rate of {name!r} to {factor!r}; expected a factor from 0 for "
                    f"one of its parameters: {', '.join(list(own)[:8])}{', …' if len(own) > 8 else ''}."
                )
            found[names[own[name]]] = float(factor)
    return found


def hidden(model: nn.Module) -> set[str]:
    """The matrices that Muon is for: those of linear layers, but for the heads; not embeddings, nor convolutions."""
    return {
        f"{place}.weight"
        for place, module in model.named_modules()
        if isinstance(module, nn.Linear) and not place.startswith(HEADS)
    } & {name for name, _ in model.named_parameters()}


@torch.no_grad()
def shrink(param_groups: list[Group], l1: float) -> None:
    """The proximal step of l1 |W|_1 for each matrix: every weight moves rate * l1 towards zero, and stops there (Parikh &
    Boyd 2014, 6.5.2). As with AdamW's decay, the moments do not scale it."""
    for group in param_groups:
        for weight in group["params"]:
            if weight.ndim > 1 and weight.grad is not None:
                weight.copy_(weight.sign() * (weight.abs() - group["lr"] * l1).clamp_min_(0))
