"""Which column is what: each modality looks at a column and says whether it is its own; the strongest claim wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from plait.data.table import Table
from plait.errors import PlaitError, TableError, unknown
from plait.modalities import MODALITIES, modality
from plait.modalities.base import missing

SAMPLE = 1000
ROLES = ("input", "target", "group", "time", "split", "skip")


@dataclass(frozen=True)
class Column:
    """What a column is, and why plait thinks so."""

    name: str
    modality: str | None  # None for columns that are not read
    role: str  # one of ROLES
    reason: str
    options: dict[str, Any] = field(default_factory=dict)  # how its cells are loaded: {"decimal": ","}


@dataclass(frozen=True)
class Schema:
    """Every column of a table."""

    columns: tuple[Column, ...]

    @property
    def inputs(self) -> dict[str, str]:
        """Input column -> modality."""
        return {c.name: c.modality for c in self.columns if c.role == "input" and c.modality}

    @property
    def targets(self) -> dict[str, str]:
        """Target column -> modality."""
        return {c.name: c.modality for c in self.columns if c.role == "target" and c.modality}

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Column -> keyword arguments with which its modality loads a cell."""
        return {c.name: c.options for c in self.columns}

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(c) for c in self.columns]

    @classmethod
    def from_json(cls, columns: Iterable[Mapping[str, Any]]) -> Schema:
        return cls(tuple(Column(**c) for c in columns))

    def __str__(self) -> str:
        width = max((len(c.name) for c in self.columns), default=0)
        return "\n".join(f"  {c.name:<{width}}  {c.role:<6}  {c.modality or '-':<8}  {c.reason}" for c in self.columns)


def infer(
    table: Table,
    *,
    targets: Sequence[str],
    inputs: Sequence[str] | Mapping[str, str | None] | None = None,
    keys: Mapping[str, str | None] | None = None,
    modalities: Mapping[str, str] | None = None,
) -> Schema:
    """The schema of a table. `inputs`: names, or name -> modality; None takes every other column that can teach.
    `keys`: role ("group", "time", "split") -> column. `modalities`: overrides by name. Raises PlaitError."""
    given = {**(modalities or {}), **({k: v for k, v in inputs.items() if v} if isinstance(inputs, Mapping) else {})}
    names = list(table.frame.columns)
    roles = {name: role for role, name in (keys or {}).items() if name}
    if not targets:
        raise PlaitError(f"No target given. Name the column to predict; columns: {', '.join(names)}.")
    for name in (*targets, *(inputs or ()), *roles, *given):
        if name not in names:
            raise unknown(f"column of {table.name}:", name, names)
    for name in given.values():
        if name not in MODALITIES:
            raise unknown("modality", name, MODALITIES)
    both = [name for name in targets if name in (inputs or ())]
    if both:
        raise PlaitError(f"Column {both[0]!r} is given both as a target and as an input. Choose one.")
    for role, name in (keys or {}).items():
        if name and (name in (inputs or ()) or name in targets):
            raise PlaitError(f"Column {name!r} is given as the {role} column and as an input or target. Choose one.")
    if not len(table):
        raise TableError(f"{table.name} has no rows.")
    columns = []
    for name in names:
        if name in roles and name not in targets:
            columns.append(Column(name, None, roles[name], f"given as the {roles[name]} column"))
        elif name in targets:
            columns.append(_column(table, name, "target", given.get(name), chosen=True))
        elif inputs is not None and name not in inputs:
            columns.append(Column(name, None, "skip", "not among the inputs given"))
        else:
            columns.append(_column(table, name, "input", given.get(name), chosen=inputs is not None or name in given))
    schema = Schema(tuple(columns))
    if not schema.inputs:
        raise PlaitError(f"No input column is left besides the target. Name some with inputs=[…].\n{schema}")
    return schema


def _column(table: Table, name: str, role: str, given: str | None, *, chosen: bool) -> Column:
    if given is not None:
        return Column(name, given, role, "as given")
    values = [v for v in table.column(name) if not missing(v) and not (isinstance(v, str) and v == "")]
    if not values:
        if role == "target":
            raise TableError(f"Target {name!r}: all {len(table)} labels are missing. Nothing can be learned from it.")
        return Column(name, None, "skip", f"all {len(table)} cells are missing")
    sample = values if len(values) <= SAMPLE else [values[i * len(values) // SAMPLE] for i in range(SAMPLE)]
    claims = {m: claim for m in MODALITIES if (claim := modality(m).claim(sample, target=role == "target"))}
    if not claims:
        kind = type(sample[0]).__name__
        if role == "target":
            raise TableError(f"Target {name!r}: cannot tell what values like {sample[0]!r} ({kind}) are.")
        return Column(name, None, "skip", f"cannot tell what values of type {kind} are; give its modality to use it")
    best = max(claims, key=lambda m: claims[m].strength)
    if role == "input" and not chosen and (why := _useless(values, best)):
        return Column(name, None, "skip", f"{why}; name it as an input to use it")
    return Column(name, best, role, claims[best].reason, claims[best].options)


def _useless(values: list[Any], kind: str) -> str | None:
    """Why a column that nobody asked for teaches nothing: one value, or a name for each row."""
    if kind not in ("text", "category", "number"):
        return None
    if kind == "number" and len(values) > 10 and _counts(values):
        return "counts the rows"
    distinct = len({str(v) for v in values})
    if distinct == 1:
        return f"holds one value only, {str(values[0])[:40]!r}"
    if kind == "text" and distinct == len(values) > 10 and not any(c.isspace() for v in values for c in str(v).strip()):
        return "looks like an id: no two values are the same and none holds a space"
    return None


def _counts(values: list[Any]) -> bool:
    """Whether each value is the one before it and 1: a row number, which tells how the table was sorted."""
    try:
        return all(float(b) - float(a) == 1 for a, b in pairwise(values))
    except (TypeError, ValueError, OverflowError):
        return False
