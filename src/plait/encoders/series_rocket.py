"""Series by random convolution kernels that are never trained, and one linear layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from plait.encoders.base import Encoder
from plait.nn import rows
from plait.nn.convolution import BatchNorm
from plait.nn.kernels import draw, respond
from plait.nn.series import Facts, Scaled, bridged, learn_facts
from plait.types import Inputs, Prepared, Series, Tokens


class SeriesRocket(Encoder):
    """answers (B, 2 kernels), computed once a cell -> one token (B, 1, D) (ROCKET; Dempster et al. 2020). Gaps are
    bridged by straight lines; the times between steps are not looked at. `normalise`: each cell by its own mean and
    standard deviation, which are lost. `hide`: share of the answers hidden in training."""

    modality: ClassVar[str] = "series"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        facts: Facts,
        width: int = 128,
        kernels: int = 4000,
        seed: int = 0,
        normalise: bool = False,
        hide: float = 0.5,
    ) -> None:
        super().__init__()
        assert kernels >= 1, f"kernels is {kernels}, expected at least 1"
        self.width, self.size = width, 2 * kernels
        self.scaled = Scaled(facts, normalise=normalise)
        self.blocks = draw(
            kernels,
            channels=max(1, self.scaled.channels),
            longest=-(-facts["longest"] // facts["pool"]),
            seed=seed,
        )
        self.reading = self.scaled.reading
        self.preparation = {
            "kind": "random kernels",
            "version": 1,
            "kernels": kernels,
            "seed": seed,
            **self.scaled.preparation,
        }
        self.norm = BatchNorm(self.size)
        self.hide = nn.Dropout(hide)
        self.out = nn.Linear(self.size, width)
        nn.init.normal_(self.out.weight)

    @classmethod
    def learn(cls, cells: Iterable[Series | None], *, steps: int = 2048) -> dict[str, Any]:
        return learn_facts(cells, steps=steps)

    def prepare(self, cells: Sequence[Series]) -> list[Prepared]:
        return [{"answers": self._answers(c).astype(np.float16)} for c in cells]

    def _answers(self, cell: Series) -> np.ndarray:
        values, times, _ = self.scaled(cell)
        return respond(bridged(values, times), self.blocks)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.stack(cells, answers=np.zeros(self.size, np.float16))

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def _token(self, answers: torch.Tensor) -> torch.Tensor:
        x = self.norm(answers.float()) * self.size**-0.5  # so that a step moves the token as that of a small layer
        out: torch.Tensor = self.out(self.hide(x))
        return out

    def forward(self, inputs: Inputs) -> Tokens:
        present = inputs["present"]
        x = rows.over_present(self, self._token, present, inputs["answers"])
        return Tokens(x[:, None], present[:, None])
