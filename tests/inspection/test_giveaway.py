"""Columns that give the target away, gaps that tell it, ids and constants: found when planted, and only then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats  # comes with scikit-learn, the oracle
from tests.conftest import encoded
from tests.inspection.planted import clean, kinds, look, one, scene

from plait.inspection.missingness import _chi_chance

CODES = {"red": "R-7", "green": "G-1", "blue": "B-3"}


def given_away(frame: pd.DataFrame, target: str = "kind", **options: object) -> list[tuple[str, str]]:
    return [(g["column"], g["rule"]) for g in look(frame, target, **options).facts["gives_away"]]


def test_a_copy_of_the_target_is_found_whatever_its_case() -> None:
    frame = clean(100)
    assert given_away(frame.assign(again=frame["kind"].str.upper() + " ")) == [("again", "equal")]


def test_another_name_for_each_class_is_found_even_with_slips() -> None:
    frame = clean(300)
    code = frame["kind"].map(CODES)
    code[::100] = "R-7"
    assert given_away(frame.assign(code=code)) == [("code", "table")]


def test_a_label_inside_a_text_is_found() -> None:
    frame = clean(100)
    frame["note"] = frame["note"] + " (" + frame["kind"] + ")"
    assert given_away(frame) == [("note", "holds")]


def test_a_number_that_says_it_all_is_found() -> None:
    frame = clean(200)
    score = frame["kind"].map({"red": 0, "green": 5, "blue": 9}) + np.random.default_rng(0).normal(0, 0.2, 200)
    assert given_away(frame.assign(score=score)) == [("score", "number")]


def test_a_number_that_a_number_target_is_made_of_is_found() -> None:
    frame = clean(200).drop(columns="kind")
    price = np.exp(frame["size"]) + np.random.default_rng(0).normal(0, 0.001, 200)
    assert given_away(frame.assign(price=price), "price") == [("size", "explains")]


def test_the_size_of_the_files_is_found_as_a_short_cut(tmp_path: Path) -> None:
    frame = clean(60)
    for i, kind in enumerate(frame["kind"]):
        side = {"red": 40, "green": 48, "blue": 56}[kind]
        (tmp_path / f"p{i}.png").write_bytes(encoded(np.asarray(Image.fromarray(scene(i)).resize((side, 44)))))
    frame["picture"] = [f"p{i}.png" for i in range(60)]
    found = look(frame, base=tmp_path)
    assert [(g["column"], g["rule"], g["figure"]) for g in found.facts["gives_away"]] == [("picture", "file", "width")]
    assert "same size" in one(found, "gives_away").way_out


@pytest.mark.parametrize("seed", range(5))
def test_what_only_helps_gives_nothing_away(seed: int) -> None:
    frame = clean(300, seed)
    generator = np.random.default_rng(seed)
    hint = np.where(generator.random(300) < 0.85, frame["kind"].map(CODES), "R-7")
    rare = np.where(generator.random(300) < 0.01, "yes", "no")
    assert given_away(frame.assign(hint=hint, rare=rare, code=generator.integers(0, 200, 300))) == []
    assert given_away(frame.assign(rare=rare), "rare") == []


def test_a_rare_class_is_not_given_away_by_always_saying_the_other() -> None:
    frame = clean(1500)
    rare = np.where(np.random.default_rng(0).random(1500) < 0.012, "yes", "no")
    assert 10 < (rare == "yes").sum() < 30 and given_away(frame.assign(rare=rare), "rare") == []


def test_ids_constants_and_empty_columns_are_told_and_are_worse_when_chosen() -> None:
    frame = clean(60).assign(key=[f"A{i:04d}" for i in range(60)], number=range(100, 160), unit="cm", none=None)
    found = look(frame)
    assert kinds(found) == ["constant", "empty_column", "id", "id"] == kinds(found, "note")
    chosen = look(frame, inputs=["key", "number", "unit", "size"])
    assert kinds(chosen, "warning") == ["constant", "id", "id"]


def test_gaps_that_tell_the_target_are_found() -> None:
    frame = clean(200)
    frame.loc[(frame["kind"] == "red") & (np.arange(200) % 4 != 0), "size"] = np.nan
    finding = one(look(frame), "telling_gaps")
    assert finding.columns == ("size", "kind") and "of 'red'" in finding.text and "0 % of the rest" in finding.text


def test_gaps_that_tell_a_number_are_found() -> None:
    frame = clean(200).assign(price=np.linspace(0, 9, 200))
    frame.loc[:50, "place"] = None
    assert one(look(frame, "price"), "telling_gaps").columns == ("place", "price")


@pytest.mark.parametrize("seed", range(8))
def test_gaps_by_chance_tell_nothing(seed: int) -> None:
    frame = clean(45, seed)
    frame.loc[np.random.default_rng(seed).random(45) < 0.4, "size"] = np.nan
    assert "telling_gaps" not in kinds(look(frame))


def test_rows_without_any_input_are_told() -> None:
    frame = clean(60)
    frame.loc[[3, 4], ["note", "size", "place"]] = None
    assert one(look(frame), "empty_rows").text.startswith("2 rows of 60")


@pytest.mark.parametrize(("chi", "freedom"), [(3.8, 1), (20.0, 4), (30.0, 2), (60.0, 15)])
def test_the_chance_of_a_chi_square_is_near_scipy(chi: float, freedom: int) -> None:
    assert np.log10(_chi_chance(chi, freedom)) == pytest.approx(np.log10(stats.chi2.sf(chi, freedom)), rel=0.1, abs=0.1)
