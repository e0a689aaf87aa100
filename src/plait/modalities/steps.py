"""Numbers and the times they were taken at, out of lists, arrays, DataFrames, and .csv, .tsv, .parquet and .npy files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import missing, quiet

MAX_VALUES = 10_000_000  # steps x channels
MAX_DATE = 64  # bytes of a date that is written as text
MAX_CHANNELS = 4096
TIMES = ("time", "timestamp", "datetime", "date", "t")
GAPS = ("", "null", "nan", "na", "n/a", "none", "-", "?", "#n/a")
GAPS_AS_WRITTEN = [*GAPS, "NULL", "Null", "NaN", "NAN", "NA", "N/A", "None", "#N/A"]
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
EXPECTED = "a list of numbers, a dict of such lists by channel, or the path of a .csv, .tsv, .parquet or .npy file"


class Steps(NamedTuple):
    """What stands in a cell, before it is checked."""

    times: np.ndarray  # (T,) float64
    values: np.ndarray  # (T, C) float64; NaN where there is a gap
    names: tuple[str, ...] = ()  # of the channels, where they have any


def count_of(n: int, what: str) -> str:
    """ "1 step", "2 steps"."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def steps_of(value: Any) -> Steps:
    """Raises MediaError on what is no series of numbers."""
    import pandas as pd

    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise MediaError(f"found {value[:40]!r}, expected {EXPECTED}") from None
    if isinstance(value, (pd.Series, pd.DataFrame)):
        dates = {"time": value.index} if isinstance(value.index, pd.DatetimeIndex) else {}
        if isinstance(value, pd.DataFrame):
            return _by_name({**{str(c): value.iloc[:, i].array for i, c in enumerate(value.columns)}, **dates})
        return _by_name({"": value.array, **dates})._replace(names=())
    if isinstance(value, Mapping):
        return _by_name(value)
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise MediaError(f"found a {type(value).__name__}, expected {EXPECTED}")
    values = _two_axes(_numbers(value))
    return Steps(np.arange(len(values), dtype=np.float64), values)


def _by_name(lists: Mapping[Any, Any]) -> Steps:
    names = {str(key): key for key in lists}
    time = _time_name(list(names)) if len(names) > 1 else None
    channels = sorted(n for n in names if n != time)
    if not channels:
        raise MediaError("an empty dict, expected lists of numbers by channel")
    for name, key in names.items():
        if isinstance(lists[key], (str, bytes, Mapping)) or not hasattr(lists[key], "__len__"):
            raise MediaError(f"{name!r} is a {type(lists[key]).__name__}, expected a list of numbers")
    arrays = [_two_axes(_numbers(lists[names[n]])) for n in channels]
    lengths = {n: len(a) for n, a in zip(channels, arrays)} | ({time: len(lists[names[time]])} if time else {})
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{n!r} has {length}" for n, length in list(lengths.items())[:6])
        raise MediaError(f"lists of uneven length: {said}")
    if len(channels) > 1 and any(a.shape[1] > 1 for a in arrays):
        raise MediaError("several channels under one name, and other names beside it")
    values = _two_axes(np.concatenate(arrays, axis=1))
    times = _times(lists[names[time]]) if time else np.arange(len(values), dtype=np.float64)
    if times.shape != (len(values),):
        raise MediaError(f"times with {times.ndim} axes, expected one list")
    return Steps(times, values, tuple(channels))


def _time_name(names: Sequence[str]) -> str | None:
    """The name of the column that gives the times."""
    lower = {n.strip().lower(): n for n in reversed(names)}
    return next((lower[t] for t in TIMES if t in lower), None)


def _two_axes(values: np.ndarray) -> np.ndarray:
    """(T,) or (T, C) -> (T, C), within the limits."""
    if values.ndim not in (1, 2):
        raise MediaError(f"numbers with {values.ndim} axes, expected (time,) or (time, channels)")
    _limited(values.size)
    values = values.reshape(len(values), -1) if len(values) else values.reshape(0, 1)
    if values.shape[1] > MAX_CHANNELS:
        raise MediaError(f"{values.shape[1]} channels, more than {MAX_CHANNELS}; expected time first, then channels")
    return values


def _limited(count: int) -> None:
    if count > MAX_VALUES:
        raise MediaError(f"{count} values, more than {MAX_VALUES // 10**6} million")


def _numbers(value: Any) -> np.ndarray:
    """float64; NaN for gaps. Text, dates and complex numbers are refused."""
    if not isinstance(value, (list, tuple)):
        value = np.asanyarray(value)
    _limited(value.size if isinstance(value, np.ndarray) else len(value))
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.filled(value.astype(np.float64), np.nan) if value.dtype.kind in "biuf" else value.data
    try:
        array = np.asarray(_rows(value))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise MediaError("lists of uneven length, or nested too deep; expected (time,) or (time, channels)") from None
    if array.dtype == object:
        flat = [None if missing(v) else v for v in array.flat]
        if odd := next((v for v in flat if isinstance(v, (str, bytes)) or hasattr(v, "__len__")), None):
            raise MediaError(f"holds {str(odd)[:40]!r}, expected numbers")
        try:
            return np.array(flat, dtype=np.float64).reshape(array.shape)
        except (ValueError, TypeError, OverflowError, ArithmeticError):
            raise MediaError("holds values that are no numbers, or too large") from None
    if array.dtype.kind not in "biuf":
        raise MediaError(f"holds {_kind(array.dtype)}, expected numbers")
    return array.astype(np.float64)


def _rows(value: Any) -> Any:
    """Lists in a list (Parquet gives arrays in an array) as rows; None among them is a step without a value."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    rows = list(value)
    nested = next((r for r in rows if isinstance(r, (list, tuple, np.ndarray))), None)
    if nested is None:
        return value
    return [[None] * len(nested) if r is None else (r.tolist() if isinstance(r, np.ndarray) else r) for r in rows]


def _kind(dtype: np.dtype[Any]) -> str:
    kinds = {"c": "complex numbers", "U": "text", "S": "bytes", "T": "text", "M": "dates", "m": "durations"}
    return kinds.get(dtype.kind, f"values of type {dtype}")


def _times(values: Any) -> np.ndarray:
    """(T,) float64: numbers as they are, dates as seconds since 1970."""
    import pandas as pd

    try:
        plain = values if isinstance(values, (np.ndarray, pd.Index)) else np.asarray(values)
    except ValueError:
        raise MediaError("times in lists of uneven length, expected one list") from None
    if plain.dtype.kind in "biuf" or all(missing(v) or isinstance(v, Real) for v in plain):
        return _numbers(values)
    try:
        dates = pd.DatetimeIndex(pd.to_datetime(plain, utc=True, format=None if plain.dtype.kind == "M" else "ISO8601"))
    except (ValueError, TypeError, OverflowError):
        raise MediaError(
            f"times such as {str(plain[0])[:30]!r}, expected numbers, or dates as 2024-05-01T12:00"
        ) from None
    return np.where(dates.isna(), np.nan, dates.as_unit("us").asi8 / 1e6)


def steps_of_file(raw: bytes) -> Steps:
    """Raises MediaError, never with words of a reader, which may hold parts of memory."""
    name, read = next(((name, read) for start, name, read in _FILES if raw.startswith(start)), ("text", _delimited))
    if read is _delimited and b"\0" in raw[:4096]:
        raise MediaError("neither a .npy nor a .parquet file, nor text")
    try:
        with quiet():
            return read(raw)
    except MediaError:
        raise
    except Exception:  # readers raise nearly anything on damaged bytes
        raise MediaError(f"{name} that is damaged, or of a sort that is not read here as a series") from None


def _npy(raw: bytes) -> Steps:
    """The header is held against the size of the file before anything is made."""
    file = io.BytesIO(raw)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise MediaError(f"a .npy file of version {version[0]}.{version[1]}, expected 1.0 or 2.0")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.kind not in "biuf":
        raise MediaError(f"a .npy file of {'Python objects' if dtype.hasobject else _kind(dtype)}, expected numbers")
    count, left = int(np.prod(shape, dtype=object)), len(raw) - file.tell()
    _limited(count)
    if count * dtype.itemsize != left:
        raise MediaError(f"the header of the .npy file says {count * dtype.itemsize} bytes, {left} are there")
    array = np.frombuffer(raw, dtype, count, file.tell()).reshape(shape, order="F" if fortran else "C")
    values = _two_axes(array.astype(np.float64))
    return Steps(np.arange(len(values), dtype=np.float64), values)


def _parquet(raw: bytes) -> Steps:
    """Columns that are neither numbers nor times are refused by the schema, before anything is read: a text of a million
    characters in each row takes no room in such a file, but in memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(raw)) as file:
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        _two_axes(np.broadcast_to(np.float64(0), (rows, columns)))
        names, kinds = list(file.schema_arrow.names), list(file.schema_arrow.types)
        time = _time_place(names, kinds)
        for place, (name, kind) in enumerate(zip(names, kinds)):
            if not (_numeric(kind) or (place == time and _datable(kind))):
                raise MediaError(f"{name[:40]!r} holds values of type {str(kind)[:40]}, expected numbers")
        if time is not None and not _numeric(kinds[time]):  # a long text, many times over, is held once
            file = pq.ParquetFile(io.BytesIO(raw), read_dictionary=[names[time]])
        table = file.read(use_threads=False)
    return _table(table, names)


_FILES: tuple[tuple[bytes, str, Callable[[bytes], Steps]], ...] = (
    (b"\x93NUMPY", "a .npy file", _npy),
    (b"PAR1", "a .parquet file", _parquet),
)


def _delimited(raw: bytes) -> Steps:
    """CSV or TSV in UTF-8; commas, semicolons or tabs."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    raw = raw.removeprefix(b"\xef\xbb\xbf")
    line = raw[: raw.find(b"\n") % (len(raw) + 1)]
    try:
        first = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise MediaError("neither a .npy nor a .parquet file, nor text in UTF-8") from None
    mark = next((m for m in ("\t", ";") if m in first), ",")
    fields = next(csv.reader([first], delimiter=mark), [""])
    header = _is_header(fields)
    if len(fields) > MAX_CHANNELS + 1:
        raise MediaError(f"{len(fields)} columns, more than {MAX_CHANNELS}")
    if header and not raw[len(line) :].strip():
        raise MediaError("holds no steps, only a header")
    keys = [str(i) for i in range(len(fields))]
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(raw),
            arrow_csv.ReadOptions(use_threads=False, skip_rows=int(header), column_names=keys),
            arrow_csv.ParseOptions(delimiter=mark, ignore_empty_lines=len(fields) > 1),
            arrow_csv.ConvertOptions(null_values=GAPS_AS_WRITTEN, strings_can_be_null=True),
        )
    except pa.ArrowInvalid:
        raise MediaError(_uneven(raw, mark, len(fields))) from None
    return _table(table, [f.strip() for f in fields] if header else None)


def _uneven(raw: bytes, mark: str, expected: int) -> str:
    """Why a text is no table, by its first line that has more or fewer values than the first."""
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(raw), "utf-8", "replace", newline=""), delimiter=mark)
    with suppress(csv.Error):
        for found in lines:
            if found and len(found) != expected:
                return (
                    f"line {lines.line_num}: found {count_of(len(found), 'value')}, expected {expected} as in the first"
                )
    return "text that is no table of numbers in UTF-8"


def _is_header(fields: Sequence[str]) -> bool:
    plain = [_is_number(f) for f in fields]
    if len(fields) > 1 and fields[0] == "" and fields[1:] == [str(i) for i in range(len(fields) - 1)]:
        return True  # what pandas writes above columns without names
    return not (all(plain[1:]) and (plain[0] or (len(fields) > 1 and DATE.match(fields[0].strip()))))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in GAPS
    return True


def _table(table: Any, names: list[str] | None) -> Steps:
    """An Arrow table of channels, and of times where a column gives them. `names`: of its columns, if they have any."""
    many, time = len(table.columns), _time_place(names, table.schema.types)
    said = names or [f"column {i}" for i in range(many)]
    order = [i for i in range(many) if i != time]
    order = sorted(order, key=lambda i: (said[i], i)) if names else order
    _two_axes(np.broadcast_to(np.float64(0), (len(table), len(order))))
    values = np.column_stack([_arrow_numbers(table.column(i), said[i]) for i in order])
    times = np.arange(len(table), dtype=np.float64) if time is None else _arrow_times(table.column(time), said[time])
    return Steps(times, values, tuple(said[i] for i in order) if names else ())


def _time_place(names: list[str] | None, kinds: Sequence[Any]) -> int | None:
    """Which of the columns of these Arrow types gives the times."""
    import pyarrow as pa

    if len(kinds) < 2:
        return None
    by_name = _time_name(names) if names else None
    if names and by_name is not None:
        return names.index(by_name)
    return 0 if pa.types.is_temporal(kinds[0]) or (names is not None and names[0] == "") else None


def _numeric(kind: Any) -> bool:
    """Whether a column of this Arrow type holds numbers, true and false, or nothing."""
    from pyarrow import types

    kinds = (types.is_integer, types.is_floating, types.is_decimal, types.is_null, types.is_boolean)
    return any(is_(kind) for is_ in kinds)


def _datable(kind: Any) -> bool:
    """Whether a column of this Arrow type may hold dates or times of day."""
    from pyarrow import types

    kinds = (types.is_date, types.is_timestamp, types.is_time, types.is_string, types.is_large_string)
    return any(is_(kind.value_type if types.is_dictionary(kind) else kind) for is_ in kinds)


def _arrow_numbers(column: Any, name: str) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not _numeric(kind):
        held = next((str(v) for v in column.slice(0, 1000).to_pylist() if v is not None), "")
        raise MediaError(f"{name!r} holds values such as {held[:30]!r} ({kind}), expected numbers")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _short(columns: Sequence[Any], name: str) -> None:
    """Refuses times that are longer than any date."""
    import pyarrow.compute as pc

    if any((pc.max(pc.binary_length(column)).as_py() or 0) > MAX_DATE for column in columns):
        raise MediaError(f"{name[:40]!r} has a text of more than {MAX_DATE} bytes, expected numbers, or dates")


def _arrow_times(column: Any, name: str) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if column.null_count:
        raise MediaError(f"{name!r} has {count_of(column.null_count, 'gap')}; every step needs a time")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return np.asarray(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_numpy() / 1e6)
    if pa.types.is_time(kind):
        return np.asarray(column.cast(pa.time64("us")).cast(pa.int64()).to_numpy() / 1e6)
    if pa.types.is_dictionary(kind):
        _short([chunk.dictionary for chunk in column.chunks], name)
        return _arrow_times(column.cast(kind.value_type), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _short([column], name)
        return _times(column.to_pylist())
    return _arrow_numbers(column, name)
