"""Text, categories and sets of labels: what a value in a cell means."""

from __future__ import annotations

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
        (1.5, "1.5"),
        (3, "3"),
        (True, "True"),
        ("ΟΔΟΣ", "ΟΔΟΣ"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (bytearray(b"caf\xc3\xa9"), "café"),
        (b"\xef\xbb\xbfBOM", "BOM"),
        ("wide".encode("utf-16"), "wide"),
        (b"", ""),
        ("\u200bzero\u200d\ufeff", "\u200bzero\u200d\ufeff"),
        ("null", "null"),
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
    began = time.process_time()
    for piece in ("word ", "x", "e" + "\u0301" * 50, "番茄", "👩\u200d", "\u0301\u0316", "—", "\u0e48\u0e38"):
        text = read("text", piece * (10**7 // len(piece)))
        assert len(text) <= 100_000 * 31 / 30 + 1 and unicodedata.is_normalized("NFC", text)
    assert time.process_time() - began < 8  # two marks in turn took 19 s when they were put in order at once


def test_stacked_marks_are_all_kept_with_joiners_between_them() -> None:
    zalgo = "e" + "\u0316\u0301" * 100 + "!"
    text = read("text", zalgo)
    assert unicodedata.normalize("NFD", text).replace("\u034f", "").count("\u0316") == 100 == text.count("\u0316")
    assert text.count("\u034f") == 200 // 30 and text.endswith("!")
    few = "e" + "\u0316\u0301" * 15
    assert read("text", few) == unicodedata.normalize("NFC", few)  # thirty marks are left alone


def test_what_is_odd_about_a_text_is_remarked() -> None:
    part, said = modality("text"), []
    for value in ("x" * 100_001, b"caf\xe9", "x" * 100_000, b"caf\xc3\xa9", ""):
        part.read(part.load(value, HERE), note=said.append)
    assert said == ["cut after 100,000 of 100,001 characters", "bytes that are not UTF-8, read as Windows-1252"]


@pytest.mark.parametrize("value", [["a"], {"a": 1}, {1}, (1,), np.array(["a"])], ids=str)
def test_a_text_is_one_text(value: Any) -> None:
    with pytest.raises(MediaError, match="expected one text"):
        read("text", value)


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


def test_a_name_that_is_a_book_is_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(MediaError, match="found 100001 characters, expected a name of at most 1000"):
        read("category", "e" + "\u0301\u0316" * 50_000)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("value", [["a"], ("a",), {"a"}, {"a": 1}, b"a", np.array(["a"]), frozenset("a")], ids=str)
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
    ids=lambda v: str(sorted(v) if isinstance(v, (set, frozenset)) else v),
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
        ("text", ["a", "b", 1], False),
        ("text", ["a"] * 9 + [1], True),
        ("category", ["a", "b"] * 5, True),
        ("category", ["x" * 81, "y"] * 5, False),
        ("category", [f"n{i}" for i in range(20)], False),
        ("category", [True, False, np.True_], True),
        ("category", ["yes", "no", "Yes"], True),
        ("category", [0, 1, "true"], True),
        ("category", [f"{i:04d}" for i in range(20)], True),
        ("category", [f"030-{i:04d}" for i in range(20)], True),
        ("category", [f"{i}.5" for i in range(20)], False),
        ("category", ["x" * 10**6, "y"], False),
        ("category", [["a"], "b"], False),
        ("category", [{"a": 1}] * 9, False),
        ("labels", [[1, 2], [3]], True),
        ("labels", [[1, 2], [3, 3]], False),
        ("labels", [list(range(40))], False),
        ("labels", [[1.5], [2.0]], False),
        ("labels", [["a"], "x"], False),
        ("labels", ['["a"]', "[]"], True),
        ("labels", [[["a"]]], False),
        ("labels", ["[" * 10**5], False),
    ],
    ids=lambda v: str(v)[:30],
)
def test_claims(kind: str, values: list[Any], claimed: bool) -> None:
    assert (modality(kind).claim(values, target=False) is not None) == claimed
