"""Reading a table from any source, without guessing at types: what stands in a cell stays as it stands."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.errors import TableError, unknown
from plait.sources.arrow import arrow_frame
from plait.sources.folders import read_folder
from plait.sources.frames import column_values, plain_frame, text_names
from plait.sources.hub import dataset_frame, dataset_kind, is_saved, read_saved
from plait.sources.objects import objects_frame
from plait.sources.tablefile import READS, explained, read_file

if TYPE_CHECKING:
    import pandas as pd

LONG = 4096  # values; of a longer array, the row's hash takes the hash


@dataclass(frozen=True)
class Table:
    """Rows of named columns, and the folder from which relative paths in cells are taken."""

    frame: pd.DataFrame  # RangeIndex; columns are str; texts are Python objects, None where missing
    folder: Path
    name: str
    index: Any  # the index of the DataFrame given, for the predictions
    notices: tuple[str, ...] = ()  # what a person should be told: files left out, an encoding guessed, bytes replaced

    def __len__(self) -> int:
        return len(self.frame)

    def column(self, name: str) -> list[Any]:
        """The values of one column, as Python objects; None where missing. Raises UnknownNameError."""
        if name not in self.frame.columns:
            raise unknown(f"column of {self.name}:", name, self.frame.columns)
        return column_values(self.frame[name], name)

    def take(self, rows: Any) -> Table:
        """The rows at these positions, in this order."""
        return replace(self, frame=self.frame.iloc[rows].reset_index(drop=True), index=self.index[rows])

    def row_hashes(self) -> list[str]:
        """One hash a row, over its values in the order of the column names (files by path, not by content)."""
        lists = [self.column(c) for c in sorted(self.frame.columns)]
        rows = zip(*lists) if lists else iter([() for _ in range(len(self))])
        return [hashlib.blake2b(_row_bytes(row), digest_size=8).hexdigest() for row in rows]


def _row_bytes(row: tuple[Any, ...]) -> bytes:
    try:
        text = _ENCODE(row)
    except (TypeError, ValueError):  # keys that JSON does not have, a number of more digits than are written
        text = str(row)
    return text.encode("utf-8", "replace")


def _hashable(value: Any) -> Any:
    """What stands in a row's hash for a value that JSON does not have: the same in every process."""
    if isinstance(value, np.ndarray) and value.size <= LONG:
        return value.tolist()
    if isinstance(value, (bytes, np.ndarray)) or hasattr(value, "tobytes"):  # a picture of Pillow has bytes too
        raw = value if isinstance(value, bytes) else value.tobytes()
        shape = [str(getattr(value, part, "")) for part in ("dtype", "shape", "mode", "size")]
        return [*shape, hashlib.blake2b(raw, digest_size=16).hexdigest()]
    return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)


_ENCODE = json.JSONEncoder(ensure_ascii=False, default=_hashable).encode


def read_table(source: Any, *, base: str | Path | None = None) -> Table:
    """A Table from any of: a file of rows (.csv, .tsv, .jsonl, .json, also with .gz; .parquet, .arrow, .feather); a
    folder for each class; a folder with metadata; a folder that Hugging Face datasets saved; a DataFrame of pandas; a
    list of dicts; a Dataset or DatasetDict; an Arrow table and whatever gives an Arrow stream (polars, duckdb); a
    Table. `base`: the folder of relative paths in cells (else the table's own folder, or the working directory for
    tables in memory). Raises TableError."""
    folder = None if base is None else Path(base).expanduser().resolve()
    if folder is not None and not folder.is_dir():
        raise TableError(f"base is {str(base)!r}: no such folder. Expected the folder of the paths in the cells.")
    if isinstance(source, Table):
        return source if folder is None else replace(source, folder=folder)
    if isinstance(source, (str, Path)):
        table = _read_path(source)
    else:
        frame, index = _read_memory(source)
        table = Table(text_names(frame, "the table"), Path.cwd(), "the table", index)
    return table if folder is None else replace(table, folder=folder)


def _read_path(source: str | Path) -> Table:
    if "://" in str(source):
        raise TableError(f"{source} is an address; tables are read from local files only: download it first.")
    path = Path(source).expanduser()
    folder = path.resolve()
    notices: tuple[str, ...] = ()
    if not path.is_dir():
        frame, notices = read_file(path)
        folder = folder.parent
    elif is_saved(path):
        with explained(f"Cannot read {path}"):
            frame = text_names(read_saved(path), path.name)
    else:
        frame, notices = read_folder(path)
    return Table(frame.reset_index(drop=True), folder, path.resolve().name, frame.index, notices)


def _read_memory(source: Any) -> tuple[pd.DataFrame, Any]:
    """The rows of a table in memory and the index that they have."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return plain_frame(source, "the table"), source.index
    if isinstance(source, list) and all(isinstance(row, dict) for row in source):
        frame = objects_frame(source)
    else:
        with explained(f"Cannot read a table from a {type(source).__name__}"):
            frame = dataset_frame(source) if dataset_kind(source) else arrow_frame(_arrow_table(source))
    return frame.reset_index(drop=True), frame.index


def _arrow_table(source: Any) -> Any:
    """The Arrow table of whatever has one to give. Raises TableError."""
    import pyarrow as pa

    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    if hasattr(source, "__arrow_c_stream__") and not isinstance(source, (pa.Array, pa.ChunkedArray)):
        return pa.table(source)
    found = type(source).__name__
    ways = {
        "to_arrow": "Pass its .to_arrow().",
        "collect": "Pass its .collect().",
        "to_pandas": "Pass its .to_pandas().",
    }
    way = next((text for name, text in ways.items() if hasattr(source, name)), "")
    raise TableError(f"Cannot read a table from a {found}. Expected {READS}. {way}".rstrip())
