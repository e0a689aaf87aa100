"""Pretrained encoders that are trained on: they begin as the frozen ones, learn, and are saved with what they need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from tests import tiny
from tests.conftest import clip, picture, tone
from torch import nn

import plait
from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import ModelFormatError, PlaitError, UnknownNameError
from plait.nn import lora, pretrained, towers, tuned
from plait.nn.efficientnet import EfficientNetLite
from plait.nn.speaker import GE2E
from plait.preparation import fingerprint, prepare
from plait.progress import Progress
from plait.types import Wave

transformers = pytest.importorskip("transformers")

CELLS: dict[str, Sequence[Any]] = {
    "text": ["a ripe tomato", "the deep blue sea", "", "the long story of a ripe tomato " * 6, "fresh green grass"],
    "image": [picture(40, 48, 1), picture(36, 32, 2), picture(90, 33, 3)],
    "audio": [Wave(tone(440, 1.1), 16_000), Wave(tone(900, 0.7), 16_000), Wave(tone(300, 0.7), 16_000)],
    "video": [clip(8, 12, 16), clip(3, 40, 17, seed=1), clip(5, 20, 20, seed=2), clip(4, 16, 30, seed=3)],
}


def _own(folder: Path, net: nn.Module, about: dict[str, Any], processing: dict[str, Any]) -> Path:
    """Weights of a network of plait's own, its batch statistics moved from where they start."""
    for name, buffer in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(0.3 * torch.rand(buffer.shape))
    safetensors.torch.save_file(net.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "preprocessor_config.json").write_text(json.dumps(processing))
    return folder


def efficientnet(folder: Path) -> Path:
    size = {"size": {"height": 64, "width": 64}, "resample": 2, "rescale_factor": 1 / 255}
    normed = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    return _own(
        folder, EfficientNetLite(), {"model_type": "efficientnet-lite", "hidden_size": 1280}, {**size, **normed}
    )


def ge2e(folder: Path) -> Path:
    about = {"model_type": "ge2e", "hidden_size": 256, "num_hidden_layers": 3}
    return _own(folder, GE2E(), about, {"feature_extractor_type": "ge2e", "sampling_rate": 16_000})


FAMILIES = [
    *((m, "text") for m in (tiny.bert, tiny.roberta, tiny.clip, tiny.siglip, tiny.modernbert, tiny.fnet)),
    *((m, "image") for m in (tiny.vit, tiny.dinov2, tiny.resnet, tiny.convnext, tiny.siglip, efficientnet)),
    *((m, "audio") for m in (tiny.whisper, tiny.wav2vec2, tiny.wavlm, tiny.ast, tiny.clap_fusion, ge2e)),
    *((m, "video") for m in (tiny.videomae, tiny.vivit, tiny.vit)),
]
every_family = pytest.mark.parametrize(("make", "kind"), FAMILIES, ids=lambda v: getattr(v, "__name__", v))
both = pytest.mark.parametrize("tune", ["lora", "full"])
MODALITIES = [(tiny.bert, "text"), (tiny.resnet, "image"), (tiny.whisper, "audio"), (tiny.videomae, "video")]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[..., Path]], Path]:
    """The folder of a tiny network, made once."""
    return cache(lambda make: make(tmp_path_factory.mktemp(make.__name__)))


def built(folder: Path, kind: str, **options: Any) -> Encoder:
    """An encoder as a fit begins with it, in eval mode."""
    spec = ENCODERS.complete({"name": f"{kind}_pretrained", "weights": str(folder), **options}, [])
    encoder: Encoder = ENCODERS.build(json.loads(json.dumps(spec)))
    encoder.begin()
    return encoder.eval()


def batch_of(encoder: Encoder, kind: str) -> Any:
    """All cells, and a missing one before and after them."""
    return encoder.collate([None, *encoder.prepare(CELLS[kind]), None])


def moved(encoder: Encoder, size: float = 0.1) -> Encoder:
    """With corrections that are not zero."""
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith(".b"):
                parameter.normal_(std=size)
    return encoder


def still(encoder: Encoder) -> Encoder:
    """In training, but without dropout."""
    encoder.train()
    nets = [encoder, *(net.module(own=True) for net in encoder.nets)]
    for module in (m for net in nets for m in net.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for net in nets:
        if getattr(net, "config", None) is not None:
            for key in ("attention_probs_dropout_prob", "attention_dropout"):
                setattr(net.config, key, 0.0)
    return encoder


# It begins as the frozen one


@every_family
def test_before_training_it_is_the_frozen_one(make: Any, kind: str, made: Any) -> None:
    for tokens in (False, True):
        frozen = built(made(make), kind, tokens=tokens)
        expected = frozen(batch_of(frozen, kind))
        for tune in ("lora", "full"):
            encoder = built(made(make), kind, tokens=tokens, tune=tune)
            found = encoder(batch_of(encoder, kind))
            assert torch.equal(found.mask, expected.mask) and encoder.width == frozen.width
            torch.testing.assert_close(found.x, expected.x, rtol=5e-3, atol=5e-3)  # both kept in 16 bits
            assert found.x.dtype == torch.float32 and found.x.requires_grad


@pytest.mark.parametrize(("make", "kind"), [(tiny.bert, "text"), (tiny.vit, "image")])
def test_layers_and_their_mix_are_those_of_the_frozen_one(make: Any, kind: str, made: Any) -> None:
    for layer in (1, "mix"):
        frozen, encoder = (built(made(make), kind, layer=layer, tune=tune) for tune in ("frozen", "full"))
        expected, found = (e(batch_of(e, kind)).x for e in (frozen, encoder))
        torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-3)


@every_family
def test_gradients_reach_every_correction(make: Any, kind: str, made: Any) -> None:
    """None is of a layer that the network takes the weights of without running it, or does not use."""
    encoder = moved(built(made(make), kind, tune="lora")).train()
    tokens = encoder(batch_of(encoder, kind))
    (tokens.x * torch.randn(tokens.x.shape)).sum().backward()
    assert len(list(encoder.parameters())) >= 2
    for name, parameter in encoder.named_parameters():
        assert name.endswith((".a", ".b")) and parameter.grad is not None and parameter.grad.any(), name


def test_pixels_are_kept_as_bytes_where_they_were(made: Any) -> None:
    for make, kind in ((tiny.vit, np.uint8), (tiny.clip, np.uint8), (efficientnet, np.uint8)):
        encoder = built(made(make), "image", tune="lora")
        ready = encoder.prepare(CELLS["image"])
        assert {c["values"].dtype for c in ready} == {np.dtype(kind)}
        for cell, given in zip(ready, CELLS["image"]):
            back = encoder.pictures.packing.unpack(torch.from_numpy(cell["values"].reshape(*cell["shapes"][0])))
            torch.testing.assert_close(back, encoder.pictures.pixels(given), rtol=0, atol=1e-5)
    assert built(made(tiny.vivit), "video", tune="full").prepare(CELLS["video"])[0]["values"].dtype == np.float16


def test_what_is_prepared_does_not_depend_on_how_it_is_tuned(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shelf for LoRA and full, any layer, rank and pooling; another for frozen. No network is run to prepare."""
    ways = [
        {"tune": "lora"},
        {"tune": "full"},
        {"tune": "lora", "rank": 2, "layer": 1},
        {"tune": "full", "tokens": True},
    ]
    encoders = [built(made(tiny.bert), "text", **way) for way in ways]
    marks = {fingerprint("text", e) for e in encoders}
    assert len(marks) == 1 and fingerprint("text", built(made(tiny.bert), "text")) not in marks
    calls: list[int] = []
    prepare_ = type(encoders[0]).prepare
    monkeypatch.setattr(
        type(encoders[0]), "prepare", lambda self, cells: (calls.append(len(cells)), prepare_(self, cells))[1]
    )
    monkeypatch.setattr(towers, "run", lambda *_: pytest.fail("a network was run"))
    table = read_table([{"x": text} for text in CELLS["text"] if text])
    for encoder in encoders:
        prepare(table, {"x": encoder}, store=Store(), ledger=Ledger(), progress=Progress(quiet=True))
    assert sum(calls) == 4


# It learns


def learn(encoder: Encoder, kind: str, steps: int = 12) -> tuple[float, float]:
    """The loss before and after: the tokens of each cell towards random ones."""
    batch, goal = batch_of(still(encoder), kind), None
    optimizer = torch.optim.Adam([p for p in encoder.parameters() if p.requires_grad], 0.02)
    losses = []
    for _ in range(steps):
        x = encoder(batch).x[1:-1, 0]
        goal = torch.randn(x.shape) if goal is None else goal
        loss = ((x - goal) ** 2).mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[0], losses[-1]


@pytest.mark.parametrize(("make", "kind"), MODALITIES, ids=lambda v: getattr(v, "__name__", v))
@both
def test_it_learns_and_what_is_not_trained_stays(make: Any, kind: str, tune: str, made: Any) -> None:
    encoder = built(made(make), kind, tune=tune, rank=4)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    if tune == "lora":
        net = encoder.nets[0].module(own=True)
        base = {k: v.clone() for k, v in net.state_dict().items()}
        assert not {id(p) for p in net.parameters()} & {id(p) for p in encoder.parameters()}
        assert {p.shape[0] if n.endswith(".a") else p.shape[1] for n, p in encoder.named_parameters()} == {4}
    first, last = learn(encoder, kind)
    assert last < 0.8 * first
    for name, value in encoder.state_dict().items():
        if "running" in name and "body" in name:
            assert torch.equal(value, before[name]), "batch statistics are those of the weights"
    if tune == "lora":
        assert net is encoder.nets[0].module(own=True) and net.training
        assert all(torch.equal(v, base[k]) for k, v in net.state_dict().items())
    else:
        assert encoder.nets == () and any(not torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
        own = pretrained.Net.fresh(encoder.pretrained.net)
        assert encoder.pretrained.body.state_dict().keys() == own.state_dict().keys()


def test_dropout_is_on_in_training_and_drawn_from_torch(made: Any) -> None:
    encoder = built(made(tiny.bert), "text", tune="lora").train()
    batch, found = batch_of(encoder, "text"), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(encoder(batch).x)
    assert torch.equal(found[0], found[1]) and not torch.allclose(found[0], found[2], atol=1e-3)


@pytest.mark.parametrize("make", [tiny.wav2vec2, tiny.wav2vec2_stable], ids=lambda m: m.__name__)
def test_nothing_is_masked_or_left_out_by_other_draws(make: Any, made: Any) -> None:
    """transformers hides stretches of sound by NumPy's draws, and leaves out whole layers."""
    encoder = still(built(made(make), "audio", tune="full", layer=1))
    batch = batch_of(encoder, "audio")
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    torch.manual_seed(0)
    first = encoder(batch).x
    for _ in range(3):
        torch.manual_seed(0)
        assert torch.equal(encoder(batch).x, first)
    assert (np.random.get_state()[1] == state).all()  # type: ignore[union-attr]


def test_corrections_are_those_of_peft(made: Any) -> None:
    peft = pytest.importorskip("peft")
    encoder = moved(built(made(tiny.bert), "text", tune="lora", rank=3), 0.3)
    net = transformers.BertModel.from_pretrained(made(tiny.bert), add_pooling_layer=False)
    lows = dict(encoder.pretrained.low.items())
    config = peft.LoraConfig(r=3, lora_alpha=3 * lora.SCALE, target_modules=list(lows), lora_dropout=0.0)
    other = peft.inject_adapter_in_model(config, net).eval()
    with torch.no_grad():
        for name, low in lows.items():
            layer = other.get_submodule(name)
            layer.lora_A["default"].weight.copy_(low.a)
            layer.lora_B["default"].weight.copy_(low.b)
        ids = torch.tensor([encoder.texts.windows(CELLS["text"][0])[0]])
        expected = other(input_ids=ids).last_hidden_state.mean(1)
    found = encoder(encoder.collate(encoder.prepare(CELLS["text"][:1]))).x[0]
    plain = built(made(tiny.bert), "text", tune="lora")
    assert not torch.allclose(found, plain(plain.collate(plain.prepare(CELLS["text"][:1]))).x[0], atol=1e-2)
    torch.testing.assert_close(found / found.norm(), expected / expected.norm(), rtol=1e-4, atol=1e-4)


def test_the_correction_of_a_convolution_is_that_of_its_weights() -> None:
    for stride in (1, 2):
        conv, inner = nn.Conv2d(6, 5, 1, stride=stride), nn.Conv2d(6, 5, 1, stride=stride)
        inner.load_state_dict(conv.state_dict())
        lows = lora.corrections(lora.targets(nn.Sequential(conv), "x"), 2)
        lora.attach(nn.Sequential(conv), lows)
        low = lows["0"]
        with torch.no_grad():
            low.b.normal_()
            inner.weight += lora.SCALE * (low.b @ low.a)[..., None, None]
        x = torch.randn(2, 6, 7, 9)
        torch.testing.assert_close(conv(x), inner(x))


# Rates, memory, precision


def test_rates_fall_from_the_top_down(made: Any) -> None:
    encoder = built(made(tiny.bert), "text", tune="full", layer_decay=0.5)
    names = dict(encoder.named_parameters())
    assert encoder.rates.keys() == {n for n in names if ".body." in n}
    rate = {n.removeprefix("pretrained.body."): r / tuned.RATES["full"] for n, r in encoder.rates.items()}
    assert rate["pooler.dense.weight"] == 1 and rate["encoder.layer.1.output.dense.weight"] == 0.5
    assert rate["encoder.layer.0.output.dense.bias"] == 0.25 and rate["embeddings.LayerNorm.bias"] == 0.125
    flat = built(made(tiny.resnet), "image", tune="full", layer_decay=1)
    assert set(flat.rates.values()) == {tuned.RATES["full"]}
    low = built(made(tiny.whisper), "audio", tune="lora")
    assert low.rates.keys() == {n for n, _ in low.named_parameters()} and set(low.rates.values()) == {
        tuned.RATES["lora"]
    }
    assert built(made(tiny.bert), "text", layer="mix").rates == {} == Encoder.rates


def test_depths_count_layers_and_stages() -> None:
    below = towers.depths(EfficientNetLite())
    assert below["head.0.weight"] == 0 and below["blocks.15.expand.0.weight"] == 1
    assert below["blocks.0.depthwise.0.weight"] == 16 and below["stem.0.weight"] == 17
    assert set(towers.depths(GE2E()).values()) == {0}


@pytest.mark.parametrize(
    ("make", "kind"),
    [(tiny.bert, "text"), (tiny.whisper, "audio"), (efficientnet, "image")],
    ids=lambda v: getattr(v, "__name__", v),
)
@both
def test_checkpointing_gives_the_same_gradients_from_less_memory(make: Any, kind: str, tune: str, made: Any) -> None:
    folder, found, kept = made(make), [], []  # which draws from the generator where it is the first to ask for it
    for checkpointing in (False, True):
        torch.manual_seed(5)
        encoder = moved(built(folder, kind, tune=tune, checkpointing=checkpointing)).train()
        batch, held = batch_of(encoder, kind), [0]
        torch.manual_seed(7)

        def pack(tensor: torch.Tensor, held: list[int] = held) -> torch.Tensor:
            held[0] += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            x = encoder(batch).x
        forward_only = held[0]
        (x * torch.linspace(-1, 1, x.numel()).reshape(x.shape)).sum().backward()
        found.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
        kept.append(forward_only)
    assert found[0].keys() == found[1].keys() and kept[1] < 0.6 * kept[0]
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()))


@pytest.mark.parametrize(("make", "kind"), MODALITIES, ids=lambda v: getattr(v, "__name__", v))
@both
def test_bf16_says_nearly_the_same(make: Any, kind: str, tune: str, made: Any) -> None:
    encoder = still(moved(built(made(make), kind, tune=tune))).eval()
    batch = batch_of(encoder, kind)
    expected = encoder(batch).x
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder.train()(batch)
        found.x.sum().backward()
        found = encoder.eval()(batch)
    assert found.x.dtype == torch.float32
    real = found.mask.any(1)
    assert torch.cosine_similarity(found.x[real].flatten(1), expected[real].flatten(1)).min() > 0.99


def test_a_batch_of_nothing_has_no_tokens(made: Any) -> None:
    for tune in ("lora", "full"):
        encoder = moved(built(made(tiny.bert), "text", tune=tune)).train()
        tokens = encoder(encoder.collate([None, None]))
        assert tokens.x.shape == (2, 1, 16) and not tokens.mask.any() and not tokens.x.any()
        tokens.x.sum().backward()
        assert all(p.grad is not None and not p.grad.any() for p in encoder.parameters() if p.requires_grad)


# It is saved


def table(n: int = 24) -> pd.DataFrame:
    notes = [("a ripe tomato", "the deep sea")[i % 2] + f" {i}" for i in range(n)]
    return pd.DataFrame({"note": notes, "kind": ["ab"[i % 2] for i in range(n)]})


def fitted(folder: Path, tune: str, **options: Any) -> Any:
    part = {"name": "text_pretrained", "weights": str(folder), "tune": tune, "rank": 2}
    settings = {"modalities": {"note": "text"}, "epochs": 2, "quiet": True, "training": {"batch_size": 8}}
    return plait.fit(table(), "kind", **{**settings, "encoders": {"note": part}, **options})


@both
def test_a_model_is_whole_without_its_weights(tune: str, made: Any, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(made(tiny.bert), folder)
    model = fitted(folder, tune)
    expected = model.predict_proba(table())
    saved = model.save(tmp_path / "model")
    again = fitted(folder, tune).save(tmp_path / "again")
    one, other = ((f / "weights.safetensors").read_bytes() for f in (saved, again))
    assert one == other, "the same seed gives the same bytes"
    names = safetensors.torch.load(one).keys()
    body = [n for n in names if "embeddings.word_embeddings" in n]
    nets = list(saved.glob("net-*.safetensors"))
    assert (len(body), len(nets)) == ((1, 0) if tune == "full" else (0, 1))
    shutil.rmtree(folder)
    pretrained._HELD.clear()
    loaded = plait.load(saved)
    pd.testing.assert_frame_equal(loaded.predict_proba(table()), expected)
    loaded = plait.load(loaded.save(tmp_path / "third"))
    pd.testing.assert_frame_equal(loaded.predict_proba(table()), expected)
    assert (tmp_path / "third" / "weights.safetensors").read_bytes() == one


@pytest.mark.slow
@both
def test_a_run_that_was_stopped_ends_in_the_same_bytes(tune: str, made: Any, tmp_path: Path) -> None:
    found = []
    for name, limit in (("whole", None), ("cut", 1e-6), ("cut", None)):
        fitted(made(tiny.bert), tune, out=tmp_path / name, time_limit=limit, overwrite=True)
        found.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert found[0] == found[2]


def test_a_list_of_texts_is_tuned_too(made: Any) -> None:
    inner = {"name": "text_pretrained", "weights": str(made(tiny.bert)), "tune": "full", "layer_decay": 0.5}
    frozen = {"name": "text_pretrained", "weights": str(made(tiny.bert))}
    cells, found = [("a ripe tomato", "fresh"), ("the deep sea",)], []
    for part in (inner, frozen):
        encoder = ENCODERS.build(ENCODERS.complete({"name": "text_set", "encoder": part}, [])).eval()
        encoder.begin()
        found.append(encoder(encoder.collate([*encoder.prepare(cells), None])).x)
        assert encoder.rates.keys() <= {n for n, _ in encoder.named_parameters()}
    torch.testing.assert_close(found[0], found[1], rtol=5e-3, atol=5e-3)
    assert not encoder.rates and not encoder.starts


def test_a_network_in_a_folder_that_is_not_the_one_is_refused(made: Any, tmp_path: Path) -> None:
    saved = fitted(made(tiny.bert), "lora").save(tmp_path / "model")
    net = next(saved.glob("net-*.safetensors"))
    good = net.read_bytes()
    net.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ModelFormatError, match="net-"):
        plait.load(saved)
    net.write_bytes(good)
    tensors = safetensors.torch.load(good)
    name = "encoder.layer.0.attention.self.query.weight"
    for changed in ({k: v for k, v in tensors.items() if k != name}, {**tensors, name: torch.zeros(3, 16)}):
        model = plait.load(saved)
        model.model.encoders["note"].nets[0].give(safetensors.torch.save(changed))
        with pytest.raises(PlaitError, match="missing or of another shape"):
            model.predict(table())
    encoder = built(made(tiny.bert), "text", tune="lora")
    with pytest.raises(PlaitError, match=r"no layer 'encoder\.layer\.7"):
        lora.attach(encoder.nets[0].module(own=True), lora.corrections({"encoder.layer.7.output.dense": [16, 16]}, 2))
    with pytest.raises(PlaitError, match=r"no layer 'pooler\.dense' of 16 x 3"):
        lora.attach(encoder.nets[0].module(own=True), lora.corrections({"pooler.dense": [16, 3]}, 2))


# What is refused


def test_options_that_cannot_be_are_refused(made: Any) -> None:
    for options, said in (
        ({"rank": 0}, "rank is 0"),
        ({"rank": True}, "rank is True"),
        ({"rank": 2.5}, "rank is 2.5"),
        ({"layer_decay": 0}, "layer_decay is 0"),
        ({"layer_decay": 1.1}, "layer_decay is 1.1"),
        ({"layer_decay": "much"}, "layer_decay is 'much'"),
        ({"checkpointing": 1}, "checkpointing is 1"),
        ({"layer": "mix", "tokens": True}, "too many"),
    ):
        with pytest.raises(PlaitError, match=said):
            built(made(tiny.bert), "text", tune="full", **options)
    for kind, make in (("text", tiny.bert), ("image", tiny.vit), ("audio", tiny.whisper), ("video", tiny.vit)):
        with pytest.raises(UnknownNameError, match="Did you mean 'frozen'"):
            built(made(make), kind, tune="froze")
    with pytest.raises(PlaitError, match="no linear layer"):
        lora.targets(nn.Sequential(nn.Conv2d(3, 3, 3)), "x")


@both
def test_a_learner_refuses_what_has_to_be_trained(tune: str, made: Any) -> None:
    with pytest.raises(PlaitError, match="has to be trained"):
        fitted(made(tiny.bert), tune, learner="logistic")


def test_weights_that_are_gone_when_a_fit_begins_are_told(made: Any, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(made(tiny.bert), folder)
    spec = ENCODERS.complete({"name": "text_pretrained", "weights": str(folder), "tune": "full"}, [])
    shutil.rmtree(folder)
    encoder = ENCODERS.build(spec)  # as a load builds it
    with pytest.raises(PlaitError, match="not on this machine"):
        encoder.begin()
