"""Where the rows of delimited text begin, and whose quotes are wrong: for messages that name a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

LINE_END = re.compile(rb"\r\n|\n|\r")
_SHORT = 1 << 16  # bytes of a line that one regular expression is let loose on


def lines_in(part: bytes) -> int:
    """How many line ends there are."""
    return sum(1 for _ in LINE_END.finditer(part))


def row_end(data: bytes, delimiter: bytes) -> int:
    """Where the first row ends, after its line end."""
    return next(_rows(data, delimiter))[2]


def line_of_row(data: bytes, delimiter: bytes, number: int) -> int:
    """The line on which the row with this number begins; rows and lines are counted from 1, empty lines are no rows."""
    seen = 0
    for start, line, end, _ in _rows(data, delimiter):
        seen += data[start:end] not in (b"\n", b"\r\n", b"\r")
        if seen == number:
            return line
    raise AssertionError(f"row {number} is not there")


def bad_quotes(data: bytes, delimiter: bytes) -> tuple[int, str] | None:
    """The first line with a quote that is never closed, or is closed within a cell, and what is wrong: rows after it
    would end up in that cell."""
    ordinary = rb"[^" + re.escape(delimiter) + rb'\r\n"]'
    within = rb'"(?<=' + ordinary + rb'")' + ordinary  # begins with what can be searched for quickly
    if data.count(b'"') % 2 == 0 and not re.search(within, data):
        return None
    return next(((line, problem) for _, line, _, problem in _rows(data, delimiter) if problem), None)


def _rows(data: bytes, delimiter: bytes) -> Iterator[tuple[int, int, int, str]]:
    """Of every row: where it begins, on which line, where it ends (after its line end), what is wrong with its quotes."""
    mark = re.escape(delimiter)
    cell_end = re.compile(rb"[" + mark + rb"\r\n]")
    cell = rb'(?:"[^"\r\n]*(?:""[^"\r\n]*)*"|[^' + mark + rb'"\r\n][^' + mark + rb"\r\n]*|)"
    plain_row = re.compile(cell + rb"(?:" + mark + cell + rb")*(?:\r\n|\n|\r|\Z)")  # all of it on one line
    start, line, quote, size = 0, 1, data.find(b'"'), len(data)
    while start < size:
        found = LINE_END.search(data, start)
        end, lines, problem = found.end() if found else size, 1, ""
        if start <= quote < end:
            if end - start > _SHORT or not plain_row.match(data, start, end):
                end, problem = _quoted_row(data, start, delimiter, cell_end)
                lines = lines_in(data[start:end])
            quote = data.find(b'"', end)
        yield start, line, end, problem
        start, line = end, line + lines


def _quoted_row(data: bytes, start: int, delimiter: bytes, cell_end: re.Pattern[bytes]) -> tuple[int, str]:
    """Where a row that holds a quote ends, and what is wrong with its quotes."""
    problem, at = "", start
    while True:
        quoted = data[at : at + 1] == b'"'
        if quoted:
            at = data.find(b'"', at + 1)
            while at >= 0 and data[at + 1 : at + 2] == b'"':
                at = data.find(b'"', at + 2)
            if at < 0:
                return len(data), "a quote is opened and never closed."
            at += 1
        found = cell_end.search(data, at)
        stop = found.start() if found else len(data)
        if quoted and not problem and data[at:stop].strip():
            problem = (
                f"found {data[at : min(stop, at + 20)].decode('utf-8', 'replace')!r} after a quote that closes a cell. "
                f"Write a quote within a quoted cell twice."
            )
        if not found:
            return stop, problem
        if found.group() != delimiter:
            line_end = LINE_END.match(data, stop)
            return (line_end.end() if line_end else stop), problem
        at = found.end()
