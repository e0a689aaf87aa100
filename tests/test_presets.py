"""Encoders by a word or a name: near names, weights of another modality, what is said of each choice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from plait.encoders import ENCODERS
from plait.errors import PlaitError, UnknownNameError
from plait.nn.efficientnet import EfficientNetLite
from plait.presets import named
from plait.weights.find import own_folder
from tests import tiny
from tests.conftest import picture

pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has no weights, and no network."""
    for name in ("PLAIT_WEIGHTS", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def efficientnet(folder: Path) -> Path:
    """EfficientNet-Lite0 with random numbers, as it is converted."""
    folder.mkdir(parents=True)
    state = {k: v.contiguous() for k, v in EfficientNetLite().state_dict().items() if "num_batches" not in k}
    safetensors.torch.save_file(state, folder / "model.safetensors")
    about = {"size": {"height": 64, "width": 64}, "resample": 3, "rescale_factor": 1 / 255}
    about |= {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "config.json").write_text(json.dumps({"model_type": "efficientnet-lite", "hidden_size": 1280}))
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder


# Names


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("text", "all-MiniLM-L6-v3", "all-MiniLM-L6-v2"),
        ("text", "tfdif", "tfidf"),
        ("text", "text_tfidff", "text_tfidf"),
        ("image", "efficientnet-lite", "efficientnet-lite0"),
        ("audio", {"name": "wisper-base", "layer": 1}, "whisper-base"),
        ("text", ["tfidf", "all-MiniLM-L6"], "all-MiniLM-L6-v2"),
        ("text", "tfidf+all-MiniLM-L6", "all-MiniLM-L6-v2"),
        ("number", "perodic", "periodic"),
    ],
    ids=str,
)
def test_a_mistyped_name_of_an_encoder_or_of_weights_is_told_the_nearest(kind: str, name: Any, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{near}'"):
        named(name, kind)


def test_a_name_of_weights_that_the_column_cannot_take_is_not_offered_again() -> None:
    with pytest.raises(UnknownNameError, match="'all-MiniLM-L6-v2'") as caught:
        named("all-MiniLM-L6-v2", "number")
    assert "Did you mean 'all-MiniLM" not in str(caught.value)


def test_a_folder_of_weights_needs_no_slash_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.bert(tmp_path / "words")
    monkeypatch.chdir(tmp_path)
    assert named("words", "text") == {"name": "text_pretrained", "weights": "words"}
    encoder = ENCODERS.build(ENCODERS.complete(named("words", "text"), []))
    assert encoder.prepare(["a ripe tomato"])[0]["states"].shape == (1, 16)


# Weights of another modality


@pytest.mark.parametrize(
    ("kind", "make", "said"),
    [
        ("text", tiny.whisper, "'whisper' reads audio, not text"),
        ("image", tiny.whisper, "'whisper' reads audio, not image"),
        ("text", tiny.wav2vec2, "'wav2vec2' reads audio, not text"),
        ("text", tiny.vit, "'vit' reads image, not text"),
        ("audio", tiny.vit, "'vit' reads image, not audio"),
        ("audio", efficientnet, "'efficientnet-lite' reads image, not audio"),
        ("image", tiny.bert, "'bert' reads text, not image"),
        ("video", tiny.bert, "'bert' reads text, not video"),
        ("audio", tiny.gpt2, "'gpt2' reads text, not audio"),
        ("image", tiny.videomae, "'videomae' reads video, not image"),
        ("audio", tiny.clip, "reads text and image, not audio"),
    ],
)
def test_weights_of_another_modality_are_refused(kind: str, make: Any, said: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "weights")
    with pytest.raises(PlaitError, match=said):
        ENCODERS.complete({"name": f"{kind}_pretrained", "weights": str(folder)}, [])


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("text", "whisper-base", "'whisper-base' read audio, not text.*all-MiniLM-L6-v2"),
        ("video", "whisper-base", "'whisper-base' read audio, not video.*efficientnet-lite0"),
        ("audio", "silero-vad", "no encoder"),
    ],
)
def test_weights_of_the_catalogue_say_what_they_read(kind: str, name: str, said: str) -> None:
    tiny.whisper(own_folder() / name)
    with pytest.raises(PlaitError, match=said):
        ENCODERS.complete({"name": f"{kind}_pretrained", "weights": name}, [])


def test_networks_of_our_own_run_without_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    folder = efficientnet(tmp_path / "lite")
    spec = {"name": "image_pretrained", "weights": str(folder)}
    before = ENCODERS.build(ENCODERS.complete(spec, [])).prepare([picture(40, 48)])[0]["states"]
    monkeypatch.setitem(sys.modules, "transformers", None)
    after = ENCODERS.build(ENCODERS.complete(spec, [])).prepare([picture(40, 48)])[0]["states"]
    np.testing.assert_array_equal(before, after)
