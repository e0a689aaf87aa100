"""Encoders of pretrained weights, of tiny random networks of every family, beside what transformers itself computes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests import tiny
from tests.conftest import clip, encoded, picture, tone
from torch import Tensor

import plait
from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import pretrained, processing, towers
from plait.preparation import prepare
from plait.progress import Progress
from plait.types import Clip, Prepared, Wave

transformers = pytest.importorskip("transformers")

TEXTS = ["a ripe tomato", "the deep blue sea, and the long story of a house.", "", "fresh", "nummer 9x"]
PICTURES = [picture(40, 48, 1), picture(36, 32, 2), picture(90, 33, 3)]
SOUNDS = [Wave(tone(440, 1.1), 16_000), Wave(tone(900, 0.7) * tone(3, 0.7), 16_000)]
PARTS = {  # where the folder holds more than one network: the part that is compared
    "text": "text_model",
    "image": "vision_model",
    "audio": "audio_model",
}
CLOSE = {"rtol": 2e-3, "atol": 2e-3}  # kept in 16 bits


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[..., Path]], Path]:
    """The folder of a tiny network, made once."""
    return cache(lambda make: make(tmp_path_factory.mktemp(make.__name__)))


def built(folder: Path, kind: str, **options: Any) -> Encoder:
    """An encoder in eval mode."""
    spec = ENCODERS.complete({"name": f"{kind}_pretrained", "weights": str(folder), **options}, [])
    encoder: Encoder = ENCODERS.build(json.loads(json.dumps(spec)))
    return encoder.eval()


def states(encoder: Encoder, cells: Sequence[Any]) -> list[np.ndarray]:
    return [p["states"].astype(np.float32) for p in encoder.prepare(cells)]


def plain(folder: Path, make: Callable[..., Path], kind: str) -> Any:
    """The network as transformers loads it."""
    whole = transformers.AutoModel.from_pretrained(folder).eval()
    return getattr(whole, PARTS[kind]) if make in (tiny.clip, tiny.siglip, tiny.clap, tiny.clap_fusion) else whole


@torch.no_grad()
def layers(net: Any, **inputs: Any) -> list[np.ndarray]:
    """The hidden states of one cell, (N, D) each, those of the last layer as the network gives them."""
    out = net(**inputs, output_hidden_states=True)
    found = [*out.hidden_states[:-1], out.last_hidden_state]
    return [(h[0].flatten(1).T if h.ndim == 4 else h[0]).numpy() for h in found]


def words(folder: Path, make: Callable[..., Path], text: str) -> dict[str, Tensor]:
    own = transformers.AutoTokenizer.from_pretrained(folder)
    how = {"padding": "max_length", "max_length": 18} if make is tiny.siglip else {}
    return dict(own(text, return_tensors="pt", **how))


def compare(folder: Path, kind: str, cells: Sequence[Any], expected: list[list[np.ndarray]], pool: Any) -> None:
    """The last layer, a middle one where there is, and the mix of all; pooled and as tokens. `expected`: cell -> layers."""
    here = built(folder, kind)
    for found, layer in zip(states(here, cells), expected):
        np.testing.assert_allclose(found, pool(layer[-1])[None], **CLOSE)
    for found, layer in zip(states(built(folder, kind, tokens=True), cells), expected):
        np.testing.assert_allclose(found, layer[-1], **CLOSE)
    if here.pretrained.states == 1:
        return
    assert here.pretrained.states == len(expected[0]) == 3
    for found, layer in zip(states(built(folder, kind, layer=1, tokens=True), cells), expected):
        np.testing.assert_allclose(found, layer[1], **CLOSE)
    for found, layer in zip(states(built(folder, kind, layer="mix"), cells), expected):
        np.testing.assert_allclose(found, np.stack([pool(h) for h in layer]), **CLOSE)


# Families


@pytest.mark.parametrize("make", tiny.TEXT, ids=lambda f: f.__name__)
def test_texts_are_those_of_transformers(make: Any, made: Any) -> None:
    folder = made(make)
    net = plain(folder, make, "text")
    expected = [layers(net, **words(folder, make, t)) for t in TEXTS]
    assert not np.allclose(expected[0][-1].mean(0), expected[1][-1].mean(0), atol=0.1), "the oracle tells texts apart"
    compare(
        folder,
        "text",
        TEXTS,
        expected,
        (lambda h: h[-1]) if make in (tiny.clip, tiny.siglip) else (lambda h: h.mean(0)),
    )


def test_the_text_of_clip_is_the_token_that_clip_itself_takes(made: Any) -> None:
    net = plain(made(tiny.clip), tiny.clip, "text")
    with torch.no_grad():
        expected = [net(**words(made(tiny.clip), tiny.clip, t)).pooler_output.numpy() for t in TEXTS]
    for found, pooled in zip(states(built(made(tiny.clip), "text"), TEXTS), expected):
        np.testing.assert_allclose(found, pooled, **CLOSE)


@pytest.mark.parametrize("make", tiny.IMAGE, ids=lambda f: f.__name__)
def test_pictures_are_those_of_transformers(make: Any, made: Any) -> None:
    from PIL import Image

    folder = made(make)
    net, own = plain(folder, make, "image"), transformers.AutoImageProcessor.from_pretrained(folder)
    expected = [layers(net, **own(Image.fromarray(p), return_tensors="pt")) for p in PICTURES]
    first = make in (tiny.vit, tiny.dinov2, tiny.dinov3, tiny.clip)
    compare(folder, "image", PICTURES, expected, (lambda h: h[0]) if first else (lambda h: h.mean(0)))


@pytest.mark.parametrize("make", tiny.AUDIO, ids=lambda f: f.__name__)
def test_sounds_are_those_of_transformers(make: Any, made: Any) -> None:
    folder = made(make)
    net, own = plain(folder, make, "audio"), transformers.AutoFeatureExtractor.from_pretrained(folder)
    ready = [own(s.samples, sampling_rate=16_000, return_tensors="pt") for s in SOUNDS]
    expected = [layers(net, **{k: v for k, v in r.items() if k != "attention_mask"}) for r in ready]
    compare(folder, "audio", SOUNDS, expected, lambda h: h.mean(0))


def test_whisper_is_its_encoder_without_the_padding(made: Any) -> None:
    folder = made(tiny.whisper)
    net, own = plain(folder, tiny.whisper, "audio").encoder, transformers.AutoFeatureExtractor.from_pretrained(folder)
    random = np.random.default_rng(0)
    long = Wave((tone(500, 30.0) * random.random(480_000)).astype(np.float32), 16_000)
    expected = [layers(net, **own(long.samples, sampling_rate=16_000, return_tensors="pt"))]
    assert expected[0][-1].shape == (1500, 16)
    compare(folder, "audio", [long], expected, lambda h: h.mean(0))
    # a short one: the same network, made for as many positions as the sound and half a second of silence have
    short = SOUNDS[0]
    silent = np.pad(short.samples, (0, 8000))
    mel = own(silent, sampling_rate=16_000, return_tensors="pt", padding="longest", truncation=False)["input_features"]
    assert mel.shape[-1] == 160
    positions = net.embed_positions.weight.data
    config = transformers.WhisperConfig(**{**net.config.to_dict(), "max_source_positions": 80})
    small = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    small.load_state_dict({**net.state_dict(), "embed_positions.weight": positions[:80]})
    heard = [h[:55] for h in layers(small, input_features=mel)]
    compare(folder, "audio", [short], [heard], lambda h: h.mean(0))


@pytest.mark.parametrize("make", tiny.VIDEO, ids=lambda f: f.__name__)
def test_clips_are_those_of_transformers(make: Any, made: Any) -> None:
    folder = made(make)
    net, own = plain(folder, make, "video"), transformers.AutoImageProcessor.from_pretrained(folder)
    clips = [clip(4, 40, 48), clip(4, 32, 36, seed=1)]
    assert built(folder, "video").reading["frames"] == 4
    expected = [layers(net, **own(list(c.frames), return_tensors="pt")) for c in clips]
    pool = (lambda h: h.mean(0)) if make is tiny.videomae else (lambda h: h[0])
    compare(folder, "video", clips, expected, pool)
    short = Clip(clips[0].frames[:2], clips[0].times[:2])  # of two frames each is seen twice
    twice = own([short.frames[i] for i in (0, 0, 1, 1)], return_tensors="pt")
    np.testing.assert_allclose(states(built(folder, "video"), [short])[0][0], pool(layers(net, **twice)[-1]), **CLOSE)


@pytest.mark.parametrize("make", [tiny.vit, tiny.resnet, tiny.siglip], ids=lambda f: f.__name__)
def test_a_network_of_pictures_over_a_clip_is_the_mean_of_its_frames(make: Any, made: Any) -> None:
    folder, one = made(make), clip(6, 40, 48)
    each = states(built(folder, "image"), list(one.frames))
    np.testing.assert_allclose(states(built(folder, "video"), [one])[0], np.mean(each, 0), **CLOSE)
    rows = states(built(folder, "image", tokens=True), list(one.frames))
    np.testing.assert_allclose(states(built(folder, "video", tokens=True), [one])[0], np.concatenate(rows), **CLOSE)


# What a folder may hold


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_tensors_of_sixteen_bits_are_computed_with_in_thirty_two(kind: torch.dtype, tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path / "half", dtype=kind)
    assert str(kind)[6:] in (folder / "config.json").read_text("utf-8")
    net = transformers.BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    encoder = built(folder, "text")
    np.testing.assert_allclose(
        states(encoder, TEXTS[:1])[0][0], layers(net, **words(folder, tiny.bert, TEXTS[0]))[-1].mean(0), **CLOSE
    )
    assert {p.dtype for p in encoder.pretrained.net.module().parameters()} == {torch.float32}


def test_tensors_may_be_in_several_files_or_of_torch(made: Any, tmp_path: Path) -> None:
    expected = states(built(made(tiny.bert), "text"), TEXTS)
    parts = tiny.bert(tmp_path / "parts", max_shard_size="4KB")
    assert (parts / "model.safetensors.index.json").exists() and not (parts / "model.safetensors").exists()
    whole = transformers.BertModel.from_pretrained(made(tiny.bert))
    pickled = tmp_path / "pickled"
    shutil.copytree(made(tiny.bert), pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(whole.state_dict(), pickled / "pytorch_model.bin")
    several = tmp_path / "several"
    shutil.copytree(pickled, several, ignore=shutil.ignore_patterns("*.bin"))
    tensors = list(whole.state_dict().items())
    names = {k: f"pytorch_model-{i % 2 + 1:05d}-of-00002.bin" for i, (k, _) in enumerate(tensors)}
    for file in set(names.values()):
        torch.save({k: v for k, v in tensors if names[k] == file}, several / file)
    (several / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": names}))
    for folder in (parts, pickled, several):
        for found, before in zip(states(built(folder, "text"), TEXTS), expected):
            np.testing.assert_array_equal(found, before)


def test_a_tokenizer_is_made_from_a_vocabulary(made: Any, tmp_path: Path) -> None:
    whole = json.loads((made(tiny.bert) / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    names = {"<cls>": "[CLS]", "<sep>": "[SEP]", "<pad>": "[PAD]", "<unk>": "[UNK]"}
    folder = tmp_path / "old"
    shutil.copytree(made(tiny.bert), folder, ignore=shutil.ignore_patterns("tokenizer*"))
    (folder / "vocab.txt").write_text("\n".join(names.get(w, w) for w in sorted(whole, key=whole.get)))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    for found, before in zip(states(built(folder, "text"), TEXTS), states(built(made(tiny.bert), "text"), TEXTS)):
        np.testing.assert_array_equal(found, before)
    (folder / "vocab.txt").unlink()
    with pytest.raises(PlaitError, match=r"tokenizer\.json"):
        built(folder, "text")


@pytest.mark.parametrize(
    ("about", "pool"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, 0),
        ({"pooling_mode_lasttoken": True}, -1),
        ({"pooling_mode": "cls"}, 0),
        ({"pooling_mode_mean_tokens": True}, None),
        ({"pooling_mode": "mean"}, None),
    ],
)
def test_pooling_is_that_of_sentence_transformers(
    about: dict[str, Any], pool: int | None, made: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "sentences"
    shutil.copytree(made(tiny.bert), folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(about))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8, "do_lower_case": False}))
    encoder = built(folder, "text")
    hidden = layers(plain(folder, tiny.bert, "text"), **words(folder, tiny.bert, TEXTS[0]))[-1]
    np.testing.assert_allclose(
        states(encoder, TEXTS[:1])[0][0], hidden.mean(0) if pool is None else hidden[pool], **CLOSE
    )
    assert max(len(w) for w in encoder.texts.windows("tomato " * 50)) == 8


LONG = "the tomato and the blue sea of a house " * 12


@pytest.mark.parametrize(("prompt", "pool"), [("query: {}", None), ("{} is a kind of", "last"), ("a {} b", "first")])
def test_a_text_is_read_within_its_prompt(prompt: str, pool: str | None, made: Any) -> None:
    encoder = built(made(tiny.bert), "text", prompt=prompt, pool=pool)
    net = plain(made(tiny.bert), tiny.bert, "text")
    place = {None: lambda h: h.mean(0), "last": lambda h: h[-1], "first": lambda h: h[0]}[pool]
    for text in ("a ripe tomato", ""):
        hidden = layers(net, **words(made(tiny.bert), tiny.bert, prompt.replace("{}", text)))[-1]
        np.testing.assert_allclose(states(encoder, [text])[0][0], place(hidden), **CLOSE)


def test_every_window_of_a_long_text_has_the_prompt_and_no_word_is_lost(made: Any) -> None:
    texts = built(made(tiny.bert), "text", prompt="sea {} house", pool="last").texts
    windows = texts.windows(LONG)
    assert len(windows) > 1 and max(map(len, windows)) <= texts.length
    said = [texts.tokenizer.decode(w) for w in windows]
    assert all(s.startswith("sea ") and s.endswith(" house") for s in said)
    plain = texts.tokenizer.decode(built(made(tiny.bert), "text").texts._cutting(10_000).encode(LONG).ids)
    assert " ".join(s.removeprefix("sea ").removesuffix(" house") for s in said).split() == plain.split()


def test_networks_that_write_are_asked_what_comes_next(made: Any) -> None:
    folder = made(tiny.gpt2)
    encoder, text = built(folder, "text"), "a ripe tomato"
    asked = layers(plain(folder, tiny.gpt2, "text"), **words(folder, tiny.gpt2, f"{text} Category:"))[-1]
    np.testing.assert_allclose(states(encoder, [text])[0][0], asked[-1], **CLOSE)
    plainly = layers(plain(folder, tiny.gpt2, "text"), **words(folder, tiny.gpt2, text))[-1]
    np.testing.assert_allclose(states(built(folder, "text", prompt=""), [text])[0][0], plainly[1:].mean(0), **CLOSE)


def test_the_usual_prompt_of_sentence_transformers_is_taken(made: Any, tmp_path: Path) -> None:
    folder = tmp_path / "sentences"
    shutil.copytree(made(tiny.bert), folder)
    about = {"prompts": {"query": "query: ", "document": "passage: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about))
    said = states(built(made(tiny.bert), "text", prompt="query: {}"), TEXTS)
    for found, expected in zip(states(built(folder, "text"), TEXTS), said):
        np.testing.assert_array_equal(found, expected)
    bare = states(built(made(tiny.bert), "text"), TEXTS[:1])[0]
    np.testing.assert_array_equal(states(built(folder, "text", prompt=""), TEXTS[:1])[0], bare)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt": "no place"}, "one {}"),
        ({"prompt": "{} and {}"}, "one {}"),
        ({"prompt": {}}, "prompt is {}; expected a text with one {}"),
        ({"prompt": 3}, "prompt is 3"),
        ({"prompt": "the sea and the house " * 9 + "{}"}, "Shorten it"),
        ({"pool": "lst"}, "Did you mean 'last'"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused(options: dict[str, Any], said: str, made: Any) -> None:
    with pytest.raises(PlaitError, match=re.escape(said)):
        built(made(tiny.bert), "text", **options)


@pytest.mark.parametrize(
    "make", [tiny.bert, tiny.roberta, tiny.mpnet, tiny.camembert, tiny.clip, tiny.siglip, tiny.clap]
)
def test_the_longest_window_fills_the_positions_of_the_network(make: Any, made: Any) -> None:
    """One more token would be too long for it."""
    encoder = built(made(make), "text")
    sizes = [len(w) for w in encoder.texts.windows("tomato " * 100)]
    net = plain(made(make), make, "text")
    assert sizes[0] == (18 if make in (tiny.clip, tiny.siglip) else 24)
    assert np.isfinite(states(encoder, ["tomato " * 100])[0]).all()
    with pytest.raises((IndexError, RuntimeError, ValueError)):
        net(input_ids=torch.full((1, sizes[0] + 1), 5))


def test_what_a_config_leaves_out_is_as_it_is_by_default(tmp_path: Path) -> None:
    """As the hub keeps CLIP and SigLIP: 77 positions, told by nothing in the file."""
    folder = tiny.clip(tmp_path / "clip", positions=77)
    expected = states(built(folder, "text"), TEXTS)
    path = folder / "config.json"
    about = json.loads(path.read_text("utf-8"))
    for part in ("text_config", "vision_config"):
        for key in ("max_position_embeddings", "model_type", "hidden_act", "num_channels"):
            about[part].pop(key, None)
    path.write_text(json.dumps(about))
    encoder = built(folder, "text")
    assert len(encoder.texts.windows("tomato " * 100)[0]) == 77
    for found, before in zip(states(encoder, TEXTS), expected):
        np.testing.assert_array_equal(found, before)
    assert built(folder, "image").prepare(PICTURES)


def test_a_long_text_is_the_mean_over_its_windows_by_hand(made: Any) -> None:
    folder = made(tiny.bert)
    net, own = plain(folder, tiny.bert, "text"), transformers.AutoTokenizer.from_pretrained(folder)
    long = "the long story of a ripe tomato and the deep blue sea " * 4
    ids = own(long, add_special_tokens=False)["input_ids"]
    assert 2 * 22 < len(ids) < 3 * 22
    whole = [
        layers(net, input_ids=torch.tensor([[own.bos_token_id, *ids[i : i + 22], own.eos_token_id]]))[-1]
        for i in range(0, len(ids), 22)
    ]
    np.testing.assert_allclose(states(built(folder, "text"), [long])[0][0], np.concatenate(whole).mean(0), **CLOSE)
    encoder = built(folder, "text", tokens=True)
    np.testing.assert_allclose(states(encoder, [long])[0], np.concatenate(whole), **CLOSE)
    assert encoder(encoder.collate(encoder.prepare([long]))).mask.sum() == sum(map(len, whole)) == len(ids) + 6


@pytest.mark.parametrize(("make", "seconds"), [(tiny.ast, 1.28), (tiny.clap, 2.0), (tiny.clap_fusion, 2.0)])
def test_a_long_sound_is_cut_where_the_network_would_cut_it(make: Any, seconds: float, made: Any) -> None:
    """CLAP takes a stretch at random of what is longer."""
    encoder, size = built(made(make), "audio"), int(seconds * 16_000)
    samples = (np.random.default_rng(0).standard_normal(2 * size) * np.linspace(0, 0.2, 2 * size)).astype(np.float32)
    found = states(encoder, [Wave(samples, 16_000)])[0]
    halves = states(encoder, [Wave(samples[:size], 16_000), Wave(samples[size:], 16_000)])
    np.testing.assert_allclose(found, np.mean(halves, 0), **CLOSE)
    assert not np.allclose(halves[0], halves[1], atol=1e-2)
    np.testing.assert_array_equal(states(encoder, [Wave(samples, 16_000)])[0], found)


def test_long_sounds_are_averaged_over_windows_of_the_option(made: Any) -> None:
    encoder, wave = built(made(tiny.wav2vec2), "audio", seconds=0.5), SOUNDS[0]  # 1.1 s: two windows and a fifth of one
    parts = states(
        built(made(tiny.wav2vec2), "audio", tokens=True),
        [Wave(wave.samples[s : s + 8_000], 16_000) for s in (0, 8_000, 16_000)],
    )
    np.testing.assert_allclose(states(encoder, [wave])[0][0], np.concatenate(parts).mean(0), **CLOSE)


@pytest.mark.parametrize(
    "text", ["", "tomato", "🍅" * 3, "🍅" * 30, "tomato " * 21, "tomato " * 22, "tomato " * 23, LONG]
)
@pytest.mark.parametrize("prompt", ["", "a {} of"])
def test_pieces_of_texts_are_counted_as_they_are_cut(text: str, prompt: str, made: Any) -> None:
    encoder = built(made(tiny.bert), "text", prompt=prompt)
    rows = sum(len(set(part.begins)) for part in encoder.texts.parts([text]))
    assert encoder.pieces(text) == rows


@pytest.mark.parametrize("samples", [1, 7_999, 8_000, 8_799, 8_800, 16_000, 16_800, 17_600])
@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_pieces_of_sounds_are_counted_as_they_are_cut(samples: int, rate: int, made: Any) -> None:
    encoder = built(made(tiny.wav2vec2), "audio", seconds=0.5)
    wave = Wave(np.zeros(samples, np.float32), rate)
    assert encoder.pieces(wave) == len(list(encoder.sounds.parts([wave])))


def test_cells_that_are_read_in_pieces_are_told_once(made: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"note": t} for t in ("tomato", "tomato " * 50, "tomato " * 50, "grass " * 30, None)]
    encoder = built(made(tiny.bert), "text")
    most = max(len(encoder.texts.windows(r["note"])) for r in rows if r["note"])
    for _ in range(2):
        prepare(read_table(rows), {"note": encoder}, store=Store(), ledger=Ledger(), progress=Progress())
    said = [line for line in capsys.readouterr().err.splitlines() if "pieces" in line]
    assert said == [
        f"  note: 2 cells are longer than their encoder takes at once: they are read in pieces, up to {most}"
    ]


# Odd cells


@pytest.mark.parametrize("make", [*tiny.AUDIO, tiny.whisper], ids=lambda f: f.__name__)
def test_silence_and_one_sample_are_finite(make: Any, made: Any) -> None:
    cells = [
        Wave(np.zeros(8_000, np.float32), 16_000),
        Wave(np.ones(1, np.float32), 16_000),
        Wave(np.ones(1, np.float32), 44_100),
    ]
    encoder = built(made(make), "audio")
    assert all(np.isfinite(s).all() for s in states(encoder, cells))
    assert encoder(encoder.collate(encoder.prepare(cells))).x.isfinite().all()


@pytest.mark.parametrize("make", tiny.IMAGE, ids=lambda f: f.__name__)
def test_pictures_of_few_pixels_keep_their_colours(make: Any, made: Any) -> None:
    """One, three or seven pixels of one colour are the same picture as a large one of it: axes are not mistaken."""
    encoder, colour = built(made(make), "image"), np.array([250, 30, 90], np.uint8)
    expected = states(encoder, [np.broadcast_to(colour, (64, 64, 3))])[0]
    for shape in ((1, 1), (3, 3), (3, 7), (1, 7), (7, 3), (2, 3000)):
        found = states(encoder, [np.ascontiguousarray(np.broadcast_to(colour, (*shape, 3)))])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2, err_msg=str(shape))


def test_sounds_of_another_rate_are_resampled(made: Any) -> None:
    encoder = built(made(tiny.wav2vec2), "audio")
    one, other = states(encoder, [Wave(tone(440, 0.8), 16_000), Wave(tone(440, 0.8, 44_100), 44_100)])
    np.testing.assert_allclose(one, other, atol=0.05)


# Promises of every encoder


CELLS: dict[str, Sequence[Any]] = {
    "text": [*TEXTS, "the long story of a ripe tomato " * 9],
    "image": [*PICTURES, picture(1, 1, 4), picture(20, 70, 5), picture(64, 64, 6)],
    "audio": SOUNDS,
    "video": [clip(8, 12, 16), clip(3, 40, 17, seed=1)],
}
KINDS = [
    *((m, "text") for m in tiny.TEXT),
    *((m, "image") for m in tiny.IMAGE),
    *((m, "audio") for m in (*tiny.AUDIO, tiny.whisper)),
    *((m, "video") for m in (*tiny.VIDEO, tiny.vit)),
]
every_family = pytest.mark.parametrize(("make", "kind"), KINDS, ids=lambda v: getattr(v, "__name__", v))


@every_family
def test_a_cell_alone_is_as_among_others(make: Any, kind: str, made: Any) -> None:
    encoder = built(made(make), kind, tokens=True)
    together = states(encoder, CELLS[kind])
    for i, cell in enumerate(CELLS[kind]):
        np.testing.assert_allclose(states(encoder, [cell])[0], together[i], **CLOSE)
    for one, other in zip(states(encoder, CELLS[kind][::-1])[::-1], together):
        np.testing.assert_allclose(one, other, **CLOSE)


@every_family
def test_tokens_are_counted_and_missing_cells_have_none(make: Any, kind: str, made: Any) -> None:
    encoder = built(made(make), kind, tokens=True).train()
    ready: list[Prepared | None] = [*encoder.prepare(CELLS[kind]), None]
    tokens = encoder(encoder.collate(ready))
    sizes = [0 if p is None else len(p["states"]) for p in ready]
    assert tokens.mask.sum(1).tolist() == sizes and min(sizes[:-1]) > 0
    assert tokens.x.shape == (len(ready), max(sizes), encoder.width)
    real = tokens.x[tokens.mask]
    assert (real.square().mean(1) - 1).abs().max() < 1e-4 and not tokens.x[~tokens.mask].any()


@pytest.mark.parametrize(("make", "kind"), [(tiny.bert, "text"), (tiny.siglip, "image"), (tiny.whisper, "audio")])
def test_the_mix_of_layers_is_learned(make: Any, kind: str, made: Any) -> None:
    """With all weight on one layer it is that layer, normed; and which of the layers tells the answer is found."""
    encoder = built(made(make), kind, layer="mix").train()
    random = np.random.default_rng(0)
    noise = [Wave(tone(100 + 90 * i, 0.4) * random.random(6_400, np.float32), 16_000) for i in range(12)]
    cells = {"text": [*CELLS["text"], *tiny.WORDS], "image": [picture(32, 32, i) for i in range(16)], "audio": noise}[
        kind
    ]
    ready = encoder.prepare(cells)
    mix = encoder.pretrained.mix
    assert [p.shape for p in encoder.parameters()] == [(3,)] == [mix.shape]
    layer = torch.tensor(np.stack([p["states"] for p in ready])).float()
    with torch.no_grad():
        mix.copy_(torch.tensor([-1e4, 0.0, -1e4]))
    normed = torch.nn.functional.layer_norm(layer[:, 1], layer.shape[-1:])
    expected = normed / normed.square().mean(1, keepdim=True).sqrt()
    torch.testing.assert_close(encoder(encoder.collate(ready)).x[:, 0], expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        mix.zero_()
    optimizer = torch.optim.Adam(encoder.parameters(), 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        ((encoder(encoder.collate(ready)).x[:, 0] - expected) ** 2).mean().backward()
        assert mix.grad.any()
        optimizer.step()
    assert mix.softmax(0)[1] > 0.8


def test_layers_that_are_not_there_are_refused(made: Any) -> None:
    for options, said in (
        ({"layer": 3}, "0 to 2"),
        ({"layer": -1}, "0 to 2"),
        ({"layer": "first"}, "'last', 'mean' or 'mix'"),
        ({"layer": "mix", "tokens": True}, "too many"),
    ):
        with pytest.raises(PlaitError, match=said):
            built(made(tiny.bert), "text", **options)
    with pytest.raises(PlaitError, match="0 to 0"):
        built(made(tiny.resnet), "image", layer=1)


def test_the_other_part_of_a_network_is_refused(made: Any) -> None:
    with pytest.raises(PlaitError, match="reads text and image, not audio"):
        built(made(tiny.clip), "audio")


def test_preparing_twice_runs_no_network(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, before = [], towers.run
    monkeypatch.setattr(towers, "run", lambda *given: runs.append(1) or before(*given))
    (tmp_path / "p.png").write_bytes(encoded(PICTURES[0]))
    rows = [{"note": t, "picture": "p.png" if i else None} for i, t in enumerate(TEXTS)]
    found = []
    for layer in ("last", "last", 1):
        encoders = {
            "note": built(made(tiny.bert), "text", layer=layer),
            "picture": built(made(tiny.vit), "image", layer=layer),
        }
        columns = prepare(
            read_table(rows, base=tmp_path), encoders, store=Store(), ledger=Ledger(), progress=Progress(quiet=True)
        )
        found.append(
            (len(runs), [None if c is None else c["states"].copy() for c in columns["picture"].rows(np.arange(5))])
        )
        runs.clear()
    assert found[0][0] > 1 and found[1][0] == 0 and found[2][0] > 1, "another layer is another shelf"
    for one, other in zip(found[0][1], found[1][1]):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("make", "kind", "options"),
    [
        (tiny.bert, "text", {}),
        (tiny.clip, "text", {"tokens": True}),
        (tiny.dinov2, "image", {"layer": "mix"}),
        (tiny.resnet, "image", {}),
        (tiny.whisper, "audio", {}),
        (tiny.wav2vec2, "audio", {"layer": 1}),
        (tiny.clap, "audio", {}),
        (tiny.videomae, "video", {}),
    ],
)
def test_a_saved_net_is_the_same_without_its_weights(
    make: Any, kind: str, options: dict[str, Any], made: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(made(make), folder)
    spec = ENCODERS.complete({"name": f"{kind}_pretrained", "weights": str(folder), **options}, [])
    encoder, twin = ENCODERS.build(spec), ENCODERS.build(json.loads(json.dumps(spec)))
    expected = states(encoder, CELLS[kind])
    raw = [net.raw() for net in encoder.nets]
    shutil.rmtree(folder)
    pretrained._HELD.clear()
    with pytest.raises(PlaitError, match="not on this machine"):
        twin.prepare(CELLS[kind])
    for net, content in zip(twin.nets, raw):
        net.give(content)
    for found, before in zip(states(twin, CELLS[kind]), expected):
        np.testing.assert_array_equal(found, before)
    assert [net.raw() for net in twin.nets] == raw and [n.file for n in twin.nets] == [n.file for n in encoder.nets]


@pytest.mark.slow
def test_a_model_predicts_the_same_when_its_weights_are_gone(made: Any, tmp_path: Path) -> None:
    folders = {}
    for make in (tiny.bert, tiny.resnet):
        folders[make] = tmp_path / make.__name__
        shutil.copytree(made(make), folders[make])
    rows = []
    for i in range(24):
        (tmp_path / f"p{i}.png").write_bytes(encoded(picture(20, 20, i)))
        rows.append(
            {"note": ("a ripe tomato", "the deep sea")[i % 2] + f" {i}", "picture": f"p{i}.png", "kind": "ab"[i % 2]}
        )
    frame = pd.DataFrame(rows)
    model = plait.fit(
        frame,
        "kind",
        inputs=["note", "picture"],
        modalities={"note": "text", "picture": "image"},
        encoders={
            "note": {"name": "text_pretrained", "weights": str(folders[tiny.bert]), "layer": "mix"},
            "picture": {"name": "image_pretrained", "weights": str(folders[tiny.resnet])},
        },
        base=tmp_path,
        epochs=2,
        quiet=True,
        training={"batch_size": 8},
    )
    expected = model.predict_proba(frame, base=tmp_path)
    saved = model.save(tmp_path / "model")
    assert len(list(saved.glob("net-*.safetensors"))) == 2
    for folder in folders.values():
        shutil.rmtree(folder)
    pretrained._HELD.clear()
    new = [{"note": "fresh green grass", "picture": "p3.png"}]
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    loaded = plait.load(saved)
    for cache_folder in ("one", "two"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PLAIT_CACHE", str(tmp_path / cache_folder))
            pd.testing.assert_frame_equal(loaded.predict_proba(frame, base=tmp_path), expected)
            assert loaded.predict(new, base=tmp_path)["status"].tolist() == ["ok"]
        loaded = plait.load(loaded.save(tmp_path / "again", overwrite=True))


def test_a_network_is_built_without_touching_the_random_state(made: Any, tmp_path: Path) -> None:
    """What the tensors leave out and nothing needs (a pooler) is the same each time."""
    import safetensors.torch

    folder = tmp_path / "words"
    shutil.copytree(made(tiny.bert), folder)
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    kept = {k: v for k, v in tensors.items() if "pooler" not in k}
    assert len(kept) == len(tensors) - 2
    safetensors.torch.save_file(kept, folder / "model.safetensors")
    raw = []
    for seed in (3, 4):
        pretrained._HELD.clear()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        raw.append(built(folder, "text").pretrained.net.raw())
        assert torch.equal(torch.get_rng_state(), before)
    assert raw[0] == raw[1]


def test_networks_are_run_on_threads_at_once(made: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    pretrained._HELD.clear()
    encoder = built(made(tiny.bert), "text")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: states(encoder, TEXTS), range(8)))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other))


def test_processors_that_need_torchvision_have_a_twin_or_are_refused(made: Any, tmp_path: Path) -> None:
    folder = tmp_path / "dino"
    shutil.copytree(made(tiny.vit), folder)
    expected = states(built(folder, "image"), PICTURES)
    path = folder / "preprocessor_config.json"
    about = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**about, "image_processor_type": "DINOv3ViTImageProcessorFast"}))
    for found, before in zip(states(built(folder, "image"), PICTURES), expected):
        np.testing.assert_array_equal(found, before)
    path.write_text(json.dumps({"image_processor_type": "DINOv3ViTImageProcessorFast"}))
    with pytest.raises(PlaitError, match="cannot be made ready"):
        built(folder, "image").prepare(PICTURES)
    with pytest.raises(PlaitError, match="cannot be made ready"):
        processing.Sounds({"feature_extractor_type": "NoSuchFeatureExtractor"}, seconds=3).features(SOUNDS[0].samples)


def test_a_second_fit_on_the_same_column_runs_no_network(made: Any) -> None:
    """Other learner, other target, another process: forwards of the network are counted, and the rows that go through it."""
    texts = [f"a {word} tomato of house {i}" for i, word in enumerate(["ripe", "green", "fresh"] * 20)]
    table = pd.DataFrame({"note": texts, "kind": ["ripe", "green", "fresh"] * 20, "size": [*range(3)] * 20})
    seen: list[int] = []

    def hook(module: Any, given: Any, out: Any) -> None:
        if type(module).__name__ == "BertModel":
            seen.append(len(out.last_hidden_state))

    def forwards(table: pd.DataFrame, target: str, **options: Any) -> tuple[int, Any]:
        seen.clear()
        pretrained._HELD.clear()
        encoders = {"note": str(made(tiny.bert))}
        handle = torch.nn.modules.module.register_module_forward_hook(hook)
        try:
            model = plait.fit(table, target, inputs=["note"], encoders=encoders, quiet=True, **options)
        finally:
            handle.remove()
        return sum(seen), model.figures[target]

    count, first = forwards(table, "kind", learner="ridge")
    assert count >= 60  # small batches are filled
    assert forwards(table, "kind", learner="ridge") == (0, first)
    assert forwards(table, "kind", learner="knn", seed=3)[0] == 0
    assert forwards(table, "size", epochs=1)[0] == 0  # by the loop
    more = pd.concat([table, table.head(3).assign(note=["the sea", "the deep sea", "the sea"])])
    assert 0 < forwards(more, "kind", learner="ridge")[0] < 20  # the two that are new


# All layers alike


@pytest.mark.parametrize(("make", "kind"), [(tiny.bert, "text"), (tiny.vit, "image"), (tiny.wav2vec2, "audio")])
def test_the_mean_of_layers_is_that_of_transformers_with_nothing_to_learn(make: Any, kind: str, made: Any) -> None:
    """Each layer pooled, normed to mean 0 and variance 1, their mean brought to a mean square of 1."""
    folder = made(make)
    net = plain(folder, make, kind)
    if kind == "text":
        ready = [words(folder, make, t) for t in TEXTS]
    elif kind == "image":
        from PIL import Image

        own = transformers.AutoImageProcessor.from_pretrained(folder)
        ready = [own(Image.fromarray(p), return_tensors="pt") for p in PICTURES]
    else:
        own = transformers.AutoFeatureExtractor.from_pretrained(folder)
        ready = [
            {"input_values": own(s.samples, sampling_rate=16_000, return_tensors="pt").input_values} for s in SOUNDS
        ]
    cells: Any = {"text": TEXTS, "image": PICTURES, "audio": SOUNDS}[kind]
    encoder = built(folder, kind, layer="mean")
    assert not list(encoder.parameters())
    found = encoder(encoder.collate([*encoder.prepare(cells), None]))
    assert found.mask[:, 0].tolist() == [True] * len(cells) + [False]
    for row, inputs in zip(found.x[:, 0].numpy(), ready):
        pooled = np.stack([h[0] if kind == "image" else h.mean(0) for h in layers(net, **inputs)])
        normed = (pooled - pooled.mean(1, keepdims=True)) / np.sqrt(pooled.var(1, keepdims=True) + 1e-5)
        expected = normed.mean(0) / np.sqrt((normed.mean(0) ** 2).mean())
        np.testing.assert_allclose(row, expected, rtol=1e-2, atol=1e-2)


def test_layers_come_from_one_shelf(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean, the mix and each single layer but the last are made of what was prepared once; as pooled by transformers."""
    runs, before = [], towers.run
    monkeypatch.setattr(towers, "run", lambda *given: runs.append(1) or before(*given))
    table = read_table([{"note": t} for t in TEXTS])
    said, counted = {}, []
    for layer in ("mix", "mean", 1, 0):
        encoder = built(made(tiny.bert), "text", layer=layer)
        how: Any = {"store": Store(), "ledger": Ledger(), "progress": Progress(quiet=True)}
        cells = prepare(table, {"note": encoder}, **how)["note"]
        said[layer] = encoder(encoder.collate(cells.rows(np.arange(len(TEXTS))))).x[:, 0]
        counted.append(len(runs))
    assert counted[0] > 0 and len(set(counted)) == 1
    net = plain(made(tiny.bert), tiny.bert, "text")
    for layer in (0, 1):
        pooled = np.stack([layers(net, **words(made(tiny.bert), tiny.bert, t))[layer].mean(0) for t in TEXTS])
        expected = pooled / np.sqrt((pooled**2).mean(1, keepdims=True))
        np.testing.assert_allclose(said[layer].numpy()[: len(TEXTS)], expected, rtol=1e-2, atol=1e-2)


def test_learners_take_the_mean_of_layers_and_refuse_the_mix_with_the_way_out(made: Any) -> None:
    rows = [{"note": f"{('a ripe tomato', 'the deep sea')[i % 2]} {i}", "kind": "ab"[i % 2]} for i in range(24)]
    part = {"name": "text_pretrained", "weights": str(made(tiny.bert))}
    how: Any = {"modalities": {"note": "text"}, "learner": "logistic", "quiet": True}
    model = plait.fit(rows, "kind", encoders={"note": {**part, "layer": "mean"}}, **how)
    assert model.predict(rows)["kind"].tolist() == [r["kind"] for r in rows]
    with pytest.raises(PlaitError, match="layer='mean' instead of 'mix'"):
        plait.fit(rows, "kind", encoders={"note": {**part, "layer": "mix"}}, **how)
