"""Dates, numbers as people write them, and lists of pictures and texts, through a whole fit, a model folder, and back."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait.errors import PlaitError
from tests.conftest import encoded, picture

N = 48
OPTIONS: dict[str, Any] = {"quiet": True, "epochs": 2, "encoders": {"pictures": {"name": "image_set", "most": 2}}}


@pytest.fixture
def rows(write: Callable[..., Path]) -> list[dict[str, Any]]:
    for i in range(6):
        write(f"{i}.png", encoded(picture(8, 8, i)))
    day = datetime.date(2020, 1, 1)
    return [
        {
            "kind": "ab"[i % 2],
            "day": (day + datetime.timedelta(days=i * 5)).strftime("%d/%m/%Y"),
            "price": f"{1000 + i * 7:,}".replace(",", ".") + ",50 €",
            "pictures": [f"{(i + j) % 6}.png" for j in range(1 + i % 3)],
            "notes": json.dumps(
                [f"a note of some words about {'ab'[i % 2]}", "and another note of some words"][: 1 + i % 2]
            ),
        }
        for i in range(N)
    ]


def test_a_model_of_such_columns_is_saved_and_predicts_the_same(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    model = plait.fit(rows, "kind", base=tmp_path, out=tmp_path / "model", **OPTIONS)
    assert model.inputs == {"day": "date", "price": "number", "pictures": "images", "notes": "texts"}
    again = plait.load(tmp_path / "model")
    assert again.schema.options["day"] == {"day_first": True}
    assert again.schema.options["price"] == {"decimal": ",", "unit": "EUR"}
    first, second = (m.predict_proba(rows, base=tmp_path) for m in (model, again))
    pd.testing.assert_frame_equal(first, second)
    facts = {p.name for p in (tmp_path / "model").iterdir()}
    assert any(name.startswith("inner-") for name in facts)  # the subwords of the notes lie in a file of their own


def test_cells_are_read_in_the_style_of_the_training_table(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    model = plait.fit(rows, "kind", base=tmp_path, **OPTIONS)
    asked = [
        {"day": "03/04/2020", "price": "1,5"},
        {"day": datetime.date(2020, 4, 3), "price": 1.5},
        {"day": "04/13/2020", "price": "1.5"},
        {"price": "$5"},
        {"pictures": ["0.png", "gone.png", "1.png", "2.png"], "notes": ["a note"]},
        {"pictures": ["gone.png"], "notes": []},
    ]
    answer = model.predict_proba(asked, base=tmp_path)
    assert np.allclose(answer.iloc[0, :2].astype(float), answer.iloc[1, :2].astype(float), rtol=1e-6)
    status = answer["status"].tolist()
    assert "bad day: found '04/13/2020', expected a date with the day first" in status[2]
    assert "bad price: found '1.5', expected a number with a decimal comma in EUR" in status[2]
    assert "bad price: found '$5'" in status[3]
    assert "note pictures: image 2: no such file" in status[4] and "the first 2 of 3 are used" in status[4]
    assert "bad pictures: image 1: no such file" in status[5] and "missing day, notes, price" in status[5]


def test_a_date_is_not_yet_a_target(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(PlaitError, match=r"Target 'day' is date .* not yet a target. Expected a target of category"):
        plait.fit(rows, "day", base=tmp_path, quiet=True)
