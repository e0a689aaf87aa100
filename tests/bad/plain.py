"""Broken and odd texts, numbers, names and dates, 88 to 113 of the list."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
from tests.bad.case import BAD, MISSING, READ, REMARK, Case, value


def case(number: int, title: str, kind: str, given: Any, outcome: str = READ, says: str = "") -> Case:
    return Case(number, title, kind, value(given), outcome, says)


PLAIN = [
    case(88, "an empty text: a text, not missing", "text", ""),
    *(case(89, f"{type(v).__name__} {v}", "text", v, MISSING) for v in (None, float("nan"), pd.NA, pd.NaT)),
    case(90, "white space alone", "text", "   "),
    *(case(91, f"the word {w}: a text", "text", w) for w in ("NA", "None", "null", "nan")),
    case(92, "10 million characters: cut", "text", "word " * 2_000_000, REMARK, "cut after 100,000 of 10,000,000"),
    case(93, "one word of a million letters: cut", "text", "x" * 10**6, REMARK, "cut after 100,000 of 1,000,000"),
    case(94, "é as two characters: as one", "text", "cafe\u0301"),
    case(95, "ten thousand accents on one letter", "text", "e" + "\u0301" * 10_000),
    case(95, "joined emoji, right to left, zero width", "text", "👩\u200d👩\u200d👧 \u202eשלום\u200b"),
    case(95, "half a character", "text", "\ud800x"),
    case(96, "NUL and control characters", "text", "a\0b\r\n\x1b[31m\x7f"),
    case(97, "bytes that are not UTF-8", "text", b"caf\xe9", REMARK, "read as Windows-1252"),
    case(98, "special tokens: plain text", "text", "[CLS] <s> <image> [MASK] <|endoftext|>"),
    case(99, "a number in a text column: as it is written", "text", 1.5),
    case(99, "True in a text column", "text", True),
    case(99, "a list in a text column", "text", ["a", "b"], BAD, "found a list, expected one text"),
    case(100, "a language never seen", "text", "ᚠᚢᚦ ꀀꀁ"),
    case(101, "an infinite number", "number", float("inf"), BAD, "infinite"),
    case(101, "-inf as text", "number", "-inf", BAD, "-inf"),
    case(101, "1e308", "number", 1e308),
    case(101, "1e400 as text", "number", "1e400", BAD, "1e400"),
    case(104, "a number as text", "number", "2"),
    case(104, "True among numbers: 1", "number", True),
    case(104, "None among numbers", "number", None, MISSING),
    case(104, "a word among numbers", "number", "many", BAD, "found 'many', expected a number"),
    case(104, "half a character among numbers", "number", "\ud800 many", BAD, "many', expected a number"),
    case(106, "0008 among names: stays 0008", "category", "0008"),
    case(113, "Decimal", "number", decimal.Decimal("1.25")),
    case(113, "a complex number", "number", 1j, BAD, "number"),
    case(113, "a whole number of pandas", "number", np.int64(3)),
    case(107, "a date", "date", datetime.date(2020, 1, 2)),
    case(107, "a date as text, with a zone", "date", "2020-01-02T03:04:05+02:00"),
    case(107, "no date", "date", "soon", BAD, "found 'soon'"),
]
