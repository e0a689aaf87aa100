"""plait compare: every fusion, every encoder, or several targets, side by side on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from plait.cli.output import show


def compare(
    table: Annotated[str, typer.Argument(help="A .csv, .tsv, .jsonl, .parquet or .arrow file, or a folder of media.")],
    target: Annotated[
        list[str],
        typer.Option(help="The column to predict; COLUMN=MODALITY to say what it is. Several: alone and together."),
    ],
    fusion: Annotated[
        list[str], typer.Option(help="A fusion or learner, NAME:option=value,…; every one when none is given.")
    ] = [],
    encoders: Annotated[bool, typer.Option("--encoders", help="Compare the encoders of each column instead.")] = False,
    encoder: Annotated[list[str], typer.Option(help="COLUMN=NAME:option=value,… for fusions. See plait list.")] = [],
    input: Annotated[
        list[str], typer.Option(help="A column to predict from; COLUMN=MODALITY. All others when none is given.")
    ] = [],
    columns: Annotated[list[str], typer.Option(help="An input to try; all of them when none is given.")] = [],
    learner: Annotated[str, typer.Option(help="NAME:option=value,… that judges frozen encoders.")] = "logistic",
    train: Annotated[list[str], typer.Option(help="option=value of the training loop.")] = [],
    split_column: Annotated[
        Optional[str], typer.Option(help="A column that says train, valid or test; 'split' by default.")
    ] = None,
    group: Annotated[Optional[str], typer.Option(help="Rows with the same value here stay in one part.")] = None,
    time: Annotated[Optional[str], typer.Option(help="The earliest rows here train, the latest test.")] = None,
    valid: Annotated[float, typer.Option(help="Share of the rows to choose by.")] = 0.15,
    test: Annotated[float, typer.Option(help="Share of the rows held out for judging.")] = 0.15,
    seeds: Annotated[
        Optional[int], typer.Option(help="How many splits and trainings, each with its own; 5, of encoders 1.")
    ] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Passes over the training rows, at most.")] = None,
    jobs: Annotated[Optional[int], typer.Option(help="Trials of fusions at once; as many as cores.")] = None,
    keep: Annotated[
        Optional[Path], typer.Option(help="A folder that keeps each trial of a fusion, to go on from.")
    ] = None,
    max_bad: Annotated[float, typer.Option(help="Largest share of a column's cells that may be unreadable.")] = 0.05,
    out: Annotated[Optional[Path], typer.Option(help="The page to write; it is replaced if it is there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing while working.")] = False,
) -> None:
    """Try every fusion, every learner and each input alone on the same rows: what each is worth, and what it costs."""
    from plait.comparison import compare as run
    from plait.errors import PlaitError
    from plait.spec import parse

    for item in encoder:
        if "=" not in item.partition(":")[0]:
            raise PlaitError(f"{item!r}: expected COLUMN=NAME or COLUMN=NAME:option=value,option=value.")
    given: Any = {item.partition("=")[0]: parse(item.partition("=")[2]) for item in encoder}
    targets = {name: kind or None for name, _, kind in (item.partition("=") for item in target)}
    fusions: Any = [parse(item) for item in fusion] or "all"
    pairs = [item.partition("=") for item in input]
    found = run(
        table,
        list(targets),
        fusions=fusions[0] if len(targets) > 1 and fusion else fusions,
        encoders=True if encoders else {**given, "*": "auto"},
        inputs={name: kind or None for name, _, kind in pairs} or None,
        modalities={k: v for k, v in targets.items() if v},
        columns=columns or None,
        learner=parse(learner),
        split={"column": split_column, "group": group, "time": time, "valid": valid, "test": test},
        training=_options(train),
        epochs=epochs,
        seeds=seeds,
        jobs=jobs,
        keep=keep,
        max_bad=max_bad,
        quiet=quiet,
    )
    page = None if out is None else found.save_html(out)
    show(
        {**found.to_json(), "page": None if page is None else str(page)},
        str(found) + (f"\nPage: {page}" if page else ""),
        as_json,
    )


def _options(given: list[str]) -> dict[str, Any]:
    """option=value of the loop, values as JSON where they are."""
    from plait.errors import PlaitError
    from plait.spec import parse

    for item in given:
        if "=" not in item:
            raise PlaitError(f"{item!r}: expected option=value.")
    return {k: v for item in given for k, v in parse(f"training:{item}").items() if k != "name"}
