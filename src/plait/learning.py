"""A learner in place of fusion and heads: the fixed vectors of all columns, the folds, and what is learned from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.errors import PlaitError
from plait.learners import LEARNERS
from plait.model import Model, vectors
from plait.nn.linear import Folds, Stream
from plait.preparation import Dataset
from plait.progress import Progress

FOLDS = 5
SHARE = 0.6  # of the time that is left, for trying; the rest is for what was begun, and for judging
BATCH = 256
MOST = 200_000  # rows that a learner is given


def check(model: Model, specs: Mapping[str, Any]) -> None:
    """Raises PlaitError where a column's features would have to be trained."""
    for column, encoder in model.encoders.items():
        if any(parameter.requires_grad for parameter in encoder.parameters()):
            mixes = any("mix" in name.split(".") for name, _ in encoder.named_parameters())
            way = "layer='mean' instead of 'mix'" if mixes else "encoders='classic' or 'pretrained' (--encoders)"
            raise PlaitError(
                f"A learner takes fixed features, but encoder {specs['inputs'][column]['name']!r} of column {column!r} has to be "
                f"trained. Choose {way}, or another encoder for this column, or no learner."
            )


def folds(
    parts: np.ndarray,
    rows: np.ndarray,
    groups: list[Any] | None,
    classes: np.ndarray,
    how: Mapping[str, Any],
    seed: int,
) -> Folds:
    """Pairs of places within `rows` (those of training and validation) to choose hyperparameters by. Where the split was
    given without groups, or is by time, the validation rows are held out; else five folds are drawn, no group in two."""
    held = parts[rows] == 1
    if (how["time"] or (how["column"] and groups is None)) and held.any() and not held.all():
        return [(np.flatnonzero(~held), np.flatnonzero(held))]
    count = min(FOLDS, len(rows))
    fold = _dealt(groups if groups is not None else list(range(len(rows))), classes, count, seed)
    pairs = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(count)]
    return [(a, b) for a, b in pairs if len(a) and len(b)]


def _dealt(groups: list[Any], classes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(n,) the fold of each row: the largest groups first, each to the fold that then has its classes most evenly."""
    names, member = np.unique(np.array([str(g) for g in groups]), return_inverse=True)
    kinds = int(classes.max()) + 1
    table = np.zeros((len(names), kinds))
    np.add.at(table, (member, classes), 1)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-table[order].sum(1), kind="stable")]
    size, place = np.zeros((count, kinds)), np.zeros(len(names), np.int64)
    share = table.sum(0).clip(1)
    for g in order:
        after = (size + table[g]) / share
        cost = (after**2).sum(1) - ((size / share) ** 2).sum(1)
        place[g] = int(np.argmin(cost + 1e-9 * size.sum(1)))
        size[place[g]] += table[g]
    found: np.ndarray = place[member]
    return found


@torch.no_grad()
def learn(
    model: Model,
    data: Dataset,
    spec: Mapping[str, Any],
    *,
    parts: np.ndarray,
    groups: list[Any] | None,
    how: Mapping[str, Any],
    seed: int,
    progress: Progress,
    deadline: float | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Target -> completed spec of its learner. Hyperparameters are chosen on training and validation rows alone; then all
    of these are learned from. `deadline`: a time.monotonic(), after which nothing more is tried. `folder`: of the run, where a
    search notes what it has tried, and goes on from."""
    rows = np.flatnonzero((parts == 0) | (parts == 1))
    if len(rows) > MOST:
        progress.say(f"{len(rows):,} rows: the learner is given {MOST:,} of them, drawn at random.")
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    model.eval()
    found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for start in range(0, len(rows), BATCH):
        for column, pair in vectors(model.encode(data.batch(rows[start : start + BATCH])["inputs"])).items():
            found.setdefault(column, []).append(pair)
    x = {
        c: Stream(torch.cat([v for v, _ in p]).numpy(), torch.cat([m for _, m in p]).numpy()) for c, p in found.items()
    }
    done = {}
    for number, (target, part) in enumerate(spec["learner"].items()):
        wanted = part["wanted"]
        trials = wanted.get("search", 0) if LEARNERS.takes(wanted, "search") else 0
        if trials and folder is not None:
            wanted = {"study": str(folder / f"search-{number}.log"), **wanted}
        if deadline is not None and LEARNERS.takes(wanted, "seconds"):
            wanted = {"seconds": SHARE * max(0.0, deadline - time.monotonic()), **wanted}
        head, y = model.heads[target], data.targets[target][rows]
        known = head.known(y).numpy()
        task, goal = head.task(y[torch.from_numpy(known)])
        here = np.flatnonzero(known)
        place = np.full(len(rows), -1)
        place[here] = np.arange(len(here))
        classes = goal if task.kind == "category" else np.zeros(len(goal), np.int64)
        own = None if groups is None else [groups[r] for r in rows[here]]
        cells = {c: Stream(s.x[here], s.present[here]) for c, s in x.items()}
        title = f"Learned {target} by {wanted['name']}"
        with progress.timed(title), progress.bar("Trying", trials, unit="trials") as bar:
            chosen = folds(parts, rows[here], own, classes, how, seed)
            wanted = {**wanted, "tell": bar.advance} if trials else wanted
            done[target] = LEARNERS.complete(wanted, cells, goal, task=task, folds=chosen, seed=seed)
        if done[target].get("board"):
            progress.say(board_text(target, done[target]["board"]))
    return done


def board_text(target: str, board: Sequence[Mapping[str, Any]]) -> str:
    """What was tried for a target, the best first."""
    lines = [f"  {entry['loss']:.3f}  {entry['seconds']:6.1f} s  {entry['name']}" for entry in board]
    head = f"{target}: loss on rows not learned from, and seconds of learning; the first is the model"
    why = board[0].get("why")
    return "\n".join([head, *lines, *([f"  Taken: {why}."] if why else [])])
