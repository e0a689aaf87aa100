"""plait shots: how a table's score grows with the examples a class."""

from __future__ import annotations

from typing import Annotated

import typer

from plait.cli.given import (
    BASE,
    ENCODER,
    GROUP,
    INPUT,
    JSON,
    MAX_BAD,
    MODALITY,
    PAGE,
    QUIET,
    SPLIT,
    TABLE,
    TEST,
    TIME,
    by_column,
    columns_of,
    modalities_of,
)
from plait.cli.output import show

ALL = "all"


def shots(
    table: TABLE,
    target: Annotated[str, typer.Option(help="The column of categories to predict.")],
    input: INPUT = [],
    modality: MODALITY = [],
    shots: Annotated[
        str, typer.Option(help="Examples a class, from few to many; all: every training row.")
    ] = "1,2,4,8,16,all",
    way: Annotated[
        list[str],
        typer.Option(help="A learner, NAME:option=value,…; prototypes, knn, logistic and ridge when none is given."),
    ] = [],
    encoders: Annotated[str, typer.Option(help="auto, pretrained or classic.")] = "auto",
    encoder: ENCODER = [],
    split_column: SPLIT = None,
    group: GROUP = None,
    time: TIME = None,
    valid: Annotated[float, typer.Option(help="Share of the rows that only 'all' learns from.")] = 0.15,
    test: TEST = 0.15,
    seeds: Annotated[int, typer.Option(help="How many splits and draws of examples.")] = 5,
    max_bad: MAX_BAD = 0.05,
    base: BASE = None,
    out: PAGE = None,
    as_json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Learn from 1, 2, 4, … examples a class: which learner takes the fewest, and whether more labels would help."""
    from plait.fewshot import WAYS
    from plait.fewshot import shots as run
    from plait.spec import parse

    targets = columns_of([target]) or {}
    found = run(
        table,
        list(targets),
        shots=_counts(shots),
        ways=[parse(item) for item in way] or WAYS,
        encoders=by_column(encoder, encoders),
        seeds=seeds,
        inputs=columns_of(input),
        modalities=modalities_of(modality, targets),
        split={"column": split_column, "group": group, "time": time, "valid": valid, "test": test},
        max_bad=max_bad,
        base=base,
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
