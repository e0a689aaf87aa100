"""Several cells of one row for an encoder of single ones: all items of a batch side by side, and their tokens put back
together by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from plait.nn import pooling, rows
from plait.types import Inputs, Prepared, Tokens

_OF = ".lengths"  # field + this: how long the field of each item is
_ITEM = "item."  # this + name: an input of the encoder of single cells


def joined(items: Sequence[Prepared]) -> Prepared:
    """Prepared items as one cell: each field one after the other along the first axis, and their lengths."""
    fields = {name: np.concatenate([item[name] for item in items]) for name in items[0]}
    lengths = {name + _OF: np.array([len(item[name]) for item in items], np.int64) for name in items[0]}
    return {**fields, **lengths}


def parted(cell: Prepared) -> list[Prepared]:
    """The items of a cell: views."""
    names = [name for name in cell if not name.endswith(_OF)]
    pieces = {name: np.split(cell[name], np.cumsum(cell[name + _OF])[:-1]) for name in names}
    return [{name: pieces[name][i] for name in names} for i in range(len(pieces[names[0]]))]


def grouped(sizes: Sequence[int], inner: Inputs) -> Inputs:
    """The inputs of all items (I, ...), with "row" (I,), the row of each, and "present" (B,). `sizes`: items of each row;
    `inner` holds them one after the other, or one blank item where there is none."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    return {
        **{_ITEM + name: values for name, values in inner.items()},
        "row": torch.from_numpy(row) if len(row) else torch.zeros(1, dtype=torch.long),
        "present": torch.tensor([size > 0 for size in sizes]),
    }


def single(inputs: Inputs) -> Inputs:
    """The inputs of the items alone; those of rows that are not present are missing."""
    inner = {name.removeprefix(_ITEM): values for name, values in inputs.items() if name.startswith(_ITEM)}
    return rows.drop(inner, inputs["present"][inputs["row"]])


def varied(inputs: Inputs, inner: Inputs) -> Inputs:
    """The inputs with those of the items replaced."""
    return {**inputs, **{_ITEM + name: values for name, values in inner.items()}}


def regrouped(tokens: Tokens, row: Tensor, size: int, *, pool: bool) -> Tokens:
    """Tokens of items (I, N, D) -> of rows (B, M, D), B being `size`: those of a row's items one after the other, or
    with `pool` their mean, one an item, without position. `row` (I,) rises."""
    if pool:
        tokens = Tokens(pooling.mean(tokens)[:, None], tokens.mask.any(1, keepdim=True))
    real = tokens.mask
    owner = row[:, None].expand(real.shape)[real]  # (T,) rising: the row of each real token
    counts = torch.bincount(owner, minlength=size)
    place = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    most = max(1, int(counts.max())) if size else 1
    x = tokens.x.new_zeros(size, most, tokens.x.shape[-1]).index_put((owner, place), tokens.x[real])
    mask = rows.length_mask(counts, most)
    if tokens.position is None:
        return Tokens(x, mask)
    blank = tokens.position.new_full((size, most, 3), torch.nan)
    return Tokens(x, mask, blank.index_put((owner, place), tokens.position[real]))
