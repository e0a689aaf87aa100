"""What the checks of a table look at: its columns as read, their duplicates, the targets, and who trains and who tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from plait.data.ledger import Ledger
from plait.data.table import Table
from plait.inspection.columns import Roles
from plait.inspection.scan import Scanned
from plait.inspection.twins import Twins, grouped, joint, twins


@dataclass
class Look:
    """One table, read."""

    table: Table
    roles: Roles
    scanned: dict[str, Scanned]
    ledger: Ledger
    parts: np.ndarray  # (rows,) 0 train, 1 valid, 2 test, -1 none
    how: str  # "column", "group", "time", "chance": where the parts come from
    group: str | None = None  # a column given as the group
    sampled: list[str] = field(default_factory=list)  # what was done on a part of the rows only, in words

    @property
    def inputs(self) -> list[str]:
        """The columns that plait.fit would predict from."""
        return self.roles.named("input")

    @property
    def targets(self) -> list[str]:
        """The columns to be predicted of which there are labels."""
        return self.roles.named("target")

    @cached_property
    def twins(self) -> dict[str, Twins]:
        """The duplicates of each column."""
        return {name: twins(scanned) for name, scanned in self.scanned.items()}

    @property
    def contents(self) -> list[str]:
        """Inputs in which two equal cells are the same thing."""
        return [c for c in self.inputs if self.scanned[c].content]

    @cached_property
    def whole(self) -> np.ndarray:
        """(rows,) a number for each combination of all inputs; -1 where all are missing."""
        if not self.inputs:
            return np.full(len(self.table), -1)
        return joint([self.twins[c].alike for c in self.inputs])

    @cached_property
    def groups(self) -> np.ndarray:
        """(rows,) a group for each row: rows that share a picture, a sound or another content share it."""
        shared = [self.twins[c].alike for c in self.contents]
        return grouped(shared) if shared else np.arange(len(self.table))

    def codes(self, target: str) -> tuple[np.ndarray, list[str]]:
        """(rows,) the class of each row's label, -1 without one; and what the classes are called."""
        scanned = self.scanned[target]
        names = [", ".join(c) if isinstance(c, tuple) else str(c) for c in scanned.cells]
        return scanned.places, names

    def numeric(self, target: str) -> bool:
        """Whether the labels of a target are quantities."""
        return "value" in self.scanned[target].figures
