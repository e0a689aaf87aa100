"""What each column of a table is, and what plait.fit would take it for; columns that it would leave out are read too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from plait.data.schema import Column, Schema, infer
from plait.data.table import Table
from plait.errors import unknown
from plait.modalities.base import missing

_TARGET, _INPUT = "\0target", "\0input"  # stand in for what a table may lack: a target, an input that teaches


@dataclass(frozen=True)
class Roles:
    """The columns of a table."""

    all: tuple[Column, ...]  # in the table's order; modality None where a column is not read
    empty_targets: tuple[str, ...]  # targets of which no label is there

    @property
    def read(self) -> dict[str, Column]:
        """The columns whose cells are read."""
        return {c.name: c for c in self.all if c.modality}

    @property
    def schema(self) -> Schema:
        """As plait.fit would have it."""
        return Schema(tuple(replace(c, modality=None) if c.role not in ("input", "target") else c for c in self.all))

    def named(self, role: str) -> list[str]:
        """The columns of a role that are read."""
        return [c.name for c in self.all if c.role == role and c.modality]


def roles_of(
    table: Table,
    *,
    targets: Sequence[str],
    inputs: Sequence[str] | Mapping[str, str | None] | None,
    modalities: Mapping[str, str] | None,
    keys: Mapping[str, str | None],
) -> Roles:
    """Every column with its modality, and the role it would have in plait.fit. Raises PlaitError."""
    for name in targets:
        if name not in table.frame.columns:
            raise unknown(f"column of {table.name}:", name, table.frame.columns)
    empty = tuple(t for t in targets if all(missing(v) or v == "" for v in table.column(t)))
    known = [t for t in targets if t not in empty]
    sides = {_TARGET: [str(i % 2) for i in range(len(table))], _INPUT: [str(i % 2) for i in range(len(table))]}
    padded = Table(table.frame.assign(**sides), table.folder, table.name, table.index)
    wanted: Any = inputs
    if isinstance(inputs, Mapping):
        wanted = {**inputs, _INPUT: None}
    elif inputs is not None:
        wanted = [*inputs, _INPUT]
    given = {**(modalities or {}), **({k: v for k, v in inputs.items() if v} if isinstance(inputs, Mapping) else {})}
    sure = {_TARGET: "category", _INPUT: "category"}
    first = infer(
        padded, targets=known or [_TARGET], inputs=wanted, keys=keys, modalities={**(modalities or {}), **sure}
    )
    unread = [c for c in first.columns if c.modality is None and (inputs is None or c.role != "skip")]
    unread = [c for c in unread if c.name not in empty]
    second = infer(padded, targets=[_TARGET], inputs=[*(c.name for c in unread), _INPUT], modalities={**given, **sure})
    kinds = {c.name: c for c in second.columns if c.modality}
    columns = []
    for c in first.columns:
        if c.name in (_TARGET, _INPUT):
            continue
        if c.name in empty:
            c = Column(c.name, None, "target", f"all {len(table)} labels are missing")
        elif c.modality is None and c.name in kinds and c in unread:
            c = replace(c, modality=kinds[c.name].modality, options=kinds[c.name].options)
        columns.append(c)
    return Roles(tuple(columns), empty)
