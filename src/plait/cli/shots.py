"""plait shots: how a table's score grows with the examples a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from plait.cli.output import show

ALL = "all"


def shots(
    table: Annotated[str, typer.Argument(help="A .csv, .tsv, .jsonl, .parquet or .arrow file, or a folder of media.")],
    target: Annotated[str, typer.Option(help="The column of categories to predict.")],
    input: Annotated[
        list[str], typer.Option(help="A column to predict from; COLUMN=MODALITY. All others when none is given.")
    ] = [],
    shots: Annotated[
        str, typer.Option(help="Examples a class, from few to many; all: every training row.")
    ] = "1,2,4,8,16,all",
    way: Annotated[
        list[str],
        typer.Option(help="A learner, NAME:option=value,…; prototypes, knn, logistic and ridge when none is given."),
    ] = [],
    encoders: Annotated[str, typer.Option(help="auto, pretrained or classic.")] = "auto",
    encoder: Annotated[list[str], typer.Option(help="COLUMN=NAME:option=value,… See plait list.")] = [],
    split_column: Annotated[
        Optional[str], typer.Option(help="A column that says train, valid or test; 'split' by default.")
    ] = None,
    group: Annotated[Optional[str], typer.Option(help="Rows with the same value here stay in one part.")] = None,
    time: Annotated[Optional[str], typer.Option(help="The earliest rows here train, the latest test.")] = None,
    valid: Annotated[float, typer.Option(help="Share of the rows that only 'all' learns from.")] = 0.15,
    test: Annotated[float, typer.Option(help="Share of the rows held out for judging.")] = 0.15,
    seeds: Annotated[int, typer.Option(help="How many splits and draws of examples.")] = 5,
    max_bad: Annotated[float, typer.Option(help="Largest share of a column's cells that may be unreadable.")] = 0.05,
    out: Annotated[Optional[Path], typer.Option(help="The page to write; it is replaced if it is there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing while working.")] = False,
) -> None:
    """Learn from 1, 2, 4, … examples a class: which learner takes the fewest, and whether more labels would help."""
    from plait.errors import PlaitError
    from plait.fewshot import WAYS
    from plait.fewshot import shots as run
    from plait.spec import parse

    for item in encoder:
        if "=" not in item.partition(":")[0]:
            raise PlaitError(f"{item!r}: expected COLUMN=NAME or COLUMN=NAME:option=value,option=value.")
    given: dict[str, Any] = {item.partition("=")[0]: parse(item.partition("=")[2]) for item in encoder}
    pairs = [item.partition("=") for item in input]
    name, _, kind = target.partition("=")
    found = run(
        table,
        name,
        shots=_counts(shots),
        ways=[parse(item) for item in way] or WAYS,
        encoders={**given, "*": encoders},
        seeds=seeds,
        inputs={column: modality or None for column, _, modality in pairs} or None,
        modalities={name: kind} if kind else None,
        split={"column": split_column, "group": group, "time": time, "valid": valid, "test": test},
        max_bad=max_bad,
        quiet=quiet,
    )
    page = None if out is None else found.save_html(out)
    show(
        {**found.to_json(), "page": None if page is None else str(page)},
        str(found) + (f"\nPage: {page}" if page else ""),
        as_json,
    )


def _counts(text: str) -> list[int | None]:
    """1,2,4,all as numbers, all rows being None."""
    from plait.errors import PlaitError

    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word != ALL and not word.isdecimal():
            raise PlaitError(f"--shots: found {word!r}, expected whole numbers and {ALL!r}, such as 1,2,4,{ALL}.")
    return [None if word == ALL else int(word) for word in words]
