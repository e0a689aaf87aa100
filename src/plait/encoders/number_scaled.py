"""Numbers without a parameter: standardised, and by rank among those of training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from plait.encoders.base import Encoder
from plait.nn import fixed
from plait.nn.numbers import Scale, learn_scale
from plait.types import Inputs, Prepared, Tokens


class NumberScaled(Encoder):
    """A number -> one token (B, 1, 2): standard deviations from the mean, within 10, and its normal score: the place its
    rank r among the n training `quantiles` has in a normal distribution, that of r / (n + 1) (van der Waerden 1952), so
    that no outlier hides what differs elsewhere. What lies beyond them has the score of the last."""

    modality: ClassVar[str] = "number"
    stored: ClassVar[bool] = False

    def __init__(self, *, mean: float = 0.0, std: float = 1.0, quantiles: list[float] = [0.0]) -> None:
        super().__init__()
        self.width, self.reading = 2, {}
        assert len(quantiles) >= 1 and sorted(quantiles) == list(quantiles), "quantiles must ascend, at least one"
        self.scale, self.quantiles = Scale(mean=mean, std=std), np.array(quantiles, np.float64)
        self.preparation = {**self.scale.preparation, "kind": "number and rank", "quantiles": list(quantiles)}

    @classmethod
    def learn(cls, cells: Iterable[float | None], *, most: int = 1001) -> dict[str, Any]:
        """`most`: how many quantiles are kept, from the smallest to the largest value at even shares."""
        values = np.array([c for c in cells if c is not None], dtype=np.float64)
        if not len(values):
            return learn_scale([])
        shares = np.linspace(0, 1, max(1, min(most, len(values))))
        halves = np.quantile(values / 2, shares)
        return {**learn_scale(values.tolist()), "quantiles": np.maximum.accumulate(2 * halves).tolist()}

    def prepare(self, cells: Sequence[float]) -> list[Prepared]:
        shares = self._ranks(np.array(cells, dtype=np.float64)) / (len(self.quantiles) + 1)
        scores = torch.special.ndtri(torch.from_numpy(shares)).numpy().astype(np.float32)
        values = np.array([r["value"][0] for r in self.scale.prepare(cells)], np.float32)
        return [{"features": f} for f in np.stack([values, scores], 1)]

    def _ranks(self, values: np.ndarray) -> np.ndarray:
        """From 1 to n; between quantiles on a straight line, the middle of those that are equal."""
        ranks, halves = np.arange(1, len(self.quantiles) + 1), self.quantiles / 2  # the span of halves stays finite
        up = np.interp(values / 2, halves, ranks)
        down = np.interp(-values / 2, -halves[::-1], -ranks[::-1])
        return (up - down) / 2

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, 2)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return fixed.tokens({**inputs, "features": inputs["features"].clamp(-fixed.CLIP, fixed.CLIP)})
