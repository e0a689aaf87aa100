"""The encoder interface: cells of one column -> tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, ClassVar

from torch import nn

from plait.types import Cell, Inputs, Prepared, Tokens


class Encoder(nn.Module, ABC):
    """A subclass reads one modality. Its constructor takes keyword-only JSON values, `width` among them."""

    modality: ClassVar[str]
    chunk: ClassVar[int] = 0  # cells that `prepare` is best given at once, where that is more than usual
    nets: tuple[Any, ...] = ()  # frozen networks (nn/pretrained.py: Net) that a model folder keeps beside its weights
    known: Collection[str] | None = None  # the names it tells apart, where cells are names or sets of them; None: any
    pieces: Callable[[Any], int] | None = None  # how many pieces a cell is read in, where there are limits to one
    rates: dict[str, float] = {}  # noqa: RUF012  # own parameter -> factor of the learning rate, 1 where not named
    parts: tuple[Encoder, ...] = ()  # encoders that it is made of, each of which prepares the cells for itself
    finish: Any = None  # what `describer` makes of a cell -> the prepared cell, where it keeps the two apart
    describer: Any = None  # what it makes of cells before it has learned anything (nn/fixed.py: Describer)
    starts: tuple[Any, ...] = ()  # its parts whose `begin` is called once before a fit trains it, and never by a load
    scratch: ClassVar[bool] = False  # a deep network that knows nothing before it is trained
    stored: ClassVar[bool]  # prepared cells are worth keeping on disk (else they are prepared in memory in each run)
    width: int  # D of its tokens
    preparation: dict[str, Any]  # everything `prepare` depends on, as JSON: equal preparations share their cells
    reading: dict[str, Any]  # keyword arguments of its modality's `read`: what it needs of a cell, as JSON

    def begin(self) -> None:
        """Called once by a fit, when the model is new: what is trained on takes the weights it begins from."""
        for part in self.starts:
            part.begin()

    @classmethod
    @abstractmethod
    def learn(cls, cells: Iterable[Cell]) -> dict[str, Any]:
        """Constructor arguments learned from the cells of the training rows (lazily read; None where missing)."""

    @abstractmethod
    def prepare(self, cells: Sequence[Cell]) -> list[Prepared]:
        """For each cell (none missing) small arrays with at least one axis. Depends on nothing but the cell and
        `preparation`; runs in threads."""

    @abstractmethod
    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        """A batch; None marks a missing cell. Holds "present" (B,) bool or "lengths" (B,), 0 where missing."""

    @abstractmethod
    def augment(self, inputs: Inputs) -> Inputs:
        """The batch varied at random (torch's generator), as it may be in training."""

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tokens:
        """Tokens (B, N, D); the mask is all False where the cell is missing."""
