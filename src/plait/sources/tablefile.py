"""One file that holds a table: which reader its name asks for, and what is said when there is none."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.errors import TableError
from plait.sources.arrow import arrow_frame, read_ipc, read_parquet
from plait.sources.delimited import read_delimited
from plait.sources.frames import text_names
from plait.sources.objects import read_json, read_json_lines

if TYPE_CHECKING:
    import pandas as pd

READS = (
    "a path to .csv, .tsv, .jsonl, .json (the same with .gz), .parquet, .arrow or .feather, a folder of media, "
    "a pandas DataFrame, an Arrow table, a Hugging Face data set or a list of dicts"
)

_TEXT: dict[str, Callable[[bytes, str], tuple[pd.DataFrame, tuple[str, ...]]]] = {
    ".csv": partial(read_delimited, tabs=False),
    ".tsv": partial(read_delimited, tabs=True),
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
}
_ARROW: dict[str, Callable[[Path], Any]] = {".parquet": read_parquet, ".arrow": read_ipc, ".feather": read_ipc}
_WAYS_OUT = {
    **dict.fromkeys(
        (".xlsx", ".xls", ".xlsm", ".ods"), "Save the sheet as CSV (UTF-8), or pass pandas.read_excel(path)."
    ),
    **dict.fromkeys((".pkl", ".pickle"), "Loading a pickle runs code from it: write the table as Parquet."),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "Pass pandas.read_sql(query, connection)."),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z"), "Unpack it and give the path of the table or folder in it."),
    ".txt": "Name it .csv or .tsv.",
    ".orc": "Pass pyarrow.orc.read_table(path).",
}


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns whatever is raised into a TableError: Arrow raises many kinds, and the first line says what is wrong."""
    try:
        yield
    except TableError:
        raise
    except Exception as error:
        raise TableError(f"{what}: {(str(error) or type(error).__name__).splitlines()[0]}") from None


def holds_table(name: str) -> bool:
    """Whether a file of this name is read as a table."""
    suffix, packed = _suffix(name)
    return suffix in _TEXT or (suffix in _ARROW and not packed)


def read_file(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table in a file and what should be told about it. Raises TableError."""
    suffix, packed = _suffix(path.name)
    _refuse_unreadable(path, suffix)
    notices: tuple[str, ...] = ()
    with explained(f"Cannot read {path}"):
        if suffix in _ARROW:
            frame = arrow_frame(_ARROW[suffix](path))
        else:
            frame, notices = _TEXT[suffix](_bytes(path, packed), path.name)
    return text_names(frame, path.name), notices


def _refuse_unreadable(path: Path, suffix: str) -> None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would hang
            raise TableError(f"{path} is not a regular file. Expected {READS}.")
        if not holds_table(path.name):
            way = _WAYS_OUT.get(suffix, f"Expected {READS}.")
            raise TableError(f"{path.name}: tables ending in {path.suffix or 'nothing'!r} are not read. {way}")
        with open(path, "rb") as file:
            if not file.read(1):
                raise TableError(f"{path} is empty.")
    except FileNotFoundError:
        raise TableError(f"No such file: {path}.{_neighbours(path)}") from None
    except OSError as error:
        raise TableError(f"Cannot read {path}: {error.strerror}.") from None


def _suffix(name: str) -> tuple[str, bool]:
    """The suffix that says what is in a file, and whether it is packed by gzip."""
    path = Path(name.lower())
    return (Path(path.stem).suffix, True) if path.suffix == ".gz" else (path.suffix, False)


def _bytes(path: Path, packed: bool) -> bytes:
    raw = path.read_bytes()
    if packed:
        raw = gzip.decompress(raw)
    if not raw.strip():
        raise TableError(f"{path} is empty.")
    return raw


def _neighbours(path: Path) -> str:
    near = sorted(p.name for p in path.parent.glob("*") if holds_table(p.name)) if path.parent.is_dir() else []
    return f" In that folder: {', '.join(near[:5])}." if near else ""
