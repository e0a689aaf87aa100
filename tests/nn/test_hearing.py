"""Sounds laid one behind the other, held to each sound by itself and to the same convolutions on padded batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from plait.nn import rows
from plait.nn.hearing import Hearing

LENGTHS = [37, 1, 160, 0, 16, 17, 95]


def tower(**more: int) -> Hearing:
    torch.manual_seed(0)
    found = Hearing(**{"width": 12, "bands": 64, "channels": 4, **more}, dropout=0.0)
    for part in found.modules():  # statistics that are not those of a new network
        if isinstance(part, nn.BatchNorm1d):
            assert part.running_mean is not None and part.running_var is not None
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2.0)
    return found.eval()


def batch() -> tuple[Tensor, Tensor]:
    lengths = torch.tensor(LENGTHS)
    return torch.randn(len(LENGTHS), 160, 64, generator=torch.Generator().manual_seed(1)) - 2, lengths


def padded(tower: Hearing, mel: Tensor, lengths: Tensor) -> Tensor:
    """The oracle: all sounds as long as the longest, what is behind an end set to zero after every step."""

    def norm(part: nn.Module, x: Tensor) -> Tensor:
        n = part.norm
        return nn.functional.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, False, 0.1, n.eps)

    def hold(x: Tensor, step: int) -> Tensor:
        return x * (torch.arange(x.shape[2]) * step < lengths[:, None])[:, None, :, None]

    x = hold(norm(tower.norm, mel.transpose(1, 2)).transpose(1, 2)[:, None], 1)
    x = hold(norm(tower.stem_norm, nn.functional.conv2d(x, tower.stem.weight, stride=2, padding=1)).relu(), 2)
    for k, stage in enumerate(tower.stages):
        y = nn.functional.conv2d(x, stage.conv1.weight, stride=2, padding=1)
        y = hold(norm(stage.norm1, y).relu(), 2 ** (k + 2))
        y = norm(stage.norm2, nn.functional.conv2d(y, stage.conv2.weight, padding=1))
        x = hold((y + nn.functional.conv2d(x, stage.short.weight, stride=2)).relu(), 2 ** (k + 2))
    return (x.mean(3) + x.amax(3)).transpose(1, 2)


def test_a_line_of_sounds_gives_what_a_padded_batch_gives() -> None:
    found, (mel, lengths) = tower(), batch()
    tokens = found(mel, lengths)
    assert tokens.mask.sum(1).tolist() == [3, 1, 10, 0, 1, 2, 6]
    assert torch.allclose(tokens.x, padded(found, mel, lengths), atol=1e-5)


@pytest.mark.parametrize("row", range(len(LENGTHS)))
def test_a_sound_is_heard_alike_alone_and_in_company(row: int) -> None:
    found, (mel, lengths) = tower(), batch()
    together = found(mel, lengths)
    alone = found(mel[row : row + 1, : max(1, LENGTHS[row])], lengths[row : row + 1])
    n = alone.x.shape[1]
    assert torch.allclose(together.x[row, :n], alone.x[0], atol=1e-5) and not together.x[row, n:].any()


def test_what_lies_behind_the_end_of_a_sound_changes_nothing_in_training_either() -> None:
    found, (mel, lengths) = tower().train(), batch()
    state = {k: v.clone() for k, v in found.state_dict().items()}
    first = found(mel, lengths).x
    found.load_state_dict(state)
    loud = mel + 9 * ~rows.length_mask(lengths, mel.shape[1])[..., None]
    assert torch.equal(found(loud, lengths).x, first)


def test_gradients_are_those_of_the_padded_batch() -> None:
    found, (mel, lengths) = tower(), batch()
    weights = [p for n, p in found.named_parameters() if "conv" in n or n == "stem.weight"]
    mine = torch.autograd.grad((found(mel, lengths).x ** 2).sum(), weights)
    theirs = torch.autograd.grad((padded(found, mel, lengths) ** 2).sum(), weights)
    assert len(weights) == 7
    for a, b in zip(mine, theirs):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))
