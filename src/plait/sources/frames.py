"""pandas DataFrames of any kind: names as text, every column as plain values; and several tables one below the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.errors import TableError
from plait.sources.arrow import arrow_values
from plait.sources.values import frame_of, objects, plain_values

if TYPE_CHECKING:
    import pandas as pd

NUMPY_KINDS = "biufmM"  # true/false, whole numbers, floats, times: kept as they are


def plain_frame(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The same rows by position with plain values in the cells; the index is gone. The frame given is left as it is.
    Raises TableError on names in levels and on complex numbers."""
    import pandas as pd

    if isinstance(frame.columns, pd.MultiIndex):
        raise TableError(
            f"{name} has column names of {frame.columns.nlevels} levels, such as {frame.columns[0]!r}; expected one. "
            f"Join them: frame.columns = ['_'.join(map(str, c)) for c in frame.columns]."
        )
    columns = [_plain_column(frame.iloc[:, i], str(column)) for i, column in enumerate(frame.columns)]
    return frame_of(list(frame.columns), columns, pd.RangeIndex(len(frame)))


def text_names(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame with text for column names. Raises TableError when two columns then have one name, or a name cannot be
    written."""
    import pandas as pd

    names = [str(column) for column in frame.columns]
    if half := next((n for n in names if n != n.encode("utf-8", "replace").decode("utf-8")), None):
        raise TableError(
            f"{name} has a column named {half!r}, which holds half a character (a lone surrogate). Rename it."
        )
    twice = sorted(column for column, times in Counter(names).items() if times > 1)
    if twice:
        raise TableError(f"{name} has more than one column named {', '.join(map(repr, twice))}. Rename one of them.")
    return frame.set_axis(pd.Index(names, dtype=object), axis="columns")


def column_values(series: pd.Series[Any], name: str) -> list[Any]:
    """The values as Python objects, None where missing."""
    if series.dtype.kind in "biu":
        return series.tolist()
    if series.dtype.kind == "f":
        return [None if v != v else v for v in series.tolist()]
    if series.dtype.kind == "M" and (times := moments(series)) is not None:
        return times
    return plain_values(series.tolist(), name)


def moments(series: pd.Series[Any]) -> list[Any] | None:
    """Times as Python keeps them, with their zone, None where missing; all of them at once. None where Python cannot keep
    one: it has years 1 to 9999 and microseconds."""
    import pandas as pd

    index = pd.DatetimeIndex(series)
    gone = np.asarray(index.isna())
    there = index[~gone]
    if len(there) and (there.year.min() < 1 or there.year.max() > 9999 or there.nanosecond.any()):
        return None
    found = np.full(len(index), None, dtype=object)
    found[~gone] = there.to_pydatetime()
    return found.tolist()


def _plain_column(series: pd.Series[Any], name: str) -> Any:
    import pandas as pd

    dtype: Any = series.dtype
    if isinstance(dtype, pd.SparseDtype):
        series = pd.Series(np.asarray(series.array.to_dense()))
        dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        return arrow_values(pa.table({"": series.array}).column(0), name)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.array
    if isinstance(dtype, np.dtype) and dtype.kind in NUMPY_KINDS:
        return series.to_numpy()
    return objects(plain_values(series.astype(object).tolist(), name), len(series))


def with_column(frame: pd.DataFrame, name: str, values: Sequence[Any]) -> pd.DataFrame:
    """The frame with a column of Python objects added or replaced."""
    import pandas as pd

    return frame.assign(**{name: pd.Series(objects(values, len(frame)), dtype=object, index=frame.index)})


def stack(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all, one below the other; a column that one does not have is missing there. Whole numbers stay
    whole."""
    import pandas as pd

    names = list(dict.fromkeys(column for frame in frames for column in frame.columns))
    size = sum(map(len, frames))
    columns = []
    for name in names:
        parts = [frame[name] if name in frame.columns else None for frame in frames]
        kinds = {None if part is None else part.dtype for part in parts}
        if len(kinds) == 1:
            columns.append(pd.concat([part for part in parts if part is not None], ignore_index=True).array)
            continue
        cells: list[Any] = []
        for part, frame in zip(parts, frames):
            cells += [None] * len(frame) if part is None else column_values(part, name)
        columns.append(objects(cells, size))
    return frame_of(names, columns, pd.RangeIndex(size))
