"""Low-rank adaptation (LoRA, Hu et al. 2022): a frozen network whose linear layers each learn a small correction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from plait.errors import PlaitError
from plait.nn.named import Named

SCALE = 2.0  # of the correction: alpha / rank, as with alpha 16 and rank 8
UNUSED = {"pooler", "pooling_layer", "head"}  # parts of a network that its hidden states do not pass
BYPASSED = {
    "wavlm": {"q_proj", "k_proj", "v_proj", "out_proj"}
}  # layers whose weights a network takes without running them


def targets(net: nn.Module, kind: str) -> dict[str, list[int]]:
    """The layers of a network that can be adapted, [out, in] by name: every linear one, and every convolution of one pixel.
    `kind`: its model type. Raises PlaitError where there is none."""
    found = {}
    for name, module in net.named_modules():
        path = name.split(".")
        if UNUSED & set(path) or path[-1] in BYPASSED.get(kind, ()):
            continue
        if type(module) is nn.Linear:
            found[name] = [module.out_features, module.in_features]
        elif _pointwise(module):
            found[name] = [int(side) for side in module.weight.shape[:2]]
    if not found:
        raise PlaitError(f"A network of type {kind!r} has no linear layer to adapt. Choose tune='full' or 'frozen'.")
    return found


def _pointwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1


class Low(nn.Module):
    """The correction of one layer: B A of a rank, times 2. B is zero at first (section 4.1), so that nothing is changed."""

    def __init__(self, out: int, inner: int, rank: int) -> None:
        super().__init__()
        rank = min(rank, out, inner)
        self.a = nn.Parameter(torch.empty(rank, inner))
        self.b = nn.Parameter(torch.zeros(out, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)"""
        return SCALE * nn.functional.linear(nn.functional.linear(x, self.a), self.b)


def corrections(shapes: Mapping[str, Any], rank: int) -> Named[Low]:
    """One for each layer of `targets`."""
    return Named({name: Low(int(out), int(inner), rank) for name, (out, inner) in shapes.items()})


def attach(net: nn.Module, lows: Named[Low]) -> None:
    """From now on these layers of the network give their correction too. Raises PlaitError where it has no such layers."""
    found = dict(net.named_modules())
    for name, low in lows.items():
        module = found.get(name)
        size = None if module is None else getattr(module, "weight", torch.zeros(0)).shape[:2]
        if module is None or size != (len(low.b), low.a.shape[1]):
            raise PlaitError(f"The network has no layer {name!r} of {len(low.b)} x {low.a.shape[1]} to be adapted.")
        module.register_forward_hook(_Pixels(low) if _pointwise(module) else _Rows(low))


class _Rows:
    """A hook that adds the correction of a linear layer."""

    def __init__(self, low: Low) -> None:
        self.low = low

    def __call__(self, module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
        correction: Tensor = self.low(given[0])
        return out + correction


class _Pixels(_Rows):
    """The same for a convolution of one pixel, (B, C, H, W)."""

    def __call__(self, module: Any, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
        rows, columns = module.stride
        correction: Tensor = self.low(given[0][..., ::rows, ::columns].movedim(1, -1))
        return out + correction.movedim(-1, 1)
