"""Recurrent layers over padded sequences: what lies past a row's length is never seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """A bidirectional GRU (Cho et al. 2014) or LSTM (Hochreiter and Schmidhuber 1997): x (B, N, D) -> (B, N, width)."""

    def __init__(self, width_in: int, width: int, *, cell: str, depth: int, dropout: float) -> None:
        super().__init__()
        assert cell in CELLS, f"cell is {cell!r}, expected one of {tuple(CELLS)}"
        assert width % 2 == 0, f"width {width} is odd; half of it goes each way"
        self.layers = CELLS[cell](
            width_in,
            width // 2,
            num_layers=depth,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if depth > 1 else 0.0,
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths.clamp_min(1).cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.layers(packed)[0], batch_first=True, total_length=x.shape[1])
        return torch.where((lengths > 0)[:, None, None], out, out.new_zeros(()))
