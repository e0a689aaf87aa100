"""plait.shots: how a table's score grows with the examples a class, for several learners on the same prepared streams."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plait.comparing.account import Judge, Score, about
from plait.comparing.bench import Bench, Ready
from plait.comparing.figures import Figure, clear, over_rows, over_splits, student, within
from plait.comparing.shotspage import shots_page
from plait.comparing.shotstext import named, shots_text
from plait.comparing.trial import data_of, figures, made
from plait.data.table import read_table
from plait.errors import OutputError, PlaitError
from plait.inference import answers
from plait.learners import LEARNERS
from plait.preparation import Dataset
from plait.progress import Progress
from plait.report import words
from plait.report.content import plain
from plait.request import read_schema, read_specs, split_options, with_own_split
from plait.spec import Spec
from plait.training.options import Options
from plait.training.parallel import refuse_several
from plait.training.signals import heeded

Facts = dict[str, Any]
Scores = dict[
    tuple[str, "int | None", int], "Score | str"
]  # way, examples a class, seed -> figures, or why there are none
SHOTS = (1, 2, 4, 8, 16, None)
WAYS = ("prototypes", "knn", "logistic", "ridge")
NEARLY = 0.9  # of the gain of all rows over knowing nothing


@dataclass
class Shots:
    """What was found, as plain JSON: "curves", one a way, with their "points" of so many examples a class; "floor"."""

    facts: Facts

    def to_json(self) -> Facts:
        """Everything as one JSON-able object."""
        return self.facts

    def save_html(self, path: str | Path) -> Path:
        """Writes the page, one file that needs nothing else. Raises OutputError."""
        page, path = shots_page(self.facts), Path(path).expanduser()
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_text(page, encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from None
        return path

    def __str__(self) -> str:
        return shots_text(self.facts)


def shots(
    table: Any,
    targets: str | Sequence[str],
    *,
    shots: Sequence[int | None] = SHOTS,
    ways: str | Sequence[Spec] = WAYS,
    encoders: str | Mapping[str, Spec] = "auto",
    seeds: int | Sequence[int] = 5,
    inputs: str | Sequence[str] | Mapping[str, str | None] | None = None,
    modalities: Mapping[str, str] | None = None,
    split: str | Mapping[str, Any] | None = None,
    max_bad: float = 0.05,
    base: str | Path | None = None,
    quiet: bool = False,
) -> Shots:
    """How many examples does it take? Learns from a few training rows of every class, then from more, each draw holding the
    one before it, and judges all on the same test rows.

    table, encoders, inputs, modalities, split, max_bad, base: as in plait.fit; encoders must have nothing to train. targets: one
        column of categories.
    shots: examples a class, drawn from the training rows; None takes all rows that plait.fit would learn from, those for
        validation too. ways: learners, by name or spec.
    seeds: how many, or which; each draws a split of its own (unless the split is given or by time), and its own examples.
        Intervals are over splits (Nadeau & Bengio 2003), or over the rows judged and the draws where there is one split.

    Encoders learn what they know beforehand (a vocabulary, a scale) from all training rows, without their labels. A way
    that breaks at some point is told with its reason. Raises PlaitError when the table or an option cannot be used, and
    when nothing could be tried.
    """
    refuse_several("plait.shots")
    progress, how = Progress(quiet=quiet), split_options(split)
    counts, by_title, which = _counts(shots), _ways(ways), _seeds(seeds)
    source = read_table(table, base=base)
    how = with_own_split(source, how, targets, inputs)
    schema = read_schema(source, targets, inputs, modalities, how)
    target, kind = next(iter(schema.targets.items()))
    if len(schema.targets) != 1 or kind != "category":
        found = ", ".join(f"{t} ({k})" for t, k in schema.targets.items())
        raise PlaitError(f"Examples are counted by class: expected one target of categories, found {found}.")
    progress.say("\n".join([f"{source.name}: {len(source)} rows", *source.notices, str(schema)]))
    with heeded(), tempfile.TemporaryDirectory(prefix="plait-shots-") as root:
        judging = next(iter(by_title.values()))
        options = Options.of({}, epochs=None)
        bench = Bench(source, schema, target, how, options, judging, which, Path(root), max_bad, cached=True)
        if any(bench.judged(place)[0] != 2 for place in range(len(which))):
            raise PlaitError("The split leaves no test row to judge on. Give it some: split={'test': 0.3} (--test).")
        given = {"*": encoders} if isinstance(encoders, str) else dict(encoders)
        parts = read_specs(schema, given, "average", {}, judging, progress)["inputs"]
        counts, draws, left = _draws(bench, counts)
        scores = _tried(bench, parts, by_title, counts, draws, progress)
        facts = _facts(bench, by_title, counts, draws, scores, left)
    facts["columns"] = [{"name": c, "modality": schema.inputs[c], "encoder": p} for c, p in parts.items()]
    return Shots(plain(facts))


def _counts(given: Sequence[int | None]) -> list[int | None]:
    """Examples a class, each once, from few to all."""
    counts = [given] if isinstance(given, int) else list(given)
    for count in counts:
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise PlaitError(f"shots holds {count!r}; expected whole numbers from 1, and None for all rows.")
    if not counts:
        raise PlaitError("shots is empty; expected how many examples a class, such as (1, 2, 4, None).")
    return sorted(set(counts), key=lambda c: math.inf if c is None else c)


def _ways(given: str | Sequence[Spec]) -> dict[str, dict[str, Any]]:
    """Title -> spec of a learner."""
    found: dict[str, dict[str, Any]] = {}
    for way in [given] if isinstance(given, (str, Mapping)) else given:
        spec = LEARNERS.normal(way)
        title = ", ".join([spec["name"], *(f"{k}={v}" for k, v in spec.items() if k != "name")])
        if title in found:
            raise PlaitError(f"Asked for twice: {title}. Give each once.")
        found[title] = spec
    if not found:
        raise PlaitError(f"ways is empty; expected learners, such as {', '.join(WAYS)}.")
    return found


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    found = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not found or any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in found):
        raise PlaitError(f"seeds is {seeds!r}; expected how many, from 1, or a list of whole numbers from 0.")
    return found


def _draws(bench: Bench, counts: list[int | None]) -> tuple[list[int | None], list[list[np.ndarray]], list[int]]:
    """The counts that some class can meet; by seed, the training rows of each class in the order in which they are drawn, so that
    more examples hold the fewer; and the counts that no class can meet."""
    draws = []
    for place, seed in enumerate(bench.seeds):
        rows = bench.known(place, 0)
        rows = rows[np.random.default_rng([seed, len(rows)]).permutation(len(rows))]
        classes = bench.targets[place][rows].numpy()
        draws.append([rows[classes == c] for c in range(len(bench.heads[place].names))])
    most = max(len(rows) for each in draws for rows in each)
    left = [c for c in counts if c is not None and c > most]
    return [c for c in counts if c not in left] or [None], draws, left


def _parts(bench: Bench, place: int, each: Sequence[np.ndarray], count: int | None) -> np.ndarray:
    """(rows,) 0 for those learned from, -1 for the others; with all rows, the split as it is."""
    if count is None:
        return bench.parts[place]
    parts = np.full(len(bench.table), -1, dtype=np.int8)
    parts[np.concatenate([rows[:count] for rows in each])] = 0
    return parts


def _tried(
    bench: Bench,
    encoders: Mapping[str, Any],
    ways: Mapping[str, Any],
    counts: Sequence[int | None],
    draws: Sequence[Sequence[np.ndarray]],
    progress: Progress,
) -> Scores:
    """Every way at every count on every split."""
    found: Scores = {}
    with progress.timed("Prepared every column"):
        ready = [{c: bench.ready(c, p, i) for c, p in encoders.items()} for i in range(len(bench.seeds))]
    with progress.bar("Learning", len(draws) * len(counts) * len(ways), unit="fits") as bar:
        for place, each in enumerate(draws):
            data = data_of(bench, ready[place], place)
            for count in counts:
                parts = _parts(bench, place, each, count)
                for title, way in ways.items():
                    bar.advance(0, f"{title}, {named(count)}")
                    try:
                        found[title, count, place] = _trial(bench, encoders, way, ready[place], data, parts, place)
                    except Exception as error:  # whatever a library raises: the others go on
                        said = str(error) if isinstance(error, PlaitError) else f"{type(error).__name__}: {error}"
                        found[title, count, place] = said
                    bar.advance(1)
    if all(isinstance(s, str) for s in found.values()):
        (title, *_), why = next(iter(found.items()))
        raise PlaitError(f"Nothing could be tried. The first, {title}: {why}")
    return found


def _trial(
    bench: Bench,
    encoders: Mapping[str, Any],
    way: Spec,
    ready: Mapping[str, Ready],
    data: Dataset,
    parts: np.ndarray,
    place: int,
) -> Score:
    specs, (_, rows) = bench.specs(encoders, way), bench.judged(place)
    model = made(bench, bench.spec(ready, specs, place), specs, data, parts, place)
    return figures(bench, next(iter(answers(model, data, rows).values()))[bench.target], rows, place)


def spread(judge: Judge, values: Sequence[float], draws: Sequence[np.ndarray]) -> Figure:
    """The mean over seeds with its 95 % interval: over splits; with one split, over its rows and the draws of examples, whose
    variances add up."""
    if judge.bench.drawn:
        return over_splits(values, judge.share, draws)
    figure = over_rows(values, draws)
    value, low, high = figure["value"], figure["low"], figure["high"]
    if len(values) < 2 or value is None:
        return figure
    half = student(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    below, above = (0.0, 0.0) if low is None or high is None else (value - low, high - value)
    return {"value": value, "low": value - math.hypot(below, half), "high": value + math.hypot(above, half)}


def _facts(
    bench: Bench,
    ways: Mapping[str, Any],
    counts: Sequence[int | None],
    draws: Sequence[Sequence[np.ndarray]],
    scores: Scores,
    left: Sequence[int],
) -> Facts:
    """Everything that was found."""
    judge, places = Judge(bench), range(len(bench.seeds))
    top = np.inf if judge.main in words.IN_UNITS else 1.0
    facts = {k: v for k, v in about(judge).items() if k != "learner"}
    names, sizes = bench.heads[0].names, {}
    facts["shots"], facts["curves"] = [], []
    for count in counts:
        sizes[count] = float(np.mean([_rows(bench, i, draws[i], count) for i in places]))
        short = {n: min(len(draws[i][c]) for i in places) for c, n in enumerate(names)} if count else {}
        short = {n: rows for n, rows in short.items() if rows < (count or 0)}
        facts["shots"].append({"shots": count, "rows": sizes[count], "short": short})
    for title, way in ways.items():
        curve: Facts = {"name": title, "learner": way, "points": []}
        for count in counts:
            each = [scores[title, count, i] for i in places]
            wrong = next((s for s in each if isinstance(s, str)), None)
            fine = [s for s in each if not isinstance(s, str)]
            point: Facts = {
                "shots": count,
                "rows": sizes[count],
                "error": wrong,
                "value": None,
                "low": None,
                "high": None,
            }
            if wrong is None:
                figure = spread(judge, [m[judge.main] for m, _ in fine], [d for _, d in fine])
                point.update(within(figure, 0.0, top), seeds=[m[judge.main] for m, _ in fine])
                point["metrics"] = {n: float(np.mean([m[n] for m, _ in fine])) for n in fine[0][0]}
            curve["points"].append(point)
        facts["curves"].append(curve)
    facts["left_out"], facts["classes"] = list(left), len(names)
    facts["largest"] = max(len(rows) for each in draws for rows in each)
    facts["advice"] = _advice(facts, judge, scores)
    return facts


def _rows(bench: Bench, place: int, each: Sequence[np.ndarray], count: int | None) -> int:
    if count is None:
        return len(bench.known(place, 0)) + len(bench.known(place, 1))
    return sum(min(count, len(rows)) for rows in each)


def _advice(facts: Facts, judge: Judge, scores: Scores) -> str:
    """What to take with few examples, from where on nearly all is there, and whether more would help."""
    metric, best = facts["metric"], []
    for place, step in enumerate(facts["shots"]):
        fine = [(c["points"][place]["value"], c["name"], c["points"][place]) for c in facts["curves"]]
        fine = [f for f in fine if f[0] is not None]
        if fine:
            best.append((step, *max(fine, key=lambda f: judge.sign * f[0])[1:]))

    def gap(one: tuple[str, int | None], other: tuple[str, int | None]) -> int:
        pairs = [(scores[(*one, i)], scores[(*other, i)]) for i in range(len(judge.bench.seeds))]
        both = [(a, b) for a, b in pairs if not isinstance(a, str) and not isinstance(b, str)]
        values = [judge.sign * (a[0][metric] - b[0][metric]) for a, b in both]
        return clear(spread(judge, values, [judge.sign * (a[1] - b[1]) for a, b in both]))

    (step, name, point), (last, winner, end) = best[0], best[-1]
    rivals = [c["name"] for c in facts["curves"] if c["name"] != name and c["points"][0]["value"] is not None]
    same = (
        [r for r in rivals if gap((name, step["shots"]), (r, step["shots"])) == 0] if step is facts["shots"][0] else []
    )
    told = f", not to be told from {words.listed(same)}" if same else ""
    said = [f"With {named(step['shots'])}, {name} comes out best: {words.figure_words(metric, point)}{told}."]
    if len(best) > 1:
        said.append(f"With {named(last['shots'])}, {winner} does: {words.figure_words(metric, end)}.")
        gain = end["value"] - facts["floor"]["value"]
        near = [s for s, _, p in best[:-1] if (p["value"] - facts["floor"]["value"]) * gain >= NEARLY * gain**2]
        if near and near[0]["shots"]:
            said.append(
                f"From {named(near[0]['shots'])} on, {words.percent(NEARLY)} of that gain over knowing nothing is there."
            )
        before, prior, _ = best[-2]
        more = gap((winner, last["shots"]), (prior, before["shots"])) > 0
        said.append(
            f"From {named(before['shots'])} to {named(last['shots'])} it still grew: more labels are likely to help."
            if more
            else f"From {named(before['shots'])} to {named(last['shots'])} no growth is sure."
        )
    return " ".join(said)
