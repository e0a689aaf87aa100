"""Answers of a model for rows of a dataset: all inputs, or any subset of them by masking, from one encoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from plait.model import Model
from plait.preparation import Dataset
from plait.types import Inputs, Tokens

Subset = tuple[str, ...]  # the columns that are seen
BATCH = 256  # rows at once


def to_device(batch: dict[str, Inputs], device: torch.device) -> dict[str, Inputs]:
    return {c: {k: t.to(device) for k, t in inputs.items()} for c, inputs in batch.items()}


def only(streams: dict[str, Tokens], columns: Subset) -> dict[str, Tokens]:
    """The streams with every column but these masked out."""
    return {c: s if c in columns else Tokens(s.x, torch.zeros_like(s.mask), s.position) for c, s in streams.items()}


@torch.no_grad()
def answers(
    model: Model, data: Dataset, rows: np.ndarray, *, subsets: Sequence[Subset] | None = None, batch_size: int = BATCH
) -> dict[Subset, dict[str, np.ndarray]]:
    """{subset: {target: answer (rows, ...)}}, row i being rows[i]. Without `subsets`, all columns as one subset."""
    every = tuple(model.encoders)
    wanted = [every] if subsets is None else list(subsets)
    device = next(model.parameters()).device
    parts: dict[Subset, dict[str, list[np.ndarray]]] = {s: {t: [] for t in model.heads} for s in wanted}
    training = model.training
    model.eval()
    for start in range(0, len(rows), batch_size):
        streams = model.encode(to_device(data.batch(rows[start : start + batch_size])["inputs"], device))
        for subset in wanted:
            for target, answer in model.answer(only(streams, subset)).items():
                parts[subset][target].append(answer.cpu().numpy())
    model.train(training)
    return {s: {t: _join(a, model, t) for t, a in by.items()} for s, by in parts.items()}


def _join(parts: list[np.ndarray], model: Model, target: str) -> np.ndarray:
    if parts:
        return np.concatenate(parts)
    names = model.heads[target].names
    return np.zeros((0, len(names)) if names else (0,))


@torch.no_grad()
def embeddings(model: Model, data: Dataset, rows: np.ndarray, *, batch_size: int = BATCH) -> np.ndarray:
    """(rows, width): one vector a row, from what is present in it."""
    device = next(model.parameters()).device
    model.eval()
    parts = [
        model.top.embedding(model.encode(to_device(data.batch(rows[i : i + batch_size])["inputs"], device))).cpu()
        for i in range(0, len(rows), batch_size)
    ]
    return torch.cat(parts).float().numpy() if parts else np.zeros((0, model.width), np.float32)
