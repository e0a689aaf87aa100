"""A network of the user's own as part of an encoder: found again by the name of its class, its parameters as data."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from plait.errors import PlaitError
from plait.nn import rows
from plait.spec import imported
from plait.types import Tokens

HELD = 64  # modules whose parameters a process remembers, for the fits that begin from them

_BEGINNINGS: OrderedDict[str, dict[str, Tensor]] = OrderedDict()


def told(module: nn.Module) -> dict[str, Any]:
    """What says all of a module but its constructor's arguments: where its class is, a hash of its parameters, which fits of
    this process begin from, and which of them want no gradient."""
    state = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
    mark = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(state.items()):
        mark.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        mark.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    _BEGINNINGS[mark.hexdigest()] = state
    while len(_BEGINNINGS) > HELD:
        _BEGINNINGS.popitem(last=False)
    kind = type(module)
    frozen = sorted(name for name, parameter in module.named_parameters() if not parameter.requires_grad)
    about = {"path": f"{kind.__module__}:{kind.__qualname__}", "begins": mark.hexdigest()}
    return {**about, **({"frozen": frozen} if frozen else {})}


class Foreign(nn.Module):
    """`path`("module:Class") made with `arguments`; called with what a modality prepares, (B, …) each. It gives (B, D), or
    (B, N, D). Missing rows are not shown to it. `frozen`: parameters that stay as they begin. Raises PlaitError where the
    class may not be imported, is no module, or gives something else."""

    def __init__(
        self, *, path: str, arguments: Mapping[str, Any], begins: str | None, width: int, frozen: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.path, self.begins, self.width = path, begins, width
        cls = imported(path)
        if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
            raise PlaitError(f"{path!r} is {cls!r}; expected a class of torch.nn.Module.")
        try:
            self.body: nn.Module = cls(**arguments)
        except Exception as error:  # whatever code of others raises
            raise PlaitError(
                f"{path}({', '.join(f'{k}={v!r}' for k, v in arguments.items())}) cannot be made: {error}. Give what its "
                f"constructor takes: {{'name': 'module', 'path': {path!r}, 'arguments': {{…}}}}."
            ) from error
        for name, parameter in self.body.named_parameters():
            parameter.requires_grad_(name not in frozen)

    def begin(self) -> None:
        """Takes the parameters of the module that was given. Raises PlaitError where they are not those of its class."""
        if self.begins is None:
            return
        if self.begins not in _BEGINNINGS:
            raise PlaitError(f"The parameters that {self.path!r} begins from are gone: give the same module again.")
        try:
            self.body.load_state_dict(_BEGINNINGS[self.begins])
        except RuntimeError as error:
            raise PlaitError(
                f"The module given is not what {self.path!r} makes with these arguments: "
                f"{str(error).splitlines()[-1].strip()} Give the arguments it was made with."
            ) from None

    def forward(self, present: Tensor, mask: Tensor | None, *inputs: Tensor) -> Tokens:
        """`mask` (B, T): which steps of the inputs are real; tokens of as many steps have the same."""
        given = inputs
        if mask is not None:  # where nobody is present it is shown one blank row, of one step
            first = torch.arange(mask.shape[1], device=mask.device) == 0
            given = (*inputs, mask | (~mask.any(1, keepdim=True) & first))
        x = rows.over_present(self, self._run, present, *given)
        if x.ndim == 2:
            return Tokens(x[:, None], present[:, None])
        same = mask is not None and mask.shape[1] == x.shape[1]
        real = mask if same and mask is not None else torch.ones_like(x[..., 0], dtype=torch.bool)
        return Tokens(x * real[..., None], real & present[:, None])

    def _run(self, *inputs: Tensor) -> Tensor:
        x = self.body(*inputs)
        if not isinstance(x, Tensor) or x.ndim not in (2, 3) or len(x) != len(inputs[0]):
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise PlaitError(f"{self.path!r} gives {shape} for {len(inputs[0])} rows; expected (B, D) or (B, N, D).")
        if self.width and x.shape[-1] != self.width:
            raise PlaitError(f"{self.path!r} gives tokens {x.shape[-1]} wide, and gave {self.width} before.")
        return x.float()

    @torch.no_grad()
    def measured(self, *inputs: Tensor) -> int:
        """How wide its tokens are."""
        self.body.eval()
        return int(self._run(*inputs).shape[-1])
