"""A series in the report: a line a channel, whose points are those of a formula, and gaps left open."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import plait
from plait.data.table import read_table
from plait.report.media import DOTS, LINES, Media


def shown(cell: object) -> str:
    return Media(read_table([{"s": cell}])).cell(0, "s", "series")


def paths(html: str) -> list[str]:
    return [p.attrib["d"] for p in ElementTree.fromstring(html).iter("path")]


def test_a_line_goes_from_the_lowest_to_the_highest_value_over_time() -> None:
    html = shown({"time": [0, 1, 4], "v": [5, 15, 10]})
    assert paths(html) == ["M2.0 62.0L61.0 2.0L238.0 32.0"]
    assert "3 steps" in html


def test_gaps_are_open_and_channels_without_a_value_not_drawn() -> None:
    html = shown([[None, None, 7], [1, None, 7], [None, None, 7], [3, None, None], [2, None, 7]])
    first, flat = paths(html)
    assert first == "M61.0 62.0M179.0 2.0L238.0 32.0"
    assert flat.count("M") == 2 and set(re.findall(r" (\d+\.\d)", flat)) == {"62.0"}


def test_a_long_series_of_many_channels_stays_small() -> None:
    html = shown(np.random.default_rng(0).standard_normal((100_000, 9)))
    assert len(paths(html)) == LINES and f"the first {LINES} are drawn" in html
    assert all(len(re.findall("[ML]", p)) <= DOTS for p in paths(html)) and len(html) < 20_000
    assert "cannot be read" in shown("no/such.npy") and "missing" in shown([None])


@pytest.mark.slow
def test_a_model_of_series_has_a_page_a_card_and_answers_after_loading(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [{"s": (random.standard_normal((20, 2)) + i % 2 * 3).tolist(), "y": "ab"[i % 2]} for i in range(40)]
    rows[3]["s"], rows[5]["s"] = None, [[1, 2, 3]]
    model = plait.fit(
        rows, "y", epochs=3, quiet=True, out=tmp_path / "m", encoders={"s": {"name": "series_rocket", "kernels": 64}}
    )
    assert model.inputs == {"s": "series"}
    page = (tmp_path / "m" / "report.html").read_text("utf-8")
    assert "steps, 2 channels" in page and "has 3 channels; expected 2" in page
    assert "[0.5, 0.7, 0.6]" in (tmp_path / "m" / "MODEL_CARD.md").read_text("utf-8")
    again = plait.load(tmp_path / "m").predict(rows[:6])
    assert again["y"].tolist() == model.predict(rows[:6])["y"].tolist() and "missing s" in again["status"][3]
    assert json.loads((tmp_path / "m" / "report.json").read_text("utf-8"))
