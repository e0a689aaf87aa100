"""Numbers as people write them: one style a column, and what does not fit it is a bad cell, never another number."""

from __future__ import annotations

import datetime
import decimal
import fractions
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plait.errors import MediaError
from plait.modalities.number import Number

HERE = Path()
NUMBER = Number()


def read(value: Any, **options: Any) -> float | None:
    raw = NUMBER.load(value, HERE, **options)
    return None if raw is None else NUMBER.read(raw)


@pytest.mark.parametrize(
    "value, number",
    [
        (1, 1.0),
        (-0.0, 0.0),
        ("1.5", 1.5),
        (" 2\n", 2.0),
        ("1e3", 1000.0),
        ("-7", -7.0),
        (True, 1.0),
        (np.False_, 0.0),
        (decimal.Decimal("1.25"), 1.25),
        (fractions.Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3.0),
        (1e308, 1e308),
        (5e-324, 5e-324),
        (np.array(1.5), 1.5),
        (datetime.timedelta(minutes=2), 120.0),
        (pd.Timedelta("1h"), 3600.0),
        (np.timedelta64(1500, "ms"), 1.5),
        ("nan", None),
        ("", None),
        ("  ", None),
        (2**70, float(2**70)),
    ],
    ids=repr,
)
def test_numbers_are_finite_floats(value: Any, number: float | None) -> None:
    found = read(value)
    assert found == number and (found is None or type(found) is float)


@pytest.mark.parametrize(
    "text, decimal_mark, unit, number",
    [
        ("1,234.5", ".", "", 1234.5),
        ("1.234,5", ",", "", 1234.5),
        ("1,500", ".", "", 1500.0),
        ("1,500", ",", "", 1.5),
        ("1.500", ",", "", 1500.0),
        ("1,5", ",", "", 1.5),
        ("-,5", ",", "", -0.5),
        ("1 234 567", ".", "", 1234567.0),
        ("1\u00a0234,5", ",", "", 1234.5),
        ("1\u202f234,5", ",", "", 1234.5),
        ("1'234.50", ".", "", 1234.5),
        ("1’234", ".", "", 1234.0),
        ("12,34,567", ".", "", 1234567.0),
        ("−5", ".", "", -5.0),
        ("(1,200)", ".", "", -1200.0),
        ("( 3 )", ".", "", -3.0),
        ("($1,200.50)", ".", "USD", -1200.5),
        ("€5", ".", "EUR", 5.0),
        ("5 EUR", ".", "EUR", 5.0),
        ("5", ".", "EUR", 5.0),
        ("-$5", ".", "USD", -5.0),
        ("$-5", ".", "USD", -5.0),
        ("€ 1.234,50", ",", "EUR", 1234.5),
        ("5 zł", ".", "PLN", 5.0),
        ("Rs.500", ".", "INR", 500.0),
        ("5 kr.", ".", "kr", 5.0),
        ("5 %", ".", "%", 5.0),
        ("12,5%", ",", "%", 12.5),
        ("1.5e3", ".", "", 1500.0),
        ("1,5E-3", ",", "", 0.0015),
        ("１２", ".", "", 12.0),
        ("１２．５", ".", "", 12.5),
        ("٣", ".", "", 3.0),
    ],
    ids=ascii,
)
def test_numbers_in_text_are_read_in_the_style_of_their_column(
    text: str, decimal_mark: str, unit: str, number: float
) -> None:
    assert read(text, decimal=decimal_mark, unit=unit) == number


@pytest.mark.parametrize(
    "value, options, said",
    [
        ("1,5", {}, "found '1,5', expected a number"),
        ("1.5", {"decimal": ","}, "with a decimal comma as in the rest of the column"),
        ("1.234.5", {"decimal": ","}, "expected a number"),
        ("0,125", {}, "expected a number"),
        ("12,34", {}, "expected a number"),
        ("€5", {}, "expected a number"),
        ("$5", {"unit": "EUR"}, "expected a number in EUR"),
        ("5%", {"unit": "EUR"}, "in EUR"),
        ("5", {"unit": "%"}, "in %"),
        ("5 %", {}, "expected a number"),
        ("--5", {}, "expected a number"),
        ("(-5)", {}, "expected a number"),
        ("(5", {}, "expected a number"),
        ("€5€", {"unit": "EUR"}, "expected a number"),
        ("5-", {}, "expected a number"),
        ("5²", {}, "expected a number"),
        ("½", {}, "expected a number"),
        ("1_000", {}, "expected a number"),
        ("2020-01", {}, "expected a number"),
        ("1 2", {}, "expected a number"),
        ("1" * 65 + ",5", {}, "expected a number"),
        ("abc", {}, "expected a number"),
        ("0x10", {}, "expected a number"),
        ("inf", {}, "infinite"),
        ("-Infinity", {}, "infinite"),
        ("1e400", {}, "'1e400' is infinite, or too large"),
        (float("inf"), {}, "infinite"),
        (10**400, {}, "expected a number"),
        (1j, {}, "complex number 1j, expected a real number"),
        (np.complex64(1), {}, "complex"),
        ([1], {}, "expected a number"),
        ({"a": 1}, {}, "expected a number"),
        (object(), {}, "expected a number"),
        (pd.Timestamp("2020"), {}, "expected a number"),
        (np.zeros(2), {}, "expected a number"),
    ],
    ids=lambda v: ascii(v)[:15],
)
def test_what_does_not_fit_is_refused_and_never_read_in_another_way(
    value: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(MediaError, match=said):
        read(value, **options)


@pytest.mark.parametrize(
    "values, options, said",
    [
        (["1.5", "2", "1,000.5"], {}, "3 of 3 sampled values are numbers"),
        (
            ["1,5", "2,25", "3"] * 4,
            {"decimal": ","},
            "12 of 12 sampled values are numbers, written with a decimal comma",
        ),
        (["1,500", "2,25"], {"decimal": ","}, "decimal comma"),
        (["1.500", "2,25"], {"decimal": ","}, "decimal comma"),
        (["0,125", "1,500"], {"decimal": ","}, "decimal comma"),
        (["1,500", "2,000"], {}, "'1,500' is read as 1500 because nothing in the column says which mark is decimal"),
        (["1.500", "2.000"], {}, "'1.500' is read as 1.5 because nothing"),
        (["1,500", "2.5"], {}, "2 of 2 sampled values are numbers"),
        (["1 234", "12"], {}, "2 of 2"),
        (["€5", "€1,200.50"], {"unit": "EUR"}, "in EUR"),
        (["€5", "7 EUR", "8"], {"unit": "EUR"}, "in EUR"),
        (["5%", "7 %"], {"unit": "%"}, "in %"),
        (["5,5 %", "7%"], {"decimal": ",", "unit": "%"}, "decimal comma, in %"),
        ([1.5, "2"], {}, "1 as text"),
        ([1, "2", True], {}, "1 as text, 1 true or false, taken as 1 and 0"),
        ([datetime.timedelta(1)], {}, "1 of 1"),
        ([1] * 19 + ["x"], {}, "19 of 20"),
        (["0", "10", "0.5"], {}, "3 of 3"),
        ([True, False], {}, "2 of 2"),
        (["+49", "+1.5"], {}, "2 of 2"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_the_column_decides_how_its_numbers_are_written(values: list[Any], options: dict[str, Any], said: str) -> None:
    claim = NUMBER.claim(values, target=False)
    assert claim is not None and claim.options == options and said in claim.reason
    loaded = [v for v in values if v != "x"]
    assert all(read(v, **claim.options) is not None for v in loaded)


@pytest.mark.parametrize(
    "values",
    [
        ["0008", "0012"],
        ["0", "0.5", "00"],
        [1] * 18 + ["x"] * 2,
        ["€5", "$7"] * 5,
        ["5%", "3"] * 5,
        ["1,5", "2.5"] * 5,
        ["+4930123456", "+4930999999"],
        ["555 123 456", "555 321 654"],
        ["12345678901234567", "76543210987654321"],
        [2**60 + i for i in range(9)],
        ["nan", "NA"],
        ["1_000", "2_000"],
        ["1.2.3"] * 3,
        [{"a": 1}],
        [[1]],
        ["9" * 10**6],
    ],
    ids=lambda v: str(v)[:40],
)
def test_codes_and_mixtures_are_no_numbers(values: list[Any]) -> None:
    assert NUMBER.claim(values, target=False) is None


def test_few_whole_numbers_are_a_weak_claim_on_a_target_only() -> None:
    values = [i % 3 for i in range(60)]
    strengths = [c.strength for t in (False, True) if (c := NUMBER.claim(values, target=t))]
    assert strengths[0] > 0.7 > strengths[1]


@pytest.mark.parametrize("mark", ".,")
def test_every_float_goes_through_text_and_back(mark: str) -> None:
    numbers = np.random.default_rng(0).normal(0, 1e4, 500).round(2).tolist()
    grouped = [f"{x:,.2f}" if mark == "." else f"{x:,.2f}".translate(str.maketrans(",.", ".,")) for x in numbers]
    claim = NUMBER.claim(grouped, target=False)
    assert claim is not None and claim.options == ({} if mark == "." else {"decimal": ","})
    assert [read(g, **claim.options) for g in grouped] == numbers


def test_plain_floats_are_quick() -> None:
    values = np.random.default_rng(0).normal(size=100_000).tolist()
    began = time.process_time()
    assert [NUMBER.load(v, HERE) for v in values] == values
    assert time.process_time() - began < 0.5
