"""Which column is what: a table of tricky columns with what a person would say, and how many of them are told right."""

from __future__ import annotations

import base64
import datetime
import decimal
import hashlib
import json
import time
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.conftest import encoded, picture

from plait.data.schema import Column, infer
from plait.data.table import Table, read_table
from plait.encoders.category_embedding import UNKNOWN, CategoryEmbedding
from plait.errors import TableError, UnknownNameError

N = 60
RANDOM = np.random.default_rng(0)
SHUFFLED = RANDOM.permutation(N).tolist()
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(days=7 * i) for i in SHUFFLED]
WORDS = ["apple", "river", "stone", "cloud", "music", "paper", "glass", "winter", "summer", "bread", "tiger", "lemon"]
LONG = "The tomato is the edible berry of a plant that came from western South America. "
PNG = [base64.b64encode(encoded(picture(6, 6, i))).decode() for i in range(5)]

Tricky = dict[str, tuple[list[Any], str]]  # column -> values, its modality as an input ("-": skipped)
NUMBERS: Tricky = {
    "whole numbers": (SHUFFLED, "number"),
    "few whole numbers": ([i % 3 for i in range(N)], "number"),
    "ratings 1-5": ([1 + i % 5 for i in SHUFFLED], "number"),
    "years": ([1960 + i for i in SHUFFLED], "number"),
    "numbers as text": ([f"-{i * 1.5}" for i in range(N)], "number"),
    "decimal commas": ([f"{i},5" for i in SHUFFLED], "number"),
    "thousands": ([f"{1000 + 37 * i:,}" for i in SHUFFLED], "number"),
    "thousands by spaces": ([f"{1000 + 37 * i:,}".replace(",", "\u202f") for i in SHUFFLED], "number"),
    "prices": ([f"€{i * 3 % 29}.50" for i in range(N)], "number"),
    "prices of several currencies": ([f"{'€$'[i % 2]}{i * 3 % 29} a piece" for i in range(N)], "text"),
    "percentages": ([f"{i} %" for i in SHUFFLED], "number"),
    "money in parentheses": ([f"({i + 1},200)" if i % 3 else f"{i + 1},300" for i in SHUFFLED], "number"),
    "exponents": (["1e5", "2E-3", "3e4"] * 20, "number"),
    "numbers and a few words": (["1.5", "2"] * 29 + ["none", "3"], "number"),
    "decimals": ([decimal.Decimal(i) / 3 for i in range(N)], "number"),
    "infinity among numbers": ([float("inf"), 1.0, 2.0] * 20, "number"),
    "mixed true, numbers and text": ([1, "2", None, True] * 15, "number"),
    "durations": ([datetime.timedelta(minutes=i) for i in SHUFFLED], "number"),
    "latitudes": ([f"{48 + i / 97:.6f}" for i in SHUFFLED], "number"),
    "seconds since 1970 called load": ([1_600_000_000 + 977 * i for i in SHUFFLED], "number"),
}
CATEGORIES: Tricky = {
    "few codes with leading zeros": ([f"{i % 7:04d}" for i in range(N)], "category"),
    "zip codes": ([f"{(i % 40) * 1637 % 100_000:05d}" for i in range(N)], "category"),
    "zip": ([10_000 + (i % 40) * 1637 % 89_999 for i in range(N)], "category"),
    "phone numbers": ([f"+49 30 {1_234_567 + i % 40}" for i in range(N)], "category"),
    "user_id": ([7_919 * (i % 30) for i in range(N)], "category"),
    "true and false": ([bool(i % 2) for i in range(N)], "category"),
    "True, False, 1 and 0": (["True", "False", "1", "0"] * 15, "category"),
    "zeros and ones": ([i % 2 for i in SHUFFLED], "category"),
    "yes and no": (["yes", "no"] * 30, "category"),
    "words that look missing": (["nan", "NA", "None"] * 20, "category"),
    "versions": ([f"1.{i % 5}.{i % 2}" for i in range(N)], "category"),
    "addresses of machines": ([f"192.168.0.{i % 9}" for i in range(N)], "category"),
    "times of day": ([f"{8 + i % 9:02d}:30" for i in range(N)], "category"),
    "one word": ([WORDS[i % 12] for i in range(N)], "category"),
    "near constant": (["a"] * 59 + ["b"], "category"),
    "emoji": (["🍅", "🍋", "🍞"] * 20, "category"),
    "half numbers half words": ([i % 4 if i % 2 else WORDS[i % 4] for i in range(N)], "category"),
}
DATES: Tricky = {
    "ISO dates": ([d.isoformat() for d in DAYS], "date"),
    "days first": ([d.strftime("%d/%m/%Y") for d in DAYS], "date"),
    "months first": ([d.strftime("%m/%d/%y") for d in DAYS], "date"),
    "dates in words": ([d.strftime("%B %d, %Y") for d in DAYS], "date"),
    "German dates": ([d.strftime("%d.%m.%Y") for d in DAYS], "date"),
    "Chinese dates": ([f"{d.year}年{d.month}月{d.day}日" for d in DAYS], "date"),
    "dates of eight digits": ([d.strftime("%Y%m%d") for d in DAYS], "date"),
    "dates with zones": ([f"{d}T10:00:00{'Z' if d.day % 2 else '+02:00'}" for d in DAYS], "date"),
    "dates of Python": (DAYS, "date"),
    "timestamps": ([pd.Timestamp(d) for d in DAYS], "date"),
    "created_at": ([1_600_000_000 + 977 * i for i in SHUFFLED], "date"),
    "one date": ([DAYS[0]] * N, "-"),
}
TEXTS: Tricky = {
    "sentences": ([f"word{i % 30} another" for i in range(N)], "text"),
    "long text": ([LONG * 3 + str(i) for i in range(N)], "text"),
    "one long text often": (["a very long text " * 10, "another long text " * 10] * 30, "text"),
    "Chinese": ([f"一个成熟的番茄{WORDS[i % 12][0] * i}" for i in range(N)], "text"),
    "HTML": ([f"<p>{WORDS[i % 12]} <b>{i}</b></p>" for i in range(N)], "text"),
    "JSON objects": ([json.dumps({"a": i, "b": WORDS[i % 12]}) for i in range(N)], "text"),
    "pairs of coordinates": ([f"{48 + i / 97:.6f}, {11 + i / 89:.6f}" for i in SHUFFLED], "text"),
    "one word each": ([WORDS[i % 12] + WORDS[i // 12] for i in range(N)], "text"),
    "names of people": ([f"{WORDS[i % 12].title()} {WORDS[i // 12].title()}" for i in range(N)], "text"),
}
MEDIA: Tricky = {
    "pictures": ([f"{i}.JPG " for i in range(N)], "image"),
    "pictures but for a few": ([f"{i}.jpeg" if i % 15 else "none" for i in range(N)], "image"),
    "pictures in base64": ([PNG[i % 5] for i in range(N)], "image"),
    "pictures as bytes": ([base64.b64decode(PNG[i % 5]) for i in range(N)], "image"),
    "pictures on the web": ([f"https://example.org/{i}.png" for i in range(N)], "image"),
    "sounds": ([f"a/{i}.flac" for i in range(N)], "audio"),
    "films": ([f"a/{i}.mp4" for i in range(N)], "video"),
    "lists of pictures": ([[f"{i}.png", f"{i}b.png"][: 1 + i % 2] for i in range(N)], "images"),
    "lists of texts": ([[f"{LONG}{i}"] * (i % 3) for i in range(N)], "texts"),
    "lists of short texts": ([[f"Note {i}.", f"A ripe no. {i}"] for i in range(N)], "texts"),
    "lists of names of two words": ([["New York", f"San {'ABCDE'[i % 5]}"] for i in range(N)], "labels"),
    "lists of names": ([["a"], ["b", "c"]] * 30, "labels"),
    "lists of names as JSON": (['["a"]', "[]"] * 30, "labels"),
    "lists of few whole numbers": ([[1, 2], [3]] * 30, "labels"),
    "lists of numbers": ([RANDOM.normal(size=20).tolist() for _ in range(N)], "series"),
    "lists within lists of names": ([[["a"]], [["b", ["c"]]]] * 30, "-"),
}
SKIPPED: Tricky = {
    "0008": ([f"{i:04d}" for i in SHUFFLED], "-"),
    "a row counter": (list(range(5, N + 5)), "-"),
    "a row counter as text": ([str(i) for i in range(N)], "-"),
    "UUIDs": ([str(uuid.UUID(int=i * 7919**9)) for i in range(N)], "-"),
    "hashes": ([hashlib.sha256(bytes([i])).hexdigest() for i in range(N)], "-"),
    "99 % unique": ([f"x{i * 7919:08x}" for i in range(N - 1)] + ["x00000000"], "-"),
    "e-mail addresses": ([f"{WORDS[i % 12]}{i}@example.org" for i in range(N)], "-"),
    "pages on the web": ([f"https://example.org/{WORDS[i % 12]}/{i}" for i in range(N)], "-"),
    "phone numbers of all": ([f"030 {1_234_567 + i * 7919}" for i in range(N)], "-"),
    "long numbers of cards": ([str(4_111_111_111_111_111 * 10 + i * 7919) for i in range(N)], "-"),
    "bar codes": ([f"{4_006_381_000_000 + i * 7919}" for i in SHUFFLED], "-"),
    "half pictures half sounds": ([f"{i}.png" if i % 2 else f"{i}.wav" for i in range(N)], "-"),
    "one value": (["same"] * N, "-"),
    "one number": ([3.0] * N, "-"),
    "one value and gaps": (["only"] + [None] * (N - 1), "-"),
    "nothing": ([None, float("nan"), ""] * 20, "-"),
    "bytes of no picture": ([b"x", b"y"] * 30, "-"),
    "dicts": ([{"a": 1}] * N, "-"),
    "a huge number": ([1, 10**400, 3] * 20, "-"),
}
TRICKY: Tricky = {**NUMBERS, **CATEGORIES, **DATES, **TEXTS, **MEDIA, **SKIPPED}
KNOWN_WRONG = {  # what is told instead
    "bar codes": "number",  # thirteen digits without a leading zero: only the name of the column could tell
}
TARGET = {"y": ["a", "b"] * 30, "x": [i * 0.7 for i in range(N)]}


def table(columns: dict[str, Any]) -> Table:
    return read_table(pd.DataFrame({k: pd.Series(list(v), dtype=object) for k, v in columns.items()}))


def column_of(values: list[Any], *, name: str = "it", **options: Any) -> Column:
    return infer(table({**TARGET, name: values}), targets=["y"], **options).columns[2]


@pytest.mark.parametrize("name", TRICKY)
def test_a_tricky_column_is_what_a_person_would_say(name: str) -> None:
    values, expected = TRICKY[name]
    expected = KNOWN_WRONG.get(name, expected)
    column = column_of(values, name=name)
    assert (column.modality or "-", column.role) == (expected, "skip" if expected == "-" else "input"), column.reason
    assert len(column.reason) > 5


def test_nearly_all_tricky_columns_are_told_right_and_printed_with_a_reason() -> None:
    assert len(TRICKY) >= 45 and len(KNOWN_WRONG) <= 0.05 * len(TRICKY)
    values = {name: values for name, (values, _) in TRICKY.items()}
    schema = infer(table({**TARGET, **values}), targets=["y"])
    found = {c.name: c.modality or "-" for c in schema.columns[2:]}
    right = [name for name, (_, expected) in TRICKY.items() if found[name] == expected]
    assert len(right) == len(TRICKY) - len(KNOWN_WRONG)
    lines = str(schema).splitlines()
    assert len(lines) == len(TRICKY) + 2 and all(c.reason in line for c, line in zip(schema.columns, lines))


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("decimal commas", {"decimal": ","}, "60 of 60 sampled values are numbers, written with a decimal comma"),
        ("prices", {"unit": "EUR"}, "in EUR"),
        ("percentages", {"unit": "%"}, "in %"),
        ("thousands", {}, "because nothing in the column says which mark is decimal"),
        ("days first", {"day_first": True}, "day first, as 35 show"),
        ("months first", {"day_first": False}, "month first, as 35 show"),
        ("created_at", {"numbers": "s"}, "s since 1970, and it is called 'created_at'"),
        ("zip", {}, "and it is called 'zip'"),
        ("pictures but for a few", {}, "; 7% are something else, as 'none'"),
        ("0008", {}, "looks like an id: 60 of 60 values differ"),
    ],
    ids=str,
)
def test_the_reason_says_what_was_decided(name: str, options: dict[str, Any], said: str) -> None:
    column = column_of(TRICKY[name][0], name=name)
    assert said in column.reason and column.options == options


def test_codes_that_come_back_are_no_ids_even_where_the_sample_shows_each_once() -> None:
    values = [f"x{i // 3 * 7919:08x}" for i in range(3000)]
    source = read_table(pd.DataFrame({"y": ["a", "b"] * 1500, "x": np.arange(3000) % 7 * 0.5, "it": values}))
    assert infer(source, targets=["y"]).inputs["it"] == "text"


def test_how_cells_are_written_is_told_where_the_modality_is_given_too() -> None:
    commas = column_of(TRICKY["decimal commas"][0], modalities={"it": "number"})
    assert commas.options == {"decimal": ","} and commas.reason.startswith("as given: 60 of 60")
    counts = column_of(TRICKY["created_at"][0], inputs={"it": "date"})
    assert (counts.modality, counts.options) == ("date", {"numbers": "s"})
    assert column_of(["a"] * N, modalities={"it": "text"}).reason == "as given"
    chosen = column_of(["03/04/2020"] * N, modalities={"it": {"name": "date", "day_first": True}})
    assert (chosen.modality, chosen.options) == ("date", {"day_first": True})
    with pytest.raises(UnknownNameError, match=r"option of modality 'date': 'dayfirst'. Did you mean 'day_first'"):
        column_of(["a"] * N, modalities={"it": {"name": "date", "dayfirst": True}})
    with pytest.raises(UnknownNameError, match="modality 'dat'"):
        column_of(["a"] * N, modalities={"it": {"name": "dat"}})


@pytest.mark.parametrize(
    "values, said",
    [
        ([1, "1", True] * 20, "holds 1 in row 0 and '1' in row 1 and True in row 2: whether these are one label"),
        ([1, "1", 2] * 20, "holds 1 in row 0 and '1' in row 1"),
        ([None, "a", True] * 20, "'a' in row 1 and True in row 2"),
        ([1.0, 2.0, " 2"] * 20, "2.0 in row 1 and ' 2' in row 2"),
    ],
    ids=str,
)
def test_labels_that_can_be_meant_in_two_ways_are_refused(values: list[Any], said: str) -> None:
    with pytest.raises(TableError, match=said):
        infer(table({"x": TARGET["x"], "it": values}), targets=["it"])


@pytest.mark.parametrize("value", [float("inf"), -np.inf, "inf", "-Infinity", "1e400", np.float64("inf")], ids=repr)
def test_an_infinite_label_is_refused(value: Any) -> None:
    values = [0.37 * i for i in range(N - 1)]
    with pytest.raises(TableError, match=r"Target 'it', row 59: found .* expected a finite number"):
        infer(table({"x": TARGET["x"], "it": [*values, value]}), targets=["it"])


@pytest.mark.parametrize(
    "values", [[1, "many"] * 30, [1, 2.0] * 30, [True, None] * 30, ["1", "2"] * 30, [None, "a", "b"] * 20], ids=str
)
def test_labels_that_are_plain_are_taken(values: list[Any]) -> None:
    assert infer(table({"x": TARGET["x"], "it": values}), targets=["it"]).targets == {"it": "category"}


def test_a_name_that_says_date_makes_no_target_a_date() -> None:
    values = [1_600_000_000 + 977 * i for i in SHUFFLED]
    assert infer(table({"x": TARGET["x"], "time": values}), targets=["time"]).targets == {"time": "number"}


def test_a_category_of_a_hundred_thousand_names_keeps_the_frequent_ones() -> None:
    rows = [f"name {i}" for i in range(100_000)] + ["name 7"] * 5
    began = time.process_time()
    facts = CategoryEmbedding.learn(iter(rows), most=1000)
    encoder = CategoryEmbedding(**facts)
    assert len(facts["names"]) == 1000 and "name 7" in facts["names"] and len(encoder.embed.weight) == 1001
    known, rare = encoder.prepare(["name 7", "name 99999"])
    assert known["id"][0] != UNKNOWN == rare["id"][0]
    assert len(CategoryEmbedding.learn(rows)["names"]) == 10_000
    assert time.process_time() - began < 5


@pytest.mark.parametrize("kind", ["float", "uuid", "decimal comma", "code", "counter"])
def test_a_long_column_is_told_quickly(kind: str) -> None:
    n = 200_000
    values: Any = {
        "float": RANDOM.normal(size=n),
        "uuid": [f"{i * 7919:032x}" for i in range(n)],
        "decimal comma": [f"{i},5" for i in range(n)],
        "code": [f"{i % 90_000:07d}" for i in range(n)],
        "counter": np.arange(n),
    }[kind]
    source = read_table(pd.DataFrame({"y": ["a", "b"] * (n // 2), "x": np.arange(n) % 7 * 0.5, "it": values}))
    began = time.process_time()
    column = infer(source, targets=["y"]).columns[2]
    assert column.modality == {"float": "number", "decimal comma": "number", "code": "category"}.get(kind)
    assert time.process_time() - began < 3
