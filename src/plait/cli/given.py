"""What several commands are given: their common options, and what is made of COLUMN=… and option=value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

TABLE = Annotated[
    str,
    typer.Argument(
        help="A .csv, .tsv, .jsonl, .parquet or .arrow file (paths in cells are taken from its folder), or a folder of media."
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing while working.")]
INPUT = Annotated[
    list[str],
    typer.Option(help="A column to predict from; COLUMN=MODALITY:option=value,… All others when none is given."),
]
MODALITY = Annotated[
    list[str],
    typer.Option(help="What a column is, whether or not inputs are named: COLUMN=MODALITY:option=value,…"),
]
BASE = Annotated[
    Optional[Path], typer.Option(help="The folder from which paths in cells are taken; the table's own when not given.")
]
ENCODER = Annotated[list[str], typer.Option(help="COLUMN=NAME:option=value,… See plait list.")]
SPLIT = Annotated[Optional[str], typer.Option(help="A column that says train, valid or test; 'split' by default.")]
GROUP = Annotated[Optional[str], typer.Option(help="Rows with the same value here stay in one part.")]
TIME = Annotated[Optional[str], typer.Option(help="The earliest rows here train, the latest test.")]
TEST = Annotated[float, typer.Option(help="Share of the rows held out for judging.")]
EPOCHS = Annotated[Optional[int], typer.Option(help="Passes over the training rows, at most.")]
MAX_BAD = Annotated[float, typer.Option(help="Largest share of a column's cells that may be unreadable.")]
PAGE = Annotated[Optional[Path], typer.Option(help="The page to write; it is replaced if it is there.")]


def several(given: list[str]) -> dict[str, list[Any]]:
    """Column -> all that is given for it, in order."""
    from plait.errors import PlaitError
    from plait.spec import parse

    found: dict[str, list[Any]] = {}
    for item in given:
        if "=" not in item.partition(":")[0]:
            raise PlaitError(f"{item!r}: expected COLUMN=NAME or COLUMN=NAME:option=value,option=value.")
        column, _, part = item.partition("=")
        found.setdefault(column, []).append(parse(part))
    return found


def specs(given: list[str]) -> dict[str, Any]:
    """Column -> the one that is given for it."""
    from plait.errors import PlaitError

    found = several(given)
    for column, each in found.items():
        if len(each) > 1:
            names = " and ".join(str(part["name"]) for part in each)
            raise PlaitError(f"{column!r} is given {names}. Expected one; encoders side by side are COLUMN=ONE+OTHER.")
    return {column: each[0] for column, each in found.items()}


def by_column(each: list[str], rest: str | None) -> Any:
    """By column; with one word for all columns where none is named by itself."""
    return {**({"*": rest} if rest else {}), **specs(each)} if each else rest


def columns_of(given: list[str]) -> dict[str, Any] | None:
    """Column -> its modality, a dict where it has options, None where it is to be told from the column."""
    from plait.errors import PlaitError
    from plait.spec import parse

    found: dict[str, Any] = {}
    for name, _, kind in (item.partition("=") for item in given):
        if name in found:
            raise PlaitError(f"{name!r} is given twice. Name each column once.")
        spec = parse(kind)
        found[name] = (spec if len(spec) > 1 else spec["name"]) or None
    return found or None


def modalities_of(given: list[str], targets: dict[str, Any]) -> dict[str, Any]:
    """Column -> its modality, as --modality and the targets say it."""
    from plait.errors import PlaitError

    kinds = columns_of(given) or {}
    for name, kind in kinds.items():
        if kind is None:
            raise PlaitError(
                f"--modality {name}: expected COLUMN=MODALITY or COLUMN=MODALITY:option=value,option=value."
            )
        if targets.get(name) not in (None, kind):
            raise PlaitError(f"{name!r} is {kind!r} by --modality and {targets[name]!r} by --target. Say it once.")
    return {**kinds, **{name: kind for name, kind in targets.items() if kind}}


def specs_flat(given: list[str]) -> dict[str, Any]:
    from plait.spec import parse

    return {k: v for item in given for k, v in parse(f"train:{item}").items() if k != "name"}
