"""Answers of a model for rows of a dataset: all inputs, or any subset of them by masking, from one encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from plait.model import Model
from plait.preparation import Dataset
from plait.types import Inputs, Tokens

Subset = tuple[str, ...]  # the columns that are seen
BATCH = 256  # rows at once


def to_device(batch: dict[str, Inputs], device: torch.device) -> dict[str, Inputs]:
    return {c: {k: t.to(device) for k, t in inputs.items()} for c, inputs in batch.items()}


def kept(streams: dict[str, Tokens], keep: Mapping[str, np.ndarray]) -> dict[str, Tokens]:
    """The streams with the cells masked out that `keep`, column -> (B,) bool, is False for, or that it does not name."""
    found = {}
    for column, s in streams.items():
        if column not in keep:
            found[column] = Tokens(s.x, torch.zeros_like(s.mask), s.position)
        else:
            here = torch.from_numpy(keep[column]).to(s.mask.device)
            found[column] = Tokens(s.x, s.mask & here[:, None], s.position)
    return found


@torch.no_grad()
def masked(
    model: Model,
    data: Dataset,
    rows: np.ndarray,
    keeps: Sequence[Mapping[str, np.ndarray]],
    *,
    batch_size: int = BATCH,
) -> list[dict[str, np.ndarray]]:
    """For each of `keeps`, column -> (rows,) bool, which cells are seen: {target: answer (rows, ...)}, row i being rows[i]. The
    rows are encoded once."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    parts: list[dict[str, list[np.ndarray]]] = [{t: [] for t in model.heads} for _ in keeps]
    training = model.training
    model.eval()
    for start in range(0, len(rows), batch_size):
        here = slice(start, start + batch_size)
        streams = model.encode(to_device(data.batch(rows[here])["inputs"], device))
        for keep, into in zip(keeps, parts):
            for target, answer in model.answer(kept(streams, {c: k[here] for c, k in keep.items()})).items():
                into[target].append(answer.cpu().numpy())
    model.train(training)
    return [{t: _join(a, model, t) for t, a in by.items()} for by in parts]


def answers(
    model: Model, data: Dataset, rows: np.ndarray, *, subsets: Sequence[Subset] | None = None, batch_size: int = BATCH
) -> dict[Subset, dict[str, np.ndarray]]:
    """{subset: {target: answer (rows, ...)}}, row i being rows[i]. Without `subsets`, all columns as one subset."""
    wanted = [tuple(model.encoders)] if subsets is None else list(subsets)
    whole = np.ones(len(rows), bool)
    found = masked(model, data, rows, [dict.fromkeys(s, whole) for s in wanted], batch_size=batch_size)
    return dict(zip(wanted, found))


def _join(parts: list[np.ndarray], model: Model, target: str) -> np.ndarray:
    if parts:
        return np.concatenate(parts)
    names = model.heads[target].names
    return np.zeros((0, len(names)) if names else (0,))


@torch.no_grad()
def embeddings(model: Model, data: Dataset, rows: np.ndarray, *, batch_size: int = BATCH) -> np.ndarray:
    """(rows, width): one vector a row, from what is present in it."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    model.eval()
    parts = [
        model.top.embedding(model.encode(to_device(data.batch(rows[i : i + batch_size])["inputs"], device))).cpu()
        for i in range(0, len(rows), batch_size)
    ]
    return torch.cat(parts).float().numpy() if parts else np.zeros((0, model.width), np.float32)
