"""The trials of a comparison of fusions: each entry on each split, on all cores, kept as they end so that none is run twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch

from plait import __version__, robustness
from plait.comparing.bench import Bench
from plait.comparing.entries import Entry
from plait.comparing.trial import data_of, made
from plait.errors import PlaitError
from plait.inference import masked
from plait.progress import Progress
from plait.training.identity import digest

Facts = dict[str, Any]


@dataclass
class Outcome:
    """What one entry said of one split's held-out rows, and what it took; or why it could not be tried."""

    answer: np.ndarray  # (n, ...)
    facts: Facts  # seconds, parameters, weights by column, curves of missing cells; "error" where there is no answer


@dataclass
class Contest:
    """Entries and splits, and the folder that keeps what has been run."""

    bench: Bench
    encoders: dict[str, Any]  # column -> encoder
    entries: Sequence[Entry]
    folder: Path
    curves: bool = True

    def run(self, progress: Progress, jobs: int) -> dict[tuple[str, int], Outcome]:
        """(name of the entry, place of the seed) -> outcome, from the folder where it has been run before."""
        every = [(entry, place) for place in range(len(self.bench.seeds)) for entry in self.entries]
        found: dict[tuple[str, int], Outcome] = {}
        todo = []
        for entry, place in every:
            kept = _read(self.path(entry, place))
            if kept is not None:
                found[entry.name, place] = kept
            else:
                todo.append((entry, place))
        if found:
            progress.say(f"{len(found)} of {len(every)} trials were run before and are not run again.")
        with progress.bar("Comparing", len(every), unit="trials", start=len(found)) as bar:
            for entry, place, outcome in _spread(self, todo, jobs):
                found[entry.name, place] = outcome
                bar.advance(1, entry.name)
        return found

    def trial(self, entry: Entry, place: int) -> Outcome:
        """One entry on the split of one seed."""
        bench = self.bench
        own = {c: self.encoders[c] for c in entry.columns}
        specs = bench.specs(own, entry.learner, entry.fusion or "average")
        ready = {column: bench.ready(column, part, place) for column, part in specs["inputs"].items()}
        spec = bench.spec(ready, specs, place)
        data, (_, rows) = data_of(bench, ready, place), bench.judged(place)
        began, spent = time.perf_counter(), time.process_time()
        model = made(bench, spec, specs, data, bench.parts[place], place)
        seconds, processor = time.perf_counter() - began, time.process_time() - spent
        whole = [dict.fromkeys(entry.columns, np.ones(len(rows), bool))]
        masked(
            model,
            data,
            rows[:256],
            whole[:1] if len(rows) <= 256 else [dict.fromkeys(entry.columns, np.ones(256, bool))],
        )
        began = time.perf_counter()
        answer = masked(model, data, rows, whole)[0][bench.target]
        speed = len(rows) / max(time.perf_counter() - began, 1e-9)
        facts: Facts = {
            "seconds": seconds,
            "cpu_seconds": processor,
            "rows_per_second": speed,
            "parameters": _size(model),
            "weights": model.weights(),
        }
        if self.curves and len(entry.columns) > 1:
            seed = bench.seeds[place]
            facts["curves"] = robustness.curves(model, data, rows, columns=entry.columns, seed=seed)[bench.target]
        return Outcome(answer, facts)

    def _groups(self) -> str | None:
        """A hash of the column that says which rows belong together."""
        name = self.bench.how.get("group")
        return digest(repr(self.bench.table.column(name)).encode()) if name else None

    def path(self, entry: Entry, place: int) -> Path:
        """The file of one trial: its name follows from everything the outcome depends on."""
        bench = self.bench
        about = {
            "plait": __version__,
            "torch": torch.__version__,
            "entry": entry.to_json(),
            "seed": bench.seeds[place],
            "how": bench.how,
            "groups": self._groups(),
            "parts": digest(bench.parts[place].tobytes()),
            "labels": digest(bench.targets[place].numpy().tobytes()),
            "options": bench.options.to_json(),
            "encoders": {c: self.encoders[c] for c in entry.columns},
            "cells": {
                c: bench.ready(c, bench.specs({c: self.encoders[c]}, None)["inputs"][c], place).cells.digest()
                for c in entry.columns
            },
            "curves": self.curves,
        }
        return self.folder / f"trial-{digest(json.dumps(about, sort_keys=True, default=str).encode())}.safetensors"


def _size(model: Any) -> int:
    """Numbers that were learned: parameters, and what learners keep; running averages are not among them."""
    parameters = sum(p.numel() for p in model.parameters())
    buffers = sum(b.numel() for n, b in model.named_buffers() if n.startswith("top.learners"))
    return int(parameters + buffers)


_SHARED: tuple[Contest, Sequence[tuple[Entry, int]]] | None = None  # for the forks of this process


def _spread(contest: Contest, todo: Sequence[tuple[Entry, int]], jobs: int) -> Iterator[tuple[Entry, int, Outcome]]:
    """The outcomes as they come: in forks with one thread each, or one by one where forks cannot be."""
    global _SHARED
    jobs = min(jobs, len(todo))
    if jobs < 2 or "fork" not in multiprocessing.get_all_start_methods() or torch.cuda.is_available():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in forks: figures and seconds are the same
        try:
            for entry, place in todo:
                yield entry, place, _tried(contest, entry, place)
        finally:
            torch.set_num_threads(threads)
        return
    _SHARED = contest, todo
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork"), initializer=_alone)
    try:
        with warnings.catch_warnings():  # forks beside threads: these are a progress bar's, and hold nothing of ours
            warnings.simplefilter("ignore", DeprecationWarning)
            waiting = {pool.submit(_forked, i): pair for i, pair in enumerate(todo)}
        for done in as_completed(waiting):
            entry, place = waiting[done]
            try:
                outcome = done.result()
            except BrokenProcessPool:
                outcome = Outcome(
                    np.zeros(0), {"error": "its process was killed, perhaps for want of memory: try jobs=1"}
                )
            yield entry, place, outcome
    finally:
        _SHARED = None
        pool.shutdown(wait=True, cancel_futures=True)


def _alone() -> None:
    """What a fork does first. One thread, so that forks do not crowd the cores nor wait for threads that were not forked; Ctrl-C
    is its parent's to heed: a trial that has begun is ended and kept."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _forked(number: int) -> Outcome:
    assert _SHARED is not None
    contest, todo = _SHARED
    return _tried(contest, *todo[number])


def _tried(contest: Contest, entry: Entry, place: int) -> Outcome:
    """A trial, kept when it has ended; where it breaks, why: the others go on."""
    try:
        outcome = contest.trial(entry, place)
    except Exception as error:  # whatever a library raises
        said = str(error) if isinstance(error, PlaitError) else f"{type(error).__name__}: {error}"
        return Outcome(np.zeros(0), {"error": said})
    _write(contest.path(entry, place), outcome)
    return outcome


def _read(path: Path) -> Outcome | None:
    """What a file keeps; None where there is none, or it is damaged."""
    try:
        raw = path.read_bytes()
        size = int.from_bytes(raw[:8], "little")
        facts = json.loads(json.loads(raw[8 : 8 + size])["__metadata__"]["facts"])
        return Outcome(safetensors.numpy.load(raw)["answer"], facts)
    except (OSError, ValueError, KeyError, safetensors.SafetensorError):
        return None


def _write(path: Path, outcome: Outcome) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(safetensors.numpy.save({"answer": outcome.answer}, {"facts": json.dumps(outcome.facts)}))
    os.replace(part, path)
