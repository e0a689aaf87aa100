"""What a model is worth when cells are missing: hidden at the rate that is said, nested, the high ones first where that is asked;
what is planted is found, and the figures are those of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait
from plait import robustness
from plait.data.table import read_table
from plait.drift import PlaitWarning
from plait.evaluation import evaluate, missing_cells
from plait.predictor import Predictor
from plait.preparation import Dataset
from plait.progress import Progress
from plait.robustness import AT_RANDOM, BY_VALUE, HOWS, RATES, at, curves, hidden

MANY = 40_000


def ranks(n: int) -> np.ndarray:
    order = np.random.default_rng(5).permutation(n)
    return (order + 0.5) / n


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rate", RATES)
def test_as_many_cells_are_hidden_as_is_said(rate: float, how: str) -> None:
    share = hidden(ranks(MANY), rate, how, seed=[1, 2]).mean()
    spread = np.sqrt(rate * (1 - rate) / MANY)  # of independent draws; of draws of unlike chances it is at most that
    assert abs(share - rate) <= 4.5 * spread + 1e-12


@pytest.mark.parametrize("how", HOWS)
def test_what_is_hidden_at_one_rate_stays_hidden_at_the_next(how: str) -> None:
    each = [hidden(ranks(2000), rate, how, seed=[3]) for rate in (*RATES, 1.0)]
    assert all((more | ~less).all() for less, more in pairwise(each))
    assert not each[0].any() and each[-1].all()
    assert (hidden(ranks(2000), 0.5, how, seed=[3]) == each[RATES.index(0.5)]).all()
    assert (hidden(ranks(2000), 0.5, how, seed=[4]) != each[RATES.index(0.5)]).any()


@pytest.mark.parametrize("rate", RATES[1:])
def test_by_value_the_high_ones_go_first(rate: float) -> None:
    rank = ranks(MANY)
    seen = [np.corrcoef(rank, hidden(rank, rate, how, seed=[7]))[0, 1] for how in (AT_RANDOM, BY_VALUE)]
    slope = min(2 * rate, 2 * (1 - rate))  # of the chance of a cell over its rank
    expected = slope * rank.std() / np.sqrt(rate * (1 - rate))  # cov(rank, chance) = slope var(rank)
    assert abs(seen[0]) < 4.5 / np.sqrt(MANY) and seen[1] == pytest.approx(expected, abs=4.5 / np.sqrt(MANY))


@dataclass
class Case:
    """A model of two columns of which one decides, and rows to judge it on."""

    frame: pd.DataFrame
    made: Predictor
    data: Dataset
    rows: np.ndarray
    columns: list[str]


@pytest.fixture(scope="module")
def case() -> Case:
    draw, n = np.random.default_rng(0), 400
    kind = np.arange(n) % 2
    frame = pd.DataFrame(
        {
            "told": np.where(kind == 1, 1.0, -1.0) + draw.normal(0, 0.1, n),
            "junk": draw.normal(0, 1, n),
            "kind": np.where(kind == 1, "yes", "no"),
            "size": 10.0 * kind + draw.normal(0, 0.5, n),
        }
    )
    made = plait.fit(frame, ["kind", "size"], learner="logistic", quiet=True)
    data, _ = made._dataset(read_table(frame), Progress(quiet=True), allow_missing=False, labelled=True)
    return Case(frame, made, data, np.arange(0, n, 3), list(made.inputs))


def found(case: Case, *, seed: int = 0) -> dict[str, dict[str, Any]]:
    return curves(case.made.model, case.data, case.rows, columns=case.columns, seed=seed)


def test_with_nothing_hidden_and_with_everything_it_is_the_evaluation(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robustness, "RATES", (0.0, 0.5, 1.0))
    result = evaluate(case.made.model, case.data, case.rows, columns=case.columns)
    for target, facts in found(case).items():
        figures = {s: f[facts["metric"]]["value"] for s, f in result.targets[target].figures.items()}
        whole = tuple(case.columns)
        assert facts["rows"] == len(case.rows) and facts["floor"] == figures[()] != figures[whole]
        assert {(c["column"], c["how"]) for c in facts["curves"]} == set(product([*case.columns, None], HOWS))
        for how, column in product(HOWS, [*case.columns, None]):
            assert at(facts, 0.0, column=column, how=how)["value"] == figures[whole]
            rest = tuple(c for c in case.columns if c != column) if column else ()
            assert at(facts, 1.0, column=column, how=how)["value"] == figures[rest]


def test_the_column_that_decides_is_told_from_the_one_that_does_not(case: Case) -> None:
    facts, n = found(case)["kind"], len(case.rows)
    full, alone = at(facts, 0.0)["value"], facts["floor"]
    assert full > 0.97 and alone < 0.65
    for rate in RATES:
        share = at(facts, rate, column="told")["value"]
        assert share == pytest.approx(full - rate * (full - 0.5), abs=4 * np.sqrt(0.25 / n))
        assert at(facts, rate, column="junk")["value"] > 0.95
    point = at(facts, 0.7, column="told")
    assert point["low"] < point["value"] < point["high"]
    off = at(found(case)["size"], 0.9, column="told")["value"]
    assert off > 4 * at(found(case)["size"], 0.0)["value"]


@pytest.mark.parametrize("how", HOWS)
def test_a_figure_is_that_of_the_model_that_does_not_see_the_cells(case: Case, how: str) -> None:
    rows = case.rows
    place = sorted(case.columns).index("told")
    rank = case.frame["told"][rows].rank().to_numpy() - 0.5
    gone = hidden(rank / len(rows), 0.5, how, seed=[0, place])
    frame = case.frame.iloc[rows].reset_index(drop=True)
    frame.loc[gone, "told"] = np.nan
    with pytest.warns(PlaitWarning, match="'told'"):
        right = (case.made.predict(frame)["kind"] == frame["kind"]).mean()
    assert at(found(case)["kind"], 0.5, column="told", how=how)["value"] == pytest.approx(right, abs=1e-12)


def test_the_same_seed_gives_the_same_figures(case: Case) -> None:
    assert found(case) == found(case) != found(case, seed=1)
    case.made.model.train()
    try:
        again = found(case)
        assert case.made.model.training
    finally:
        case.made.model.eval()
    assert again == found(case)


def test_of_many_rows_so_many_are_judged(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "MOST_ROWS", 50)
    monkeypatch.setattr(robustness, "MOST_COLUMNS", 1)
    facts = found(case)["kind"]
    assert facts["rows"] == 50 and [c["column"] for c in facts["curves"]] == [*case.columns[:1]] * 2 + [None] * 2


def test_what_a_fit_judges_says_what_is_left(case: Case) -> None:
    model, columns = case.made.model, case.columns
    told = case.made.record["evaluation"]["targets"]
    assert all(f["missing"]["rows"] == f["rows"] for f in told.values())
    assert told["kind"]["missing"]["curves"][-1]["column"] is None
    for rows, among in ((case.rows[:9], columns), (case.rows, columns[:1]), (case.rows, columns * 16)):
        assert missing_cells(model, case.data, rows, columns=among) == {}
    result = evaluate(model, case.data, case.rows, columns=columns)
    assert "missing" not in str(result) and result.to_json()["targets"]["kind"]["missing"] is None
    result.missing = missing_cells(model, case.data, case.rows, columns=columns)
    most, none = (at(result.missing["kind"], rate)["value"] for rate in (0.7, 0.0))
    assert f"  accuracy with 70 % of all cells missing: {most:.3f} of {none:.3f}\n" in str(result)
    assert str(result).count("of all cells missing") == 2
    assert result.to_json()["targets"]["size"]["missing"] == result.missing["size"]
