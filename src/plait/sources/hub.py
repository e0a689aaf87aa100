"""Hugging Face data sets: live objects, and folders that save_to_disk wrote. Read through Arrow: no cell is decoded, and
the package that made them is not needed for a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.errors import TableError
from plait.sources.arrow import arrow_frame, read_ipc
from plait.sources.frames import stack, with_column

if TYPE_CHECKING:
    import pandas as pd


def dataset_kind(source: Any) -> str | None:
    """Dataset, DatasetDict or an iterable one; None for what is no data set of Hugging Face."""
    kinds = (c.__name__ for c in type(source).__mro__ if c.__module__.split(".")[0] == "datasets")
    return next((k for k in kinds if k in _KINDS), None)


_KINDS = ("Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict")


def dataset_frame(source: Any) -> pd.DataFrame:
    """The rows of a live Dataset; of a DatasetDict all splits, named in the column "split". Raises TableError."""
    kind = dataset_kind(source)
    if kind == "Dataset":
        return arrow_frame(source.with_format("arrow")[:], source.features.to_dict())
    if kind == "DatasetDict":
        return _with_splits({name: dataset_frame(part) for name, part in source.items()})
    raise TableError(
        f"{kind} has no rows yet: it gives them one after the other. "
        f"Load it without streaming=True, or pass the rows you want: list(dataset.take(1000))."
    )


def is_saved(folder: Path) -> bool:
    """Whether save_to_disk wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read_saved(folder: Path) -> pd.DataFrame:
    """The rows of a saved Dataset or DatasetDict. Raises TableError when a file is missing or is not what it should be."""
    listed = folder / "dataset_dict.json"
    if not listed.is_file():
        return _read_part(folder)
    names = _read_json(listed).get("splits", [])
    return _with_splits({str(name): _read_part(folder / _inner(listed, name)) for name in names})


def _with_splits(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    taken = [name for name, frame in parts.items() if "split" in frame.columns]
    if taken:
        raise TableError(
            f"Split {taken[0]!r} of the data set has a column 'split' of its own, which is where the name of the split "
            f"would go. Rename it: dataset.rename_column('split', …)."
        )
    return stack([with_column(frame, "split", [name] * len(frame)) for name, frame in parts.items()])


def _read_part(folder: Path) -> pd.DataFrame:
    import pyarrow as pa

    state = folder / "state.json"
    listed = _read_json(state)
    if listed.get("_indices_data_files") or listed.get("_indices_files"):
        raise TableError(
            f"{folder} was saved by an old version of datasets, as a selection of rows that lies beside the rows. "
            f"Save it again: load_from_disk(…).flatten_indices().save_to_disk(…)."
        )
    tables = []
    for entry in listed.get("_data_files", []):
        path = folder / _inner(state, entry["filename"])
        if not path.is_file():
            raise TableError(f"No such file: {path}, which {state} lists. The folder is not whole: save it again.")
        tables.append(read_ipc(path))
    if not tables:
        raise TableError(f"{state} lists no data file: the data set has no rows.")
    return arrow_frame(pa.concat_tables(tables), _read_json(folder / "dataset_info.json").get("features"))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise TableError(f"No such file: {path}. The folder is not whole: save it again.") from None
    except ValueError as error:
        raise TableError(f"{path}: not JSON ({error}).") from None
    if not isinstance(found, dict):
        raise TableError(f"{path}: found a {type(found).__name__}, expected an object.")
    return found


def _inner(where: Path, name: Any) -> str:
    """The name of a file in the folder itself: a data set that was fetched names no others."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name:
        raise TableError(f"{where}: found {name!r}, expected the name of a file beside it.")
    return name
