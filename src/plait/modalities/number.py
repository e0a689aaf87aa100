"""Numbers, in the ways that people and programs write them."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, missing, silent
from plait.types import Note

LONGEST = 64  # characters of a number
EXACT = 2**53  # whole numbers above are not all floats: a column of them holds codes
_SIGNS = {
    **dict.fromkeys(("%",), "%"),
    **dict.fromkeys(("€", "euro", "euros"), "EUR"),
    **dict.fromkeys(("$", "us$"), "USD"),
    **dict.fromkeys(("元", "rmb", "cn¥"), "CNY"),
    **dict.fromkeys(("₹", "rs", "rs."), "INR"),
    **dict.fromkeys(("₽", "руб", "руб."), "RUB"),
    **dict.fromkeys(("kr", "kr."), "kr"),
    **dict.fromkeys(("fr", "fr.", "sfr", "sfr."), "CHF"),
    **{"£": "GBP", "¥": "¥", "円": "JPY", "zł": "PLN", "kč": "CZK", "ft": "HUF", "r$": "BRL", "a$": "AUD", "c$": "CAD"},
    **{"hk$": "HKD", "nt$": "TWD", "nz$": "NZD", "s$": "SGD", "₩": "KRW", "₪": "ILS", "₺": "TRY", "₫": "VND"},
    **{"฿": "THB", "₴": "UAH", "₦": "NGN", "₱": "PHP", "₿": "BTC", "лв": "BGN", "₸": "KZT", "₾": "GEL"},
    **{
        code.lower(): code
        for code in re.findall(
            r"\w+",  # ISO 4217
            "AED ARS AUD BDT BGN BRL BTC CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES KRW "
            "KZT MAD MXN MYR NGN NOK NZD PEN PHP PKR PLN RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR",
        )
    },
}
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " "),  # the spaces that do not break a line, and a wide one
        **dict.fromkeys("−﹣－", "-"),
        **dict.fromkeys("’ʼ＇", "'"),
        **{"＋": "+", "．": ".", "，": ",", "％": "%", "＄": "$", "￥": "¥", "￡": "£", "（": "(", "）": ")"},
    }
)


def _written(decimal: str) -> re.Pattern[str]:
    """What stands before a number, the number with this decimal mark (the other mark, a space or ' may set off three
    digits each), and what stands after it."""
    other = "," if decimal == "." else "."
    groups = rf"[1-9]\d{{0,2}}(?P<mark>[{other} '])\d{{3}}(?:(?P=mark)\d{{3}})*"
    indian = r"|[1-9]\d?(?:,\d\d)+,\d{3}" if decimal == "." else ""
    return re.compile(
        rf"(?P<before>[^\d.,]*)(?P<whole>{groups}{indian}|\d*)(?P<fraction>[{decimal}]\d*)?(?P<power>[eE][+-]?\d+)?"
        rf"(?P<after>[^\d]*)"
    )


_NO_DIGIT, _NO_MARK = re.compile(r"\D"), re.compile(r"[^+-]")
_SHORTENED = re.compile(r"\b(rs|kr|fr|sfr|руб)\.\s*(?=\d)", re.IGNORECASE)  # Rs.500 is no fraction
_WRITTEN = {decimal: _written(decimal) for decimal in ".,"}


class Number(Modality):
    """A number: a finite float.

    Text may hold groups of digits (1,234.5 or 1.234,5; 1 234; 1'234), a currency (€5, 5 EUR) or a percent sign (5 % is
    5), an exponent, digits of any script, and parentheses for what is negative. Which mark is decimal, and which
    currency or percent sign belongs to the numbers, is one fact of the whole column (options `decimal`, `unit`), so a
    text that does not fit it is a bad cell and never read in another way. Where nothing in a column tells, as when all
    its values look like 1,500, the point is decimal and the comma sets off thousands. True and false are 1 and 0,
    durations are seconds; "nan" and blank text are missing."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    choices: ClassVar[dict[str, tuple[Any, ...]]] = {"decimal": (".", ","), "unit": ("", *sorted(set(_SIGNS.values())))}

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        texts = [v for v in values if isinstance(v, str)]
        if _codes(texts, values):
            return None
        options, how = _style(texts)
        numbers = []
        for v in values:
            try:
                number = self._number(v, options.get("decimal", "."), options.get("unit", ""))
            except MediaError:
                continue
            if number is not None:
                numbers.append(number)
        if len(numbers) < 0.95 * len(values) or not numbers:
            return None
        if 0 < len(texts) < len(values):
            how.append(f"{len(texts)} as text")
        if truths := sum(isinstance(v, (bool, np.bool_)) for v in values):
            how.append(f"{truths} true or false, taken as 1 and 0")
        distinct = set(numbers)
        few = len(distinct) <= 20 and len(distinct) * 5 <= len(numbers)
        if target and few and all(x.is_integer() for x in distinct):
            return Claim(0.5, f"{len(distinct)} whole numbers", options)
        said = f"{len(numbers)} of {len(values)} sampled values are numbers"
        return Claim(0.8, ", ".join([said, *how]), options)

    def load(self, value: Any, folder: Path, *, decimal: str = ".", unit: str = "") -> float | None:
        """`decimal`: the decimal mark of numbers in text. `unit`: "%" or the currency of the column, as "EUR"."""
        if type(value) is float and value - value == 0.0:
            return value
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return None
        number = self._number(value, decimal, unit)
        if number is not None and math.isinf(number):
            raise MediaError(f"{_short(value)} is infinite, or too large for a float; expected a finite number")
        return number

    def read(self, raw: float, *, note: Note = silent) -> float:
        return raw

    def _number(self, value: Any, decimal: str, unit: str) -> float | None:
        """The float, perhaps infinite; None for NaN."""
        if isinstance(value, str):
            number = _of_text(value, decimal, unit)
        elif isinstance(value, datetime.timedelta):
            number = value.total_seconds()
        elif isinstance(value, np.timedelta64):
            number = float(value / np.timedelta64(1, "s"))
        elif isinstance(value, (complex, np.complexfloating)):
            raise MediaError(f"found the complex number {_short(value)}, expected a real number")
        else:
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                raise MediaError(f"found {_short(value)}, expected a number") from None
        return None if number != number else number


def _of_text(text: str, decimal: str, unit: str) -> float:
    if not unit and "_" not in text and (decimal == "." or "." not in text):  # Python would read 12_34 as 1234
        with suppress(ValueError):
            return float(text if decimal == "." else text.replace(",", "."))
    if text.strip().lower() == "nan":
        return math.nan
    found = _parts(text, decimal)
    if found is not None and (found[1] == unit or (not found[1] and unit != "%")):
        return found[0]
    expected = f"a number{' with a decimal comma' if decimal == ',' else ''}{f' in {unit}' if unit else ''}"
    raise MediaError(f"found {_short(text)}, expected {expected}{' as in the rest of the column' * (decimal == ',')}")


def _parts(text: str, decimal: str) -> tuple[float, str] | None:
    """The number that a text holds and its sign ("%", "EUR" or none); None where it holds something else."""
    if len(text) > LONGEST:
        return None
    found = _WRITTEN[decimal].fullmatch(_SHORTENED.sub(r"\1 ", text.translate(_PLAIN).strip()))
    if found is None:
        return None
    before, whole, fraction, power, after = found.group("before", "whole", "fraction", "power", "after")
    if not whole and len(fraction or "") < 2:
        return None
    number = float(_NO_DIGIT.sub("", whole or "0") + "." + (fraction or "")[1:] + (power or ""))
    if not before and not after:
        return number, ""
    inside = before.startswith("(") and after.endswith(")")
    marks = (before[1:] if inside else before), (after[:-1] if inside else after).strip()
    sign, place = _NO_MARK.sub("", marks[0]), marks[0].replace("-", "", 1).replace("+", "", 1).strip()
    unit = _SIGNS.get((place or marks[1]).lower()) if place or marks[1] else ""
    if unit is None or (place and marks[1]) or len(sign) + inside > 1:
        return None
    return -number if inside or sign == "-" else number, unit


def _style(texts: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The options under which most of these texts are numbers, and how that was told."""
    plain, comma, either = 0, 0, None  # texts that are numbers with one of the marks only; one that differs by mark
    units: Counter[str] = Counter()
    for text in texts:
        point, other = _parts(text, "."), _parts(text, ",")
        plain += other is None and point is not None
        comma += point is None and other is not None
        if point and other and point != other:
            either = either or text
        units.update([(point or other or (0.0, ""))[1]])
    options, how = {}, []
    if comma > plain:
        options["decimal"] = ","
        how.append("written with a decimal comma")
    elif either and not plain:
        read = _parts(either, ".")
        mark = "comma" if "," in either else "point"
        assert read is not None
        how.append(
            f"{_short(either)} is read as {read[0]:g} because nothing in the column says which mark is decimal"
            f" (its {mark} {'sets off thousands' if mark == 'comma' else 'is taken for decimal'})"
        )
    bare = units.pop("", 0)
    unit = max(units, key=lambda u: (units[u], u), default="")
    if unit and (unit != "%" or units[unit] > bare):
        options["unit"] = unit
        how.append(f"in {unit}")
    return options, how


def _codes(texts: Sequence[str], values: Sequence[Any]) -> bool:
    """Whether digits here are names and not quantities: 0008, +4930123456, 555 123 456, or too long for a float."""
    stripped = [t.strip() for t in texts]
    if any(len(t) > 1 and t[0] == "0" and t.isdigit() for t in stripped):
        return True
    dialled = sum(bool(re.fullmatch(r"\+\d{7,15}", t)) for t in stripped)
    spaced = [t for t in stripped if re.fullmatch(r"\+?\d{1,3}(?: \d{3}){2,4}", t)]
    same = len({sum(map(str.isdigit, t)) for t in spaced}) == 1 and len(spaced) > 1
    long = sum(
        (isinstance(v, str) and v.strip().isdigit() and len(v.strip()) > 16)
        or (isinstance(v, (int, np.integer)) and abs(int(v)) > EXACT)
        for v in values
    )
    return 2 * max(dialled, len(spaced) * same, long) > len(values)


def _short(value: Any) -> str:
    return repr(str(value)[:40]) if isinstance(value, str) else str(value)[:40]
