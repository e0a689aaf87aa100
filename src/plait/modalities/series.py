"""Time series: channels of numbers sampled at times, in the cell itself or in a file it names.

A cell is one of
- a list or array of numbers: (T,) is one channel, (T, C) is time first, then channels; the same as JSON text;
- a dict, or JSON text, of lists of one length by channel: {"time": [...], "x": [...], "y": [...]};
- a pandas Series or DataFrame (its DatetimeIndex, if it has one, gives the times);
- the path, or the bytes, of a .csv, .tsv or .parquet file with a column for each channel, or of a .npy file (T,) or
  (T, C).

A column called time, timestamp, date, datetime or t gives the times, in numbers or dates; in a file without such a column
the first one does if it holds dates or has no name. Else the time is the number of the step. Dates become seconds since
1970. Channels that have names are put in the order of their names. None, NaN and empty cells are gaps. A cell that holds
no number (an empty list, gaps only) is missing; a file that holds none is broken. Nothing is cut or resampled here.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, claim_files, load_file, missing, silent
from plait.modalities.steps import Steps, count_of, steps_of, steps_of_file
from plait.types import Note, Series

LARGEST = float(np.finfo(np.float32).max)
CLAIMED = 100  # values of a column looked at
FEW = 8  # whole numbers up to so many, all different, are rather labels
INLINE, FILE = b"steps\n", b"file\n"  # what the bytes of a cell begin with


class TimeSeries(Modality):
    """A time series: values float32 (T, C), NaN where there is a gap; times float64 (T,), ascending."""

    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".csv", ".tsv", ".parquet")

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        """Lists of whole numbers, at most 8 and all different, are claimed weakly: they are rather labels."""
        if by_path := claim_files(values, self.suffixes, "series"):
            return by_path
        sample = [values[i * len(values) // CLAIMED] for i in range(CLAIMED)] if len(values) > CLAIMED else values
        cells = [c for c in map(_inline_or_none, sample) if c is not None]
        lengths = sorted(len(c.times) for c in cells)
        if len(cells) < 0.95 * len(sample) or not cells or lengths[len(lengths) // 2] < 2:
            return None
        names = {c.names for c in cells}
        options = {"channels": list(next(iter(names)))} if len(names) == 1 and () not in names else {}
        measured = sum(map(_measured, cells)) > 0.1 * len(cells) or lengths[len(lengths) // 2] > FEW
        channels = sorted({c.values.shape[1] for c in cells})
        return Claim(
            0.92 if measured else 0.85,
            f"{len(cells)} of {len(sample)} sampled values are lists of numbers: {_span(channels, 'channel')}, "
            f"{_span(lengths, 'step')}",
            options,
        )

    def load(self, value: Any, folder: Path, *, channels: Sequence[str] | None = None) -> bytes | None:
        """`channels`: the names that the channels of every cell must have, where cells are dicts or DataFrames."""
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return None
        if _is_file(value):
            raw = load_file(value, folder, "a series")
            return None if raw is None else FILE + raw
        cell = steps_of(value)
        if np.isnan(cell.values).all():
            return None
        if channels is not None and cell.names and list(cell.names) != list(channels):
            found, expected = ", ".join(cell.names)[:100], ", ".join(channels)[:100]
            raise MediaError(f"has the channels {found}; expected those of the column, {expected}")
        buffer = io.BytesIO()
        np.save(buffer, np.column_stack([cell.times, cell.values]), allow_pickle=False)
        return INLINE + buffer.getvalue()

    def read(self, raw: bytes, *, note: Note = silent, channels: int | None = None) -> Series:
        """`channels`: how many there must be."""
        if raw.startswith(INLINE):
            both = np.load(io.BytesIO(raw[len(INLINE) :]), allow_pickle=False)
            times, values = both[:, 0], both[:, 1:]
        else:
            times, values, _ = steps_of_file(raw[len(FILE) :])
            if np.isnan(values).all():
                raise MediaError("holds no number")
        if channels is not None and values.shape[1] != channels:
            raise MediaError(
                f"has {count_of(values.shape[1], 'channel')}; expected {channels}, as in the training rows"
            )
        return _checked(times, values, note)


def _checked(times: np.ndarray, values: np.ndarray, note: Note) -> Series:
    """The cell, its steps in order of time."""
    with np.errstate(invalid="ignore"):
        large = np.abs(values) > LARGEST
    if large.any():
        step, channel = np.argwhere(large)[0].tolist()
        found = "an infinite value" if np.isinf(values[step, channel]) else f"{values[step, channel]:g}, too large,"
        raise MediaError(f"holds {found} at step {step}, channel {channel}")
    if not np.isfinite(times).all():
        raise MediaError(f"step {int(np.argmin(np.isfinite(times)))} has no time, or an infinite one")
    between = np.diff(times)
    if (between < 0).any():
        note("the times do not ascend: the steps were sorted by time")
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        between = np.diff(times)
    if same := int((between == 0).sum()):
        note(f"{count_of(same, 'step')} with the time of the step before")
    return Series(np.ascontiguousarray(values, dtype=np.float32), np.ascontiguousarray(times, dtype=np.float64))


def _span(numbers: Sequence[int], what: str) -> str:
    low, high = numbers[0], numbers[-1]
    return count_of(low, what) if low == high else f"{low} to {high} {what}s"


def _is_file(value: Any) -> bool:
    """Whether a value names a file or holds its bytes; else it holds the numbers themselves."""
    if isinstance(value, str):
        return not value.lstrip().startswith(("[", "{")) or value.rstrip().lower().endswith(TimeSeries.suffixes)
    if isinstance(value, dict):
        return bool(value) and value.keys() <= {"bytes", "path"}
    return isinstance(value, (os.PathLike, bytes, bytearray, memoryview))


def _inline_or_none(value: Any) -> Steps | None:
    if _is_file(value):
        return None
    try:
        return steps_of(value)
    except MediaError:
        return None


def _measured(cell: Steps) -> bool:
    """Whether numbers look measured: fractions, gaps, names, several channels, or values that come again."""
    values = cell.values
    if cell.names or values.shape[1] > 1 or np.isnan(values).any() or (values != np.round(values)).any():
        return True
    return len(np.unique(values)) < len(values)
