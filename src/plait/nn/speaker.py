"""Who speaks: the speaker encoder of GE2E (Wan et al. 2018), three LSTMs over a mel spectrogram."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FRAMES = 160  # of 10 ms, in a window
BANDS = 40


class GE2E(nn.Module):
    """Windows of a mel spectrogram (W, 160, 40) of one sound -> one token (1, 1, 256): the mean of the windows' unit
    vectors (section 3.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, windows: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(windows)
        raw = torch.relu(self.linear(hidden[-1]))
        one = nn.functional.normalize(raw, dim=1).mean(0)
        return nn.functional.normalize(one, dim=0)[None, None]
