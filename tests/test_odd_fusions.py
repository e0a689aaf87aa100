"""Tables that fusions and their comparison do not expect: a column that is never there, twins, names like attributes, a class
that a fold does not have. A sensible result and a sentence, not a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait.fusion import FUSIONS

LIGHT: dict[str, Any] = {"epochs": 1, "quiet": True, "training": {"batch_size": 32}}


def table(n: int = 90) -> pd.DataFrame:
    """Columns whose names are awkward, two of them the same, one without any cell, and a class of three rows."""
    draw = np.random.default_rng(0)
    kind = np.arange(n) % 2
    x = np.where(kind, 1.0, -1.0) + 0.5 * draw.normal(size=n)
    frame = pd.DataFrame({"a.b": x, "keys": x, "forward": draw.normal(size=n), "items": [None] * n})
    return frame.assign(kind=np.where(np.arange(n) < 3, "rare", np.where(kind, "yes", "no")))


@pytest.mark.parametrize("fusion", [*FUSIONS])
def test_every_fusion_trains_and_answers(fusion: str) -> None:
    frame = table()
    inputs = {"a.b": "number", "keys": "number", "items": "text"}
    model = plait.fit(frame, "kind", inputs=list(inputs), modalities=inputs, fusion=fusion, **LIGHT)
    answer = model.predict_proba(frame.drop(columns="kind").head(5))
    shares = answer[[f"kind: {c}" for c in ("no", "rare", "yes")]].to_numpy()
    assert np.isfinite(shares).all() and np.allclose(shares.sum(1), 1, atol=1e-5)
    assert answer["status"].str.contains("missing items").all()


def test_a_comparison_of_them() -> None:
    found = plait.compare(
        table(),
        "kind",
        inputs=["a.b", "keys", "forward"],
        fusions=["concat", "logistic", {"name": "blend", "rule": "product"}],
        seeds=2,
        split={"test": 0.3, "stratify": False},
        epochs=1,
        jobs=1,
        quiet=True,
    )
    facts = found.to_json()
    value = {e["name"]: e["value"] for e in facts["entries"]}
    assert facts["not_tried"] == [] and {"concat", "logistic", "blend, rule=product"} <= set(value)
    assert value["a.b alone, logistic"] == value["keys alone, logistic"] > value["forward alone, logistic"]
    assert facts["advice"] and facts["advice"] in str(found)
