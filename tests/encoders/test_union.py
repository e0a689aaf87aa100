"""Several encoders for one column: what each says is there, and the column is still one input."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import cells_of, encoded, picture
from torch import Tensor

import plait
from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError, UnknownNameError
from plait.nn import pooling
from plait.preparation import fingerprint, prepare
from plait.presets import named
from plait.progress import Progress
from plait.spec import parse

QUIET = Progress(quiet=True)
PARTS = ["text_tfidf", "text_transformer"]
FIXED = ["text_tfidf", {"name": "text_word2vec", "width": 16}]


def built(parts: list[Any], kind: str = "text", cells: list[Any] | None = None, **options: Any) -> Encoder:
    cells = cells_of(kind) if cells is None else cells
    spec = ENCODERS.complete({"name": f"{kind}_union", "parts": parts, **options}, cells)
    made: Encoder = ENCODERS.build(spec)
    return made.eval()


def said(encoder: Encoder, cells: list[Any]) -> Any:
    ready = iter(encoder.prepare([c for c in cells if c is not None]))
    return encoder(encoder.collate([None if c is None else next(ready) for c in cells]))


def alone(encoder: Any, i: int, cells: list[Any]) -> Any:
    """What a part of it says by itself."""
    return said(encoder.parts[i], cells)


def test_features_are_the_mean_tokens_side_by_side_each_part_as_long() -> None:
    cells = cells_of("text")
    encoder = built(FIXED)
    found = said(encoder, cells)
    means = [pooling.mean(alone(encoder, i, cells)) for i in range(2)]
    width = sum(m.shape[1] for m in means)
    assert found.x.shape == (len(cells), 1, width) and encoder.width == width and not list(encoder.parameters())
    expected = torch.cat([m * math.sqrt(width / 2 / m.shape[1]) for m in means], 1)
    torch.testing.assert_close(found.x[:, 0], expected)
    assert found.mask[:, 0].tolist() == [c is not None for c in cells]


def test_tokens_are_those_of_each_part_one_after_the_other() -> None:
    cells = cells_of("text")
    encoder = built(PARTS, width=24)
    found, each = said(encoder, cells), [alone(encoder, i, cells) for i in range(2)]
    assert found.x.shape[2] == 24 and encoder.projections is not None
    torch.testing.assert_close(found.mask, torch.cat([e.mask for e in each], 1))
    with torch.no_grad():
        for row in range(len(cells)):
            expected = [linear(e.x[row][e.mask[row]]) for linear, e in zip(encoder.projections, each)]
            torch.testing.assert_close(found.x[row][found.mask[row]], torch.cat(expected))


def test_places_of_tokens_are_kept_where_a_part_knows_them() -> None:
    cells = cells_of("image")
    encoder = built(["image_colour", "image_resnet"], "image")
    found, places = said(encoder, cells), alone(encoder, 1, cells).position
    assert found.position is not None and found.position[:, 0].isnan().all()
    torch.testing.assert_close(found.position[:, 1:], places, equal_nan=True)


@pytest.mark.parametrize(("join", "trained"), [("features", False), ("tokens", True), ("auto", False)])
def test_how_fixed_parts_are_joined_says_whether_something_is_trained(join: str, trained: bool) -> None:
    assert bool(list(built(FIXED, join=join).parameters())) == trained


def test_a_union_of_one_of_others_or_of_nothing_is_refused() -> None:
    for parts in ([], ["text_tfidf"], "text_tfidf", ["text_tfidf", "image_hog"]):
        with pytest.raises(PlaitError, match="union"):
            ENCODERS.complete({"name": "text_union", "parts": parts}, ["a"])
    with pytest.raises(UnknownNameError, match="Did you mean 'text_tfidf'"):
        ENCODERS.complete({"name": "text_union", "parts": ["text_tfdf", "text_transformer"]}, ["a"])
    with pytest.raises(UnknownNameError, match="join"):
        built(FIXED, join="sum")


@pytest.mark.parametrize(
    "part",
    [
        ["tfidf", "transformer"],
        "tfidf+transformer",
        {"name": "tfidf+transformer"},
        {"name": "union", "parts": ["tfidf", "text_transformer"]},
        parse('union:parts=["tfidf","transformer"]'),
        parse("union:parts=[tfidf,transformer]"),
        parse("tfidf+transformer"),
    ],
)
def test_a_union_is_written_in_these_ways(part: Any) -> None:
    found = named(part, "text")
    assert found["name"] == "text_union"
    assert [ENCODERS.normal(p)["name"] for p in found["parts"]] == ["text_tfidf", "text_transformer"]


def test_short_names_and_weights_are_parts_too() -> None:
    found = named("tfidf+all-MiniLM-L6-v2", "text")
    assert found["parts"][1] == {"name": "text_pretrained", "weights": "all-MiniLM-L6-v2"}
    assert (
        named("pretrained", "image")["name"] == "image_pretrained"
        and named("text_recurrent", "text") == "text_recurrent"
    )


@pytest.fixture
def pictures(write: Callable[..., Path], tmp_path: Path) -> Any:
    """Six pictures: the third is broken, the fifth missing."""
    for i in range(6):
        write(f"{i}.png", encoded(picture(20 + i, 30, seed=i)) if i != 2 else b"\x89PNG broken")
    return read_table([{"p": None if i == 4 else f"{i}.png"} for i in range(6)], base=tmp_path)


def test_each_part_is_prepared_for_itself_and_shares_its_cells(pictures: Any) -> None:
    encoder = built(["image_colour", "image_resnet"], "image")
    ledger = Ledger()
    found = prepare(pictures, {"p": encoder}, store=Store(), ledger=ledger, progress=QUIET)["p"]
    assert [(b.row, b.column) for b in ledger.bad] == [(2, "p")] and ledger.filled == {"p": 5}
    assert (found.places >= 0).tolist() == [True, True, False, True, False, True]
    for i, part in enumerate(encoder.parts):
        assert len(Store().shelf(fingerprint("image", part))) == 4
        own = prepare(pictures, {"p": part}, store=Store(), ledger=Ledger(), progress=QUIET)["p"]
        for a, b in zip(found.rows(np.arange(6)), own.rows(np.arange(6))):
            assert (a is None) == (b is None)
            assert a is None or all(np.array_equal(a[f"{i}.{k}"], v) for k, v in (b or {}).items())
    assert found.marks() is not None and found.digest() != own.digest()


def table() -> list[dict[str, Any]]:
    kinds = {"a": "a ripe red tomato fruit", "b": "deep blue sea water wave"}
    random, rows = np.random.default_rng(0), []
    for i in range(80):
        kind = "ab"[i % 2]
        words = random.choice(kinds[kind].split(), 3)
        rows.append({"note": " ".join(words), "size": float(i % 5), "kind": kind})
    return rows


@pytest.mark.parametrize("how", ["learner", "loop"])
def test_a_fit_counts_the_column_once_and_a_saved_model_answers_alike(how: str, tmp_path: Path) -> None:
    options: Any = {"learner": "logistic"} if how == "learner" else {"epochs": 2, "fusion": "attention"}
    parts = ["tfidf", {"name": "word2vec", "width": 16}] if how == "learner" else ["tfidf", "transformer"]
    model = plait.fit(table(), "kind", encoders={"note": parts}, out=tmp_path / "m", quiet=True, **options)
    subsets = {tuple(s["columns"]) for s in model.record["evaluation"]["targets"]["kind"]["subsets"]}
    assert subsets == {("note", "size"), ("note",), ("size",), ()}
    curves = model.record["evaluation"]["targets"]["kind"]["missing"]["curves"]
    assert {c["column"] for c in curves} == {None, "note", "size"}
    rows = [{"note": "red tomato"}, {"size": 1.0}, {"note": None}, {"note": "blue sea", "size": 3.0}]
    again = plait.load(tmp_path / "m")
    first, second = model.predict_proba(rows), again.predict_proba(rows)
    assert np.array_equal(first.iloc[:, :2].to_numpy(), second.iloc[:, :2].to_numpy())
    assert "missing note" in first["status"][1] and list(again.spec["inputs"]) == list(model.spec["inputs"])


def test_the_union_answers_as_two_columns_of_the_same_text_would_be_encoded(tmp_path: Path) -> None:
    """What a learner is given: the vectors of both parts, each as long, and nothing else."""
    model = plait.fit(
        table(), "kind", inputs=["note"], encoders={"note": ["tfidf", {"name": "word2vec", "width": 16}]},
        learner="logistic", quiet=True,
    )  # fmt: skip
    encoder = model.model.encoders["note"]
    x: Tensor = said(encoder, ["red tomato fruit"]).x[0, 0]
    sizes = [p.width for p in encoder.parts]
    halves = [float(h.norm()) for h in x.split(sizes)]
    assert all(h == pytest.approx(halves[0], rel=0.5) for h in halves) and model.figures["kind"]["accuracy"] > 0.9
