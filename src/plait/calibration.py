"""How sure a trained model may be: the temperatures of each target, by the validation rows."""

from __future__ import annotations

import numpy as np
import torch

from plait.inference import BATCH, kept, to_device
from plait.model import Model, share
from plait.nn import opinions
from plait.preparation import Dataset

FEWEST = 10  # rows to tell it by
HIDES = 3  # times that every row is shown with some of its cells hidden


@torch.no_grad()
def calibrate(model: Model, data: Dataset, rows: np.ndarray, *, seed: int) -> dict[str, list[float]]:
    """Target -> what its logits are divided by in an answer, where one column is present and where all are: the temperatures
    with the least log loss on these rows, which the model has not learned from (Guo et al. 2017), shown whole and with random
    subsets of their columns. Answers of few columns and of many can be too sure, or not sure enough, by different
    factors: a mean of agreeing answers is not sure enough. The most probable answer stays the most probable. Targets with few
    labels there, or without logits, are left out."""
    wanted = [t for t, head in model.heads.items() if head.logits]
    if not wanted or len(rows) < FEWEST:
        return {}
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    keeps = _shown(list(model.encoders), len(rows), seed)
    outputs: dict[str, list[torch.Tensor]] = {t: [] for t in wanted}
    shares, places = [], []
    training = model.training
    model.eval()
    for start in range(0, len(rows), BATCH):
        here = slice(start, start + BATCH)
        streams = model.encode(to_device(data.batch(rows[here])["inputs"], device))
        for keep in keeps:
            seen = kept(streams, {c: k[here] for c, k in keep.items()})
            found, _ = model.top(seen, {})
            shares.append(share(seen).cpu())
            places.append(torch.from_numpy(rows[here]))
            for target in wanted:
                outputs[target].append(found[target].float().cpu())
    model.train(training)
    order, amount = torch.cat(places), torch.cat(shares)
    chosen = {}
    for target in wanted:
        head, labels = model.heads[target], data.targets[target].cpu()[order]
        known = head.known(labels)
        if int(known.sum()) >= FEWEST:
            task, goal = head.task(labels[known])
            out = torch.cat(outputs[target])[known]
            chosen[target] = list(opinions.temperatures(out, amount[known], torch.from_numpy(goal), task))
    return chosen


def _shown(columns: list[str], count: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Column -> (count,) bool, which cells are shown: all; and of several columns so many of a row, drawn anew each time."""
    draw = np.random.default_rng(seed)
    every = np.ones((len(columns), count), bool)
    plans = [every]
    for _ in range(HIDES if len(columns) > 1 else 0):
        rank = draw.random(every.shape).argsort(0).argsort(0)
        plans.append(rank < draw.integers(1, len(columns), count))
    return [dict(zip(columns, plan)) for plan in plans]
