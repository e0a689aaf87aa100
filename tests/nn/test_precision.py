"""bfloat16 for frozen networks: taken where it is near, the same in any batch and faster, and nowhere else. Chips that do not
compute in it imitate it, so that what it says can be tested on any; how fast it is there means nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import tiny
from tests.conftest import picture, tone

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import UnknownNameError
from plait.nn import precision
from plait.preparation import fingerprint
from plait.types import Wave

pytest.importorskip("transformers")
CELLS: dict[str, list[Any]] = {
    "text": ["a ripe tomato", "the deep blue sea of long grass"],
    "image": [picture(40, 30), picture(32, 32)],
    "audio": [Wave(tone(440, 0.7).astype(np.float32), 16_000)],
}
MAKE: dict[str, Callable[..., Path]] = {"text": tiny.bert, "image": tiny.vit, "audio": tiny.whisper}


def built(folder: Path, kind: str, **options: Any) -> Encoder:
    spec = ENCODERS.complete({"name": f"{kind}_pretrained", "weights": str(folder), **options}, [])
    encoder: Encoder = ENCODERS.build(json.loads(json.dumps(spec)))
    return encoder.eval()


def states(encoder: Encoder, kind: str) -> np.ndarray:
    return np.concatenate([p["states"] for p in encoder.prepare(CELLS[kind])]).astype(np.float64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[..., Path]], Path]:
    """The folder of a tiny network, made once."""
    return cache(lambda make: make(tmp_path_factory.mktemp(make.__name__)))


@pytest.fixture
def fast_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chip that computes in it, and twice as fast."""
    monkeypatch.setattr(precision, "chip_can", lambda: True)
    times = cycle([2.0] * precision.TURNS + [1.0] * precision.TURNS)  # 32 bits are timed first
    monkeypatch.setattr(precision, "_seconds", lambda work: next(times))


@pytest.mark.parametrize("kind", MAKE)
def test_it_says_the_same_within_its_bits_and_lies_on_a_shelf_of_its_own(kind: str, made: Any) -> None:
    folder = made(MAKE[kind])
    whole, half = built(folder, kind, precision="fp32"), built(folder, kind, precision="bf16")
    a, b = states(whole, kind), states(half, kind)
    assert not np.array_equal(a, b)  # it was really computed so
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert cosine.min() > 0.995  # eight bits: 2^-8 a number
    assert fingerprint(kind, whole) != fingerprint(kind, half)


@pytest.mark.parametrize("kind", MAKE)
def test_where_it_is_near_the_same_in_any_batch_and_faster_it_is_taken(
    kind: str, made: Any, monkeypatch: pytest.MonkeyPatch, fast_chip: None
) -> None:
    monkeypatch.setattr(precision, "NEAR", 0.99)  # random weights of 16 numbers a layer lose more than trained ones
    folder = made(MAKE[kind])
    monkeypatch.setattr(
        torch, "equal", lambda a, b: True
    )  # a chip that only imitates it may round otherwise in a batch
    found = fingerprint(kind, built(folder, kind))
    assert found == fingerprint(kind, built(folder, kind, precision="bf16"))
    assert found != fingerprint(kind, built(folder, kind, precision="fp32"))


@pytest.mark.parametrize(
    "fault", ["not near", "not the same in a batch", "not faster", "the chip cannot", "it is tuned"]
)
def test_else_it_is_not(fault: str, made: Any, monkeypatch: pytest.MonkeyPatch, fast_chip: None) -> None:
    folder, options = made(tiny.bert), {}
    monkeypatch.setattr(precision, "NEAR", 2.0 if fault == "not near" else 0.99)
    monkeypatch.setattr(torch, "equal", lambda a, b: fault != "not the same in a batch")
    if fault == "not faster":
        monkeypatch.setattr(precision, "_seconds", lambda work: 1.0)
    if fault == "the chip cannot":
        monkeypatch.setattr(precision, "chip_can", lambda: False)
    if fault == "it is tuned":
        options = {"tune": "lora"}
    found = built(folder, "text", **options)
    assert found.preparation == built(folder, "text", precision="fp32", **options).preparation


def test_another_word_for_it_is_refused(made: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"precision 'bf61'.*bf16"):
        built(made(tiny.bert), "text", precision="bf61")
