"""Reading tables: what stands in a cell stays as it stands, no row is lost, and every refusal names its place."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.data.table import Table, read_table
from plait.errors import TableError, UnknownNameError

ROWS = [
    {"a": "0008", "b": 'ü, "q"\nnext', "番茄": "NA"},
    {"a": "None", "b": "", "番茄": None},
    {"a": "nan", "b": " x ", "番茄": "1e5"},
]


def columns(table: Table) -> dict[str, list[Any]]:
    return {c: [None if isinstance(v, float) and v != v else v for v in table.column(c)] for c in table.frame.columns}


EXPECTED = {c: [row[c] for row in ROWS] for c in ROWS[0]}


def delimited(separator: str = ",", end: str = "\n", last: str = "\n") -> str:
    """ROWS by hand: None is an empty cell, "" a quoted empty one."""

    def quote(value: str | None) -> str:
        if value and not set(value) & set(f'{separator}"\n'):
            return value
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    return (
        end.join(separator.join(map(quote, line)) for line in [list(ROWS[0]), *(list(r.values()) for r in ROWS)]) + last
    )


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimited_text_in_any_dress(separator: str, end: str, encoding: str, write: Callable[..., Path]) -> None:
    suffix = "TSV" if separator == "\t" else "csv"
    for last in ("", end, end * 3):
        table = read_table(write(f"t.{suffix}", delimited(separator, end, last).encode(encoding)))
        assert columns(table) == EXPECTED


@pytest.mark.parametrize(
    "raw, expected",
    {
        "old Mac": (b"a,b\r1,2\r3,4\r", {"a": ["1", "3"], "b": ["2", "4"]}),
        "cp1252": ("é;b\nü;\x80uro".encode("latin-1"), {"é": ["ü"], "b": ["€uro"]}),
        "broken byte": ("番茄,b\n一个,2\n".encode() + b"\xff,3\n", {"番茄": ["一个", "\ufffd"], "b": ["2", "3"]}),
        "leading empty lines": (b"\n\r\n\na,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        "empty lines between rows": (b"a,b\n1,2\n\n3,4\n", {"a": ["1", "3"], "b": ["2", "4"]}),
        "empty cells of one column": (b"a\n1\n\n3\n", {"a": ["1", None, "3"]}),
        "header only": (b"a,b\n", {"a": [], "b": []}),
        "header without end": (b"a,b", {"a": [], "b": []}),
        "newline in the header": (b'"a\nx",b\n1,2\n', {"a\nx": ["1"], "b": ["2"]}),
        "decimal comma": (b'a;b\n"1,5";2\n1,5;3', {"a": ["1,5", "1,5"], "b": ["2", "3"]}),
        "one unnamed column": (b",b\n0,x\n", {"": ["0"], "b": ["x"]}),
        "NUL": (b"a,b\n\0,1\n", {"a": ["\0"], "b": ["1"]}),
        "inch marks": (b'a,b\n5" pipe,1\n', {"a": ['5" pipe'], "b": ["1"]}),
    }.values(),
    ids=lambda v: str(v)[:24],
)
def test_tricky_delimited_text(raw: bytes, expected: dict[str, list[Any]], write: Callable[..., Path]) -> None:
    assert columns(read_table(write("t.csv", raw))) == expected


def test_what_pandas_writes_comes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["x", None, "y\r\nz"], "b": ["1", "2", None]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert columns(read_table(tmp_path / "t.csv")) == {"a": ["x", None, "y\r\nz"], "b": ["1", "2", None]}


def test_a_long_cell_and_many_rows_are_whole(write: Callable[..., Path]) -> None:
    long = "x" * 2_000_000
    table = read_table(write("t.csv", f"a,b\n{long},1\n" + "y,2\n" * 30_000))
    assert table.column("a") == [long] + ["y"] * 30_000


@pytest.mark.parametrize(
    "text, line, said",
    {
        "longer than the header": ("a,b\n1,2,3\n4,5\n", 2, "found 3 cells, expected 2"),
        "shorter": ("a,b\n1,2\n4\n", 3, "found 1 cells, expected 2"),
        "after a cell of several lines": ('a,b\n1,"x\n\ny"\n3,4,5\n', 5, "found 3 cells"),
        "after empty lines": ("\n\na,b\n1,2\n\n3\n", 6, "found 1 cells"),
        "a quote never closed": ('a,b\n1,2\n3,"x\n4,5\n6,7\n', 3, "never closed"),
    }.values(),
    ids=lambda v: str(v)[:20],
)
def test_a_ragged_row_is_refused_with_its_line(text: str, line: int, said: str, write: Callable[..., Path]) -> None:
    with pytest.raises(TableError, match=rf"t\.csv, line {line}: .*{said}"):
        read_table(write("t.csv", text))


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b" \n\n ", "is empty"),
        ("t.jsonl", b"", "is empty"),
        ("t.parquet", b"PAR1", "Cannot read"),
        ("t.csv", b"a,b,a\n1,2,3\n", "more than one column named 'a'"),
        ("t.jsonl", b'{"a": 1}\nfoo\n', "line 2: not JSON"),
        ("t.jsonl", b'{"a": 1}\n\n[1]\n', "line 3: found a list"),
        ("t.jsonl", b'{"a":' + b"[" * 100_000, "Cannot read"),
        ("t.xlsx", b"x", "'.xlsx' are not read.*pandas.read_excel"),
        ("t.pkl", b"x", "'.pkl' are not read.*runs code"),
        ("t.txt", b"x", "'.txt' are not read.*Name it .csv"),
        ("t.parquet.gz", b"x", "'.gz' are not read"),
        ("t.csv.gz", b"x", "Cannot read"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "Cannot read"),
        ("t.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("t.feather", b"FEA1 and so on", "Feather file of version 1"),
        ("t.json", b'{"a": 1}', "found a dict, expected a list"),
        ("t.json", b'{"a": 1}\n{"a": 2}', r"line 2: not JSON \(Extra data\).*\.jsonl"),
        ("t.json", b'[{"a": 1},\n{"a": ]', "line 2: not JSON"),
        ("t.json", b'[{"a": 1}, 3]', "row 1: found a int"),
        ("table", b"a,b", "'nothing' are not read"),
    ],
)
def test_what_is_no_table_is_refused(name: str, content: bytes, said: str, write: Callable[..., Path]) -> None:
    with pytest.raises(TableError, match=said):
        read_table(write(name, content))


def test_a_path_that_is_not_there_names_its_neighbours(write: Callable[..., Path], tmp_path: Path) -> None:
    write("stamps.csv", "a\n1")
    with pytest.raises(TableError, match=r"No such file.*In that folder: stamps\.csv"):
        read_table(tmp_path / "stamp.csv")
    with pytest.raises(TableError, match=r"is a folder without media.*Tables in it: stamps\.csv"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="No such file"):
        read_table("/no/such/folder/x.csv")


@pytest.mark.parametrize("source", [{"a": [1]}, 3, None, [1, 2], [{"a": 1}, "x"], np.zeros((2, 2))], ids=str)
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(TableError, match="Expected a path"):
        read_table(source)


def test_jsonl_and_lists_of_dicts_keep_types_and_fill_gaps(write: Callable[..., Path]) -> None:
    rows = [{"a": 1, "b": "0008"}, {"c": ["x", "y"], "a": 2**70}, {"b": None, "a": True}]
    text = '{"a": 1, "b": "0008"}\n\n{"c": ["x", "y"], "a": 1180591620717411303424}\r\n{"b": null, "a": true}'
    expected = {"a": [1, 2**70, True], "b": ["0008", None, None], "c": [None, ["x", "y"], None]}
    for table in (read_table(rows), read_table(write("t.jsonl", text)), read_table(write("t.ndjson", text))):
        assert columns(table) == expected
        assert [type(v) for v in table.column("a")] == [int, int, bool]


def test_json_and_packed_json_lines(write: Callable[..., Path]) -> None:
    rows = [{"a": 1, "b": "0008"}, {"c": ["x"], "a": float("nan")}]
    lines = "\n".join(map(json.dumps, rows)).encode("utf-16")
    for path in (write("t.json", json.dumps(rows)), write("t.jsonl.gz", gzip.compress(lines, mtime=0))):
        assert columns(read_table(path)) == {"a": [1, None], "b": ["0008", None], "c": [None, ["x"]]}


def test_an_address_and_a_pipe_are_refused(tmp_path: Path) -> None:
    for address in ("https://example.org/t.csv", "s3://bucket/t.csv"):
        with pytest.raises(TableError, match=f"{address} is an address.*download it first"):
            read_table(address)
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(TableError, match="is not a regular file"):
        read_table(tmp_path / "t.csv")


def test_an_empty_list_is_a_table_without_rows() -> None:
    assert len(read_table([])) == 0 and len(read_table([{}, {}])) == 2


def test_parquet_arrow_and_frames_agree(write: Callable[..., Path]) -> None:
    arrow = pa.table({"text": ["0008", None], "n": [1.5, None], "list": [["a"], ["b", "c"]], "flag": [True, False]})
    buffer = io.BytesIO()
    pq.write_table(arrow, buffer)
    for source in (arrow, write("t.parquet", buffer.getvalue()), arrow.to_pandas(), arrow.to_batches()[0]):
        found = columns(read_table(source))
        assert found.pop("text") == ["0008", None] and found.pop("n") == [1.5, None]
        assert [list(v) for v in found.pop("list")] == [["a"], ["b", "c"]] and found.pop("flag") == [True, False]


def test_whole_numbers_with_gaps_stay_whole(write: Callable[..., Path]) -> None:
    arrow = pa.table({"n": [2**60 + 1, None]})
    buffer = io.BytesIO()
    pq.write_table(arrow, buffer)
    for source in (arrow, write("t.parquet", buffer.getvalue())):
        assert columns(read_table(source)) == {"n": [2**60 + 1, None]}


@pytest.mark.parametrize(
    "index", [["x", "x", "y"], [7, 3, 5], pd.MultiIndex.from_tuples([(1, "a"), (1, "a"), (2, "b")])], ids=str
)
def test_rows_go_by_position_whatever_the_index_is(index: Any) -> None:
    frame = pd.DataFrame({1: [10, 20, 30], ("m", "n"): list("abc")}, index=index)
    table = read_table(frame)
    assert columns(table) == {"1": [10, 20, 30], "('m', 'n')": list("abc")}
    assert list(table.index) == list(frame.index)
    part = table.take(np.array([2, 0]))
    assert part.column("1") == [30, 10] and list(part.index) == [frame.index[2], frame.index[0]]
    assert list(frame.columns) == [1, ("m", "n")] and list(frame.index) == list(frame.index)


def test_columns_of_one_name_are_refused() -> None:
    for frame in (pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame([[1, 2]], columns=[1, "1"])):
        with pytest.raises(TableError, match="more than one column named"):
            read_table(frame)


def test_paths_are_taken_from_the_tables_folder_or_the_base(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("deep/t.csv", "a\n1\n")
    assert read_table(path).folder == path.parent
    assert read_table(path, base=tmp_path).folder == tmp_path
    monkeypatch.chdir(tmp_path)
    assert read_table("deep/t.csv").folder == path.parent and read_table([{"a": 1}]).folder == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(read_table("~/deep/t.csv")) == 1


def test_a_base_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_table([{"a": 1}], base="~").folder == tmp_path
    assert read_table(read_table([{"a": 1}]), base=tmp_path).folder == tmp_path
    with pytest.raises(TableError, match=r"base is '/no/such': no such folder"):
        read_table([{"a": 1}], base="/no/such")


def test_notices_stay_with_the_rows_taken(write: Callable[..., Path]) -> None:
    table = read_table(write("t.csv", "é\n1\n2\n".encode("cp1252")))
    assert table.notices == table.take(np.array([1])).notices != ()


def test_a_wrong_column_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'category'"):
        read_table([{"category": 1}]).column("categroy")


def test_row_hashes_go_by_content_and_not_by_place_or_source() -> None:
    rows = [{"a": "x", "b": 1, "c": None}, {"a": "y", "b": 2, "c": ["p"]}, {"a": "x", "b": 1, "c": None}]
    hashes = read_table(rows).row_hashes()
    assert hashes[0] == hashes[2] != hashes[1]
    assert read_table([dict(reversed(r.items())) for r in rows[::-1]]).row_hashes() == hashes[::-1]
    assert read_table(pd.DataFrame({"a": ["x"], "b": [1], "c": [float("nan")]})).row_hashes() == hashes[:1]
    assert len(set(read_table([{"a": "\ud800"}, {"a": np.arange(2)}, {"a": pd.Timestamp("2020")}]).row_hashes())) == 3
    odd = [
        {"a": {(1, 2): 3}},
        {"a": {"x", "y"}},
        {"a": {"y", "z"}},
        {"a": b"x"},
        {"a": np.zeros(9999)},
        {"a": np.ones(9999)},
    ]
    assert (
        len(set(read_table(odd).row_hashes())) == len(odd)
        and read_table(odd).row_hashes() == read_table(odd).row_hashes()
    )


def test_a_row_hash_is_the_same_in_another_process() -> None:
    """Recorded once; splits that are kept in model folders hold such hashes."""
    rows = [{"b": 1, "a": "x"}, {"b": None, "a": "番茄"}]
    assert read_table(rows).row_hashes() == [
        hashlib.blake2b(text.encode(), digest_size=8).hexdigest() for text in ('["x", 1]', '["番茄", null]')
    ]


@pytest.mark.slow
def test_a_million_rows_are_read_in_linear_time_and_little_memory(tmp_path: Path) -> None:
    spent = []
    for size in (100_000, 1_000_000):
        draw = np.random.default_rng(0).normal(size=(size, 3)).round(6)
        frame = pd.DataFrame(draw, columns=list("xyz"))
        frame["kind"], frame["place"] = (
            [f"kind{i % 12}" for i in range(size)],
            [f"place {i % 300}" for i in range(size)],
        )
        frame["text"] = [f"a short text about number {i}" for i in range(size)]
        frame.to_csv(tmp_path / f"{size}.csv", index=False)
        began = time.process_time()
        table = read_table(tmp_path / f"{size}.csv")
        spent.append(time.process_time() - began)
        assert len(table) == size and table.column("text")[-1] == frame["text"][size - 1]
    assert spent[1] < 30 * spent[0] + 1
    code = (
        "import sys; from plait.data.table import read_table; t = read_table(sys.argv[1]);"
        "print(len(t), open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )  # ru_maxrss would count what the process that starts this one holds
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "1000000.csv"], capture_output=True, text=True, check=True
    )
    rows, peak = map(int, done.stdout.split())
    assert rows == 1_000_000 and peak < 1.5 * 2**20  # kilobytes
