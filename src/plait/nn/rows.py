"""Building a batch of one column from prepared cells, some of them missing; computing on the rows that are present."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from plait.types import Inputs, Prepared


def stack(cells: Sequence[Prepared | None], **blank: np.ndarray) -> Inputs:
    """Arrays of one shape -> (B, ...). `blank`: field -> what stands for a missing cell. Adds "present" (B,) bool."""
    inputs = {}
    for name, empty in blank.items():
        out = np.empty((len(cells), *empty.shape), dtype=empty.dtype)
        for i, cell in enumerate(cells):
            out[i] = empty if cell is None else cell[name].reshape(empty.shape)
        inputs[name] = torch.from_numpy(out)
    inputs["present"] = torch.tensor([c is not None for c in cells])
    return inputs


def pad(
    cells: Sequence[Prepared | None], name: str, *, fill: float, shape: tuple[int, ...] = (), dtype: type = np.float32
) -> Inputs:
    """Arrays (T_i, *shape) -> name (B, T, *shape) and "lengths" (B,), 0 for missing cells. T is at least 1."""
    lengths = [0 if c is None else len(c[name]) for c in cells]
    out: np.ndarray = np.full((len(cells), max([1, *lengths]), *shape), fill, dtype=dtype)
    for i, cell in enumerate(cells):
        if cell is not None:
            out[i, : lengths[i]] = cell[name]
    return {name: torch.from_numpy(out), "lengths": torch.tensor(lengths)}


def drop(inputs: Inputs, keep: Tensor) -> Inputs:
    """The batch with the rows where `keep` (B,) is False made missing."""
    gone = {"present": lambda t: t & keep, "lengths": lambda t: t * keep}
    return {name: gone[name](t) if name in gone else t for name, t in inputs.items()}


def mark(inputs: Inputs) -> str:
    """The name of what tells which rows are present: (B,), 0 where one is missing."""
    return "present" if "present" in inputs else "lengths"


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) -> (B, size) bool, True before the length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def over_present(module: nn.Module, run: Callable[..., Tensor], present: Tensor, *inputs: Tensor) -> Tensor:
    """`run`, a method of `module`, over the rows that are present; zeros elsewhere. Missing rows cost nothing and touch
    no batch statistic."""
    if bool(present.all()):
        return run(*inputs)
    rows = present.nonzero().squeeze(1)
    if not len(rows):  # one blank row gives the shape, and gradients that are zero
        training = [m for m in module.modules() if m.training]
        module.eval()
        out = run(*(i[:1] for i in inputs)) * 0
        for m in training:  # not module.train(): a part of it may be frozen
            m.training = True
        return out.expand(len(present), *out.shape[1:])
    out = run(*(i[rows] for i in inputs))
    return out.new_zeros(len(present), *out.shape[1:]).index_copy(0, rows, out)
