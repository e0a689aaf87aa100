"""Splits: shares, strata, groups, time, a column, and seeds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plait.data.split import by_chance, by_column, by_time
from plait.errors import PlaitError, TableError

SEEDS = pytest.mark.parametrize("seed", range(5))


def shares(parts: np.ndarray) -> list[float]:
    return [float((parts == p).mean()) for p in range(3)]


@SEEDS
@pytest.mark.parametrize("n", [10, 97, 1000])
@pytest.mark.parametrize("fractions", [(0.15, 0.15), (0.2, 0.0), (0.0, 0.3), (0.0, 0.0), (0.4, 0.4)])
def test_parts_have_their_shares_to_within_one_row(seed: int, n: int, fractions: tuple[float, float]) -> None:
    valid, test = fractions
    assert shares(by_chance(n, fractions=fractions, seed=seed)) == pytest.approx(
        [1 - valid - test, valid, test], abs=1.01 / n
    )


@SEEDS
def test_each_class_has_its_share_to_within_one_row_in_each_part(seed: int) -> None:
    sizes = {"a": 200, "b": 101, "c": 17, "d": 9, "e": 3}
    strata = np.random.default_rng(seed).permutation([k for k, n in sizes.items() for _ in range(n)]).tolist()
    parts = by_chance(len(strata), fractions=(0.2, 0.15), seed=seed, strata=strata)
    for name, size in sizes.items():
        found = Counter(parts[[s == name for s in strata]].tolist())
        assert abs(found[2] - 0.15 * size) <= 1
        # the second draw takes its share of what the first one left, so two roundings meet
        assert abs(found[1] - 0.2 * size) <= 1.5
        assert found[0] >= 1
    assert shares(parts) == pytest.approx([0.65, 0.2, 0.15], abs=3 / len(strata))


@SEEDS
def test_a_class_of_one_row_is_for_training(seed: int) -> None:
    strata = ["common"] * 50 + ["rare", "scarce"] + ["both"] * 2
    parts = by_chance(54, fractions=(0.3, 0.3), seed=seed, strata=strata)
    assert parts[50] == parts[51] == 0 and 0 in parts[52:]


def test_however_much_is_tested_each_class_is_learned() -> None:
    assert sorted(by_chance(4, fractions=(0.0, 0.9), seed=0, strata=["a", "a", "b", "b"]).tolist()) == [0, 0, 2, 2]


def test_strata_with_gaps_and_of_mixed_kinds() -> None:
    strata: list[Any] = [None, "1", 1, 2.5] * 10
    parts = by_chance(40, fractions=(0.2, 0.2), seed=0, strata=strata)
    assert all(Counter(parts[i::4].tolist()) == {0: 6, 1: 2, 2: 2} for i in range(4))


@SEEDS
def test_no_group_is_in_two_parts_and_shares_are_near(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = [f"g{int(g)}" for g in generator.integers(0, 80, 1200)]
    strata = [f"s{int(s)}" for s in generator.integers(0, 3, 1200)]
    for given in (None, strata):
        parts = by_chance(1200, fractions=(0.2, 0.15), seed=seed, groups=groups, strata=given)
        for group in set(groups):
            assert len(set(parts[[g == group for g in groups]].tolist())) == 1
        largest = max(Counter(groups).values()) / 1200
        assert shares(parts) == pytest.approx([0.65, 0.2, 0.15], abs=1.5 * largest)
    for stratum in set(strata):
        assert shares(parts[[s == stratum for s in strata]]) == pytest.approx([0.65, 0.2, 0.15], abs=0.05)


def test_groups_that_hold_one_class_each_are_spread() -> None:
    groups = [i // 10 for i in range(400)]
    strata = ["ab"[g % 2] for g in groups]
    parts = by_chance(400, fractions=(0.2, 0.2), seed=0, groups=groups, strata=strata)
    for part in range(3):
        assert set(np.array(strata)[parts == part]) == {"a", "b"}


@pytest.mark.parametrize("groups", [1, 2])
def test_too_few_groups_are_refused(groups: int) -> None:
    with pytest.raises(TableError, match=rf"in {groups} group\(s\).*at least 3"):
        by_chance(20, fractions=(0.2, 0.2), seed=0, groups=[i % groups for i in range(20)])


def test_as_many_groups_as_parts_are_enough() -> None:
    assert sorted(set(by_chance(30, fractions=(0.3, 0.3), seed=0, groups=[i % 3 for i in range(30)]).tolist())) == [
        0,
        1,
        2,
    ]
    assert sorted(set(by_chance(30, fractions=(0.0, 0.3), seed=0, groups=[i % 2 for i in range(30)]).tolist())) == [
        0,
        2,
    ]


def test_seeds_repeat_and_differ() -> None:
    strata, groups = [i % 4 for i in range(300)], [i % 60 for i in range(300)]
    for options in ({}, {"strata": strata}, {"groups": groups}, {"groups": groups, "strata": strata}):
        draws = [by_chance(300, fractions=(0.2, 0.2), seed=s, **options) for s in (1, 1, 2)]  # type: ignore[arg-type]
        assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_rows_leave_some_to_train_on(n: int) -> None:
    parts = by_chance(n, fractions=(0.15, 0.15), seed=0)
    assert len(parts) == n and (n == 0 or 0 in parts)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.9, 0.2), (-0.1, 0.2), (0.0, 1.0), (float("nan"), 0.1)], ids=str)
def test_impossible_fractions_are_refused(fractions: tuple[float, float]) -> None:
    with pytest.raises(PlaitError, match="Fractions"):
        by_chance(10, fractions=fractions, seed=0)
    with pytest.raises(PlaitError, match="Fractions"):
        by_time(list(range(10)), fractions=fractions, name="t")


DAYS = pd.date_range("2019-12-25", periods=20)
TIMES: dict[str, list[Any]] = {
    "whole": list(range(20)),
    "text": [str(i) for i in range(20)],
    "mixed": [str(i) if i % 2 else i for i in range(20)],
    "stamps": list(DAYS),
    "dates": [d.date() for d in DAYS],
    "iso": [d.isoformat() for d in DAYS],
    "zones": [
        d.strftime("%Y-%m-%dT12:00+02:00") if i % 2 else d.strftime("%Y/%m/%d 12:00") for i, d in enumerate(DAYS)
    ],
    "numpy": list(DAYS.to_numpy()),
}


@pytest.mark.parametrize("kind", TIMES)
def test_the_earliest_train_and_the_latest_test(kind: str) -> None:
    order = np.random.default_rng(0).permutation(20)
    parts = by_time([TIMES[kind][i] for i in order], fractions=(0.25, 0.2), name="t")
    assert parts[np.argsort(order)].tolist() == [0] * 11 + [1] * 5 + [2] * 4


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NaT, pd.NA, "soon", ""], ids=repr)
@pytest.mark.parametrize("kind", ["whole", "stamps", "iso"])
def test_a_row_without_a_time_is_named(kind: str, gap: Any) -> None:
    values = [*TIMES[kind][:4], gap, *TIMES[kind][5:]]
    with pytest.raises(TableError, match="Column 'when', row 4: found"):
        by_time(values, fractions=(0.2, 0.2), name="when")


def test_a_column_says_the_parts() -> None:
    values = [
        "train",
        "Val",
        " test ",
        "DEV",
        "training",
        None,
        "",
        float("nan"),
        pd.NA,
        "validation",
        "valid",
        "testing",
    ]
    assert by_column(values, name="s").tolist() == [0, 1, 2, 1, 0, -1, -1, -1, -1, 1, 1, 2]
    with pytest.raises(TableError, match="Column 's', row 1: found 'trian'"):
        by_column(["train", "trian"], name="s")
    with pytest.raises(TableError, match="no row for training"):
        by_column(["test", None], name="s")
