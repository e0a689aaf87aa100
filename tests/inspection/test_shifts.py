"""Differences between parts and tables: planted ones are found with what moved, none where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import encoded
from tests.inspection.planted import clean, kinds, look, one, scene


@pytest.mark.parametrize("seed", range(5))
def test_two_draws_of_the_same_kind_do_not_differ(seed: int) -> None:
    found = look(clean(200, seed), against=clean(150, seed + 50))
    assert "drift" not in kinds(found) and set(found.facts["drift"]["against"]["columns"]) == {
        "note",
        "size",
        "place",
        "kind",
    }


def test_a_shifted_number_is_found_with_its_medians() -> None:
    other = clean(200, 1)
    other["size"] += 2.5
    found = one(look(clean(200), against=other), "drift")
    moved = found.figures["moved"][0]
    assert found.columns == ("size",) and moved["figure"] == "value" and moved["after"] - moved["before"] > 1.5


def test_another_spread_with_the_same_mean_is_found() -> None:
    generator = np.random.default_rng(0)
    first, other = (
        clean(200).assign(size=generator.normal(size=200)),
        clean(200, 1).assign(size=generator.normal(0, 4, 200)),
    )
    assert one(look(first, against=other), "drift").columns == ("size",)


def test_other_words_and_names_are_found_and_named() -> None:
    other = clean(200, 1)
    other["note"] = other["note"] + " urgent"
    other["place"] = np.where(np.arange(200) % 3 != 0, "town 99", other["place"])
    found = {f.columns[0]: f for f in look(clean(200), against=other).findings if f.kind == "drift"}
    assert set(found) == {"note", "place"}
    assert "share of 'urgent'" in [m["figure"] for m in found["note"].figures["moved"]]
    assert "share of 'town 99'" in [m["figure"] for m in found["place"].figures["moved"]]


def test_darker_pictures_in_the_test_part_are_found(tmp_path: Path) -> None:
    frame = clean(120).assign(part=["train"] * 60 + ["test"] * 60)
    for i in range(120):
        pixels = scene(i) // (1 if i < 60 else 3)
        (tmp_path / f"p{i}.png").write_bytes(encoded(np.asarray(Image.fromarray(pixels))))
    frame["picture"] = [f"p{i}.png" for i in range(120)]
    found = one(look(frame, split_column="part", base=tmp_path), "drift")
    assert found.columns == ("picture",) and "brightness" in found.text


def test_gaps_on_one_side_are_told() -> None:
    other = clean(200, 1)
    other.loc[:80, "size"] = np.nan
    assert one(look(clean(200), against=other), "drift_gaps").columns == ("size",)


def test_few_rows_say_nothing() -> None:
    other = clean(40, 1)
    other["size"] += 9
    assert look(clean(40), against=other).facts["drift"]["against"]["columns"] == {}
