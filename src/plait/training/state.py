"""Where a run stands, and how fast it is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Speed:
    """How fast an epoch went, and how much of it was waiting for data."""

    began: float = field(default_factory=time.perf_counter)
    rows: int = 0
    waited: float = 0.0
    seconds: float = 1e-9

    def count(self, rows: int, waited: float) -> None:
        self.rows, self.waited, self.seconds = self.rows + rows, self.waited + waited, time.perf_counter() - self.began

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds


@dataclass
class State:
    """Where a run stands."""

    step: int = 0
    best_score: float = -np.inf
    best_epoch: int = -1
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the steps of the epoch that is running
    stopped: str | None = None  # why a run ended before its last epoch
    blend: dict[str, Any] = field(default_factory=dict)  # gradient blending: losses when last measured, and weights
    shares: dict[str, float] | None = None  # at the end: how much the objective lets each target count
    speeds: list[Speed] = field(default_factory=list)  # of the epochs run in this process; never saved: bytes repeat
