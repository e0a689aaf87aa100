"""plait compare: every fusion, every encoder, or several targets, side by side on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from plait.cli.given import (
    BASE,
    EPOCHS,
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
    several,
    specs_flat,
)
from plait.cli.output import show


def compare(
    table: TABLE,
    target: Annotated[
        list[str],
        typer.Option(help="The column to predict; COLUMN=MODALITY to say what it is. Several: alone and together."),
    ],
    fusion: Annotated[
        list[str], typer.Option(help="A fusion or learner, NAME:option=value,…; every one when none is given.")
    ] = [],
    encoders: Annotated[bool, typer.Option("--encoders", help="Compare the encoders of each column instead.")] = False,
    encoder: Annotated[
        list[str],
        typer.Option(help="COLUMN=NAME:option=value,… to take; with --encoders to try besides, as often as you like."),
    ] = [],
    input: INPUT = [],
    modality: MODALITY = [],
    columns: Annotated[list[str], typer.Option(help="An input to try; all of them when none is given.")] = [],
    learner: Annotated[str, typer.Option(help="NAME:option=value,… that judges frozen encoders.")] = "logistic",
    train: Annotated[list[str], typer.Option(help="option=value of the training loop.")] = [],
    split_column: SPLIT = None,
    group: GROUP = None,
    time: TIME = None,
    valid: Annotated[float, typer.Option(help="Share of the rows to choose by.")] = 0.15,
    test: TEST = 0.15,
    seeds: Annotated[
        Optional[int], typer.Option(help="How many splits and trainings, each with its own; 5, of encoders 1.")
    ] = None,
    epochs: EPOCHS = None,
    jobs: Annotated[Optional[int], typer.Option(help="Trials of fusions at once; as many as cores.")] = None,
    keep: Annotated[
        Optional[Path], typer.Option(help="A folder that keeps each trial of a fusion, to go on from.")
    ] = None,
    max_bad: MAX_BAD = 0.05,
    base: BASE = None,
    out: PAGE = None,
    as_json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Try every fusion, every learner and each input alone on the same rows: what each is worth, and what it costs."""
    from plait.comparison import compare as run
    from plait.errors import PlaitError
    from plait.spec import parse

    targets = columns_of(target) or {}
    if len(targets) > 1 and len(fusion) > 1:
        raise PlaitError(f"Several targets are compared with one fusion; found {', '.join(fusion)}. Give one --fusion.")
    fusions: Any = [parse(item) for item in fusion] or "all"
    found = run(
        table,
        list(targets),
        fusions=fusions[0] if len(targets) > 1 and fusion else fusions,
        encoders=True if encoders else by_column(encoder, "auto"),
        rungs=several(encoder) if encoders and encoder else None,
        inputs=columns_of(input),
        modalities=modalities_of(modality, targets),
        columns=columns or None,
        learner=parse(learner),
        split={"column": split_column, "group": group, "time": time, "valid": valid, "test": test},
        training=specs_flat(train),
        epochs=epochs,
        seeds=seeds,
        jobs=jobs,
        keep=keep,
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
