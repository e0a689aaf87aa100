"""plait.compare: many fits on the same rows, side by side. Today: the encoders of each column."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plait.comparing.account import Climb, Judge, about, chosen, column_json, rungs_json, single
from plait.comparing.advice import column_advice, joint_advice
from plait.comparing.bench import Bench
from plait.comparing.rungs import LEARNED, Ladder, Rung, ladder
from plait.comparing.text import rung_line, table_text
from plait.comparing.trial import run
from plait.data.schema import Schema
from plait.data.table import read_table
from plait.errors import OutputError, PlaitError, unknown
from plait.learners import LEARNERS
from plait.progress import Bar, Progress
from plait.report.content import plain
from plait.request import check_metric, read_schema, read_specs, split_options, with_own_split
from plait.spec import Spec
from plait.training.options import Options
from plait.training.signals import heeded

Facts = dict[str, Any]


@dataclass
class Comparison:
    """What was found, as plain JSON: "columns" with their "rungs", "together" for all columns, "floor" for none."""

    facts: Facts

    def to_json(self) -> Facts:
        """Everything as one JSON-able object."""
        return self.facts

    def save_html(self, path: str | Path) -> Path:
        """Writes the page, one file that needs nothing else. Raises OutputError."""
        from plait.comparing.page import comparison_page

        path = Path(path).expanduser()
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_text(comparison_page(self.facts), encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from None
        return path

    def __str__(self) -> str:
        return table_text(self.facts)


def compare(
    table: Any,
    targets: str | Sequence[str],
    *,
    encoders: bool = False,
    inputs: str | Sequence[str] | Mapping[str, str | None] | None = None,
    modalities: Mapping[str, str] | None = None,
    columns: str | Sequence[str] | None = None,
    learner: Spec = "logistic",
    split: str | Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    seeds: int | Sequence[int] = 1,
    max_bad: float = 0.05,
    base: str | Path | None = None,
    quiet: bool = False,
) -> Comparison:
    """Tries encoders side by side, on the same rows: for each input alone from scratch, every classic one, and every set of
    pretrained weights that is on this machine; then all inputs together, with the best classic ones and the best
    pretrained ones. For each the main metric with its interval, and what it costs in time and space.

    table, inputs, modalities, split, training, epochs, max_bad, base: as in plait.fit. targets: one column.
    encoders: True; what is compared. columns: the inputs that are tried; all when None.
    learner: what judges encoders with nothing to train.
    seeds: how many, or which; each draws a split of its own (unless the split is given or by time) and trains anew. With
        one split, intervals are by bootstrap over its test rows, paired; with several, over splits (Nadeau & Bengio 2003).

    Nothing is taken from the cache or left in it: what preparing costs is measured. Raises PlaitError when the table or an
    option cannot be used, and when no rung could be tried; a rung that fails is told with its reason, the others go on.
    """
    if not encoders:
        raise PlaitError("Nothing to compare: pass encoders=True (--encoders) to compare the encoders of each column.")
    progress = Progress(quiet=quiet)
    source, how, which = read_table(table, base=base), split_options(split), _seeds(seeds)
    how = with_own_split(source, how, targets, inputs)
    schema = _only(read_schema(source, targets, inputs, modalities, how), columns)
    target = _one(schema)
    options = Options.of(training or {}, epochs=epochs)
    check_metric(options.metric, read_specs(schema, None, "average", {}, None, Progress(quiet=True))["outputs"])
    progress.say("\n".join([f"{source.name}: {len(source)} rows", *source.notices, str(schema)]))
    with heeded(), tempfile.TemporaryDirectory(prefix="plait-compare-") as root:
        judging = LEARNERS.normal(learner)
        bench = Bench(source, schema, target, how, options, judging, which, Path(root), max_bad)
        return Comparison(plain(_climbed(bench, progress)))


def _climbed(bench: Bench, progress: Progress) -> Facts:
    """Every rung of every ladder, then all columns together."""
    ladders = [ladder(column, kind) for column, kind in bench.schema.inputs.items()]
    several = len(ladders) > 1
    total = (sum(len(found.rungs) for found in ladders) + 2 * several) * len(bench.seeds)
    judge = Judge(bench)
    done: list[tuple[Ladder, list[Climb]]] = []
    facts: Facts = {**about(judge), "columns": [], "together": None}
    with progress.bar("Climbing", total, unit="fits") as bar:
        for found in ladders:
            climbs = [_climb(bench, rung, judge, progress, bar, found.column) for rung in found.rungs]
            done.append((found, climbs))
            facts["columns"].append(column_json(judge, found, climbs))
        _check_any(done)
        if several:
            rungs = _joint(done)
            climbs = [_climb(bench, rung, judge, progress, bar, "all columns") for rung in rungs]
            facts["together"] = {"rungs": rungs_json(judge, climbs)}
            best = single(judge, done)
            if best is not None and climbs and climbs[-1].trials:
                column, climb = best
                gap = judge.gap(climbs[-1].scores, climb.scores)
                facts["together"]["single"] = {"column": column, "name": climb.rung.name, **gap}
            facts["together"]["advice"] = joint_advice(facts)
    for column in facts["columns"]:
        column["advice"] = column_advice(facts, column)
    return facts


def _climb(bench: Bench, rung: Rung, judge: Judge, progress: Progress, bar: Bar, where: str) -> Climb:
    """The trials of a rung, one a seed; none where one of them breaks."""
    climb = Climb(rung)
    fixed_alone = rung.kind != LEARNED and len(rung.encoders) == 1
    for place in range(len(bench.seeds)):
        bar.advance(0, f"{where}: {rung.name}")
        try:
            climb.trials.append(run(bench, rung, place, choose=fixed_alone))
        except Exception as error:  # a missing extra, whatever a library raises: the others go on
            climb.trials.clear()
            rung.error = str(error) if isinstance(error, PlaitError) else f"{type(error).__name__}: {error}"
            bar.advance(len(bench.seeds) - place)
            break
        bar.advance(1)
    if climb.trials:
        said = rung_line(judge.main, rungs_json(judge, [climb])[0])
    else:
        said = f"not tried: {rung.error}"
    progress.say(f"{where}: {rung.name}: {said}")
    return climb


def _joint(done: Sequence[tuple[Ladder, list[Climb]]]) -> list[Rung]:
    """All columns together: the best classic encoder of each, and the best pretrained one where there is one."""
    best = {
        kind: {f.column: chosen(climbs, kind, f.modality) for f, climbs in done} for kind in ("classic", "pretrained")
    }
    found = []
    for kind in ("classic", "pretrained"):
        each = {c: best[kind][c] or best["classic"][c] or best["pretrained"][c] for c in best[kind]}
        encoders = {c: climb.rung.encoders[c] for c, climb in each.items() if climb is not None}
        if encoders and any(best[kind].values()):
            found.append(Rung(f"best {kind} of each", kind, encoders))
    return found


def _check_any(done: Sequence[tuple[Ladder, list[Climb]]]) -> None:
    """Raises PlaitError where no rung of any column could be tried."""
    climbs = [c for _, each in done for c in each]
    if not any(c.trials for c in climbs):
        raise PlaitError(f"No encoder could be tried. The first one, {climbs[0].rung.name}: {climbs[0].rung.error}")


def _only(schema: Schema, columns: str | Sequence[str] | None) -> Schema:
    """The schema with these inputs alone."""
    if columns is None:
        return schema
    wanted = [columns] if isinstance(columns, str) else list(columns)
    for name in wanted:
        if name not in schema.inputs:
            raise unknown("input column", name, schema.inputs)
    kept = [
        replace(c, role="skip", reason="not among the columns to be compared")
        if c.role == "input" and c.name not in wanted
        else c
        for c in schema.columns
    ]
    return Schema(tuple(kept))


def _one(schema: Schema) -> str:
    if len(schema.targets) != 1:
        raise PlaitError(f"Encoders are compared for one target; found {', '.join(schema.targets)}. Choose one.")
    return next(iter(schema.targets))


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    """The seeds, in order."""
    found = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not found or any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in found):
        raise PlaitError(f"seeds is {seeds!r}; expected how many, from 1, or a list of whole numbers from 0.")
    return found
