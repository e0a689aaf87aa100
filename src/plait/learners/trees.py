"""Gradient-boosted trees (LightGBM) on fixed vectors; kept in LightGBM's own text format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.learners.base import Learner
from plait.nn.linear import Folds, Stream, Task
from plait.optional import need

LEAST = 1e-7  # probability, so that no logit is infinite
ROUNDS = 500


class Trees(Learner):
    """LightGBM (Ke et al. 2017); a missing stream is a missing value to it. `leaves`, `rate`: of each tree and its weight. The
    number of trees is the best over the first fold."""

    def __init__(self, *, kind: str, model: list[str], columns: list[str]) -> None:
        super().__init__()
        self.kind, self.model, self.columns = kind, model, columns

    @classmethod
    def learn(
        cls,
        streams: Mapping[str, Stream],
        y: np.ndarray,
        *,
        task: Task,
        folds: Folds,
        seed: int,
        leaves: int = 15,
        rate: float = 0.05,
        rounds: int = ROUNDS,
    ) -> dict[str, Any]:
        columns = sorted(streams)
        x = _table({c: (s.x, s.present) for c, s in streams.items()}, columns)
        goals = [np.ascontiguousarray(y[:, i]) for i in range(y.shape[1])] if task.kind == "labels" else [y]
        options = {
            "objective": {"category": "multiclass", "labels": "binary", "number": "regression"}[task.kind],
            "num_leaves": leaves,
            "learning_rate": rate,
            "min_data_in_leaf": max(1, min(20, len(y) // 50)),
            "feature_fraction": min(1.0, max(0.1, 100 / x.shape[1])),
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
            "num_threads": torch.get_num_threads(),
        }
        if task.kind == "category":
            options["num_class"] = task.classes
        return {"kind": task.kind, "model": [_grown(x, g, options, folds, rounds) for g in goals], "columns": columns}

    @cached_property
    def _boosters(self) -> list[Any]:
        library = need("lightgbm", "trees")
        return [library.Booster(model_str=text) for text in self.model]

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        x = _table({c: (v.cpu().numpy(), p.cpu().numpy()) for c, (v, p) in streams.items()}, self.columns)
        found = [np.asarray(b.predict(x)) for b in self._boosters]
        device = next(iter(streams.values()))[0].device
        if self.kind == "number":
            return torch.from_numpy(found[0]).float().to(device)
        if self.kind == "category":
            return torch.from_numpy(np.log(found[0].clip(LEAST))).float().to(device)
        return torch.logit(torch.from_numpy(np.stack(found, 1)), LEAST).float().to(device)

    def weights(self) -> dict[str, float] | None:
        return None


def _table(streams: Mapping[str, tuple[np.ndarray, np.ndarray]], columns: list[str]) -> np.ndarray:
    """(n, sum of F), NaN where a stream is missing."""
    parts = [np.where(streams[c][1][:, None], streams[c][0], np.nan) for c in columns]
    return np.concatenate(parts, 1).astype(np.float64)


def _grown(x: np.ndarray, y: np.ndarray, options: dict[str, Any], folds: Folds, rounds: int) -> str:
    """A model as text, with as many trees as were best on the rows held out by the first fold."""
    library = need("lightgbm", "trees")
    if folds:
        train, held = folds[0]
        parts = [library.Dataset(x[r], y[r], params=options) for r in (train, held)]
        stop = library.early_stopping(30, verbose=False)
        rounds = max(
            1, library.train(options, parts[0], rounds, valid_sets=[parts[1]], callbacks=[stop]).best_iteration
        )
    return str(library.train(options, library.Dataset(x, y, params=options), rounds).model_to_string())
