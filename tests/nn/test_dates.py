"""The calendar of the date encoder, against Python's; what never varies is dropped."""

from __future__ import annotations

import calendar
import datetime

import numpy as np
import pytest
import torch

from plait.encoders import ENCODERS
from plait.encoders.date_cyclic import DateCyclic
from plait.nn import dates

BEGINNING = datetime.datetime(1970, 1, 1)
MOMENTS = [
    datetime.datetime(int(y), int(m), int(d), int(h), int(n))
    for y, m, d, h, n in zip(
        *(
            np.random.default_rng(0).integers(low, high, 400)
            for low, high in ((1, 9890), (1, 13), (1, 29), (0, 24), (0, 60))
        )
    )
] + [datetime.datetime(2020, 2, 29), datetime.datetime(2020, 12, 31, 23, 59), datetime.datetime(1900, 1, 1)]


def seconds(moments: list[datetime.datetime]) -> list[float]:
    return [(m - BEGINNING).total_seconds() for m in moments]


def test_phases_are_those_of_pythons_calendar() -> None:
    found = dates.phases(np.array(seconds(MOMENTS)))
    for i, m in enumerate(MOMENTS):
        expected = {
            "year": (m.timetuple().tm_yday - 1) / (366 if calendar.isleap(m.year) else 365),
            "month": (m.month - 1) / 12,
            "day": (m.day - 1) / calendar.monthrange(m.year, m.month)[1],
            "weekday": m.weekday() / 7,
            "hour": (m.hour + m.minute / 60) / 24,
        }
        assert {k: v[i] for k, v in found.items()} == pytest.approx(expected, abs=1e-9), m


def test_features_are_the_standard_score_and_points_on_circles() -> None:
    cells = seconds(MOMENTS[:20])
    where = dates.phases(np.array(cells))
    ready = dates.Calendar(mean=1e9, std=1e8, parts=["weekday", "hour"]).prepare(cells)
    for i, cell in enumerate(cells):
        score = np.clip((cell - 1e9) / 1e8, -20, 20)
        circles = [f(2 * np.pi * where[p][i]) for p in ("weekday", "hour") for f in (np.sin, np.cos)]
        np.testing.assert_allclose(ready[i]["features"], [score, *circles], atol=1e-6)


def test_the_last_hour_of_a_year_is_near_the_first() -> None:
    circle = dates.Calendar(mean=0, std=1e12, parts=["year", "hour"])
    first, last, noon = (
        circle.prepare(seconds([datetime.datetime(*p)]))[0]["features"]  # type: ignore[arg-type]
        for p in ((2020, 1, 1), (2020, 12, 31, 23, 59), (2020, 7, 1, 12))
    )
    assert np.linalg.norm(first - last) < 0.02 < 2 < np.linalg.norm(first - noon)


def test_what_never_varies_is_dropped() -> None:
    days = [datetime.datetime(2020, 1, 1) + datetime.timedelta(days=i) for i in range(100)]
    assert dates.learn(seconds(days))["parts"] == ["year", "month", "day", "weekday"]
    weeks = [datetime.datetime(2020, 1, 6, 9) + datetime.timedelta(weeks=i) for i in range(100)]
    assert "weekday" not in dates.learn(seconds(weeks))["parts"] and "hour" not in dates.learn(seconds(weeks))["parts"]
    assert dates.learn(seconds([MOMENTS[0]] * 3))["parts"] == [] == dates.learn([None])["parts"]
    firsts = [datetime.datetime(y, 1, 1) for y in range(1990, 2020)]
    assert dates.learn(seconds(firsts))["parts"] == ["weekday"]


def test_the_token_is_the_formula() -> None:
    cells = [0.0, 1.5e9, 3e9]
    encoder: DateCyclic = ENCODERS.build({**ENCODERS.complete({"name": "date_cyclic", "width": 6}, cells)})
    inputs = encoder.collate([*encoder.prepare(cells), None])
    line = encoder.out[0]
    expected = torch.relu(inputs["features"] @ line.weight.T + line.bias)  # type: ignore[operator,union-attr]
    found = encoder(inputs)
    assert torch.allclose(found.x[:, 0], expected) and found.mask.tolist() == [[True]] * 3 + [[False]]


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(AssertionError, match="expected some of"):
        DateCyclic(parts=["minute"])


@pytest.mark.parametrize("cell", [1e300, -1e300, 2.53e11, -6.3e10])
def test_times_past_every_calendar_are_finite(cell: float) -> None:
    assert np.isfinite(dates.Calendar(mean=0, std=1, parts=list(dates.PARTS)).prepare([cell])[0]["features"]).all()
