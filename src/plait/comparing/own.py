"""Rungs of the user's own beside those that a ladder has by itself: what they are called, and what kind each is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch

from plait.comparing.bench import Bench
from plait.comparing.rungs import CLASS, FROZEN, KINDS, LEARNED, TUNED, Ladder, Rung
from plait.encoders import ENCODERS
from plait.errors import PlaitError, unknown
from plait.spec import Spec

Own = dict[str, list[Rung]]


def asked(bench: Bench, rungs: Mapping[str, Spec | Sequence[Spec]]) -> Own:
    """Column -> its rungs, checked by name and option before any work is done. A list is several of them. Raises
    PlaitError."""
    if not isinstance(rungs, Mapping):
        raise PlaitError(f"rungs is {rungs!r}; expected {{column: encoder}} or {{column: [encoder, encoder]}}.")
    found: Own = {}
    for column, given in rungs.items():
        if column not in bench.schema.inputs:
            raise unknown("input column", column, bench.schema.inputs)
        each = given if isinstance(given, (list, tuple)) else [given]
        parts = [bench.specs({column: part}, None)["inputs"][column] for part in each]
        found[column] = [Rung(title(part), LEARNED, {column: part}) for part in parts]
    return found


def title(part: Spec) -> str:
    """An encoder in a line: its weights or its name, then its other options."""
    if not isinstance(part, Mapping):
        return str(part)
    options = dict(part)
    name = options.pop("name")
    first = options.pop("weights", name)
    if "parts" in options:
        first = " + ".join(map(title, options.pop("parts")))
    if "encoder" in options:
        first = title(options.pop("encoder"))
    return ", ".join([str(first), *(f"{key}={value}" for key, value in options.items())])


def joined(bench: Bench, found: Ladder, own: Iterable[Rung]) -> Ladder:
    """The ladder with rungs of the user's own, each behind the others of its kind; one that it has already is not tried
    twice. Their cells are prepared for the first split, since only then it is known whether they have anything to train."""
    there = [ENCODERS.normal(rung.encoders[found.column]) for rung in found.rungs]
    rungs = list(found.rungs)
    for rung in own:
        part = ENCODERS.normal(rung.encoders[found.column])
        if part not in there:
            there.append(part)
            _settle(bench, rung, found.column)
            rungs.append(rung)
    return Ladder(found.column, found.modality, sorted(rungs, key=lambda r: KINDS.index(r.kind)), found.absent)


def _settle(bench: Bench, rung: Rung, column: str) -> None:
    """Tells the kind of a rung by what is built, or why it cannot be tried."""
    try:
        spec = bench.ready(column, rung.encoders[column], 0).spec
        with torch.random.fork_rng():
            encoder = ENCODERS.build(spec, outside=True)
    except Exception as error:  # a missing extra, weights that are not here, whatever a library raises
        rung.kind, rung.error = FROZEN if ENCODERS.takes(rung.encoders[column], "weights") else CLASS, reason(error)
        return
    parameters = list(encoder.parameters())
    known = bool(encoder.nets or encoder.rates)  # of weights
    rung.through = bool(encoder.rates)
    if any(parameter.requires_grad for parameter in parameters):
        rung.kind = TUNED if known else LEARNED
    else:
        rung.kind = FROZEN if known or parameters else CLASS


def reason(error: Exception) -> str:
    """Why a rung could not be tried."""
    return str(error) if isinstance(error, PlaitError) else f"{type(error).__name__}: {error}"
