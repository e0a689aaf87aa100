"""Series: every way to write one gives the same steps, what is odd is said, and what is none is refused."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.data.schema import infer
from plait.data.table import read_table
from plait.errors import MediaError
from plait.modalities import modality
from plait.modalities.steps import MAX_VALUES
from plait.types import Series

NAN = float("nan")
SERIES = modality("series")
VALUES = np.array([[1.5, 10], [NAN, 20], [2.5, NAN], [-1, 40]])
TIMES = np.array([0.0, 0.5, 2.0, 4.0])


def read(value: Any, folder: Path = Path(), **options: Any) -> tuple[Series, list[str]]:
    remarks: list[str] = []
    raw = SERIES.load(value, folder, **options)
    assert raw is not None
    return SERIES.read(raw, note=remarks.append), remarks  # type: ignore[return-value]


def check(found: Series, values: Any, times: Any = None) -> None:
    values = np.asarray(values, dtype=np.float32)
    assert found.values.dtype == np.float32 and found.times.dtype == np.float64
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.times, np.arange(len(values)) if times is None else times)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


ROWS = [[1.5, 10], [None, 20], [2.5, None], [-1, 40]]
WITHOUT_TIMES = {
    "nested lists": ROWS,
    "tuples": tuple(map(tuple, ROWS)),
    "JSON": json.dumps(ROWS),
    "JSON with NaN and spaces": "  [[1.5, 10], [NaN, 20], [2.5, null], [-1, 40]]\n",
    "an array": VALUES,
    "an array of float32": VALUES.astype(np.float32),
    "a masked array": np.ma.masked_invalid(VALUES),
    "an array of objects": np.array(ROWS, dtype=object),
    "arrays in an array, as Parquet has them": pd.Series([np.array(r, dtype=object) for r in ROWS]).to_numpy(),
    "pandas gaps": [[1.5, 10], [pd.NA, 20], [2.5, pd.NaT], [-1, 40]],
    "a dict": {"y": [10, 20, None, 40], "x": [1.5, None, 2.5, -1]},
    "JSON of a dict": '{"y": [10, 20, null, 40], "x": [1.5, null, 2.5, -1]}',
    "a DataFrame": pd.DataFrame({"y": VALUES[:, 1], "x": VALUES[:, 0]}),
}


@pytest.mark.parametrize("case", WITHOUT_TIMES)
def test_every_way_to_write_a_series_in_a_cell_gives_it(case: str) -> None:
    found, remarks = read(WITHOUT_TIMES[case])
    check(found, VALUES)
    assert not remarks


ONE = [1, None, 3.5]


@pytest.mark.parametrize(
    "value",
    [ONE, json.dumps(ONE), np.array([1, NAN, 3.5]), [[1], None, [3.5]], {"t": ONE}, pd.Series([1, NAN, 3.5])],
    ids=lambda v: type(v).__name__,
)
def test_one_axis_is_one_channel(value: Any) -> None:
    check(read(value)[0], [[1], [NAN], [3.5]])


SECONDS = 1_714_564_800.0  # 2024-05-01T12:00 in UTC
STAMPS = [f"2024-05-01T12:00:0{s}" for s in ("0", "0.5", "2", "4")]
CSV = "x,y\n1.5,10\n,20\n2.5,\n-1,40\n"
TIMED = "t,x,y\n0,1.5,10\n0.5,,20\n2,2.5,\n4,-1,40\n"
DATED = "".join(f"{s.replace('T', ' ')},{x},{y}\n" for s, (x, y) in zip(STAMPS, VALUES))
FILES: dict[str, tuple[bytes | str, Any]] = {
    "a.csv": (CSV, None),
    "windows.csv": ("\ufeff" + CSV.replace("\n", "\r\n"), None),
    "other order.csv": ("y,x\n10,1.5\n20,NaN\nnull,2.5\n40,-1", None),
    "no header.csv": (CSV[4:], None),
    "quoted.csv": ('"x","y"\n"1.5","10"\n"","20"\n"2.5","NA"\n"-1","40"\n', None),
    "semicolons.csv": (CSV.replace(",", ";"), None),
    "a.tsv": (CSV.replace(",", "\t"), None),
    "time.csv": (TIMED, TIMES),
    "Time last.csv": ("x,y, Time \n1.5,10,0\n,20,0.5\n2.5,,2\n-1,40,4\n", TIMES),
    "dates.csv": ("date,x,y\n" + DATED, TIMES + SECONDS),
    "dates in another zone.csv": ("date,x,y\n" + DATED.replace(" 12:", " 15:").replace(",", "+03:00,", 1), None),
    "dates without header.csv": (DATED, TIMES + SECONDS),
    "dates under another name.csv": ("when,x,y\n" + DATED, TIMES + SECONDS),
    "an index of pandas.csv": (pd.DataFrame(VALUES, columns=["x", "y"], index=TIMES).to_csv(), TIMES),
    "names of pandas.csv": (pd.DataFrame(VALUES).to_csv(), None),
    "a.npy": (npy(VALUES), None),
    "fortran.npy": (npy(np.asfortranarray(VALUES)), None),
    "half.npy": (npy(VALUES.astype(">f2")), None),
    "a.parquet": (parquet(x=[1.5, None, 2.5, -1], y=[10, 20, None, 40]), None),
    "time.parquet": (parquet(y=[10, 20, None, 40], time=TIMES, x=[1.5, None, 2.5, -1]), TIMES),
    "dates.parquet": (
        parquet(at=pd.to_datetime(STAMPS, format="ISO8601"), x=[1.5, None, 2.5, -1], y=VALUES[:, 1]),
        TIMES + SECONDS,
    ),
}
del FILES["dates in another zone.csv"]


@pytest.mark.parametrize("name", FILES)
def test_files_give_their_channels_and_times(name: str, write: Any) -> None:
    content, times = FILES[name]
    path = write(name, content)
    for value in (name, path, path.read_bytes(), {"path": name, "bytes": None}):
        found, remarks = read(value, path.parent)
        check(found, VALUES, times)
        assert not remarks


@pytest.mark.parametrize(
    "times",
    [
        STAMPS,
        pd.to_datetime(STAMPS, format="ISO8601").tolist(),
        pd.to_datetime(STAMPS, format="ISO8601"),
        pd.to_datetime(STAMPS, format="ISO8601").to_numpy(),
        [s.replace("T12", "T14") + "+02:00" for s in STAMPS],
        (TIMES + SECONDS).tolist(),
    ],
    ids=["text", "timestamps", "index", "datetime64", "zone", "seconds"],
)
def test_dates_become_seconds(times: Any) -> None:
    check(read({"time": times, "value": [1, 2, 3, 4]})[0], [[1], [2], [3], [4]], TIMES + SECONDS)
    check(read({"Date": times, "value": ROWS})[0], VALUES, TIMES + SECONDS)


def test_an_index_of_dates_gives_the_times() -> None:
    index = pd.to_datetime(STAMPS, format="ISO8601")
    check(read(pd.Series([1, 2, 3, 4], index=index))[0], [[1], [2], [3], [4]], TIMES + SECONDS)
    check(read(pd.DataFrame(VALUES, columns=["x", "y"], index=index))[0], VALUES, TIMES + SECONDS)


def test_steps_are_put_in_order_and_what_is_odd_about_times_is_said() -> None:
    found, remarks = read({"t": [3, 1, 2, 1], "v": [30, 10, 20, 11]})
    check(found, [[10], [11], [20], [30]], [1, 1, 2, 3])
    assert remarks == [
        "the times do not ascend: the steps were sorted by time",
        "1 step with the time of the step before",
    ]


def test_a_gap_in_a_file_of_one_column_is_an_empty_line(write: Any) -> None:
    folder = write("a.csv", "v\n1\n\n3\n").parent
    check(read("a.csv", folder)[0], [[1], [NAN], [3]])


@pytest.mark.parametrize(
    "value", [[], (), np.zeros(0), np.zeros((0, 3)), "[]", [None, NAN], "[[null], [null]]", " ", ""]
)
def test_a_cell_without_a_number_is_missing(value: Any) -> None:
    assert SERIES.load(value, Path()) is None


@pytest.mark.parametrize(
    "value, said",
    [
        ([1, "2"], "text"),
        (["a", None], "'a', expected numbers"),
        ([1, 2 + 1j], "complex numbers"),
        (np.zeros((2, 2, 2)), "3 axes"),
        (np.array(1.5), "0 axes"),
        ([[1, 2], [3]], "uneven length"),
        ([1, [2, 3]], "uneven length"),
        ([10**400], "too large"),
        ("[1, 2", "expected a list of numbers"),
        ("[" * 100_000, "expected a list of numbers"),
        ("{}", "an empty dict"),
        ({"x": [1], "y": [1, 2]}, "uneven length: 'x' has 1, 'y' has 2"),
        ({"x": 1}, "'x' is a int, expected a list of numbers"),
        ({"time": [1, 2], "x": [1, 2, 3]}, "uneven length"),
        ({"time": ["noon", "later"], "x": [1, 2]}, "times such as 'noon'"),
        ({"time": [[1, 2], [3, 4]], "x": [1, 2]}, "times with 2 axes"),
        ({"time": [[1, 2], [3]], "x": [1, 2]}, "times in lists of uneven length"),
        ([pd.Timestamp("2020")] * 2, "no numbers"),
        (np.array(["2020"], dtype="M8[D]"), "dates, expected numbers"),
        (np.zeros((1, 5000)), "5000 channels, more than 4096"),
        (np.broadcast_to(np.float32(1), (MAX_VALUES + 1,)), "more than 10 million"),
        (1.5, "found a float"),
        ({"path": "no/such.csv"}, "no such file"),
        ("no/such.csv", "no such file"),
    ],
    ids=lambda v: str(v)[:20],
)
def test_what_is_no_series_is_refused_with_a_reason(value: Any, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        SERIES.load(value, Path())


@pytest.mark.parametrize(
    "value, said",
    [
        ([1, float("inf")], "an infinite value at step 1, channel 0"),
        ([[1, 2], [1, -1e300]], "too large, at step 1, channel 1"),
        ({"time": [0, None, 2], "x": [1, 2, 3]}, "step 1 has no time"),
        ({"time": [0, NAN], "x": [1, 2]}, "step 1 has no time"),
        ({"time": [0, float("inf")], "x": [1, 2]}, "step 1 has no time, or an infinite one"),
    ],
    ids=str,
)
def test_values_that_no_encoder_can_read_are_refused(value: Any, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        read(value)


OBJECTS = io.BytesIO()
np.save(OBJECTS, np.array([{}, 1], dtype=object), allow_pickle=True)
LIE = npy(np.zeros(4)).replace(b"(4,)", b"(9,)")
HUGE = npy(np.zeros(4)).replace(b"(4,), }          ", b"(400000000000,), }")
BROKEN: dict[str, tuple[bytes | str, str]] = {
    "objects.npy": (OBJECTS.getvalue(), "Python objects"),
    "text.npy": (npy(np.array(["a"])), "text, expected numbers"),
    "complex.npy": (npy(np.array([1j])), "complex"),
    "fields.npy": (npy(np.zeros(2, [("a", "f4")])), "expected numbers"),
    "lie.npy": (LIE, "says 72 bytes, 32 are there"),
    "huge.npy": (HUGE, "more than 10 million"),
    "cut.npy": (npy(VALUES)[:-3], "says 64 bytes, 61 are there"),
    "head.npy": (npy(VALUES)[:20], "a .npy file that is damaged"),
    "a.npz": (b"PK\x03\x04\0\0", "neither"),
    "gaps.npy": (npy(np.full(3, NAN)), "holds no number"),
    "gaps.csv": ("x,y\n,\n,\n", "holds no number"),
    "header.csv": ("x,y\n", "only a header"),
    "words.csv": ("x,y\n1,a\n2,b\n", "'y' holds values such as 'a'"),
    "late word.csv": ("x,y\n" + "1,2\n" * 270_000 + "1,oops\n", "'y' holds values|not a table"),
    "ragged.csv": ("x,y\n1,2\n3\n", "line 3: found 1 value, expected 2"),
    "wide.csv": ("x,y\n1,2\n3,4,5\n", "line 3: found 3 values, expected 2"),
    "inf.csv": ("x,y\n1,inf\n", "infinite"),
    "no time.csv": ("t,y\n1,2\n,3\n", "'t' has 1 gap"),
    "page.csv": ("<html><body>x</body></html>", "only a header"),
    "latin.csv": (b"caf\xe9,y\n1,2\n", "UTF-8"),
    "cut.parquet": (parquet(x=[1.0, 2.0])[:-9], "a .parquet file that is damaged"),
    "words.parquet": (parquet(x=["a", "b"]), "'x' holds values of type (large_)?string, expected numbers"),
    "nested.parquet": (parquet(x=[[1.0], [2.0]]), "expected numbers"),
    "dates.parquet": (parquet(x=[1.0], y=pd.to_datetime(["2020"])), "expected numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named_with_a_reason(name: str, write: Any) -> None:
    content, said = BROKEN[name]
    folder = write(name, content).parent
    began = time.monotonic()
    with pytest.raises(MediaError, match=said):
        read(name, folder)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.parquet"])
@pytest.mark.parametrize(
    "error", [IndexError(), MemoryError(), ValueError("at 0x7fff"), pa.ArrowInvalid("x")], ids=repr
)
def test_no_word_of_a_reader_is_passed_on(
    name: str, error: Exception, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    for owner, reader in (
        ("numpy.lib.format", "read_magic"),
        ("pyarrow.csv", "read_csv"),
        ("pyarrow.parquet", "ParquetFile"),
    ):
        monkeypatch.setattr(f"{owner}.{reader}", fail)
    with pytest.raises(MediaError) as caught:
        read(name, write(name, FILES[name][0]).parent)
    sort = "text" if name == "a.csv" else f"a {name[1:]} file"
    said = {f"{sort} that is damaged, or of a sort that is not read here as a series"}
    assert str(caught.value) in said | ({"text that is no table of numbers in UTF-8"} if sort == "text" else set())
    assert caught.value.__suppress_context__


def test_a_column_of_text_in_a_parquet_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = parquet(x=["a" * 1000] * 1000, y=[1.0] * 1000)

    def read_nothing(*_: Any, **__: Any) -> None:
        raise AssertionError("a column was read")

    monkeypatch.setattr("pyarrow.parquet.ParquetFile.read", read_nothing)
    with pytest.raises(MediaError, match=r"'x' holds values of type (large_)?string, expected numbers"):
        read(raw)


def test_times_of_long_texts_are_refused_in_little_memory() -> None:
    tracemalloc.start()
    for raw in (
        parquet(time=["x" * 1_000_000] * 200, y=[1.0] * 200),
        b"time,y\n" + b"2024-05-01,1\n" * 2000 + b"x" * 100_000 + b",1\n",
    ):
        tracemalloc.reset_peak()
        with pytest.raises(MediaError, match="'time' has a text of more than 64 bytes, expected numbers, or dates"):
            read(raw)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_times_of_a_parquet_file_may_be_a_dictionary_of_dates() -> None:
    days = [f"2024-05-0{1 + i}" for i in range(4)]
    table = pa.table({"time": pa.array(days).dictionary_encode(), "y": [1.0, 2.0, 3.0, 4.0]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert np.diff(read(sink.getvalue())[0].times).tolist() == [86400.0] * 3


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.parquet"])
def test_damaged_files_are_read_or_refused(name: str, share: float, write: Any) -> None:
    content = FILES[name][0]
    whole = content.encode() if isinstance(content, str) else content
    at = int(share * len(whole))
    for damaged in (whole[:at], whole[:at] + b"\xff" + whole[at + 1 :], whole[:at] + b"\0\0\0\0" + whole[at:]):
        folder = write("x", damaged or b" ").parent
        try:
            assert read("x", folder)[0].values.ndim == 2
        except MediaError as error:
            assert str(error)


def test_the_number_of_channels_that_an_encoder_knows_is_demanded() -> None:
    raw = SERIES.load(ROWS, Path())
    assert len(SERIES.read(raw, channels=2).values) == 4  # type: ignore[call-arg]
    with pytest.raises(MediaError, match="has 2 channels; expected 3, as in the training rows"):
        SERIES.read(raw, channels=3)  # type: ignore[call-arg]


def test_channels_of_other_names_are_refused() -> None:
    check(read({"y": [1, 2], "x": [3, 4], "t": [5, 6]}, channels=["x", "y"])[0], [[3, 1], [4, 2]], [5, 6])
    with pytest.raises(MediaError, match="has the channels x, z; expected those of the column, x, y"):
        read({"z": [1, 2], "x": [3, 4]}, channels=["x", "y"])


def test_equal_content_is_equal_bytes_and_other_content_is_not() -> None:
    same = [SERIES.load(WITHOUT_TIMES[case], Path()) for case in WITHOUT_TIMES]
    assert len(set(same)) == 1
    assert SERIES.load([1, 2, 3], Path()) != SERIES.load([1, 2, 4], Path())
    assert SERIES.load([1, 2], Path()) != SERIES.load({"t": [0, 2], "v": [1, 2]}, Path())


N = 60
CLAIMS: dict[str, tuple[list[Any], str]] = {  # values of a column -> its modality
    "fractions": ([[0.5, 1.25]] * N, "series"),
    "fractions as JSON": (["[0.5, 1.25, null]"] * N, "series"),
    "arrays": ([np.arange(3) * 0.5 + i for i in range(N)], "series"),
    "long whole numbers": ([list(range(i, i + 9)) for i in range(N)], "series"),
    "whole numbers again and again": ([[1, 3, 3, 1]] * N, "series"),
    "channels": ([[[1, 2], [3, 4]]] * N, "series"),
    "dicts": ([{"time": [1, 2, 3], "v": [1, 2, 3]}] * N, "series"),
    "gaps": ([[1, None, 3]] * N, "series"),
    "paths": ([f"a/{i}.{'csv' if i % 2 else 'NPY'}" for i in range(N)], "series"),
    "some are bad": ([[0.5, 1.5]] * (N - 2) + ["broken"] * 2, "series"),
    "ids": ([[3, 1], [2], [], [1, 2, 5]] * 15, "labels"),
    "ids as JSON": (["[3, 1]", "[2]", "[1, 2, 5]"] * 20, "labels"),
    "names": ([["a", "b"], ["c"]] * 30, "labels"),
    "names that look like numbers": ([["1.5", "2.5"]] * N, "labels"),
    "numbers": ([0.5 * i for i in range(N)], "number"),
    "text in brackets": (["[1] see the note", "[2] and this"] * 30, "category"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_column_is_claimed_as_a_person_would(case: str) -> None:
    values, kind = CLAIMS[case]
    table = read_table([{"c": v, "y": "ab"[i % 2]} for i, v in enumerate(values)])
    assert infer(table, targets=["y"], inputs=["c"]).inputs == {"c": kind}


def test_a_claim_says_what_it_saw_and_keeps_the_names_of_the_channels() -> None:
    claim = SERIES.claim([{"time": [0, 1], "b": [1, 2], "a": [1, 2]}, {"a": [1], "b": [2]}], target=False)
    assert claim is not None and claim.options == {"channels": ["a", "b"]}
    assert claim.reason == "2 of 2 sampled values are lists of numbers: 2 channels, 1 to 2 steps"
    mixed = SERIES.claim([{"a": [1, 2]}, {"b": [1, 2]}], target=False)
    assert mixed is not None and mixed.options == {}
    assert SERIES.claim([[0.5]] * 10, target=False) is None  # one number a cell is no series
