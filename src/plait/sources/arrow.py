"""Arrow tables, in memory and in Parquet, Arrow and Feather files: column by column to plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.errors import TableError
from plait.sources.values import frame_of, objects, plain_values

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Features = Mapping[str, Any]  # column -> feature, as Hugging Face datasets write them to JSON


def read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read()


def read_ipc(path: Path) -> pa.Table:
    """An Arrow or Feather file, or an Arrow stream; mapped, not copied, where that can be. Raises TableError on the
    first version of Feather."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as mapped:
        head = mapped.read(6)
        mapped.seek(0)
        if head.startswith(b"FEA1"):
            raise TableError(f"{path.name} is a Feather file of version 1, which Arrow is giving up. Write it again.")
        if head == b"ARROW1":
            return pa.ipc.open_file(mapped).read_all()
        with pa.ipc.open_stream(mapped) as stream:
            return stream.read_all()


def arrow_frame(table: pa.Table, features: Features | None = None) -> pd.DataFrame:
    """A DataFrame of plain values; its columns keep their order, even where two have one name. `features`: as
    Hugging Face datasets describe the columns; taken from the table's own notes when not given."""
    import pandas as pd

    metadata = table.schema.metadata or {}
    features = _noted_features(metadata) if features is None else features
    index, inside = pd.RangeIndex(len(table)), set()
    if b"pandas" in metadata:
        noted = json.loads(metadata[b"pandas"])["index_columns"]
        inside = {c for c in noted if isinstance(c, str) and c in table.column_names}
        index = table.select(sorted(inside)).to_pandas().index
    names = [name for name in table.column_names if name not in inside]
    columns = [
        _classes(table.column(i), features[name])
        if _has_names(features.get(name))
        else arrow_values(table.column(i), name)
        for i, name in enumerate(table.column_names)
        if name not in inside
    ]
    return frame_of(names, columns, index)


def arrow_values(column: Any, name: str) -> Any:
    """The values of a ChunkedArray: numbers and times as NumPy and pandas keep them, lists of numbers as arrays,
    all else as Python objects."""
    import pyarrow as pa

    kind, gaps = column.type, column.null_count > 0
    if pa.types.is_dictionary(kind):
        return objects(_categories(column, name), len(column))
    if pa.types.is_string_view(kind):
        return arrow_values(column.cast(pa.large_string()), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.to_numpy()
    if pa.types.is_floating(kind) or ((pa.types.is_integer(kind) or pa.types.is_boolean(kind)) and not gaps):
        return column.to_numpy()
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return column.to_pandas().array
    if _list_of_numbers(kind):
        return column.to_pandas().to_numpy()
    return objects(plain_values(column.to_pylist(), name), len(column))


def _categories(column: Any, name: str) -> Iterator[Any]:
    import pyarrow as pa

    for chunk in column.chunks:
        values = arrow_values(pa.chunked_array([chunk.dictionary]), name)
        known = plain_values(values.tolist(), name)
        yield from (None if i is None else known[i] for i in chunk.indices.to_pylist())


def _list_of_numbers(kind: Any) -> bool:
    import pyarrow as pa

    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    return bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def _noted_features(metadata: Mapping[bytes, bytes]) -> Features:
    """What Hugging Face datasets wrote about the columns into the file."""
    if b"huggingface" not in metadata:
        return {}
    info = json.loads(metadata[b"huggingface"]).get("info") or {}
    return info.get("features") or {}


def _classes(column: Any, feature: Any) -> np.ndarray:
    return objects((_named(v, feature) for v in column.to_pylist()), len(column))


def _has_names(feature: Any) -> bool:
    """Whether a feature, or one inside it, is a class with named numbers."""
    if isinstance(feature, Mapping):
        known = feature.get("_type") == "ClassLabel" and bool(feature.get("names"))
        return known or any(_has_names(f) for f in feature.values())
    return isinstance(feature, list) and any(_has_names(f) for f in feature)


def _named(value: Any, feature: Any) -> Any:
    """The value with the names of classes in place of their numbers, in lists and structs too."""
    if value is None or not _has_names(feature):
        return value
    if isinstance(feature, list):
        return [_named(v, feature[0]) for v in value]
    if feature.get("_type") == "ClassLabel":
        names = feature["names"]
        return names[value] if 0 <= value < len(names) else None  # -1 marks a label that is not given
    if "_type" not in feature:
        return {k: _named(v, feature.get(k)) for k, v in value.items()}
    inner = feature["feature"]
    if isinstance(value, Mapping):  # a list of structs was once kept as a struct of lists
        return {k: _named(v, [inner.get(k)]) for k, v in value.items()}
    return [_named(v, inner) for v in value]
