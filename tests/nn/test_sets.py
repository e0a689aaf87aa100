"""Encoders of lists: what one encoder gives for the items alone, put together by row."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from tests.conftest import cells_of

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import sets
from plait.types import Tokens

INNER = {
    "images": ["image_resnet", {"name": "image_vit", "patch": 16}],
    "texts": ["text_transformer", "text_recurrent"],
}
CASES = [(kind, inner) for kind, inners in INNER.items() for inner in inners]
every_case = pytest.mark.parametrize(("kind", "inner"), CASES, ids=str)


def build(kind: str, inner: Any, **options: Any) -> Encoder:
    name = {"images": "image_set", "texts": "text_set"}[kind]
    spec = ENCODERS.complete({"name": name, "width": 32, "encoder": inner, **options}, cells_of(kind))
    encoder: Encoder = ENCODERS.build(json.loads(json.dumps(spec)))
    return encoder.eval()


def collated(encoder: Encoder, cells: list[Any]) -> Any:
    ready = iter(encoder.prepare([c for c in cells if c is not None]))
    return encoder.collate([None if c is None else next(ready) for c in cells])


@every_case
def test_a_row_has_the_tokens_of_its_items_alone(kind: str, inner: Any) -> None:
    encoder, cells = build(kind, inner), cells_of(kind)
    found = encoder(collated(encoder, cells))
    single: Encoder = encoder.each  # type: ignore[assignment]
    for row, cell in enumerate(cells):
        alone = [single(single.collate(single.prepare([item]))) for item in cell or ()]
        expected = torch.cat([t.x[0][t.mask[0]] for t in alone]) if alone else torch.zeros(0, 32)
        assert torch.allclose(found.x[row][found.mask[row]], expected, atol=1e-5)
        if found.position is not None and alone:
            place = torch.cat([t.position[0][t.mask[0]] for t in alone])  # type: ignore[index]
            assert torch.equal(found.position[row][found.mask[row]].nan_to_num(-1), place.nan_to_num(-1))


@every_case
def test_pooled_tokens_are_the_means_of_the_items(kind: str, inner: Any) -> None:
    encoder, cells = build(kind, inner, pool=True), cells_of(kind)
    whole = build(kind, inner)
    whole.load_state_dict(encoder.state_dict())
    found = encoder(collated(encoder, cells))
    assert found.mask.sum(1).tolist() == [0 if c is None else len(c) for c in cells] and found.position is None
    for row, cell in enumerate(cells):
        for place, item in enumerate(cell or ()):
            tokens = whole(collated(whole, [(item,)]))
            assert torch.allclose(found.x[row, place], tokens.x[0][tokens.mask[0]].mean(0), atol=1e-5)


def test_the_order_of_items_is_the_order_of_tokens_and_nothing_else() -> None:
    encoder, cell = build("images", "image_resnet", pool=True), cells_of("images")[3]
    forth, back = (encoder(collated(encoder, [c])).x[0] for c in (cell, cell[::-1]))
    assert torch.allclose(forth, back.flip(0), atol=1e-5)


def test_what_the_items_teach_is_learned_and_saved_with_the_set() -> None:
    spec = ENCODERS.complete(
        {"name": "text_set", "encoder": {"name": "text_recurrent", "vocabulary": 300}}, cells_of("texts")
    )
    inner = json.loads(spec["inner"])
    assert set(spec) == {"name", "inner"} and inner["name"] == "text_recurrent"
    alone = ENCODERS.complete(
        {"name": "text_recurrent", "vocabulary": 300}, [t for c in cells_of("texts") for t in c or ()]
    )
    assert inner == alone


def test_the_modality_is_told_what_is_needed_of_an_item_and_of_how_many() -> None:
    encoder = build("images", {"name": "image_resnet", "size": 32}, most=3)
    assert encoder.reading == {"reading": {"enough": 32, "side": "longer"}, "most": 3}
    assert encoder.preparation != build("images", {"name": "image_resnet", "size": 48}).preparation


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"name": "image_set", "encoder": "text_recurrent"}, "needs an encoder of image; found 'text_recurrent'"),
        ({"name": "text_set", "encoder": "image_vit"}, "needs an encoder of text"),
        ({"name": "text_set", "encoder": "text_recurent"}, "Did you mean 'text_recurrent'"),
        ({"name": "text_set", "encoder": {"name": "text_recurrent", "dept": 2}}, "Did you mean 'depth'"),
        ({"name": "text_set", "encoder": "os:system"}, "Unknown encoder|cannot be imported|has no"),
        ({"name": "text_set", "encoder": 3}, "is given as a name or as"),
    ],
    ids=str,
)
def test_a_wrong_inner_encoder_is_refused(spec: Any, said: str) -> None:
    with pytest.raises(PlaitError, match=said):
        ENCODERS.complete(spec, cells_of("texts"))


def test_a_saved_set_runs_no_code_of_others() -> None:
    with pytest.raises(PlaitError, match="Unknown encoder"):
        ENCODERS.build({"name": "text_set", "inner": '{"name": "os:system"}'}, outside=True)


def test_items_are_joined_and_parted_again() -> None:
    items = [{"a": torch.rand(n, 2).numpy(), "b": torch.arange(n + 1).numpy()} for n in (3, 1, 4)]
    parts = sets.parted(sets.joined(items))
    assert len(parts) == 3
    assert all((p[k] == i[k]).all() and p[k].shape == i[k].shape for p, i in zip(parts, items) for k in i)


def test_rows_without_any_token_have_none() -> None:
    x, mask = torch.randn(3, 2, 4), torch.tensor([[True, False], [False, False], [True, True]])
    found = sets.regrouped(Tokens(x, mask), torch.tensor([0, 1, 3]), 5, pool=False)
    assert found.mask.tolist() == [[True, False], [False, False], [False, False], [True, True], [False, False]]
    assert torch.equal(found.x[3], x[2]) and torch.equal(found.x[0, 0], x[0, 0]) and not found.x[1:3].any()
