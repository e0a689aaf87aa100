"""How the matrices of adapters, fusion and heads begin, where torch's own way is not wanted."""

from __future__ import annotations

import torch
from torch import nn

from plait.model import Model
from plait.training.schedule import step_seed

PLACE = 2**32 - 2  # of the draws, among those of the steps

HOW = {
    "orthogonal": nn.init.orthogonal_,
    "xavier": nn.init.xavier_uniform_,
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}


def initialise(model: Model, how: str, *, seed: int) -> None:
    """Draws the matrices of all linear layers after the encoders anew: "orthogonal" (Saxe et al. 2014), "xavier" (Glorot &
    Bengio 2010), "kaiming" (He et al. 2015); "default" leaves everything. Layers that begin at zero stay there, on purpose;
    encoders keep what they come with."""
    if how == "default":
        return
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, PLACE))
        for part in (model.adapters, model.top):
            for module in part.modules():
                if isinstance(module, nn.Linear) and module.weight.requires_grad and bool(module.weight.any()):
                    HOW[how](module.weight)
