"""Plain Python values: every way of being missing becomes None, a number of NumPy becomes one of Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.errors import TableError
from plait.modalities.base import missing

if TYPE_CHECKING:
    import pandas as pd

READ = (
    "text, whole numbers, floats, Decimal, true and false, dates, times, durations, bytes, lists, dicts, arrays and "
    "pictures; nullable, categorical, sparse and Arrow columns of these"
)
_PLAIN = {str, int, bool, bytes, type(None), list, dict, tuple, set, date, datetime}


def plain_values(values: list[Any], column: str) -> list[Any]:
    """The values of a column with None for all that is missing. What has a type of its own (pictures, arrays, dates)
    stays. Raises TableError on complex numbers."""
    if set(map(type, values)) <= _PLAIN:
        return values
    return [v if type(v) in _PLAIN else _plain(v, column) for v in values]


def _plain(value: Any, column: str) -> Any:
    if missing(value) or (isinstance(value, Decimal) and value.is_nan()):
        return None
    if isinstance(value, (np.datetime64, np.timedelta64)):
        import pandas as pd

        return pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, complex):
        raise TableError(
            f"Column {column!r} holds complex numbers, which are not read. "
            f"Give their real and imaginary parts as two columns, or drop the column. Read are {READ}."
        )
    return value


def objects(values: Iterable[Any], size: int) -> np.ndarray:
    """(size,) of Python objects, even where these are arrays of one shape."""
    return np.fromiter(values, dtype=object, count=size)


def frame_of(names: Sequence[Any], columns: Sequence[Any], index: Any) -> pd.DataFrame:
    """A DataFrame of these columns, each of the type it has: texts stay Python objects. Names may be there twice."""
    import pandas as pd

    series = {i: pd.Series(values, dtype=values.dtype, copy=False) for i, values in enumerate(columns)}
    frame = pd.DataFrame(series, index=range(len(index)), copy=False)
    frame.columns, frame.index = pd.Index(names, dtype=object), index
    return frame
