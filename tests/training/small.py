"""A model and its data without any file: three inputs, three targets, labels and cells missing here and there, no chance in it
(no dropout, no augmentation, no batch statistics)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from plait.data.ledger import Ledger
from plait.data.schema import infer
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import ENCODERS
from plait.heads import HEADS
from plait.model import Model
from plait.predictor import assemble
from plait.preparation import Dataset, prepare, read_cells, read_labels
from plait.progress import Progress

KINDS = ("red", "green", "blue")
INPUTS: dict[str, Any] = {
    "note": {"name": "text_transformer", "width": 16, "depth": 1, "heads": 2, "hide": 0.0, "dropout": 0.0},
    "size": {"name": "number_periodic", "width": 8},
    "shade": {"name": "category_embedding", "width": 8, "hide": 0.0},
}
TARGETS = {"kind": "category", "value": "number", "tags": "labels"}


def frame(n: int) -> pd.DataFrame:
    """Row i is of KINDS[i % 3], told by the note and the size; every fifth cell and every other label is missing somewhere."""
    generator = np.random.default_rng(0)
    kind = [KINDS[i % 3] for i in range(n)]
    found = pd.DataFrame(
        {
            "note": [" ".join([k] * (1 + i % 4)) for i, k in enumerate(kind)],
            "size": [10.0 * (i % 3) + generator.normal() for i in range(n)],
            "shade": [f"s{i % 5}" for i in range(n)],
            "kind": kind,
            "value": [5.0 * (i % 3) + generator.normal() for i in range(n)],
            "tags": [[k, "odd"] if i % 2 else [k] for i, k in enumerate(kind)],
        }
    )
    for number, (column, every) in enumerate({"note": 5, "size": 7, "shade": 4, "kind": 6, "value": 2}.items()):
        found.loc[found.index % every == number % every, column] = None
    return found


def world(n: int = 24, *, fusion: Any = None, width: int = 16) -> tuple[Model, Dataset]:
    """The model, as a seed draws it, and the data of all rows."""
    table, ledger, progress = read_table(frame(n)), Ledger(), Progress(quiet=True)
    schema = infer(table, targets=list(TARGETS), inputs=list(INPUTS))
    labels = {t: read_labels(table, t, kind, ledger) for t, kind in TARGETS.items()}
    spec = {
        "inputs": {c: ENCODERS.complete(s, read_cells(table, c, schema.inputs[c])) for c, s in INPUTS.items()},
        "outputs": {t: HEADS.complete({"name": k, "dropout": 0.0}, labels[t]) for t, k in TARGETS.items()},
        "fusion": fusion or {"name": "concat", "dropout": 0.0},
        "width": width,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = assemble(spec)
    encoders = dict(model.encoders.items())
    columns = prepare(table, encoders, store=Store(), ledger=ledger, progress=progress)
    targets = {t: model.heads[t].collate(cells) for t, cells in labels.items()}
    return model, Dataset(columns, encoders, targets, n, labels)
