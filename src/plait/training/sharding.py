"""Weights, gradients and moments of a model in parts, one in each process (fully sharded data parallel).

Zhao et al. 2023, after the third stage of ZeRO (Rajbhandari et al. 2020), by torch's `fully_shard`.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn

from plait.model import Model
from plait.training.optimizers import OBJECTIVE


def in_parts(model: Model) -> Model:
    """A copy of the model whose parameters lie in parts, one in each process; those of the attached objective are whole.
    Encoders and what comes after them are put together one by one, each only while it computes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")  # nothing writes into one
    found = copy.deepcopy(model)
    for parameter in found.parameters():
        parameter.data = parameter.data.contiguous()  # those of convolutions lie channels last, which cannot be parted
    device = next(model.parameters()).device.type
    mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
    whole = set(found.get_submodule(OBJECTIVE).parameters())
    encoders = [e for _, e in found.encoders.items() if next(e.parameters(), None) is not None]
    for part in [*encoders, found.top, found]:
        fully_shard(part, mesh=mesh, ignored_params=whole)
    return found


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from all processes, which must all ask for it; one that is whole as it is."""
    return tensor if _is_whole(tensor) else tensor.full_tensor()  # type: ignore[attr-defined]


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """A whole tensor as `other` lies: this process's part of it, or whole."""
    if _is_whole(other):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor)
    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements, src_data_rank=None)


def _is_whole(tensor: Tensor) -> bool:
    return type(tensor) in (Tensor, nn.Parameter)


@torch.no_grad()
def gather(parts: nn.Module, model: nn.Module) -> None:
    """The model takes over the weights that have been trained in parts."""
    model.load_state_dict({name: whole(value) for name, value in parts.state_dict().items()})


@torch.no_grad()
def scatter(model: nn.Module, parts: nn.Module) -> None:
    """The parts take over the weights of the model, which has the same in all processes."""
    own = parts.state_dict()
    for name, value in model.state_dict().items():
        own[name].copy_(like(value, own[name]))
