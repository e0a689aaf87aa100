"""Errors that say what was wrong, where, what was expected, and the way out.

PlaitError                    everything plait raises on purpose; the command line prints it and exits with 2
├── UnknownNameError          a name that no table, column or option has; suggests the nearest
├── TableError                the table: cannot be read, empty, a column missing, labels that cannot be learned from
├── MediaError                one cell that cannot be read; collected in the ledger, never fatal by itself
├── TooManyBadCellsError      more broken cells than allowed, found before training
├── ModelFormatError          a model folder that is not whole, not ours, or changed since it was written
├── OutputError               a place that cannot be written: name taken, read-only
│   ├── DiskFullError         no space for a file; carries its path, the bytes needed and the bytes free
│   └── RunLockedError        another process is fitting into the same folder; names its process and machine
├── DataChangedError          an interrupted run met other data, options or seed than it was started with
├── TrainingError             the numbers of a run broke: a loss that is not finite
├── FetchError                something to be fetched that cannot be had here
└── MissingExtraError         an optional dependency that is not installed; names the pip line
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PlaitError(ValueError):
    """Base of every error plait raises on purpose."""

    agreed: bool = False  # whether every process of a training in several raises it


class UnknownNameError(PlaitError):
    """A name that is not there."""


class TableError(PlaitError):
    """The table cannot be used as it is."""


class MediaError(PlaitError):
    """One cell cannot be read. The message is the reason alone: the ledger adds row, column and path."""


class TooManyBadCellsError(PlaitError):
    """More cells are broken than `max_bad` allows."""


class ModelFormatError(PlaitError):
    """A model folder that is not whole, not ours, or changed since it was written."""


class OutputError(PlaitError):
    """The output cannot be written where it was asked for."""

    model: object = None  # the fitted Predictor, where training was over: error.model.save(elsewhere)


class DiskFullError(OutputError):
    """There is no space for what is to be written."""

    def __init__(self, message: str, *, path: str, needed: int, free: int | None) -> None:
        super().__init__(message)
        self.path, self.needed, self.free = path, needed, free  # bytes


class RunLockedError(OutputError):
    """Another process is fitting into the same folder."""


class DataChangedError(PlaitError):
    """A run cannot go on, because what it was started with has changed."""


class TrainingError(PlaitError):
    """Training broke: a loss or gradient that is not finite."""


class FetchError(PlaitError):
    """Something that has to be fetched cannot be had here."""


class MissingExtraError(PlaitError):
    """An optional dependency is not installed."""


def unknown(kind: str, name: object, known: Iterable[object]) -> UnknownNameError:
    """The error for a name that is not among `known`, with the nearest one suggested."""
    names = [str(k) for k in known]
    near = get_close_matches(str(name), names, n=1) or [n for n in names if n.lower() == str(name).lower()][:1]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names[:40]) + (f", … ({len(names)} in all)" if len(names) > 40 else "")
    return UnknownNameError(f"Unknown {kind} {str(name)!r}.{hint} Known: {listed or 'none'}.")
