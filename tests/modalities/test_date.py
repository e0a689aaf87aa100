"""Dates as people write them, against Python's calendar; one order a column; zones; counts since 1970."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plait.errors import MediaError
from plait.modalities.date import Date

HERE = Path()
DATE = Date()
UTC = datetime.timezone.utc


def at(*parts: int) -> float:
    return datetime.datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


def read(value: Any, **options: Any) -> float | None:
    raw = DATE.load(value, HERE, **options)
    return None if raw is None else DATE.read(raw)


@pytest.mark.parametrize(
    "value, seconds",
    [
        (datetime.date(2020, 1, 2), at(2020, 1, 2)),
        (datetime.datetime(2020, 1, 2, 3, 4, 5, 500_000), at(2020, 1, 2, 3, 4, 5) + 0.5),
        (datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))), at(2020, 1, 1, 22)),
        (pd.Timestamp("2020-01-02 10:00", tz="Europe/Berlin"), at(2020, 1, 2, 9)),
        (pd.Timestamp("1700-01-01 10:00"), at(1700, 1, 1, 10)),
        (pd.Period("2020-03", "M"), at(2020, 3, 1)),
        (np.datetime64("2020-01-02"), at(2020, 1, 2)),
        (np.datetime64("2020-01-02T00:00:00.25"), at(2020, 1, 2) + 0.25),
        ("2020-01-02", at(2020, 1, 2)),
        ("2020-01-02T10:11:12Z", at(2020, 1, 2, 10, 11, 12)),
        ("2020-01-02 10:11:12.5+02:00", at(2020, 1, 2, 8, 11, 12) + 0.5),
        ("2020-01-02 10:11 +0530", at(2020, 1, 2, 4, 41)),
        ("20200102T101112Z", at(2020, 1, 2, 10, 11, 12)),
        ("2020/1/2 5:07 PM", at(2020, 1, 2, 17, 7)),
        ("2020/1/2 12:07 am", at(2020, 1, 2, 0, 7)),
        ("2020-01", at(2020, 1, 1)),
        ("31/12/2020", at(2020, 12, 31)),
        ("12/31/20", at(2020, 12, 31)),
        ("31.12.69", at(1969, 12, 31)),
        ("03.04.2020 14:30", at(2020, 4, 3, 14, 30)),
        ("05/05/2020", at(2020, 5, 5)),
        ("3 Jan 2020", at(2020, 1, 3)),
        ("03-Jan-20", at(2020, 1, 3)),
        ("January 3rd, 2020", at(2020, 1, 3)),
        ("Sept. 5, 2019", at(2019, 9, 5)),
        ("Jan 2020", at(2020, 1, 1)),
        ("5th May 2019 at 10:30 am", at(2019, 5, 5, 10, 30)),
        ("Fri, 03 Jan 2020 10:00:00 +0100", at(2020, 1, 3, 9)),
        ("Fri Jan  3 10:00:00 2020", at(2020, 1, 3, 10)),
        ("Fri Jan  3 10:00:00 EST 2020", at(2020, 1, 3, 15)),
        ("2020年1月3日", at(2020, 1, 3)),
        (" 2020-01-02\n", at(2020, 1, 2)),
        ("0001-01-01", at(1, 1, 1)),
        ("9999-12-31", at(9999, 12, 31)),
        ("2020-02-29", at(2020, 2, 29)),
        ("", None),
        ("  ", None),
        (None, None),
        (pd.NaT, None),
    ],
    ids=repr,
)
def test_a_date_is_its_seconds_since_1970_in_utc(value: Any, seconds: float | None) -> None:
    assert read(value) == seconds


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%dT%H%M%SZ", "%c"])
def test_what_python_writes_is_read_again(form: str) -> None:
    for days in range(-10_000, 30_000, 997):
        day = datetime.datetime(1970, 1, 1) + datetime.timedelta(days=days)
        assert read(day.strftime(form)) == days * 86_400.0


@pytest.mark.parametrize(
    "value, options, said",
    [
        ("03/04/2020", {}, "expected a date of which the training table says whether the day or the month"),
        ("04/13/2020", {"day_first": True}, "with the day first, as in the rest of the column"),
        ("13/04/2020", {"day_first": False}, "with the month first, as in the rest of the column"),
        ("2020-13-01", {}, "found '2020-13-01', expected a date"),
        ("2021-02-29", {}, "expected a date"),
        ("2020-01-02 25:00", {}, "expected a date"),
        ("2020-01-02 13:00 pm", {}, "expected a date"),
        ("2020-01-02 10:00 XYZ", {}, "expected a date"),
        ("1.2.3", {}, "expected a date"),
        ("192.168.1.1", {}, "expected a date"),
        ("10:30", {}, "expected a date"),
        ("2020.5", {}, "expected a date"),
        ("2020", {}, "expected a date"),
        ("tomorrow", {}, "expected a date"),
        ("x" * 10**6, {}, "expected a date"),
        (1577836800, {}, r"found 1577836800 \(int\), expected a date"),
        (True, {"numbers": "s"}, "expected a number of s since 1970"),
        ("soon", {"numbers": "s"}, "expected a number of s since 1970"),
        (1e30, {"numbers": "s"}, "since 1970"),
        (float("inf"), {"numbers": "s"}, "since 1970"),
        (20201331, {"numbers": "yyyymmdd"}, "eight digits"),
        (2020.5, {"numbers": "year"}, "a year"),
        (datetime.time(10), {}, "expected a date"),
        ([1], {}, "expected a date"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_what_is_no_date_is_refused(value: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(MediaError, match=said):
        read(value, **options)


def test_numbers_count_what_the_option_says() -> None:
    for unit, scale in {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}.items():
        assert read(at(2020, 1, 2) * scale, numbers=unit) == at(2020, 1, 2)
    assert read("1577923200", numbers="s") == at(2020, 1, 2)
    assert read(2019, numbers="year") == at(2019, 1, 1) and read("20201231", numbers="yyyymmdd") == at(2020, 12, 31)
    assert read(datetime.date(2020, 1, 2), numbers="s") == at(2020, 1, 2)


def written(form: str, count: int = 40) -> list[str]:
    return [(datetime.date(2020, 1, 1) + datetime.timedelta(days=i)).strftime(form) for i in range(count)]


@pytest.mark.parametrize(
    "values, options, said",
    [
        (written("%d/%m/%Y"), {"day_first": True}, "40 of 40 sampled values are dates, day first, as 19 show"),
        (written("%m/%d/%Y"), {"day_first": False}, "month first, as 19 show"),
        (
            ["03/04/2020", "05/06/2020"],
            {"day_first": False},
            "'03/04/2020' could be two dates and nothing tells: the month",
        ),
        (
            ["03.04.2020"],
            {"day_first": True},
            "'03.04.2020' could be two dates and nothing tells: before points the day",
        ),
        (["05/05/2020"], {}, "1 of 1"),
        (written("%Y-%m-%d"), {}, "40 of 40 sampled values are dates"),
        (["2020-01-01", "2020-01-01T00:00Z"], {}, "1 without a zone taken as UTC"),
        ([datetime.date(2020, 1, 1), "2020-01-02"], {}, "2 of 2"),
        (written("%Y%m%d"), {"numbers": "yyyymmdd"}, "dates of eight digits"),
        (list(map(int, written("%Y%m%d"))), {"numbers": "yyyymmdd"}, "dates of eight digits"),
        ([1_600_000_000 + i for i in range(9)], {"numbers": "s"}, "s since 1970"),
        ([1_600_000_000_000 + i for i in range(9)], {"numbers": "ms"}, "ms since 1970"),
        ([1990, 2005], {"numbers": "year"}, "years"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_the_column_decides_how_its_dates_are_written(values: list[Any], options: dict[str, Any], said: str) -> None:
    claim = DATE.claim(values, target=False)
    assert claim is not None and claim.options == options and said in claim.reason
    assert all(read(v, **claim.options) is not None for v in values)
    assert (claim.strength > 0.8) == (options.get("numbers", "yyyymmdd") == "yyyymmdd")  # above what a number claims


def test_a_column_with_the_day_first_is_read_so_throughout() -> None:
    values = written("%d/%m/%Y", 366)
    claim = DATE.claim(values, target=False)
    assert claim is not None
    found = [read(v, **claim.options) for v in values]
    assert all(b - a == 86_400 for a, b in itertools.pairwise(found))  # type: ignore[operator]


@pytest.mark.parametrize(
    "values",
    [["1.2.3", "2.0.1"], ["10:30", "11:45"], [1.5, 2.5], ["5", "7"], ["a"], [True, False], ["2020.5", "1999.1"], [[1]]],
    ids=str,
)
def test_what_holds_no_dates_is_not_claimed(values: list[Any]) -> None:
    assert DATE.claim(values, target=False) is None
