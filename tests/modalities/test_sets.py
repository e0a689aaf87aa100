"""Lists of pictures and of texts in one cell: every item as its own modality reads it, broken ones named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import encoded, picture

from plait.errors import MediaError
from plait.modalities import modality
from plait.modalities.several import MOST


@pytest.fixture
def folder(write: Callable[..., Path], tmp_path: Path) -> Path:
    for i in range(3):
        write(f"{i}.png", encoded(picture(8 + i, 9, seed=i)))
    write("bad.png", b"nothing")
    return tmp_path


def read(kind: str, value: Any, folder: Path, **options: Any) -> tuple[Any, list[str]]:
    part, said = modality(kind), []  # type: ignore[var-annotated]
    raw = part.load(value, folder)
    return (None if raw is None else part.read(raw, note=said.append, **options)), said


@pytest.mark.parametrize(
    "value",
    [
        ["0.png", "1.png"],
        ("0.png", "1.png"),
        '["0.png", "1.png"]',
        np.array(["0.png", "1.png"]),
        np.array(["0.png", "1.png"], dtype=object),
        [Path("0.png"), "1.png", None],
    ],
    ids=str,
)
def test_every_way_to_write_a_list_gives_its_pictures(value: Any, folder: Path) -> None:
    cell, said = read("images", value, folder)
    single = modality("image")
    alone = [single.read(single.load(f"{i}.png", folder)) for i in range(2)]
    assert len(cell) == 2 and all(np.array_equal(a, b) for a, b in zip(cell, alone)) and said == []


def test_one_picture_alone_is_a_list_of_one(folder: Path) -> None:
    cell, _ = read("images", "2.png", folder)
    assert [c.shape for c in cell] == [(10, 9, 3)]


@pytest.mark.parametrize("value", [None, [], (), "[]", [None], ["", None], float("nan"), ""], ids=repr)
def test_an_empty_list_is_a_missing_cell(value: Any, folder: Path) -> None:
    assert modality("images").load(value, folder) is None


def test_broken_pictures_are_named_and_the_others_used(folder: Path) -> None:
    cell, said = read("images", ["gone.png", "0.png", "bad.png", "1.png"], folder)
    assert [c.shape[0] for c in cell] == [8, 9]
    assert len(said) == 1 and said[0].startswith("image 1: no such file") and "; image 3: not a picture" in said[0]


def test_a_cell_of_broken_pictures_only_is_bad_and_says_why(folder: Path) -> None:
    with pytest.raises(MediaError, match=r"image 1: no such file .* image 2: no such file"):
        modality("images").load(["a.png", "b.png"], folder)
    with pytest.raises(MediaError, match="image 1: not a picture"):
        read("images", ["bad.png"], folder)
    with pytest.raises(MediaError, match="; and 2 more"):
        modality("images").load([f"{i}.gone" for i in range(5)], folder)


def test_only_so_many_items_are_read_and_used(folder: Path) -> None:
    cell, said = read("images", ["0.png"] * 5, folder, most=3)
    assert len(cell) == 3 and said == ["the first 3 of 5 are used"]
    cell, said = read("images", ["0.png"] * (MOST + 2), folder)
    assert len(cell) == MOST and said == [f"the first {MOST} of {MOST + 2} are read"]
    cell, _ = read("images", ["bad.png", "0.png", "1.png"], folder, most=2)
    assert len(cell) == 2  # what is broken takes no place


def test_what_the_encoder_needs_is_handed_to_the_reader_of_each_picture(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write("large.jpg", encoded(picture(512, 512), "JPEG"))
    cell, _ = read("images", ["large.jpg"], tmp_path, reading={"enough": 64})
    assert min(cell[0].shape[:2]) < 512


def test_the_identity_of_a_cell_is_its_contents_in_order(folder: Path) -> None:
    part = modality("images")
    load = lambda *names: part.load(list(names), folder)  # noqa: E731
    assert load("0.png", "1.png") == load("0.png", "1.png") != load("1.png", "0.png")
    assert len({load("0.png"), load("0.png", "0.png"), load("0.png", "1.png"), load("0.png", "no.png")}) == 4


@pytest.mark.parametrize(
    "value, texts",
    [
        (["one text", "e\u0301"], ("one text", "é")),
        (json.dumps(["a", "番茄"]), ("a", "番茄")),
        (np.array(["a", "b"]), ("a", "b")),
        ("[1] is no list", ("[1] is no list",)),
        ("a text", ("a text",)),
        (["", "a"], ("", "a")),
        (["\ud800"], ("?",)),
        ([1.5, True], ("1.5", "True")),
        ([b"caf\xc3\xa9"], ("café",)),
    ],
    ids=ascii,
)
def test_every_text_of_a_list_is_read_as_a_text(value: Any, texts: tuple[str, ...], tmp_path: Path) -> None:
    assert read("texts", value, tmp_path) == (texts, [])


def test_a_list_within_a_list_is_no_text(tmp_path: Path) -> None:
    assert read("texts", ["a", ["b"]], tmp_path) == (("a",), ["text 2: found a list, expected one text"])
    with pytest.raises(MediaError, match="text 1: found a dict, expected one text"):
        read("texts", [{"a": 1}], tmp_path)
    cell, said = read("texts", ["a", "x" * 200_000], tmp_path)
    assert len(cell[1]) == 100_000 and said == ["text 2: cut after 100,000 of 200,000 characters"]


@pytest.mark.parametrize(
    "values, expected",
    [
        ([["a.png", "b.jpg"], ["c.png"], []] * 4, "images"),
        (['["a.png"]', "[]"] * 5, "images"),
        ([np.array(["a.png", "b.png"])] * 5, "images"),
        ([["a ripe tomato on a table", "and another one of these"]] * 5, "texts"),
        ([["短文" * 30]] * 5, "texts"),
        ([["red", "green"], ["New York"]] * 5, "labels"),
        ([["a.png", "word"], ["b"]] * 5, "labels"),
        ([[], []] * 5, "labels"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_lists_go_to_the_modality_of_what_they_hold(values: list[Any], expected: str) -> None:
    claims = {m: c for m in ("images", "texts", "labels") if (c := modality(m).claim(values, target=False))}
    assert max(claims, key=lambda m: claims[m].strength) == expected
