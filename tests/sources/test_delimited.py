"""Delimited text in any dress is the same table as the clean file, or is refused with the line."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plait.data.table import Table, read_table
from plait.errors import TableError
from plait.sources.rows import bad_quotes, line_of_row

CLEAN = {
    "naïve": ["x,y;z|t", "NA", None, "0008", "two\nlines"],
    "b": ["None", "null", "nan", '5" pipe', "é"],
    "c": ["1,5", "", " x ", "2", None],
}


def columns(table: Table) -> dict[str, list[Any]]:
    return {c: table.column(c) for c in table.frame.columns}


def written(mark: str, end: str, *, quote_all: bool) -> str:
    """CLEAN by hand; an empty cell that is no gap is always quoted."""

    def cell(value: str | None) -> str:
        if value is None:
            return ""
        plain = value and not set(value) & set(mark + '"\r\n') and not quote_all
        return value if plain else '"' + value.replace('"', '""') + '"'

    return "".join(mark.join(map(cell, row)) + end for row in [tuple(CLEAN), *zip(*CLEAN.values())])


@pytest.mark.parametrize("quote_all", [True, False])
@pytest.mark.parametrize("mark, end", [*itertools.product(",;\t|", ["\n", "\r\n"])])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_dialect_is_the_clean_table(
    encoding: str, mark: str, end: str, quote_all: bool, write: Callable[..., Path]
) -> None:
    text = written(mark, end, quote_all=quote_all)
    for put_before, put_after in [("", ""), ("\n" * 2, end * 3)]:
        raw = (put_before + text + put_after).encode(encoding)
        table = read_table(write("t.csv", raw))
        assert columns(table) == CLEAN
        assert bool(table.notices) == (encoding in ("cp1252", "utf-16-le", "utf-16-be"))
        packed = read_table(write("t.csv.gz", gzip.compress(raw)))
        assert columns(packed) == CLEAN and len(packed.notices) == len(table.notices)


@pytest.mark.parametrize("width", [0, 1, 3])
@pytest.mark.parametrize("empty", ["", '""'])
def test_columns_without_name_and_value_are_left_out_and_said(
    width: int, empty: str, write: Callable[..., Path]
) -> None:
    table = read_table(write("t.csv", f"a,b{',' * width}\n1,2{(',' + empty) * width}\n3,4{',' * width}\n"))
    assert columns(table) == {"a": ["1", "3"], "b": ["2", "4"]}
    assert [f"left out {width} of {width + 2} columns" in n for n in table.notices] == [True] * bool(width)


def test_a_column_without_name_but_with_values_is_kept(write: Callable[..., Path]) -> None:
    assert columns(read_table(write("t.csv", "a,\n1,\n2,x\n"))) == {"a": ["1", "2"], "": [None, "x"]}
    with pytest.raises(TableError, match=r"t\.csv, line 1: more than one column has no name"):
        read_table(write("t.csv", "a,,\n1,2,3\n"))


@pytest.mark.parametrize(
    "text, expected",
    {
        "Excel names it": ("sep=;\na,x;b\n1;2\n", {"a,x": ["1"], "b": ["2"]}),
        "the lines below agree": (
            "id;free, text\n1;a\n2;b, c, d\n",
            {"id": ["1", "2"], "free, text": ["a", "b, c, d"]},
        ),
        "not within quotes": ('"a,b,c";"d"\n"1,2,3";"4"\n', {"a,b,c": ["1,2,3"], "d": ["4"]}),
        "none": ("words\nred, blue\n", None),
    }.values(),
    ids=lambda v: str(v)[:12],
)
def test_the_delimiter_is_found(text: str, expected: dict[str, list[Any]] | None, write: Callable[..., Path]) -> None:
    if expected:
        assert columns(read_table(write("t.csv", text))) == expected
    else:
        with pytest.raises(TableError, match="line 2: found 2 cells, expected 1"):
            read_table(write("t.csv", text))


@pytest.mark.parametrize(
    "text, line, said",
    [
        ("a,b\n1,2,3\n", 2, "found 3 cells, expected 2"),
        ("a,b\n1,2,\n3,4,\n", 2, "found 3 cells, expected 2"),
        ("a,b,a\n1,2,3\n", 1, "more than one column named 'a'"),
        ("\r\n\r\na,b\r\n1,2\r\n3\r\n", 5, "found 1 cells"),
        ("sep=;\na;b\n1;2;3\n", 3, "found 3 cells"),
        ('a,b\n1,"x\r\ny"\n3\n', 4, "found 1 cells"),
        ('a,b\n1,2\n"x"y,3\n', 3, "found 'y' after a quote"),
        ('a,b\n1,2\n"he said \\"hi\\"",3\n', 3, "Write a quote within a quoted cell twice"),
        ('a,b\n1,2\n3,"x\n4,5\n', 3, "never closed"),
        ('"a,b\n1,2\n', 1, "never closed"),
        ('a,b\n5" pipe,1\n3,"x\n4,"y z\n', 3, "found 'y z"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, said: str, write: Callable[..., Path]) -> None:
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(TableError, match=rf"t\.csv, line {line}: .*{said}"):
            read_table(write("t.csv", text.encode(encoding)))


def test_broken_bytes_are_replaced_and_counted(write: Callable[..., Path]) -> None:
    table = read_table(write("t.csv", "番茄,b\n一个,\ufffd\n".encode() + b"\xff\xfe,3\n"))
    assert table.column("番茄") == ["一个", "\ufffd\ufffd"]  # the other one is the file's own
    assert table.notices == ("t.csv: 2 broken bytes, the first in line 3, were replaced by \ufffd.",)
    assert read_table(write("t.csv", "a\n\ufffd\n")).notices == ()  # the file's own
    assert "1 characters" in read_table(write("t.csv", b"a\n\xe9\x81\n")).notices[1]


@pytest.mark.parametrize("kind", ["plain", "quoted", "lines", "escaped"])
def test_a_line_longer_than_a_block_is_whole(
    kind: str, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.sources.delimited.BLOCK", 1 << 16)
    cell = {"plain": "x", "quoted": "x,", "lines": "x\n", "escaped": 'x"'}[kind] * (1 << 18)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["a", "b"], [cell, "1"], ["y", "2"], ["z", "3"]])
    path = write("t.csv", text.getvalue())
    assert columns(read_table(path)) == {"a": [cell, "y", "z"], "b": ["1", "2", "3"]}
    with open(path, "a") as file:
        file.write("4\n")
    with pytest.raises(TableError, match=f"line {text.getvalue().count(chr(10)) + 1}: found 1 cells"):
        read_table(path)


LONG_CELLS = {"plain": b"x", "zeros": b"\0", "commas": b"x,", "lines": b"x\n", "quotes": b'""'}  # repeated


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG_CELLS)
def test_time_and_memory_grow_as_the_line_does(kind: str, tmp_path: Path) -> None:
    spent, held = [], []
    unit = LONG_CELLS[kind]
    mark = b"" if kind in ("plain", "zeros") else b'"'
    for size in (1 << 24, 1 << 26):
        cell = unit * (size // len(unit))
        (tmp_path / "t.csv").write_bytes(b"a,b\n" + mark + cell + mark + b",1\n")
        tracemalloc.start()
        began = time.process_time()
        table = read_table(tmp_path / "t.csv")
        spent.append(time.process_time() - began)
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert table.column("b") == ["1"] and len(table.column("a")[0]) == len(cell) // (2 if kind == "quotes" else 1)
    assert spent[1] < 4 * 2.5 * spent[0] + 1
    assert held[1] < 8 * (1 << 26)


def reference(text: str) -> tuple[list[int], bool]:
    """The line on which each row begins, and whether a quote stays open, letter by letter."""
    begins, line, at, state = [], 1, 0, "row"
    while at < len(text):
        letter = text[at]
        if state == "row":
            begins.append(line)
            state = "cell"
        if state == "cell" and letter == '"':
            state = "quoted"
        elif state == "quoted" and letter == '"':
            if text[at + 1 : at + 2] == '"':
                at += 1
            else:
                state = "within"
        elif state != "quoted" and letter == ",":
            state = "cell"
        elif letter == "\n":
            line += 1
            state = "quoted" if state == "quoted" else "row"
        elif state == "cell":
            state = "within"
        at += 1
    return begins, state == "quoted"


def test_rows_are_found_as_letter_by_letter() -> None:
    draw = random.Random(0)
    opened = 0
    for _ in range(3000):
        text = "".join(draw.choices('"",\nx', k=draw.randrange(1, 20))).lstrip("\n")
        begins, is_open = reference(text)
        rows = [i for i, line in enumerate(begins) if text.split("\n")[line - 1] != ""]
        for number, i in enumerate(rows, 1):
            assert line_of_row(text.encode(), b",", number) == begins[i], text
        found = bad_quotes(text.encode(), b",")
        opened += is_open
        if text.count('"') % 2:
            assert (found is not None and "never closed" in found[1]) >= (is_open and found is None), text
        if found and "never closed" in found[1]:
            assert is_open and found[0] == begins[-1], text
    assert opened > 100


def test_a_random_table_written_by_the_standard_library_comes_back(tmp_path: Path) -> None:
    draw = random.Random(1)
    for trial in range(40):
        width = draw.randrange(2, 5)
        rows = [
            ["".join(draw.choices("a \",;\n\r\t'é番", k=draw.randrange(1, 6))) for _ in range(width)] for _ in range(6)
        ]
        names = [f"c{i}" for i in range(width)]
        with open(tmp_path / "t.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=draw.choice(["\n", "\r\n"])).writerows(
                [names, *rows]
            )
        assert [list(r) for r in zip(*columns(read_table(tmp_path / "t.csv")).values())] == rows, trial
