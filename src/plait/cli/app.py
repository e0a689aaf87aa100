"""The commands, their options and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from plait.cli import compare, shots, weights
from plait.cli.given import (
    BASE,
    ENCODER,
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
    specs,
    specs_flat,
)
from plait.cli.output import show

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a table of text, pictures, sound, numbers and categories to a measured multimodal model.",
)

app.add_typer(weights.app, name="weights")
app.command("compare")(compare.compare)
app.command("shots")(shots.shots)

MODEL = Annotated[Path, typer.Argument(help="The folder of a model.")]
OUTSIDE = Annotated[
    list[str], typer.Option(help="A part of others that the model may import, which runs its code: your.module:Class.")
]
ALLOW_MISSING = Annotated[bool, typer.Option("--allow-missing", help="Input columns may be absent.")]


@app.command()
def fit(
    table: TABLE,
    target: Annotated[list[str], typer.Option(help="A column to predict; COLUMN=MODALITY to say what it is.")],
    input: INPUT = [],
    modality: MODALITY = [],
    encoder: ENCODER = [],
    head: Annotated[list[str], typer.Option(help="TARGET=NAME:option=value,…")] = [],
    encoders: Annotated[
        Optional[str], typer.Option(help="For columns without --encoder: auto, pretrained, all, classic or scratch.")
    ] = None,
    preset: Annotated[
        Optional[str],
        typer.Option(help="fast: chooses by itself, in seconds; so it does unasked. balanced, best: and searches on."),
    ] = None,
    fusion: Annotated[Optional[str], typer.Option(help="NAME:option=value,… trained by the loop.")] = None,
    learner: Annotated[
        Optional[str],
        typer.Option(help="NAME:option=value,… in place of fusion and heads, on fixed features: logistic, …"),
    ] = None,
    objective: Annotated[str, typer.Option(help="Several targets: supervised, uncertainty, gradnorm.")] = "supervised",
    train: Annotated[list[str], typer.Option(help="option=value of the training loop, e.g. batch_size=64.")] = [],
    split_column: SPLIT = None,
    group: GROUP = None,
    time: TIME = None,
    valid: Annotated[float, typer.Option(help="Share of the rows for early stopping.")] = 0.15,
    test: TEST = 0.15,
    seed: Annotated[int, typer.Option(help="Same data and seed, same bytes.")] = 0,
    epochs: EPOCHS = None,
    time_limit: Annotated[Optional[float], typer.Option(help="Seconds for all of it.")] = None,
    max_bad: MAX_BAD = 0.05,
    base: BASE = None,
    out: Annotated[Optional[Path], typer.Option(help="The folder to write; TABLE.plait when not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it is there.")] = False,
    allow_data_change: Annotated[
        bool, typer.Option("--allow-data-change", help="Go on with a killed run though its data have changed.")
    ] = False,
    log: Annotated[
        list[str],
        typer.Option(
            "--log", "--log-to", help="What each epoch is told to, in logs/: jsonl, tensorboard, wandb, mlflow."
        ),
    ] = [],
    as_json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Train a model on a table, judge it on held-out rows, and write model, report and model card."""
    from plait.fitting import fit as run
    from plait.training.parallel import is_first

    targets, inputs = columns_of(target) or {}, columns_of(input)
    folder = out or Path(f"{Path(table).stem}.plait")
    model = run(
        table,
        list(targets),
        inputs=inputs,
        modalities=modalities_of(modality, targets),
        encoders=by_column(encoder, encoders),
        heads=specs(head),
        preset=preset,
        fusion=None if fusion is None else specs([f"fusion={fusion}"])["fusion"],
        learner=specs([f"learner={learner}"])["learner"] if learner else None,
        objective=specs([f"objective={objective}"])["objective"],
        split={"column": split_column, "group": group, "time": time, "valid": valid, "test": test},
        training={k: v for k, v in specs_flat(train).items()},
        seed=seed,
        epochs=epochs,
        time_limit=time_limit,
        max_bad=max_bad,
        base=base,
        out=folder,
        overwrite=overwrite,
        allow_data_change=allow_data_change,
        log=log,
        quiet=quiet,
    )
    if is_first():
        show(
            {"model": str(folder), "report": str(folder / "report.html"), **model.record["evaluation"]},
            f"Model: {folder}\nReport: {folder / 'report.html'}",
            as_json,
        )
    if model.record["stopped"] == "interrupted":
        raise typer.Exit(130)


@app.command()
def predict(
    model: MODEL,
    table: TABLE,
    out: Annotated[Path, typer.Option(help="Where to write: .csv, .jsonl or .parquet.")],
    proba: Annotated[bool, typer.Option("--proba", help="Probabilities of every class.")] = False,
    allow_missing: ALLOW_MISSING = False,
    base: BASE = None,
    outside: OUTSIDE = [],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    as_json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Predict each row of a table; row i of the output is row i of the table."""
    from plait.cli.output import check_output, write_frame
    from plait.predictor import load

    check_output(out, overwrite=overwrite)
    predictor = load(model, outside=outside)
    work = predictor.predict_proba if proba else predictor.predict
    frame = work(table, base=base, allow_missing=allow_missing, quiet=quiet)
    bad = frame.attrs.pop("bad_cells")  # not into the file, where the status tells of them
    write_frame(frame, out)
    status = frame.iloc[:, -1]
    counts = {"rows": len(frame), "ok": int((status == "ok").sum()), "flagged": int((status != "ok").sum())}
    unseen = frame.attrs["unseen"]
    strange = "".join(f"; {c}: {about['rows']} rows with names never learned" for c, about in unseen.items())
    show(
        {"out": str(out), **counts, "bad_cells": bad, "drift": frame.attrs["drift"], "unseen_names": unseen},
        f"{out}: {counts['rows']} rows, {counts['flagged']} of them flagged in the column {frame.columns[-1]!r}{strange}",
        as_json,
    )


@app.command()
def evaluate(
    model: MODEL,
    table: TABLE,
    allow_missing: ALLOW_MISSING = False,
    base: BASE = None,
    outside: OUTSIDE = [],
    as_json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Judge a model on a labelled table: every metric with its interval, for every subset of the inputs."""
    from plait.predictor import load

    predictor = load(model, outside=outside)
    result = predictor.evaluate(table, base=base, allow_missing=allow_missing, quiet=quiet)
    show(result.to_json(), str(result), as_json)


@app.command("inspect")
def inspect_table(
    table: TABLE,
    target: Annotated[list[str], typer.Option(help="A column to predict; COLUMN=MODALITY to say what it is.")] = [],
    input: INPUT = [],
    modality: MODALITY = [],
    split_column: SPLIT = None,
    group: Annotated[Optional[str], typer.Option(help="Rows with the same value here belong together.")] = None,
    time: TIME = None,
    valid: Annotated[float, typer.Option(help="Share of the rows for early stopping.")] = 0.15,
    test: TEST = 0.15,
    seed: Annotated[int, typer.Option(help="Of the split that would be drawn.")] = 0,
    against: Annotated[Optional[str], typer.Option(help="A second table: what both hold, and how they differ.")] = None,
    base: BASE = None,
    out: PAGE = None,
    as_json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Look at a table before training: broken cells, duplicates, leaks, conflicts of labels, gaps and drift."""
    from plait.inspection import inspect

    targets = columns_of(target) or {}
    found = inspect(
        table,
        list(targets),
        inputs=columns_of(input),
        modalities=modalities_of(modality, targets),
        split={"column": split_column, "group": group, "time": time, "valid": valid, "test": test},
        seed=seed,
        against=against,
        base=base,
        quiet=quiet,
    )
    page = None if out is None else found.save_html(out)
    show(
        {**found.to_json(), "page": None if page is None else str(page)},
        str(found) + (f"\nPage: {page}" if page else ""),
        as_json,
    )


@app.command()
def summary(
    model: MODEL,
    table: Annotated[Optional[str], typer.Argument(help="A table whose first row is followed.")] = None,
    base: BASE = None,
    outside: OUTSIDE = [],
) -> None:
    """Show what a model is and, given a table, one row at every step with its shapes."""
    from plait.predictor import load

    print(load(model, outside=outside).summary(table, base=base))


@app.command("list")
def list_parts(as_json: JSON = False) -> None:
    """Show every modality, encoder, fusion, head and objective, with its options."""
    from plait.cli.output import parts, parts_text

    found = parts()
    show(found, parts_text(found), as_json)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Forget every prepared cell.")] = False, as_json: JSON = False
) -> None:
    """Show, or clear, the cells that have been prepared. Where: $PLAIT_CACHE. How much: $PLAIT_CACHE_LIMIT (GiB)."""
    from plait.data.store import Store

    store = Store()
    sizes, freed = store.sizes(), store.clear() if clear else 0
    held = 0 if clear else sum(sizes.values())
    value = {
        "folder": str(store.root),
        "limit": store.limit,
        "bytes": held,
        "freed": freed,
        "shelves": {} if clear else sizes,
    }
    show(
        value,
        f"{store.root}: {held / 1e6:.1f} MB of at most {store.limit / 1e9:.1f} GB"
        + (f", {freed / 1e6:.1f} MB freed" if clear else ""),
        as_json,
    )


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the data and the model go.")] = Path("plait-demo"),
    data: Annotated[str, typer.Option(help="stamps (needs apt-get), countries (needs pip), or auto.")] = "auto",
    epochs: Annotated[Optional[int], typer.Option(help="Train from scratch, with so many passes at most.")] = None,
) -> None:
    """Fetch real data, train on pictures, words and speech, judge, report, and predict rows with missing parts."""
    from plait.cli.demo import run

    run(folder, data, epochs)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        from plait import __version__

        print(f"plait {__version__}")
        raise typer.Exit
