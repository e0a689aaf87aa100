"""Who trains, who validates, who tests: seeded, stratified, by group, by time, or as a column says."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from plait.errors import PlaitError, TableError
from plait.modalities.base import missing

PARTS = ("train", "valid", "test")
_WORDS = {"train": 0, "training": 0, "valid": 1, "val": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}


def by_column(values: Sequence[Any], *, name: str) -> np.ndarray:
    """(rows,) of 0 train, 1 valid, 2 test; -1 for rows whose cell is empty, which take no part. Raises TableError."""
    parts = np.full(len(values), -1, dtype=np.int8)
    for row, value in enumerate(values):
        if missing(value) or value == "":
            continue
        if str(value).strip().lower() not in _WORDS:
            raise TableError(f"Column {name!r}, row {row}: found {value!r}, expected train, valid or test.")
        parts[row] = _WORDS[str(value).strip().lower()]
    if not (parts == 0).any():
        raise TableError(f"Column {name!r} names no row for training. Expected train, valid and test.")
    return parts


def names_parts(values: Sequence[Any]) -> bool:
    """Whether a column says, for each row, who trains and who tests."""
    words = {str(v).strip().lower() for v in values if not missing(v)}
    return words <= set(_WORDS) and {0, 2} <= {_WORDS[w] for w in words}


def by_time(
    values: Sequence[Any], *, fractions: tuple[float, float], name: str, rows: Sequence[int] | None = None
) -> np.ndarray:
    """The earliest rows train, the latest test. `fractions`: of valid and test. Values are ordered as numbers when all
    are numbers, else as dates. `rows`: the rows of the table these are, for the error."""
    import pandas as pd

    _check_fractions(fractions)
    series = pd.Series([None if missing(v) else v for v in values], dtype=object)
    numbers = pd.to_numeric(series, errors="coerce")
    order = numbers if numbers.notna().all() else pd.to_datetime(series, errors="coerce", utc=True, format="mixed")
    if order.isna().any():
        place = int(np.flatnonzero(order.isna())[0])
        row = place if rows is None else rows[place]
        raise TableError(f"Column {name!r}, row {row}: found {values[place]!r}, expected a time or a number.")
    ranked = np.argsort(order.to_numpy(), kind="stable")
    n, (valid, test) = len(ranked), fractions
    parts = np.zeros(n, dtype=np.int8)
    parts[ranked[round(n * (1 - valid - test)) :]] = 1
    parts[ranked[round(n * (1 - test)) :]] = 2
    return parts


def by_chance(
    n: int,
    *,
    fractions: tuple[float, float],
    seed: int,
    strata: Sequence[Hashable] | None = None,
    groups: Sequence[Hashable] | None = None,
) -> np.ndarray:
    """A seeded draw. `strata`: the share of each of these is kept in every part. `groups`: rows of one group stay
    together. `fractions`: of valid and test."""
    _check_fractions(fractions)
    if groups is not None and len(set(groups)) < (needed := 1 + sum(f > 0 for f in fractions)):
        raise TableError(f"The rows are in {len(set(groups))} group(s); a split by group needs at least {needed}.")
    parts = np.zeros(n, dtype=np.int8)
    rows = np.arange(n)
    test = _draw(rows, fractions[1], seed, strata, groups)
    parts[test] = 2
    rest = np.setdiff1d(rows, test)
    parts[_draw(rest, fractions[0] / (1 - fractions[1]), seed + 1, strata, groups)] = 1
    return parts


def _check_fractions(fractions: tuple[float, float]) -> None:
    if not all(0 <= f < 1 for f in fractions):
        raise PlaitError(f"Fractions of valid and test: found {fractions}, expected numbers from 0 to below 1.")
    if sum(fractions) >= 1:
        raise PlaitError(f"Fractions of valid and test add up to {sum(fractions):g}; nothing is left to train on.")


def _draw(
    rows: np.ndarray, fraction: float, seed: int, strata: Sequence[Hashable] | None, groups: Sequence[Hashable] | None
) -> np.ndarray:
    if fraction <= 0 or len(rows) < 2:
        return rows[:0]
    generator = np.random.default_rng([seed, len(rows)])
    wanted = max(1, round(len(rows) * fraction))
    if groups is not None:
        return _draw_groups(rows, wanted, generator, strata, groups)
    shuffled = rows[generator.permutation(len(rows))]
    if strata is None:
        return np.sort(shuffled[:wanted])
    # Rows of one stratum side by side, then every k-th row: each stratum gives its share to within one row, and every
    # stratum keeps its first row in the larger part.
    places: dict[Hashable, list[int]] = {}
    for row in shuffled:
        places.setdefault(strata[row], []).append(int(row))
    quotas = {s: len(r) * wanted / len(rows) for s, r in places.items()}
    take = {s: min(int(q), len(places[s]) - 1) for s, q in quotas.items()}
    spare = sorted(quotas, key=lambda s: (take[s] - quotas[s], str(s)))
    for s in spare[: max(0, wanted - sum(take.values()))]:
        take[s] += take[s] < len(places[s]) - 1
    return np.sort(np.array([row for s, r in places.items() for row in r[: take[s]]], dtype=np.int64))


def _draw_groups(
    rows: np.ndarray,
    wanted: int,
    generator: np.random.Generator,
    strata: Sequence[Hashable] | None,
    groups: Sequence[Hashable],
) -> np.ndarray:
    """Whole groups, put in or out one by one so that the shares of the strata come near to the wanted ones."""
    kinds = {s: i for i, s in enumerate(sorted({strata[r] for r in rows}, key=str))} if strata is not None else {}
    members: dict[Hashable, list[int]] = {}
    for row in rows:
        members.setdefault(groups[row], []).append(int(row))
    counts = {
        g: np.bincount([kinds[strata[r]] if strata is not None else 0 for r in m], minlength=max(1, len(kinds)))
        for g, m in members.items()
    }
    goal = sum(counts.values()) * (wanted / len(rows))
    names = sorted(members, key=str)
    names = [names[i] for i in generator.permutation(len(names))]
    names.sort(key=lambda g: -float(np.std(counts[g])))  # the hardest to place first; sort is stable, so seeded
    miss = lambda have: float((((have - goal) / np.maximum(goal, 1)) ** 2).sum())  # noqa: E731
    taken: set[Hashable] = set()
    have, now, before = np.zeros_like(goal), miss(np.zeros_like(goal)), np.inf
    while now < before - 1e-4:  # put each group in or out where that helps, until none helps much
        before = now
        for g in names:
            other = have - counts[g] if g in taken else have + counts[g]
            if (then := miss(other)) < now and (g in taken or len(taken) < len(names) - 1):
                taken ^= {g}
                have, now = other, then
    if not taken:
        taken = {min(names, key=lambda g: len(members[g]))}
    return np.sort(np.array([r for g in taken for r in members[g]], dtype=np.int64))
