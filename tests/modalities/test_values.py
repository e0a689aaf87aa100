"""Text, numbers, categories and sets of labels: what a value in a cell means."""

from __future__ import annotations

import decimal
import fractions
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plait.errors import MediaError
from plait.modalities import modality

HERE = Path()


def read(kind: str, value: Any) -> Any:
    part = modality(kind)
    raw = part.load(value, HERE)
    return None if raw is None else part.read(raw)


@pytest.mark.parametrize(
    "value, text",
    [
        ("", ""),
        ("  ", "  "),
        ("NA", "NA"),
        ("None", "None"),
        ("nan", "nan"),
        ("null", "null"),
        (1.5, "1.5"),
        (3, "3"),
        (True, "True"),
        ("ΟΔΟΣ", "ΟΔΟΣ"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "caf\ufffd"),
        ("a\0b\r\n\x1b[31m", "a\0b\r\n\x1b[31m"),
        ("\ud800x", "?x"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("e\u0301", "é"),
        (pd.Timestamp("2020-01-02"), "2020-01-02 00:00:00"),
        ("[CLS] <s> </s> [MASK]", "[CLS] <s> </s> [MASK]"),
        ("שלום\u202e", "שלום\u202e"),
    ],
    ids=ascii,
)
def test_text_is_the_text_that_stands_there(value: Any, text: str) -> None:
    assert read("text", value) == text


def test_an_endless_text_is_cut_and_stays_quick() -> None:
    began = time.monotonic()
    for piece in ("word ", "x", "e" + "\u0301" * 50, "番茄", "👩\u200d"):
        text = read("text", piece * (10**7 // len(piece)))
        assert len(text) <= 100_000 and unicodedata.is_normalized("NFC", text)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("value", [["a"], {"a": 1}, {1}, (1,), np.array(["a"])], ids=str)
def test_a_text_is_one_text(value: Any) -> None:
    with pytest.raises(MediaError, match="expected one text"):
        read("text", value)


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
        ("nan", None),
        ("", None),
        ("  ", None),
        (2**70, float(2**70)),
    ],
    ids=repr,
)
def test_numbers_are_finite_floats(value: Any, number: float | None) -> None:
    found = read("number", value)
    assert found == number and (found is None or type(found) is float)


@pytest.mark.parametrize(
    "value",
    [
        "1,5",
        "1 000",
        "€5",
        "5%",
        "abc",
        "inf",
        "-Infinity",
        "1e400",
        float("inf"),
        10**400,
        1j,
        [1],
        {"a": 1},
        "0x10",
        object(),
        pd.Timestamp("2020"),
        np.zeros(2),
    ],
    ids=ascii,
)
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(MediaError, match=r"expected a number|infinite"):
        read("number", value)


@pytest.mark.parametrize(
    "values",
    [
        ("3", 3, 3.0, np.int64(3), np.float32(3)),
        ("True", True, np.True_),
        ("é", "e\u0301", " é "),
        ("0.5", 0.5, np.float64(0.5)),
        ("-2", -2, -2.0),
        ("0", 0, 0.0, -0.0),
    ],
    ids=str,
)
def test_the_same_name_in_other_dress_is_the_same_category(values: tuple[Any, ...]) -> None:
    assert {read("category", v) for v in values} == {values[0]}


@pytest.mark.parametrize(
    "value, name",
    [
        ("0008", "0008"),
        ("08", "08"),
        ("3.0", "3.0"),
        ("NA", "NA"),
        ("None", "None"),
        (1.5, "1.5"),
        ("\ud800", "?"),
        ("", None),
        ("  ", None),
        (float("inf"), "inf"),
    ],
    ids=ascii,
)
def test_a_category_is_its_name(value: Any, name: str | None) -> None:
    assert read("category", value) == name


@pytest.mark.parametrize("value", [["a"], ("a",), {"a"}, {"a": 1}, b"a", np.array(["a"])], ids=str)
def test_a_category_is_one_name(value: Any) -> None:
    with pytest.raises(MediaError, match="expected one name"):
        read("category", value)


@pytest.mark.parametrize(
    "value",
    [
        ["b", "a"],
        ("a", "b"),
        {"b", "a"},
        frozenset("ab"),
        np.array(["b", "a"]),
        '["b", "a"]',
        ["a", "b", "a"],
        ["a ", "b"],
        pd.Series(["a", "b"]),
        ' ["a","b"] ',
    ],
    ids=str,
)
def test_a_set_of_labels_is_sorted_without_repeats(value: Any) -> None:
    assert read("labels", value) == ("a", "b")


def test_labels_are_names() -> None:
    assert read("labels", [3, "x"]) == ("3", "x") and read("labels", ["e\u0301"]) == ("é",)
    assert read("labels", ["\ud800"]) == ("?",)
    assert read("labels", []) == () == read("labels", "[]")
    assert read("labels", "") is read("labels", None) is read("labels", " ") is None


@pytest.mark.parametrize(
    "value",
    ["a, b", "a", "{", '{"a": 1}', "3", 3, 1.5, [["a"]], [None], [1.5], np.zeros((2, 2)), "[" * 10**5, object()],
    ids=lambda v: str(v)[:20],
)
def test_what_is_no_list_of_names_is_refused(value: Any) -> None:
    with pytest.raises(MediaError, match="expected a list of names"):
        read("labels", value)


@pytest.mark.parametrize(
    "kind, values, claimed",
    [
        ("number", ["0008", "0012"], False),
        ("number", ["0", "0.5", "00"], False),
        ("number", ["0", "10", "0.5"], True),
        ("number", [1] * 19 + ["x"], True),
        ("number", [1] * 18 + ["x"] * 2, False),
        ("number", [True, False], True),
        ("text", ["a", "b", 1], False),
        ("text", ["a"] * 9 + [1], True),
        ("category", ["a", "b"] * 5, True),
        ("category", ["x" * 81, "y"] * 5, False),
        ("category", [f"n{i}" for i in range(20)], False),
        ("category", [True, False, np.True_], True),
        ("category", [["a"], "b"], False),
        ("category", [{"a": 1}] * 9, False),
        ("labels", [["a"], "x"], False),
        ("labels", ['["a"]', "[]"], True),
        ("labels", [[["a"]]], False),
        ("labels", ["[" * 10**5], False),
    ],
    ids=lambda v: str(v)[:30],
)
def test_claims(kind: str, values: list[Any], claimed: bool) -> None:
    assert (modality(kind).claim(values, target=False) is not None) == claimed
