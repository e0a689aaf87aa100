"""Which column is what: each modality looks at a column and says whether it is its own; the strongest claim wins."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.table import Table
from plait.errors import PlaitError, TableError, unknown
from plait.modalities import MODALITIES, modality
from plait.modalities.base import Claim, missing

SAMPLE = 1000
STRANGERS = 0.05  # a column of files of which more values are something else says so
IDS = 0.95  # from this share of values that differ on, codes are names of rows
_CALLED = {  # what a column's name says of its numbers
    "category": re.compile(r"id|uu?id|guid|zip(code)?|post(code|al)|plz|(tele)?phone|tel|mobile|fax|ssn|isbn|ean|code"),
    "date": re.compile(r"date|(date)?time|timestamp|ts|epoch|created|updated|modified|born|birthday|dob|at"),
}
HINT = 0.05  # how strong a claim must be for the column's name to help it
_WRITTEN_CODE = re.compile(r"(?=\S*[\d_@:/])[!-~]+|[+(]?[\d\s().\-/]+", re.ASCII)
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
        name = min(max((len(c.name) for c in self.columns), default=0), 40)
        kind = max((len(c.modality or "-") for c in self.columns), default=0)
        return "\n".join(
            f"  {c.name:<{name}}  {c.role:<6}  {c.modality or '-':<{kind}}  {c.reason}" for c in self.columns
        )


def infer(
    table: Table,
    *,
    targets: Sequence[str],
    inputs: Sequence[str] | Mapping[str, str | None] | None = None,
    keys: Mapping[str, str | None] | None = None,
    modalities: Mapping[str, Any] | None = None,
) -> Schema:
    """The schema of a table. `inputs`: names, or name -> modality; None takes every other column that can teach.
    `keys`: role ("group", "time", "split") -> column. `modalities`: overrides by name, a modality or one with options
    of how its cells are loaded: {"name": "date", "day_first": True}. Raises PlaitError."""
    given = {**(modalities or {}), **({k: v for k, v in inputs.items() if v} if isinstance(inputs, Mapping) else {})}
    names = list(table.frame.columns)
    roles = {name: role for role, name in (keys or {}).items() if name}
    if not targets:
        raise PlaitError(f"No target given. Name the column to predict; columns: {', '.join(names)}.")
    for name in (*targets, *(inputs or ()), *roles, *given):
        if name not in names:
            raise unknown(f"column of {table.name}:", name, names)
    for spec in given.values():
        _check_given(spec)
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


def _check_given(spec: Any) -> None:
    """Raises PlaitError where a modality, or an option of it, is unknown."""
    options = spec if isinstance(spec, Mapping) else {"name": spec}
    if options.get("name") not in MODALITIES:
        raise unknown("modality", options.get("name"), MODALITIES)
    part = modality(options["name"])
    parameters = inspect.signature(part.load).parameters
    known = [k for k, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for key, value in options.items():
        if key != "name" and key not in known:
            raise unknown(f"option of modality {options['name']!r}:", key, known)
        if key in part.choices and value not in part.choices[key]:
            expected = [json.dumps(choice, ensure_ascii=False) for choice in part.choices[key]]
            raise PlaitError(
                f"Modality {options['name']!r}: option {key} is {value!r}; expected one of {', '.join(expected[:12])}"
                f"{', …' if len(expected) > 12 else ''}."
            )


def _column(table: Table, name: str, role: str, given: Any, *, chosen: bool) -> Column:
    values = _filled(table.column(name))
    if not values and given is None:
        if role == "target":
            raise TableError(f"Target {name!r}: all {len(table)} labels are missing. Nothing can be learned from it.")
        return Column(name, None, "skip", f"all {len(table)} cells are missing")
    sample = values if len(values) <= SAMPLE else [values[i * len(values) // SAMPLE] for i in range(SAMPLE)]
    if given is not None:
        column = _given(name, role, given, sample)
    else:
        target = role == "target"
        claims = {m: claim for m in MODALITIES if (claim := modality(m).claim(sample, target=target))}
        if not claims:
            kind = type(sample[0]).__name__
            if target:
                raise TableError(f"Target {name!r}: cannot tell what values like {sample[0]!r} ({kind}) are.")
            reason = f"cannot tell what values of type {kind} are; give its modality to use it"
            return Column(name, None, "skip", reason)
        column = _strongest(name, role, claims)
    if role == "target":
        _check_labels(table, name, column.modality or "")
    elif not chosen and (why := _useless(values, sample, column.modality or "")):
        return Column(name, None, "skip", f"{why}; name it as an input to use it")
    strangers = _strangers(sample, column.modality or "")
    if len(strangers) > STRANGERS * len(sample):
        share, shown = len(strangers) / len(sample), str(strangers[0])[:40]
        column = replace(column, reason=f"{column.reason}; {share:.0%} are something else, as {shown!r}")
    return column


def _given(name: str, role: str, given: Any, sample: list[Any]) -> Column:
    """A column whose modality the user says; how its cells are written is still told from them."""
    options = dict(given) if isinstance(given, Mapping) else {"name": given}
    kind = options.pop("name")
    claim = modality(kind).claim(sample, target=role == "target") if sample else None
    told = f": {claim.reason}" if claim and claim.options else ""
    return Column(name, kind, role, f"as given{told}", {**(claim.options if claim else {}), **options})


def _strongest(name: str, role: str, claims: Mapping[str, Claim]) -> Column:
    """The column as the strongest claim says; numbers that are called a code or a date are one, if they can be."""
    best = max(claims, key=lambda m: claims[m].strength)
    claim, said = claims[best], ""
    words = re.sub(r"([a-z\d])([A-Z])|_", r"\1 \2", name).lower().split()
    for kind, called in _CALLED.items():
        likely = kind in claims and claims[kind].strength >= HINT and (kind != "date" or role != "target")
        if best == "number" and likely and any(map(called.fullmatch, words)):
            best, claim, said = kind, claims[kind], f", and it is called {name!r}"
    return Column(name, best, role, claim.reason + said, dict(claim.options))


def _filled(values: list[Any]) -> list[Any]:
    """The values that are neither missing nor empty text."""
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return [v for v in values if v]
    if kinds <= {float, int, bool, type(None)}:
        return [v for v in values if v is not None and v == v]
    return [v for v in values if not missing(v) and not (isinstance(v, str) and v == "")]


def _strangers(sample: list[Any], kind: str) -> list[Any]:
    """Of a column of files, the values that no file of that kind would have."""
    part = modality(kind)
    if not part.suffixes:
        return []
    return [v for v in sample if isinstance(v, (str, Path)) and part.claim([v], target=False) is None]


def _useless(values: list[Any], sample: list[Any], kind: str) -> str | None:
    """Why a column that nobody asked for teaches nothing: one value, or a name for each row."""
    if kind not in ("text", "category", "number", "date"):
        return None
    if kind == "number" and len(values) > 10 and _counts(values):
        return "counts the rows"
    first = values[0]
    if not any(v is not first and v != first for v in values):
        return f"holds one value only, {str(first)[:40]!r}"
    if kind in ("number", "date") or len(values) <= 10 or len(set(map(str, sample))) < IDS * len(sample):
        return None
    codes = sum(_WRITTEN_CODE.fullmatch(str(v).strip()[:100]) is not None for v in sample)
    distinct = len(set(values if set(map(type, values)) == {str} else map(str, values)))
    if distinct >= IDS * len(values) and codes >= 0.9 * len(sample):
        return f"looks like an id: {distinct} of {len(values)} values differ, and they are codes rather than words"
    return None


def _counts(values: list[Any]) -> bool:
    """Whether each value is the one before it and 1: a row number, which tells how the table was sorted."""
    try:
        return all(float(b) - float(a) == 1 for a, b in pairwise(values))
    except (TypeError, ValueError, OverflowError):
        return False


def _check_labels(table: Table, name: str, kind: str) -> None:
    """Raises TableError where labels can be meant in two ways, or are infinite."""
    cells = table.column(name)
    if kind == "number" and (row := next((i for i, v in enumerate(cells) if _infinite(v)), None)) is not None:
        found = f"found {cells[row]!r}, expected a finite number"
        raise TableError(f"Target {name!r}, row {row}: {found}. Repair it, or leave the cell empty.")
    if kind not in ("category", "number") or len(set(map(type, cells)) - {type(None)}) < 2:
        return
    sorts: dict[str, int] = {}  # what sort of value -> the first row that has it
    named: dict[tuple[str, str], int] = {}  # the same for each name
    for row, value in enumerate(cells):
        if (sort := _sort(value)) is not None:
            sorts.setdefault(sort, row)
            named.setdefault((str(modality("category").load(value, table.folder)), sort), row)
    pair = list(sorts.values()) if "truth" in sorts and len(sorts) > 1 else []
    if kind == "category" and not pair:
        pair = next(
            ([row, named[n, "text"]] for (n, sort), row in named.items() if sort == "number" and (n, "text") in named),
            [],
        )
    if pair:
        found = " and ".join(f"{cells[row]!r} in row {row}" for row in sorted(pair))
        raise TableError(
            f"Target {name!r} holds {found}: whether these are one label, nobody can tell. Write all labels in one way."
        )


def _sort(value: Any) -> str | None:
    """What sort of plain value a label is."""
    if isinstance(value, (bool, np.bool_)):
        return "truth"
    if isinstance(value, str):
        return "text" if value.strip() else None
    return "number" if isinstance(value, (int, float, np.number)) and not missing(value) else None


def _infinite(value: Any) -> bool:
    """Whether a label is an infinite number, or a text that says so or holds one too large: inf, 1e400."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
    return isinstance(value, (float, np.floating)) and math.isinf(value)
