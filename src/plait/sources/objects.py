"""Tables written as objects: a list of dicts, JSON lines, a JSON list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plait.errors import TableError
from plait.sources.encoding import utf8
from plait.sources.values import frame_of, objects, plain_values

if TYPE_CHECKING:
    import pandas as pd


def objects_frame(rows: Sequence[dict[Any, Any]]) -> pd.DataFrame:
    """One row a dict; a key that a dict does not have is missing there."""
    keys = list(dict.fromkeys(k for row in rows for k in row))
    columns = [objects(plain_values([row.get(k) for row in rows], str(k)), len(rows)) for k in keys]
    return frame_of(keys, columns, range(len(rows)))


def read_json_lines(raw: bytes, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One object a line; empty lines are passed over. Raises TableError with the line."""
    data, notices = utf8(raw, name)
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8"))
        except ValueError as error:
            raise TableError(f"{name}, line {number}: not JSON ({error}).") from None
        if not isinstance(row, dict):
            raise TableError(f"{name}, line {number}: found a {type(row).__name__}, expected an object.")
        rows.append(row)
    return objects_frame(rows), notices


def read_json(raw: bytes, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A list of objects. Raises TableError with the line."""
    data, notices = utf8(raw, name)
    try:
        rows = json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        hint = " Name a file with one object a line .jsonl." if error.msg == "Extra data" else ""
        raise TableError(f"{name}, line {error.lineno}: not JSON ({error.msg}).{hint}") from None
    if not isinstance(rows, list):
        raise TableError(f"{name}: found a {type(rows).__name__}, expected a list of objects, one a row.")
    wrong = next(((i, row) for i, row in enumerate(rows) if not isinstance(row, dict)), None)
    if wrong:
        raise TableError(f"{name}, row {wrong[0]}: found a {type(wrong[1]).__name__}, expected an object.")
    return objects_frame(rows), notices
