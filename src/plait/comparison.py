"""plait.compare: many fits on the same rows, side by side: every fusion, or the encoders of each column."""

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
from plait.comparing.contest import Contest
from plait.comparing.entries import PLAIN, entries, trainable
from plait.comparing.fusiontext import fusion_advice, fusions_text
from plait.comparing.own import asked, joined, reason
from plait.comparing.rungs import Ladder, Rung, ladder
from plait.comparing.standing import standing
from plait.comparing.tasks import tasks, tasks_text
from plait.comparing.text import rung_line, table_text
from plait.comparing.trial import run
from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.data.table import Table, read_table
from plait.division import draw_split
from plait.encoders import ENCODERS
from plait.errors import OutputError, PlaitError, unknown
from plait.fusion import DEFAULT as FUSION
from plait.learners import LEARNERS
from plait.preparation import read_labels
from plait.progress import Bar, Progress
from plait.report.content import plain
from plait.request import check_metric, read_schema, read_specs, split_options, with_own_split
from plait.spec import Spec
from plait.training.options import Options
from plait.training.parallel import refuse_several
from plait.training.signals import heeded

Facts = dict[str, Any]
IDLE = {
    "encoders": (("fusions", "jobs", "keep"), "Fusions are compared without encoders=True (--encoders)."),
    "several targets": (("rungs", "jobs", "keep"), "These belong to a comparison for one target."),
    "fusions": (("rungs",), "Encoders are compared with encoders=True (--encoders)."),
}  # what is compared -> what it has no use for, and the way out


@dataclass
class Comparison:
    """What was found, as plain JSON. Of fusions "entries", from the best down, with "advice"; of encoders "columns" with their
    "rungs", and "together" for all columns; of several targets "tasks"; "floor" for knowing nothing."""

    facts: Facts

    def to_json(self) -> Facts:
        """Everything as one JSON-able object."""
        return self.facts

    def save_html(self, path: str | Path) -> Path:
        """Writes the page, one file that needs nothing else. Raises OutputError."""
        page = _page(self.facts)
        path = Path(path).expanduser()
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_text(page, encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from None
        return path

    def __str__(self) -> str:
        if "tasks" in self.facts:
            return tasks_text(self.facts)
        return fusions_text(self.facts) if "entries" in self.facts else table_text(self.facts)


def _page(facts: Facts) -> str:
    from plait.comparing import fusionpage, page, taskpage

    if "tasks" in facts:
        return taskpage.task_page(facts)
    return fusionpage.fusion_page(facts) if "entries" in facts else page.comparison_page(facts)


def compare(
    table: Any,
    targets: str | Sequence[str],
    *,
    fusions: str | Sequence[Spec] = "all",
    encoders: bool | str | Mapping[str, Spec] = "auto",
    rungs: Mapping[str, Spec | Sequence[Spec]] | None = None,
    inputs: str | Sequence[str] | Mapping[str, str | None] | None = None,
    modalities: Mapping[str, str] | None = None,
    columns: str | Sequence[str] | None = None,
    learner: Spec = "logistic",
    split: str | Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    seeds: int | Sequence[int] | None = None,
    jobs: int | None = None,
    keep: str | Path | None = None,
    max_bad: float = 0.05,
    base: str | Path | None = None,
    quiet: bool = False,
) -> Comparison:
    """Which fusion, and is fusion worth it at all? Tries every fusion and every learner side by side, on the same splits of the
    same prepared streams, beside each input alone: the main metric with its interval, what it costs, and what is left of it
    when cells are missing.

    table, inputs, modalities, split, training, epochs, max_bad, base: as in plait.fit.
    targets: one column. With several, what each gains or loses by being learned together with the others: alone, and together
        with their losses weighed by each objective; `fusions` then is the one fusion to take.
    fusions: "all", or names and specs of fusions and learners. encoders: as in plait.fit; "auto" takes for every column one with
        nothing to train, pretrained where its weights are on this machine, else classic, so that a trial takes seconds.
    encoders=True compares encoders instead: for each input alone from scratch, every classic one, and every set of weights of
        `plait weights list` that is on this machine; then all inputs together. Nothing is taken from the cache or left in it
        then: what preparing costs is measured. learner: what judges encoders with nothing to train. rungs: column -> encoders
        to try besides, as in plait.fit, one or a list: other weights, from the hub or a folder, other options, a module.
    columns: the inputs that take part; all when None.
    seeds: how many (5; of encoders 1), or which; each draws a split of its own (unless the split is given or by time) and trains
        anew. With one split, intervals are by bootstrap over its test rows, paired; with several, over splits (Nadeau & Bengio
        2003). Which differences between fusions are sure is said for all of them together (Holm 1979).
    jobs: how many trials run at once, one thread each; as many as there are cores when None.
    keep: a folder that keeps each trial of a fusion as it ends: called again after an interruption, or with more seeds or
        fusions, only what is not there is run.

    Raises PlaitError when the table or an option cannot be used or says nothing about this comparison, and when nothing could
    be tried; a trial that fails is told with its reason, the others go on.
    """
    refuse_several("plait.compare")
    progress = Progress(quiet=quiet)
    ladders = encoders is True
    source, how = read_table(table, base=base), split_options(split)
    which = _seeds((1 if ladders else 5) if seeds is None else seeds)
    how = with_own_split(source, how, targets, inputs)
    schema = _only(read_schema(source, targets, inputs, modalities, how), columns)
    several = len(schema.targets) > 1 and not ladders
    what = "encoders" if ladders else "several targets" if several else "fusions"
    _refuse(what, rungs=rungs, fusions=None if fusions == "all" else fusions, jobs=jobs, keep=keep)
    target = next(iter(schema.targets)) if several else _one(schema)
    options = Options.of(training or {}, epochs=epochs)
    check_metric(options.metric, read_specs(schema, None, "average", {}, None, Progress(quiet=True))["outputs"])
    progress.say("\n".join([f"{source.name}: {len(source)} rows", *source.notices, str(schema)]))
    with heeded(), tempfile.TemporaryDirectory(prefix="plait-compare-") as root:
        judging = LEARNERS.normal(learner)
        if several:
            return Comparison(
                plain(_together(source, schema, how, options, which, Path(root), encoders, fusions, max_bad, progress))
            )
        bench = Bench(source, schema, target, how, options, judging, which, Path(root), max_bad, cached=not ladders)
        if ladders:
            return Comparison(plain(_climbed(bench, rungs or {}, progress)))
        folder = Path(root) if keep is None else Path(keep).expanduser()
        return Comparison(plain(_contested(bench, encoders, fusions, folder, jobs, progress)))


def _contested(
    bench: Bench, encoders: Any, fusions: str | Sequence[Spec], folder: Path, jobs: int | None, progress: Progress
) -> Facts:
    """Every fusion and learner on every split."""
    given = {"*": encoders} if isinstance(encoders, (str, bool)) or encoders is None else dict(encoders)
    by_word = given.get("*") in (None, False, "auto")
    specs = read_specs(
        bench.schema, {**given, "*": "auto"} if by_word else given, "average", {}, PLAIN if by_word else None, progress
    )
    parts = specs["inputs"]
    with progress.timed("Prepared every column"):
        ready = [{c: bench.ready(c, part, place) for c, part in parts.items()} for place in range(len(bench.seeds))]
    built = {c: ENCODERS.build(r.spec, outside=True) for c, r in ready[0].items()}
    fixed, width = not trainable(built), sum(e.width for e in built.values())
    every, left = entries(fusions, list(parts), fixed=fixed, width=width)
    contest = Contest(bench, parts, every, folder)
    outcomes = contest.run(progress, jobs or os.cpu_count() or 1)
    if all(o.facts.get("error") for o in outcomes.values()):
        first = every[0].name
        raise PlaitError(f"Nothing could be tried. The first, {first}: {outcomes[first, 0].facts['error']}")
    facts = standing(Judge(bench), every, outcomes, left)
    facts["columns"] = [{"name": c, "modality": bench.schema.inputs[c], "encoder": p} for c, p in parts.items()]
    facts["advice"] = fusion_advice(facts)
    return facts


def _together(
    table: Table,
    schema: Schema,
    how: dict[str, Any],
    options: Options,
    seeds: list[int],
    root: Path,
    encoders: Any,
    fusion: Any,
    max_bad: float,
    progress: Progress,
) -> Facts:
    """Several targets, each alone and all together."""
    labels = {t: read_labels(table, t, kind, Ledger(), schema.options[t]) for t, kind in schema.targets.items()}
    parts = [draw_split(table, schema, labels, how, seed) for seed in seeds]
    fusion = FUSION if fusion == "all" else fusion
    specs = read_specs(schema, None if isinstance(encoders, bool) else encoders, fusion, {}, None, progress)

    def bench(target: str) -> Bench:
        one = replace(schema, columns=tuple(c for c in schema.columns if c.role != "target" or c.name == target))
        return Bench(table, one, target, how, options, PLAIN, seeds, root, max_bad, cached=True, given=parts)

    return tasks({t: bench(t) for t in schema.targets}, specs["inputs"], fusion, progress)


def _refuse(what: str, **given: Any) -> None:
    """Raises PlaitError where something is asked for that this kind of comparison knows nothing of."""
    idle, way = IDLE[what]
    found = [name for name in idle if given[name] is not None]
    if found:
        raise PlaitError(f"A comparison of {what} has no use for {' and '.join(found)}: leave that out. {way}")


def _climbed(bench: Bench, rungs: Mapping[str, Any], progress: Progress) -> Facts:
    """Every rung of every ladder, then all columns together."""
    ladders = [ladder(column, kind) for column, kind in bench.schema.inputs.items()]
    if own := asked(bench, rungs):
        with progress.timed("Prepared the encoders asked for"):
            ladders = [joined(bench, found, own.get(found.column, ())) for found in ladders]
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
            climbs = [_climb(bench, rung, judge, progress, bar, "all columns") for rung in _joint(done)]
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
    for place in range(len(bench.seeds)):
        bar.advance(0, f"{where}: {rung.name}")
        try:
            if rung.error is None:
                climb.trials.append(run(bench, rung, place, choose=len(rung.encoders) == 1))
        except Exception as error:  # a missing extra, whatever a library raises: the others go on
            climb.trials.clear()
            rung.error = reason(error)
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
