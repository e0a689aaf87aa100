"""Reading a table from any source, without guessing at types: what stands in a cell stays as it stands."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.errors import TableError, unknown

if TYPE_CHECKING:
    import pandas as pd

READS = "a path to .csv, .tsv, .jsonl or .parquet, a pandas DataFrame, an Arrow table or a list of dicts"


@dataclass(frozen=True)
class Table:
    """Rows of named columns, and the folder from which relative paths in cells are taken."""

    frame: pd.DataFrame  # RangeIndex; columns are str
    folder: Path
    name: str
    index: Any  # the index of the DataFrame given, for the predictions

    def __len__(self) -> int:
        return len(self.frame)

    def column(self, name: str) -> list[Any]:
        """The values of one column, as Python objects. Raises UnknownNameError."""
        if name not in self.frame.columns:
            raise unknown(f"column of {self.name}:", name, self.frame.columns)
        return list(self.frame[name])

    def take(self, rows: Any) -> Table:
        """The rows at these positions, in this order."""
        return Table(self.frame.iloc[rows].reset_index(drop=True), self.folder, self.name, self.index[rows])

    def row_hashes(self) -> list[str]:
        """One hash a row, over its values in the order of the column names (files by path, not by content)."""
        columns = sorted(self.frame.columns)
        lists = [[_plain(v) for v in self.frame[c]] for c in columns]
        rows = zip(*lists) if lists else iter([() for _ in range(len(self))])
        return [
            hashlib.blake2b(
                json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "replace"), digest_size=8
            ).hexdigest()
            for row in rows
        ]


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if isinstance(value, float) and value != value else value


def read_table(source: Any, *, base: str | Path | None = None) -> Table:
    """A Table from a path, DataFrame, Arrow table, list of dicts or Table. `base`: the folder of relative paths in
    cells (the table's own folder, or the working directory for tables in memory). Raises TableError."""
    import pandas as pd

    if isinstance(source, Table):
        return source
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        frame, folder, name = _read_file(path), path.resolve().parent, path.name
    elif isinstance(source, pd.DataFrame):
        frame, folder, name = source, Path.cwd(), "the table"
    elif isinstance(source, list) and all(isinstance(row, dict) for row in source):
        keys = list(dict.fromkeys(k for row in source for k in row))
        frame = pd.DataFrame(
            {k: pd.Series([row.get(k) for row in source], dtype=object) for k in keys}, index=range(len(source))
        )
        folder, name = Path.cwd(), "the table"
    elif type(source).__module__.startswith("pyarrow") and hasattr(source, "to_pandas"):
        frame, folder, name = source.to_pandas(integer_object_nulls=True), Path.cwd(), "the table"
    else:
        raise TableError(f"Cannot read a table from a {type(source).__name__}. Expected {READS}.")
    names = [str(c) for c in frame.columns]
    _refuse_twice(names, name)
    plain = frame.reset_index(drop=True)
    plain.columns = pd.Index(names)
    return Table(plain, Path(base).resolve() if base else folder, name, frame.index)


def _refuse_twice(names: list[str], name: str) -> None:
    twice = sorted({c for c in names if names.count(c) > 1})
    if twice:
        raise TableError(f"{name} has more than one column named {', '.join(map(repr, twice))}. Rename one of them.")


def _read_file(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise TableError(f"{path} is a folder. Expected {READS}.")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        near = [p.name for p in path.parent.glob("*") if p.suffix in _READERS] if path.parent.is_dir() else []
        hint = f" In that folder: {', '.join(sorted(near)[:5])}." if near else ""
        raise TableError(f"No such file: {path}.{hint}") from None
    except OSError as error:
        raise TableError(f"Cannot read {path}: {error.strerror}.") from None
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise TableError(f"{path.name}: tables ending in {path.suffix or 'nothing'!r} are not read. Expected {READS}.")
    if not raw.strip():
        raise TableError(f"{path} is empty.")
    try:
        return reader(raw, path)
    except TableError:
        raise
    except Exception as error:  # Arrow raises many kinds; the first line says what is wrong
        raise TableError(f"Cannot read {path}: {str(error).splitlines()[0]}") from None


def _read_delimited(raw: bytes, path: Path) -> pd.DataFrame:
    """Every cell as text: 0008 stays 0008 and NA stays NA. An empty cell is missing, a quoted empty one is empty."""
    import csv as plain

    import pyarrow as pa
    from pyarrow import csv

    text = _decode(raw)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old Macs and some spreadsheets write
    start = len(text) - len(text.lstrip("\r\n"))
    text, skipped = text[start:].rstrip("\r\n") + "\n", text[:start].count("\n")
    header = text.split("\n", 1)[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=header.count)
    names = next(plain.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    _refuse_twice(names, path.name)
    if text.count('"') % 2:
        _refuse_open_quote(text, delimiter, path, skipped)
    bad: list[Any] = []

    def refuse(row: Any) -> str:
        bad.append(row)
        return "skip"

    table = csv.read_csv(
        io.BytesIO(text.encode("utf-8")),
        csv.ReadOptions(use_threads=False, block_size=min(len(raw) * 3 + 1024, 2**31 - 1), column_names=names),
        csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse, ignore_empty_lines=len(names) > 1
        ),  # of a single column, an empty line is an empty cell
        csv.ConvertOptions(
            column_types={n: pa.large_string() for n in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    if bad:
        line = _line(text, delimiter, bad[0].number) + skipped
        raise TableError(
            f"{path.name}, line {line}: found {bad[0].actual_columns} cells, expected "
            f"{bad[0].expected_columns} as in the header. Quote cells that hold a {delimiter!r}."
        )
    frame: pd.DataFrame = table.slice(1).to_pandas().astype(object)  # the first row is the header
    return frame.where(frame.notna(), None)


def _refuse_open_quote(text: str, delimiter: str, path: Path, skipped: int) -> None:
    """A quote that is never closed would take all rows after it into one cell."""
    import csv as plain

    reader, last = plain.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 0
    try:
        for _ in reader:
            last = reader.line_num
    except plain.Error as error:
        if "unexpected end" in str(error):
            raise TableError(f"{path.name}, line {last + 1 + skipped}: a quote is opened and never closed.") from None


def _line(text: str, delimiter: str, number: int) -> int:
    """The line on which the row with this number begins; rows are counted from 1, empty lines are not."""
    import csv as plain

    reader, last, seen = plain.reader(io.StringIO(text, newline=""), delimiter=delimiter), 0, 0
    with suppress(plain.Error):  # a cell of more than 128 KB
        for row in reader:
            seen += bool(row)
            if seen == number:
                break
            last = reader.line_num
    return last + 1


def _decode(raw: bytes) -> str:
    """UTF-16 by its mark; UTF-8, even with a few broken bytes; else Windows-1252."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("utf-8-sig", errors="replace")
    broken = text.count("\ufffd")
    whole = sum(c > "\x7f" for c in text) - broken
    return text if whole > broken else raw.decode("cp1252", errors="replace")


def _read_jsonl(raw: bytes, path: Path) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_decode(raw).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TableError(f"{path.name}, line {number}: not JSON ({error}).") from None
        if not isinstance(row, dict):
            raise TableError(f"{path.name}, line {number}: found a {type(row).__name__}, expected an object.")
        rows.append(row)
    keys = list(dict.fromkeys(k for row in rows for k in row))
    return pd.DataFrame({k: pd.Series([row.get(k) for row in rows], dtype=object) for k in keys})


def _read_parquet(raw: bytes, path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    frame: pd.DataFrame = pq.read_table(io.BytesIO(raw)).to_pandas(integer_object_nulls=True)
    return frame


_READERS = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}
