"""Encoders that are done in time: how long those plait chose take for all cells, and cheaper ones where that is too long."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.data.store import Store
from plait.data.table import Table
from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.preparation import fingerprint, prepare
from plait.presets import Choice, networks, title
from plait.progress import Progress
from plait.spec import Spec

SHARE = 0.6  # of the time that is left, for encoding cells; the rest is for learning from them, and for judging
ENOUGH = 8  # cells that are encoded to tell how long one takes
ROUNDS = (
    1,
    1,
    7,
    8,
    16,
    32,
)  # cells looked at, until so many of them had to be encoded: others are on the shelf already


def in_time(
    table: Table,
    schema: Schema,
    parts: Mapping[str, Spec],
    choices: Sequence[Choice],
    *,
    deadline: float,
    begun: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Spec], list[Choice]]:
    """The encoders of all columns, and what there is to say of them: where all cells would not be encoded in time, the column
    that takes longest has the next cheaper encoder, until they are. What is encoded to find out is kept on the shelf.
    `deadline`: a time.monotonic(). `begun`: the completed spec of a run that is gone on with; its encoders are taken."""
    chosen, told = dict(parts), {choice.column: choice for choice in choices}
    ways = {choice.column: [parts[choice.column], *choice.others] for choice in choices if choice.others}
    if begun is not None:
        for column, each in ways.items():
            same = [way for way in each if _same(way, begun["inputs"].get(column))]
            if same and same[0] is not each[0]:
                chosen[column] = same[0]
                told[column] = replace(told[column], taken=title(same[0]), why="as when this run was begun")
        return chosen, list(told.values())
    left = lambda: max(0.0, SHARE * (deadline - time.monotonic()))  # noqa: E731
    took = {c: seconds(table, schema, c, each[0], enough=left()) for c, each in ways.items()}
    while any(took.values()) and sum(took.values()) > left():
        column = max(took, key=lambda c: took[c])
        slow, room = ways[column].pop(0), left()
        chosen[column] = ways[column][0]
        why = (
            f"with {title(slow)} its cells would take about {took[column]:.0f} s; {room:.0f} s are left for all columns"
        )
        best = f"{title(parts[column])}, with a longer time limit"
        told[column] = replace(told[column], taken=title(chosen[column]), why=why, better=best)
        more = networks(chosen[column])  # what needs no network is not timed: it has to learn from the cells first
        took[column] = seconds(table, schema, column, chosen[column], enough=left()) if more else 0.0
    return chosen, list(told.values())


def _same(way: Spec, completed: Any) -> bool:
    """Whether a completed spec was made of this one."""
    name = way["name"] if isinstance(way, Mapping) else way
    return completed is not None and (name, networks(way)) == (completed["name"], networks(completed))


def seconds(table: Table, schema: Schema, column: str, part: Spec, *, enough: float) -> float:
    """About how long it takes on all cores to encode the distinct cells of a column that are not on the shelf yet, with an
    encoder that has nothing to learn from them. Some are encoded, no more than `enough` seconds of them."""
    encoder: Encoder = ENCODERS.build(ENCODERS.complete(part, []))
    distinct: dict[Any, int] = {}
    for row, value in enumerate(table.column(column)):
        if value is not None:
            distinct.setdefault(value if isinstance(value, (str, bytes)) else row, row)
    order = np.random.default_rng(0).permutation(np.array(list(distinct.values()), np.int64))
    return sum(_seconds(table, schema, column, each, order, enough) for each in encoder.parts or [encoder])


def _seconds(table: Table, schema: Schema, column: str, encoder: Encoder, order: np.ndarray, enough: float) -> float:
    store, place = Store(), fingerprint(encoder.modality, encoder)
    how: dict[str, Any] = {"store": store, "progress": Progress(quiet=True)}
    how["options"] = {column: schema.options.get(column, {})}
    looked = fresh = timed = 0
    cores = os.cpu_count() or 1
    spent = first = 0.0
    for size in ROUNDS:
        rows = order[looked : looked + size]
        before, began = len(store.shelf(place)), time.perf_counter()
        if len(rows):
            prepare(table.take(rows), {column: encoder}, ledger=Ledger(), **how)
        new = len(store.shelf(place)) - before
        gone = (time.perf_counter() - began) * min(cores, max(new, 1))  # they are shared out
        looked, fresh = looked + len(rows), fresh + new
        if new and fresh == new:
            first = gone / new  # the network is loaded, too
        elif new:
            spent, timed = spent + gone, timed + new
        if timed >= ENOUGH or spent > enough or looked == len(order):
            break
    one = spent / timed if timed else first
    return one * (len(order) - looked) * fresh / max(looked, 1) / cores


def late(deadline: float | None, progress: Progress) -> dict[str, float]:
    """How many seconds preparing has gone past the limit, for the record; said. Nothing where it has not."""
    over = 0.0 if deadline is None else time.monotonic() - deadline
    if over <= 0:
        return {}
    progress.say(f"Preparing the cells took {over:.0f} s longer than the time limit; what was prepared is kept.")
    return {"late": round(over, 1)}
