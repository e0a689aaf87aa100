"""Mixed rows: each row of a batch is shown with a part of another one, and answers for the labels of both.

mixup   x = s x_i + (1 - s) x_j, s drawn from Beta(alpha, alpha) (Zhang et al. 2018). Pictures that a network is trained on are
        mixed as pixels; any other column as the tokens its encoder gives (manifold mixup at that layer; Verma et al. 2019).
cutmix  a box of the picture is that of the other row's, s the share of the picture that is left (Yun et al. 2019). Columns
        without pixels are mixed as tokens, by the same s.

The loss of a row is s loss(y_i) + (1 - s) loss(y_j). s is the larger of what was drawn and its rest (Berthelot et al. 2019): a
row stays mostly itself, and keeps its own tokens' places; any two rows meet both ways alike, so nothing is lost by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from plait.errors import PlaitError
from plait.heads.base import Beside, Head
from plait.model import Model
from plait.nn.pictures import scaled
from plait.nn.rows import mark
from plait.training.options import Options
from plait.types import Batch, Inputs, Tokens

PIXELS = "pixels"  # what inputs that are pictures hold
Box = tuple[float, float, float, float]  # top, bottom, left, right, in shares of the sides


class Mix(NamedTuple):
    """How the rows of a batch are mixed."""

    other: Tensor  # (B,) the row that each is mixed with
    share: float  # s: how much of itself a row keeps
    box: Box | None = None  # where a picture is that of the other row; None: both are added up


def drawn(options: Options, batch: Batch) -> Mix | None:
    """How the rows of a batch are mixed, where the options ask for it; with both kinds a coin says which."""
    if not (options.mixup or options.cutmix):
        return None
    first = next(iter(batch["inputs"].values()))
    here = first[mark(first)]
    cut = bool(options.cutmix) and (not options.mixup or float(torch.rand(())) < 0.5)
    alpha = torch.tensor(options.cutmix if cut else options.mixup)
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    share = max(share, 1 - share)
    other = torch.randperm(len(here), device=here.device)
    if not cut:
        return Mix(other, share)
    box = boxed(share, float(torch.rand(())), float(torch.rand(())))
    return Mix(other, 1 - (box[1] - box[0]) * (box[3] - box[2]), box)


def boxed(share: float, row: float, column: float) -> Box:
    """A box of the picture's shape that leaves `share` of it, around a place in 0..1, as far as it is in the picture."""
    half = (1 - share) ** 0.5 / 2
    return max(0.0, row - half), min(1.0, row + half), max(0.0, column - half), min(1.0, column + half)


def pictured(inputs: Inputs) -> bool:
    """Whether these are pixels that can be mixed."""
    return PIXELS in inputs and inputs[PIXELS].ndim == 4


def both(inputs: dict[str, Inputs], mix: Mix) -> dict[str, Tensor]:
    """Column -> (B,) bool: where it is present in a row and in the other."""
    here = {c: i[mark(i)] > 0 for c, i in inputs.items()}
    return {c: h & h[mix.other] for c, h in here.items()}


def mixed_pixels(inputs: Inputs, rows: Tensor, mix: Mix) -> Inputs:
    """The inputs with the pictures of these rows (B,) mixed."""
    x = scaled(inputs[PIXELS])
    if mix.box is None:
        made = mix.share * x + (1 - mix.share) * x[mix.other]
    else:
        height, width = x.shape[-2:]
        top, bottom, left, right = (round(e * side) for e, side in zip(mix.box, (height, height, width, width)))
        made = x.clone()
        made[:, :, top:bottom, left:right] = x[mix.other][:, :, top:bottom, left:right]
    return {**inputs, PIXELS: torch.where(rows[:, None, None, None], made, x)}


def mixed_tokens(tokens: Tokens, rows: Tensor, mix: Mix) -> Tokens:
    """The tokens of these rows (B,) mixed, place by place; where the other row has no token, a row's own stays as it is."""
    x, mask, position = tokens
    both_here = rows[:, None] & mask & mask[mix.other]
    own = torch.where(both_here, mix.share, 1.0).to(x.dtype)[..., None]
    return Tokens(own * x + (1 - own) * x[mix.other], mask, position)


@contextmanager
def answering(model: Model, rows: Tensor, mix: Mix) -> Iterator[None]:
    """In this block the heads' losses are of both labels, for these rows (B,)."""
    share = torch.where(rows, mix.share, 1.0)
    heads = [m for m in model.top.modules() if isinstance(m, Head)]
    for head in heads:
        head.beside = Beside(mix.other, share)
    try:
        yield
    finally:
        for head in heads:
            head.beside = None


def check(model: Model, options: Options) -> None:
    """Raises PlaitError where boxes are asked for and no column is a picture that the loop sees."""
    encoders = dict(model.encoders.items())
    if options.cutmix and not any(pictured(e.collate([None, None])) for e in encoders.values()):
        raise PlaitError(
            "Training option cutmix: no input is a picture whose pixels a network is trained on. Use mixup, or an encoder such "
            "as 'image_resnet', 'image_vit'."
        )
