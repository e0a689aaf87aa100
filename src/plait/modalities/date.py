"""Dates and times of day on a date, in the ways that people and programs write them."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, missing, silent
from plait.types import Note

LONGEST = 64  # characters of a date
EPOCH = datetime.date(1970, 1, 1).toordinal()
DAY = 86_400.0
SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # of a count since 1970, to a second
LIMIT = 3e11  # seconds: some years more than the 9999 of a date
EARLIEST, LATEST = 1e8, 4.2e9  # seconds since 1970 that a column of counts may hold, to be told from other numbers
_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_MONTHS = {name: place for place, name in enumerate(_NAMES.split("|"), 1)}
_ZONES = {"": 0.0, "z": 0.0, "utc": 0.0, "gmt": 0.0, "ut": 0.0, "wet": 0.0, "cet": 1.0, "cest": 2.0, "bst": 1.0}
_ZONES |= {"est": -5.0, "edt": -4.0, "cst": -6.0, "cdt": -5.0, "mst": -7.0, "mdt": -6.0, "pst": -8.0, "pdt": -7.0}
_MONTH = rf"(?P<name>{_NAMES})[a-z]*\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<rest>\d{1,9}))?)?"
_CLOCK = (
    rf"(?:(?:T|,?\s+(?:at\s+)?){_TIME}"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>[a-z]{1,4}|(?:utc|gmt)?\s?[+-]\d\d(?::?\d\d)?)?)?"
)
_SHAPES = [
    re.compile(pattern + clock, re.IGNORECASE)
    for pattern, clock in (
        (r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})", _CLOCK),
        (r"(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4})", _CLOCK),
        (r"(?P<a>\d\d)(?P<mark>[-.])(?P<b>\d\d)(?P=mark)(?P<short>\d\d)", _CLOCK),
        (r"(?P<a>\d{1,2})(?P<mark>/)(?P<b>\d{1,2})/(?P<short>\d\d)", _CLOCK),
        (rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?[\s-]+{_MONTH},?[\s-]+(?P<year>\d{{4}})", _CLOCK),
        (rf"{_WEEKDAY}(?P<day>\d{{1,2}})-{_MONTH}-(?P<short>\d\d)", _CLOCK),
        (rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})", _CLOCK),
        (rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_TIME}\s+(?:(?P<zone>[a-z]+)\s+)?(?P<year>\d{{4}})", ""),
        (rf"{_MONTH},?\s+(?P<year>\d{{4}})", ""),
        (r"(?P<year>\d{4})[-/](?P<month>\d\d)", ""),
        (r"(?P<year>\d{4})\s?年\s?(?P<month>\d{1,2})\s?月(?:\s?(?P<day>\d{1,2})\s?[日号])?", _CLOCK),
        (r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?P<zone>Z)?", ""),
    )
]


class Date(Modality):
    """A date, perhaps with a time of day: float, seconds since the beginning of 1970 in UTC; years 1 to 9999.

    Dates of Python, pandas and NumPy; text as in ISO 8601, 31/12/2020, 12/31/20, 31.12.2020, 3 Jan 2020, January 3rd,
    2020, Fri, 03 Jan 2020 10:00:00 +0100, 2020年1月3日, 2020-01. A time with a zone is converted to UTC, one without is
    taken as UTC; years of two digits are 1969 to 2068, as in POSIX. Whether 03/04/2020 begins with the day is one fact
    of the whole column (option `day_first`): some value tells, with a number above 12, and one that says the opposite is
    a bad cell; where none tells, the day comes first before points and the month before other marks. Numbers are dates
    only by option `numbers`."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    choices: ClassVar[dict[str, tuple[Any, ...]]] = {
        "day_first": (True, False, None),
        "numbers": ("", *SCALES, "year", "yyyymmdd"),
    }

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        dates = sum(_seconds(v) is not None for v in values)
        if dates >= 0.95 * len(values):
            return Claim(0.95, f"{dates} of {len(values)} sampled values are dates")
        texts = [v for v in values if isinstance(v, str)]
        options, how = _order(texts)
        zones: Counter[bool] = Counter()
        for text in texts:
            if (found := _parsed(text, **options)) is not None:
                zones[found[1]] += 1
        if dates + zones.total() >= 0.95 * len(values):
            if zones[True] and zones[False]:
                how.append(f"{zones[False]} without a zone taken as UTC")
            said = f"{dates + zones.total()} of {len(values)} sampled values are dates"
            return Claim(0.85, ", ".join([said, *how]), options)
        return _counts(values)

    def load(self, value: Any, folder: Path, *, day_first: bool | None = None, numbers: str = "") -> float | None:
        """`day_first`: whether 03/04/2020 is 3 April; None: nobody knows, so that it is a bad cell. `numbers`: what numbers
        count, "s", "ms", "us" or "ns" since 1970, "year", or "yyyymmdd" for such as 20201231."""
        if type(value) is datetime.datetime:
            return _seconds(value)
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return None
        found = _seconds(value)
        if found is None and numbers:
            found = _counted(value, numbers)
        elif found is None and isinstance(value, str) and (parsed := _parsed(value, day_first)):
            found = parsed[0]
        if found is None:
            expected = _EXPECTED.get(numbers, "a date")
            if day_first is None and isinstance(value, str) and _parsed(value, True):
                expected += " of which the training table says whether the day or the month comes first"
            if day_first is not None and isinstance(value, str) and _parsed(value, not day_first):
                expected += f" with the {'day' if day_first else 'month'} first, as in the rest of the column"
            raise MediaError(f"found {_short(value)}, expected {expected}")
        return found

    def read(self, raw: float, *, note: Note = silent) -> float:
        return raw


_EXPECTED = {
    **{unit: f"a number of {unit} since 1970" for unit in SCALES},
    "year": "a year",
    "yyyymmdd": "a date of eight digits, as 20201231",
}


_BEGINNING = datetime.datetime(1970, 1, 1)
_BEGINNING_UTC = _BEGINNING.replace(tzinfo=datetime.timezone.utc)


def _seconds(value: Any) -> float | None:
    """The seconds of an object that is a date; None for text, numbers and other things."""
    if type(value) is datetime.datetime:
        return (value - (_BEGINNING if value.tzinfo is None else _BEGINNING_UTC)).total_seconds()
    if isinstance(value, datetime.datetime):
        days, clock = value.toordinal() - EPOCH, value.hour * 3600 + value.minute * 60 + value.second
        offset = value.utcoffset() or datetime.timedelta()
        return (datetime.timedelta(days, clock, value.microsecond) - offset).total_seconds()
    if isinstance(value, datetime.date):
        return (value.toordinal() - EPOCH) * DAY
    if isinstance(value, np.datetime64) or getattr(getattr(value, "dtype", None), "kind", "") == "M":
        return None if getattr(value, "ndim", 0) else int(value.astype("datetime64[us]").astype(np.int64)) / 10**6
    if type(value).__name__ == "Period":
        return _seconds(value.to_timestamp())
    return None


def _parsed(text: str, day_first: bool | None = None) -> tuple[float, bool] | None:
    """The seconds that a text holds, and whether it names its zone; None where it is no date."""
    text = text.strip()
    if text[4:5] == "-" and text[7:8] == "-":
        try:
            value = datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            seconds = _seconds(value)
            return None if seconds is None else (seconds, value.tzinfo is not None)
    parts = _shaped(text)
    return None if parts is None else _built(parts, day_first)


def _shaped(text: str) -> dict[str, str] | None:
    """The named parts of a date in text."""
    if not 6 <= len(text) <= LONGEST:
        return None
    for shape in _SHAPES:
        if match := shape.fullmatch(text):
            return {k: v for k, v in match.groupdict().items() if v}
    return None


def _built(parts: dict[str, str], day_first: bool | None) -> tuple[float, bool] | None:
    if "short" in parts:
        year = int(parts["short"]) + (1900 if int(parts["short"]) >= 69 else 2000)
    else:
        year = int(parts["year"])
    if "a" in parts:
        a, b = int(parts["a"]), int(parts["b"])
        if day_first is None and parts["mark"] != "." and a <= 12 and b <= 12 and a != b:
            return None
        first = (parts["mark"] == "." or a > 12) if day_first is None else day_first
        day, month = (a, b) if first else (b, a)
    else:
        month = _MONTHS[parts["name"].lower()] if "name" in parts else int(parts["month"])
        day = int(parts.get("day", 1))
    hour, half = int(parts.get("hour", 0)), parts.get("half", "").lower()[:1]
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    offset = _offset(parts.get("zone", ""))
    try:
        days = datetime.date(year, month, day).toordinal() - EPOCH
        datetime.time(hour, minute := int(parts.get("minute", 0)), second := int(parts.get("second", 0)))
    except ValueError:
        return None
    if offset is None:
        return None
    rest = float(f"0.{parts.get('rest', 0)}")
    return days * DAY + hour * 3600 + minute * 60 + second + rest - offset * 3600, "zone" in parts


def _offset(zone: str) -> float | None:
    """Hours ahead of UTC; None for a zone that is not known."""
    zone = zone.strip().lower()
    found = re.fullmatch(r"(?:utc|gmt)?\s?([+-])(\d\d):?(\d\d)?", zone)
    if found is None:
        return _ZONES.get(zone)
    hours = int(found[2]) + int(found[3] or 0) / 60
    return -hours if found[1] == "-" else hours


def _order(texts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Whether the day stands first in this column, and how that was told."""
    day, month, either = 0, 0, None
    for text in texts:
        parts = _shaped(text.strip())
        if parts and "a" in parts:
            a, b = int(parts["a"]), int(parts["b"])
            day += 12 < a <= 31 and b <= 12
            month += 12 < b <= 31 and a <= 12
            if a <= 12 and b <= 12 and a != b:
                either = either or (text.strip(), parts["mark"] == ".")
    if day or month:
        return {"day_first": day >= month}, [f"{'day' if day >= month else 'month'} first, as {max(day, month)} show"]
    if either is None:
        return {}, []
    rule = "before points the day" if either[1] else "the month"
    return {"day_first": either[1]}, [f"{_short(either[0])} could be two dates and nothing tells: {rule} comes first"]


_YEARS = tuple((datetime.date(year, 1, 1).toordinal() - EPOCH) * DAY for year in (1000, 3000))


def _counts(values: Sequence[Any]) -> Claim | None:
    """A claim on numbers: sure for dates of eight digits, else only worth something when the column is called a date."""
    for unit, strength in (("yyyymmdd", 0.85), *((unit, 0.1) for unit in SCALES), ("year", 0.01)):
        found = [s for v in values if (s := _counted(v, unit)) is not None]
        if unit in SCALES:
            found = [s for s in found if EARLIEST <= s <= LATEST]
        elif unit == "year":
            found = [s for s in found if _YEARS[0] <= s < _YEARS[1]]
        else:
            found = [s for s in found if -LATEST / 2 <= s <= LATEST]
        if len(found) >= 0.95 * len(values):
            what = {"yyyymmdd": "dates of eight digits", "year": "years"}.get(unit, f"{unit} since 1970")
            return Claim(strength, f"{len(found)} of {len(values)} sampled values are {what}", {"numbers": unit})
    return None


def _counted(value: Any, unit: str) -> float | None:
    """The seconds since 1970 of a number, which may stand in text."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, str, np.integer, np.floating)):
        return None
    try:
        number = float(value)
        if unit in SCALES:
            return number / SCALES[unit] if abs(number / SCALES[unit]) <= LIMIT else None
        if number != int(number):
            return None
        digits = f"{int(number):08d}" if unit == "yyyymmdd" else f"{int(number):04d}0101"
        if len(digits) != 8:
            return None
        day = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except (ValueError, OverflowError):
        return None
    return (day.toordinal() - EPOCH) * DAY


def _short(value: Any) -> str:
    return repr(str(value)[:40]) if isinstance(value, str) else f"{str(value)[:40]} ({type(value).__name__})"
