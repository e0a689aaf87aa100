"""DataFrames and Arrow tables of any kind become plain values, by position."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from plait.data.table import read_table
from plait.errors import TableError
from plait.modalities import modality

DAY, NOON = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 12)
COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "int64": (np.array([1, 2]), [1, 2]),
    "float32": (np.array([1.5, np.nan], np.float32), [1.5, None]),
    "bool": (np.array([True, False]), [True, False]),
    "Int64": (pd.array([2**60 + 1, None], dtype="Int64"), [2**60 + 1, None]),
    "Float64": (pd.array([1.5, None], dtype="Float64"), [1.5, None]),
    "boolean": (pd.array([True, None], dtype="boolean"), [True, None]),
    "str": (pd.array(["x", None], dtype="str"), ["x", None]),
    "string": (pd.array(["0008", None], dtype="string"), ["0008", None]),
    "category": (pd.Categorical(["b", None], categories=["a", "b"]), ["b", None]),
    "category of numbers": (pd.Categorical([2, 1]), [2, 1]),
    "sparse": (pd.arrays.SparseArray([0.0, np.nan]), [0.0, None]),
    "sparse whole": (pd.arrays.SparseArray([0, 3]), [0, 3]),
    "arrow string": (pd.array(["x", None], dtype=pd.ArrowDtype(pa.string())), ["x", None]),
    "arrow int": (pd.array([2**60 + 1, None], dtype=pd.ArrowDtype(pa.int64())), [2**60 + 1, None]),
    "arrow names": (
        pd.array(["x", None], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
        ["x", None],
    ),
    "Decimal": ([decimal.Decimal("1.5"), decimal.Decimal("NaN")], [decimal.Decimal("1.5"), None]),
    "datetime64": (pd.to_datetime([NOON, None]), [NOON, None]),
    "with zone": (pd.to_datetime([NOON, None], utc=True), [NOON.replace(tzinfo=dt.timezone.utc), None]),
    "timedelta": (pd.to_timedelta([1, None], unit="s"), [pd.Timedelta(seconds=1), None]),
    "mixed": ([1, "2"], [1, "2"]),
    "missing": ([pd.NA, pd.NaT], [None, None]),
    "NumPy's": ([np.int64(3), np.float32("nan")], [3, None]),
    "NumPy's time": ([np.datetime64(NOON, "ns"), None], [pd.Timestamp(NOON), None]),
    "zero dimensions": ([np.array(3), None], [3, None]),
    "lists": ([["a"], None], [["a"], None]),
    "dicts": ([{"bytes": b"x", "path": None}, None], [{"bytes": b"x", "path": None}, None]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_of_column(kind: str) -> None:
    given, expected = COLUMNS[kind]
    series = pd.Series(given, index=["x", "x"], dtype=getattr(given, "dtype", object))
    frame = pd.DataFrame({1: series})
    before = frame.copy()
    table = read_table(frame)
    found = table.column("1")
    assert found == expected
    assert [type(v) for v in found] == [type(v) for v in expected]
    assert [None if pd.isna(v) else v for v in table.frame["1"]] == expected or kind in ("lists", "dicts")
    assert list(table.index) == ["x", "x"]
    pd.testing.assert_frame_equal(frame, before)


def test_arrays_and_pictures_stay_what_they_are() -> None:
    from PIL import Image

    cells = [np.zeros((2, 2)), np.ones((2, 2))]
    pictures = [Image.new("RGB", (2, 2), color) for color in ("red", "blue")]
    rows = [{"a": a, "p": p} for a, p in zip(cells, pictures)]
    frame = pd.DataFrame({"a": cells, "p": pictures})
    for source in (rows, frame):
        table = read_table(source)
        assert all(found is given for found, given in zip(table.column("a"), cells))
        assert all(found is given for found, given in zip(table.column("p"), pictures))
        assert len(set(table.row_hashes())) == 2
    again = [{"a": a.copy(), "p": p.copy()} for a, p in zip(cells, pictures)]
    assert read_table(again).row_hashes() == read_table(rows).row_hashes()


@pytest.mark.parametrize("source", [pd.DataFrame({"z": [1 + 2j]}), [{"z": 1 + 2j}]], ids=["frame", "cell"])
def test_complex_numbers_are_refused(source: Any) -> None:
    with pytest.raises(TableError, match="Column 'z' holds complex numbers"):
        read_table(source)


def test_names_in_levels_are_refused_and_other_names_become_text() -> None:
    with pytest.raises(TableError, match=r"column names of 2 levels.*Join them"):
        read_table(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])))
    frame = pd.DataFrame([[1, 2, 3]], columns=[7, 2.5, dt.date(2020, 1, 1)])
    assert list(read_table(frame).frame.columns) == ["7", "2.5", "2020-01-01"]
    with pytest.raises(TableError, match="more than one column named '7'"):
        read_table([{7: 1, "7": 2}])


ARROW: dict[str, tuple[pa.Array, list[Any]]] = {
    "string_view": (pa.array(["x", None], pa.string_view()), ["x", None]),
    "dictionary": (pa.array(["x", None]).dictionary_encode(), ["x", None]),
    "binary": (pa.array([b"x", None]), [b"x", None]),
    "date": (pa.array([DAY, None]), [DAY, None]),
    "far timestamp": (pa.array([dt.datetime(9999, 1, 1), None]), [dt.datetime(9999, 1, 1), None]),
    "decimal": (pa.array([decimal.Decimal("1.5"), None]), [decimal.Decimal("1.5"), None]),
    "null": (pa.nulls(2), [None, None]),
    "uint64": (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
    "bool": (pa.array([True, None]), [True, None]),
    "lists of texts": (pa.array([["x", None], None]), [["x", None], None]),
    "lists in lists": (pa.array([[[1.0]], None]), [[[1.0]], None]),
    "struct": (pa.array([{"a": [1]}, None]), [{"a": [1]}, None]),
    "map": (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), [[("a", 1)], None]),
    "uuid": (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, None], pa.binary(16))), [uuid.UUID("30" * 16), None]),
}  # fmt: skip


class Stream:
    """What polars, duckdb and others give: an Arrow stream and nothing else that is known here."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("kind", ARROW)
def test_every_kind_of_arrow_column(kind: str) -> None:
    given, expected = ARROW[kind]
    table = pa.table({"c": pa.chunked_array([given, given.slice(1)])})
    for source in (table, Stream(table), table.to_reader()):
        assert read_table(source).column("c") == [*expected, expected[1]]


def test_lists_of_numbers_are_arrays() -> None:
    found = read_table(pa.table({"c": [[1.0, 2.0], None]})).column("c")
    assert isinstance(found[0], np.ndarray) and found[0].tolist() == [1.0, 2.0] and found[1] is None


def test_the_index_of_a_parquet_file_is_the_index(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="id")).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert list(table.index) == ["x", "y"] and list(table.frame.columns) == ["a"]


@pytest.mark.parametrize("name", ["t.feather", "file.arrow", "stream.arrow"])
def test_arrow_files(name: str, tmp_path: Path) -> None:
    arrow = pa.table({"a": ["x", None], "n": [2**60 + 1, None]})
    new = pa.ipc.new_stream if name == "stream.arrow" else pa.ipc.new_file
    with new(str(tmp_path / name), arrow.schema) as file:
        file.write_table(arrow)
    assert {c: read_table(tmp_path / name).column(c) for c in ("a", "n")} == arrow.to_pydict()
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-100])
    with pytest.raises(TableError, match="Cannot read"):
        read_table(tmp_path / name)


def one_by_one(series: pd.Series) -> list[Any]:
    """What stands in a column of times, asked cell by cell."""
    return [None if pd.isna(v) else v for v in (series.iloc[i] for i in range(len(series)))]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", dt.timezone(dt.timedelta(hours=-3.5))], ids=str)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_column_of_times_is_what_its_cells_are(unit: str, zone: Any) -> None:
    """Whatever is asked of them, read at once or cell by cell: time, text, seconds since 1970."""
    generator = np.random.default_rng(0)
    seconds = generator.integers(-9 * 10**9, 9 * 10**9, 500)  # 1685 to 2255: also before there were standard zones
    parts = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    counts = seconds * parts + generator.integers(0, min(parts, 10**6), 500) * max(1, parts // 10**6)
    times = counts.astype(f"datetime64[{unit}]")
    times[::7] = np.datetime64("NaT")
    series = pd.Series(times)
    series = series if zone is None else series.dt.tz_localize("UTC").dt.tz_convert(zone)
    slow, quick = one_by_one(series), read_table(pd.DataFrame({"t": series})).column("t")
    assert {type(v) for v in quick} == {dt.datetime, type(None)} and {type(v) for v in slow} == {
        pd.Timestamp,
        type(None),
    }
    assert quick == slow and [str(v) for v in quick] == [str(v) for v in slow]
    part = modality("date")
    assert [part.load(v, Path()) for v in quick] == [part.load(v, Path()) for v in slow]


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2020-01-01 00:00:00.000000001", None]),
        pd.DatetimeIndex(np.array(["12020-01-01", "2020-01-01"], "datetime64[s]")),
    ],
    ids=["nanoseconds", "the year 12020"],
)
def test_times_that_python_cannot_keep_stay_those_of_pandas(times: Any) -> None:
    found = read_table(pd.DataFrame({"t": times})).column("t")
    assert found == one_by_one(pd.Series(times)) and type(found[0]) is pd.Timestamp


def test_a_column_of_gaps_among_times() -> None:
    assert read_table(pd.DataFrame({"t": pd.to_datetime([None, None])})).column("t") == [None, None]
