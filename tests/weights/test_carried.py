"""The weights that packages carry, beside what their makers' own code, transformers and librosa compute; converted from made-up
files, and (slow) the real ones."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tests import tiny
from tests.conftest import picture, tone
from tests.online import online

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.nn.efficientnet import EfficientNetLite
from plait.nn.processing import speaker_windows
from plait.nn.speaker import GE2E
from plait.samples import debian
from plait.types import Wave
from plait.weights import convert, fetch
from plait.weights.catalogue import CATALOGUE, Package

transformers = pytest.importorskip("transformers")

RATE = 16_000
LITE = Package(
    "efficientnet-lite-pytorch",
    "0.1.0",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    {f"efficientnet_lite_pytorch/{name}.py": "" for name in ("__init__", "model", "utils")},
)  # the code that the weights were packed for


def built(kind: str, weights: Path | str, **options: Any) -> Encoder:
    spec = {"name": f"{kind}_pretrained", "weights": str(weights), "precision": "fp32", **options}
    encoder: Encoder = ENCODERS.build(ENCODERS.complete(spec, []))
    return encoder.eval()


def states(encoder: Encoder, cells: Sequence[Any]) -> list[np.ndarray]:
    return [p["states"].astype(np.float32) for p in encoder.prepare(cells)]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one.ravel() @ other.ravel() / np.linalg.norm(one) / np.linalg.norm(other))


def sentences(folder: Path, texts: Sequence[str]) -> list[np.ndarray]:
    """The mean over the tokens of each, by transformers alone."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tokenizer.backend_tokenizer.no_padding()
    net = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        ids = [torch.tensor([tokenizer.backend_tokenizer.encode(t).ids]) for t in texts]
        return [net(input_ids=i, attention_mask=torch.ones_like(i)).last_hidden_state[0].mean(0).numpy() for i in ids]


def moved(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state of a network, no number of it where it starts."""
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand(tensor.shape))
    return {k: v.clone() for k, v in net.state_dict().items()}


# Converted


def test_a_sentence_bert_is_the_mean_over_its_tokens(tmp_path: Path) -> None:
    origin, folder = tiny.bert(tmp_path / "origin"), tmp_path / "made"
    folder.mkdir()
    convert.sentence_bert([origin / n for n in ("config.json", "model.safetensors", "tokenizer.json")], folder)
    texts = ["a ripe tomato", "the deep blue sea and the long story"]
    for found, expected in zip(states(built("text", folder), texts), sentences(origin, texts)):
        np.testing.assert_allclose(found[0], expected, rtol=2e-3, atol=2e-3)


def test_the_parameters_of_an_efficientnet_go_where_they_belong(tmp_path: Path) -> None:
    net = EfficientNetLite().eval()
    state, theirs = moved(net), {"_fc.weight": torch.ones(3, 1280), "_fc.bias": torch.ones(3)}
    outer = {"stem.0": "_conv_stem", "stem.1": "_bn0", "head.0": "_conv_head", "head.1": "_bn1"}
    inner = {
        "expand": ("_expand_conv", "_bn0"),
        "depthwise": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    for name, tensor in state.items():
        part, _, own = name.rpartition(".")
        if block := re.fullmatch(r"blocks\.(\d+)\.(\w+)\.([01])", part):
            theirs[f"_blocks.{block[1]}.{inner[block[2]][int(block[3])]}.{own}"] = tensor
        else:
            theirs[f"{outer[part]}.{own}"] = tensor
    torch.save(theirs, tmp_path / "net.pth")
    (tmp_path / "made").mkdir()
    convert.efficientnet_lite([tmp_path / "net.pth"], tmp_path / "made")
    pixels = picture(224, 224, 5)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = net(((torch.from_numpy(pixels) / 255 - mean) / std).permute(2, 0, 1)[None])[0].flatten(1).mean(1)
    (found,) = states(built("image", tmp_path / "made"), [pixels])
    np.testing.assert_allclose(found[0], expected, rtol=2e-3, atol=2e-3 * float(expected.abs().max()))


def test_a_speaker_encoder_is_what_its_file_holds(tmp_path: Path) -> None:
    net = GE2E().eval()
    state = {**moved(net), "similarity_weight": torch.ones(1)}
    torch.save({"step": 1, "model_state": state}, tmp_path / "net.pt")
    (tmp_path / "made").mkdir()
    convert.ge2e([tmp_path / "net.pt"], tmp_path / "made")
    wave = Wave(tone(300, 2.5) * tone(3, 2.5), RATE)
    with torch.no_grad():
        expected = net(torch.from_numpy(speaker_windows(wave.samples)))[0, 0].numpy()
    (found,) = states(built("audio", tmp_path / "made"), [wave])
    np.testing.assert_allclose(found[0], expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("seconds", [0.3, 1.6, 2.0, 3.7])
def test_a_speaker_is_heard_in_the_mel_spectrum_of_librosa(seconds: float) -> None:
    """As resemblyzer makes it: windows of 25 ms each 10 ms, 40 bands, power, no logarithm; here in windows of 1.6 s."""
    librosa = pytest.importorskip("librosa")
    random = np.random.default_rng(0)
    wave = (0.3 * random.standard_normal(round(seconds * RATE)) * tone(2, seconds)).astype(np.float32)
    whole = librosa.feature.melspectrogram(y=wave, sr=RATE, n_fft=400, hop_length=160, n_mels=40).T
    found = speaker_windows(wave)
    for i, window in enumerate(found):
        part = whole[80 * i : 80 * i + 160]
        np.testing.assert_allclose(window[: len(part)], part, rtol=1e-3, atol=1e-5 * whole.max())
        assert not window[len(part) :].any()
    assert len(found) == max(1, -(-(len(whole) - 80) // 80))
    quiet = 1e-2 * wave  # is raised to -30 dB, as resemblyzer does
    expected = wave * np.sqrt(1e-3 / np.mean(wave**2))
    np.testing.assert_allclose(speaker_windows(quiet), speaker_windows(expected), rtol=1e-2, atol=1e-4)


# The real ones


@pytest.mark.slow
def test_the_real_minilm_knows_what_is_alike(real: Callable[..., Path]) -> None:
    folder = real("all-MiniLM-L6-v2")
    texts = ["cat", "feline", "stock market", "A ripe red tomato lies on the table.", "Une tomate mûre, 番茄!"]
    found = states(built("text", "all-MiniLM-L6-v2"), texts)
    for own, expected in zip(found, sentences(folder, texts)):
        assert cosine(own, expected) > 0.9999
    assert cosine(found[0], found[1]) > 0.5 > 0.25 > cosine(found[0], found[2])


@pytest.mark.slow
def test_the_real_efficientnet_is_that_of_its_maker(
    real: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real("efficientnet-lite0")
    (weights,) = CATALOGUE["efficientnet-lite0"].packages
    with online():
        (parameters,) = fetch._unpack(fetch._download(weights, tmp_path), weights, tmp_path)
        fetch._unpack(fetch._download(LITE, tmp_path), LITE, tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "files")
    maker = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
    theirs = maker.from_pretrained("efficientnet-lite0", weights_path=str(parameters)).eval()
    encoder = built("image", "efficientnet-lite0")
    pictures = [picture(224, 224, 1), picture(150, 300, 2), picture(97, 61, 3)]
    found = states(encoder, pictures)
    for own, pixels in zip(found, pictures):
        (part,) = encoder.pictures.parts([pixels])  # type: ignore[attr-defined]
        with torch.no_grad():
            expected = theirs.extract_features(part.inputs["pixel_values"]).mean((2, 3))[0].numpy()
        np.testing.assert_allclose(own[0], expected, rtol=5e-3, atol=2e-3)
    assert cosine(found[0], found[1]) < 0.99, "the oracle tells pictures apart"


@pytest.mark.slow
def test_the_real_whisper_hears_thirty_seconds_as_transformers_does(real: Callable[..., Path]) -> None:
    folder = real("whisper-base")
    random = np.random.default_rng(0)
    wave = (0.1 * random.standard_normal(30 * RATE) * np.repeat(random.random(300), RATE // 10)).astype(np.float32)
    wave += 0.3 * tone(220, 30.0) * tone(0.7, 30.0)
    own = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    net = transformers.WhisperModel.from_pretrained(folder, dtype=torch.float32).encoder.eval()
    with torch.no_grad():
        out = net(own(wave, sampling_rate=RATE, return_tensors="pt").input_features, output_hidden_states=True)
    for layer, expected in (("last", out.last_hidden_state), (3, out.hidden_states[3])):
        (found,) = states(built("audio", "whisper-base", tokens=True, layer=layer), [Wave(wave, RATE)])
        assert found.shape == expected[0].shape == (1500, 512)
        apart = np.abs(found - expected[0].numpy()).mean() / expected.abs().mean()
        assert apart < 5e-3


@pytest.mark.slow
def test_the_real_speaker_encoder_tells_speakers(real: Callable[..., Path], tmp_path: Path) -> None:
    """One speaks all English prompts of Asterisk, another all French ones; each sound is nearer to others of its speaker."""
    real("ge2e-speaker")
    voices = {}
    for language in ("en", "fr"):
        with online():
            debian.need_tools("asterisk-core-sounds", "")
            package = debian.download(f"asterisk-core-sounds-{language}-wav", tmp_path, str)
        debian.unpack(package, tmp_path / language)
        longest = sorted((tmp_path / language).rglob("*.wav"), key=lambda p: (-p.stat().st_size, p.name))[:10]
        cells = [Wave(*soundfile.read(path, dtype="float32")) for path in longest]
        voices[language] = [s[0] / np.linalg.norm(s) for s in states(built("audio", "ge2e-speaker"), cells)]
    every, who = np.array(voices["en"] + voices["fr"]), np.repeat([0, 1], 10)
    alike = every @ every.T
    same = np.equal.outer(who, who) & ~np.eye(20, dtype=bool)
    assert alike[same].mean() > alike[~same & ~np.eye(20, dtype=bool)].mean() + 0.1
    np.fill_diagonal(alike, -1)
    assert (who[alike.argmax(1)] == who).all()
