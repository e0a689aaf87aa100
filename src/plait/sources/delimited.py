"""Delimited text (CSV, TSV) in any dress: every cell as text, and the line of whatever is wrong."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from plait.errors import TableError
from plait.sources.encoding import utf8
from plait.sources.rows import LINE_END, bad_quotes, line_of_row, lines_in, row_end
from plait.sources.values import frame_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BLOCK = 32 << 20  # bytes that Arrow parses at a time, unless a line is longer
_SAMPLE = 1 << 16
_SAMPLE_LINES = 50
_EXCEL = re.compile(rb'"?sep=([\t !#-~])"?(?:\r\n|\n|\r)')


def read_delimited(raw: bytes, name: str, *, tabs: bool) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table and notices. 0008 stays 0008 and NA stays NA; an empty cell is missing, a quoted empty one is empty.
    `tabs`: cells lie between tabs; else the delimiter is found out. Raises TableError with the line."""
    import pandas as pd

    data, notices = utf8(raw, name)
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # as old Macs and some spreadsheets write
    begin = len(data) - len(data.lstrip(b"\r\n"))
    data, skipped = data[begin:], lines_in(data[:begin])
    excel = _EXCEL.match(data)  # Excel's own first line, which names the delimiter
    if excel:
        data, skipped = data[excel.end() :], skipped + 1
    data = data.rstrip(b"\r\n") + b"\n"
    if not data.strip():
        raise TableError(f"{name} is empty.")
    delimiter = b"\t" if tabs else excel.group(1) if excel else _delimiter(data)
    if bad := bad_quotes(data, delimiter):
        raise TableError(f"{name}, line {bad[0] + skipped}: {bad[1]}")
    names = _header(data, delimiter, name, skipped)
    table = _parse(data, delimiter, len(names), name, skipped).slice(1)  # the first row is the header
    kept = [i for i, column in enumerate(names) if column.strip() or _holds_text(table.column(i))]
    if len(kept) < len(names):
        dropped = len(names) - len(kept)
        notices += (f"{name}: left out {dropped} of {len(names)} columns, without a name and without a value.",)
    _refuse_names([names[i] for i in kept], name, 1 + skipped)
    columns = [table.column(i).to_numpy() for i in kept]
    return frame_of([names[i] for i in kept], columns, pd.RangeIndex(len(table))), notices


def _holds_text(column: Any) -> bool:
    import pyarrow.compute as pc

    return bool(pc.max(pc.binary_length(column)).as_py())


def _delimiter(data: bytes) -> bytes:
    """The one of , ; tab | that is in the header, outside of quotes, and as often in the lines below it."""
    head = re.sub(rb'"[^"]*"', b"", data[:_SAMPLE])
    header, *below = LINE_END.split(head, maxsplit=_SAMPLE_LINES + 1)[: _SAMPLE_LINES + 1]
    if len(data) > _SAMPLE:
        below = below[:-1]  # may be cut
    full = [line for line in below if line]

    def agreement(mark: bytes) -> tuple[float, int]:
        times = header.count(mark)
        return sum(line.count(mark) == times for line in full) / max(1, len(full)) * (times > 0), times

    return max((b",", b";", b"\t", b"|"), key=agreement)


def _header(data: bytes, delimiter: bytes, name: str, skipped: int) -> list[str]:
    text = io.StringIO(data[: row_end(data, delimiter)].decode("utf-8"), newline="")
    try:
        return next(csv.reader(text, delimiter=delimiter.decode()))
    except (csv.Error, StopIteration) as error:
        raise TableError(f"{name}, line {1 + skipped}: the header cannot be read ({error}).") from None


def _refuse_names(names: list[str], name: str, line: int) -> None:
    twice = sorted(column for column, times in Counter(names).items() if times > 1)
    if "" in twice:
        raise TableError(f"{name}, line {line}: more than one column has no name. Name every column that holds values.")
    if twice:
        raise TableError(
            f"{name}, line {line}: more than one column named {', '.join(map(repr, twice))}. Rename one of them."
        )


def _parse(data: bytes, delimiter: bytes, width: int, name: str, skipped: int) -> pa.Table:
    """Every row, the header too, as large strings."""
    import pyarrow as pa

    try:
        return _parse_blocks(data, delimiter, width, name, skipped, BLOCK)
    except pa.ArrowInvalid as error:
        if "straddling" not in str(error):
            raise
    return _parse_blocks(data, delimiter, width, name, skipped, len(data) + 1)  # a line is longer than a block


def _parse_blocks(data: bytes, delimiter: bytes, width: int, name: str, skipped: int, block: int) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    bad: list[Any] = []

    def refuse(row: Any) -> str:
        bad.append((row.number, row.actual_columns))
        return "skip"

    names = [str(i) for i in range(width)]
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        arrow_csv.ReadOptions(use_threads=False, block_size=min(block, 2**31 - 1), column_names=names),
        arrow_csv.ParseOptions(
            delimiter=delimiter.decode(),
            newlines_in_values=True,
            invalid_row_handler=refuse,
            ignore_empty_lines=width > 1,
        ),  # of a single column, an empty line is an empty cell
        arrow_csv.ConvertOptions(
            column_types={n: pa.large_string() for n in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    if bad:
        number, found = bad[0]
        line = line_of_row(data, delimiter, number) + skipped
        raise TableError(
            f"{name}, line {line}: found {found} cells, expected {width} as in the header. "
            f"Quote cells that hold a {delimiter.decode()!r}."
        )
    return table
