"""From the files of a package to a folder of weights as transformers keeps them: config, tensors, tokenizer, processing."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

from plait.weights import gguf

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def sentence_bert(files: list[Path], folder: Path) -> None:
    """A Sentence-BERT folder: mean over the tokens, then unit length (Reimers & Gurevych 2019, section 3)."""
    for path in files:
        shutil.copyfile(path, folder / path.name)
    _json(folder / "plait.json", {"pool": "mean", "length": 256})


def efficientnet_lite(files: list[Path], folder: Path) -> None:
    """EfficientNet-Lite, its parameters renamed to those of nn/efficientnet.py."""
    found = torch.load(files[0], map_location="cpu", weights_only=True)
    names = {
        r"^_conv_stem\.": "stem.0.",
        r"^_bn0\.": "stem.1.",
        r"^_conv_head\.": "head.0.",
        r"^_bn1\.": "head.1.",
        r"^_blocks\.(\d+)\._expand_conv\.": r"blocks.\1.expand.0.",
        r"^_blocks\.(\d+)\._bn0\.": r"blocks.\1.expand.1.",
        r"^_blocks\.(\d+)\._depthwise_conv\.": r"blocks.\1.depthwise.0.",
        r"^_blocks\.(\d+)\._bn1\.": r"blocks.\1.depthwise.1.",
        r"^_blocks\.(\d+)\._project_conv\.": r"blocks.\1.project.0.",
        r"^_blocks\.(\d+)\._bn2\.": r"blocks.\1.project.1.",
    }
    tensors = {}
    for name, tensor in found.items():
        if not name.endswith("num_batches_tracked") and not name.startswith("_fc."):
            for old, new in names.items():
                name = re.sub(old, new, name)
            tensors[name] = tensor.float().contiguous()
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    _json(folder / "config.json", {"model_type": "efficientnet-lite", "hidden_size": 1280})
    size = {"size": {"height": 224, "width": 224}, "resample": 3, "rescale_factor": 1 / 255}
    _json(folder / "preprocessor_config.json", {**size, **IMAGENET})


def ge2e(files: list[Path], folder: Path) -> None:
    """The speaker encoder of Wan et al. 2018 (GE2E): three LSTMs and a linear layer."""
    state = torch.load(files[0], map_location="cpu", weights_only=True)["model_state"]
    tensors = {k: v.float().contiguous() for k, v in state.items() if k.startswith(("lstm.", "linear."))}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    _json(folder / "config.json", {"model_type": "ge2e", "hidden_size": 256, "num_hidden_layers": 3})


def silero_vad(files: list[Path], folder: Path) -> None:
    """Silero's detector of speech, 16 kHz."""
    shutil.copyfile(files[0], folder / "model.safetensors")
    _json(folder / "config.json", {"model_type": "silero-vad"})


GEMMA = {  # parts of a layer: in GGUF -> in transformers
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_ffw_norm": "post_feedforward_layernorm",
}


def gemma3(files: list[Path], folder: Path) -> None:
    """Gemma 3 from GGUF in parts, its numbers of 4 to 8 bits kept in 16; with the terms it is given under."""
    parts = [p for p in files if ".gguf" in p.name]
    for path in (p for p in files if p not in parts):
        shutil.copyfile(path, folder / path.name)
    about, found = gguf.read(b"".join(p.read_bytes() for p in sorted(parts, key=lambda p: p.name)))
    outer = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    tensors = {}
    for name, stored in found.items():
        layer, inner = re.fullmatch(r"(blk\.\d+\.)?(\w+)\.weight", name).groups()  # type: ignore[union-attr]
        new = f"model.layers.{layer.split('.')[1]}.{GEMMA[inner]}" if layer else outer[inner]
        numbers = stored.numbers()
        # GGUF keeps what a norm multiplies with, transformers how far that is from 1
        tensors[f"{new}.weight"] = numbers - 1 if name.endswith("norm.weight") else numbers.astype(np.float16)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    _json(folder / "config.json", _gemma_config(about))
    (folder / "tokenizer.json").write_text(_gemma_tokenizer(about), encoding="utf-8")


def _gemma_config(about: dict[str, Any]) -> dict[str, Any]:
    said = {k.removeprefix("gemma3."): v for k, v in about.items()}
    own = {k: said[f"tokenizer.ggml.{k}"] for k in ("bos_token_id", "eos_token_id", "padding_token_id")}
    rope = {"full_attention": said["rope.freq_base"], "sliding_attention": 10_000.0}
    return {
        "model_type": "gemma3_text",
        "architectures": ["Gemma3ForCausalLM"],
        "vocab_size": len(about["tokenizer.ggml.tokens"]),
        "hidden_size": said["embedding_length"],
        "intermediate_size": said["feed_forward_length"],
        "num_hidden_layers": said["block_count"],
        "num_attention_heads": said["attention.head_count"],
        "num_key_value_heads": said["attention.head_count_kv"],
        "head_dim": said["attention.key_length"],
        "query_pre_attn_scalar": said["attention.key_length"],
        "max_position_embeddings": said["context_length"],
        "sliding_window": said["attention.sliding_window"],
        "rms_norm_eps": round(said["attention.layer_norm_rms_epsilon"], 9),
        "rope_parameters": {k: {"rope_type": "default", "rope_theta": v} for k, v in rope.items()},
        "bos_token_id": own["bos_token_id"],
        "eos_token_id": own["eos_token_id"],
        "pad_token_id": own["padding_token_id"],
    }


def _gemma_tokenizer(about: dict[str, Any]) -> str:
    """The tokenizer as transformers has it for Gemma: pairs of pieces are joined in the order in which what they make
    stands in the vocabulary. Runs of spaces are pieces of marks there."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    mark = "\u2581"
    tokens: list[str] = about["tokenizer.ggml.tokens"]
    names = [mark * len(t) if " " in t and not t.strip() else t for t in tokens]
    vocabulary = {name: i for i, name in enumerate(names)}
    merges = []
    for name in names:
        halves = ((name[:i], name[i:]) for i in range(1, len(name)))
        merges += sorted(
            (pair for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary),
            key=lambda pair: (len(pair[0]), len(pair[1])),
            reverse=True,
        )
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", mark)
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.decoder = decoders.Sequence([decoders.Replace(mark, " "), decoders.ByteFallback(), decoders.Fuse()])
    kinds = about["tokenizer.ggml.token_type"]
    steering = [n for n, kind in zip(names, kinds) if kind == gguf.CONTROL]
    made.add_special_tokens([AddedToken(n, normalized=False, special=True) for n in steering])
    whole = [n for n, t, kind in zip(names, tokens, kinds) if kind == gguf.OWN and n == t]
    made.add_tokens([AddedToken(n, normalized=False) for n in whole])
    begin = about["tokenizer.ggml.bos_token_id"]
    made.post_processor = processors.TemplateProcessing(
        single=f"{names[begin]} $A", pair=f"{names[begin]} $A {names[begin]} $B", special_tokens=[(names[begin], begin)]
    )
    return str(made.to_str())


def whisper(files: list[Path], folder: Path) -> None:
    """Whisper from CTranslate2's model.bin, whole or in parts, to the names and config of transformers."""
    shutil.copyfile(next(p for p in files if p.name == "tokenizer.json"), folder / "tokenizer.json")
    raw = b"".join(
        p.read_bytes() for p in sorted((p for p in files if p.name != "tokenizer.json"), key=lambda p: p.name)
    )
    found = read_ctranslate2(raw)
    config = _whisper_config(found)
    safetensors.numpy.save_file(dict(_whisper_tensors(found, config)), folder / "model.safetensors")
    _json(folder / "config.json", config)
    about = {"feature_size": config["num_mel_bins"], "sampling_rate": 16_000, "n_fft": 400, "hop_length": 160}
    _json(folder / "preprocessor_config.json", {**about, "feature_extractor_type": "WhisperFeatureExtractor"})


def read_ctranslate2(raw: bytes) -> dict[str, np.ndarray]:
    """The variables of a CTranslate2 model.bin: version, name of the spec, revision, then name, shape, type and content of
    each variable, then aliases; strings end with NUL, after a length of 16 bits."""
    at = 0

    def take(form: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from("<" + form, raw, at)
        at += struct.calcsize("<" + form)
        return values

    def text() -> str:
        (size,) = take("H")
        return str(take(f"{size}s")[0].rstrip(b"\0").decode())

    kinds = (np.float32, np.int8, np.int16, np.int32, np.float16)
    take("I"), text(), take("I")
    found: dict[str, np.ndarray] = {}
    for _ in range(take("I")[0]):
        name, (rank,) = text(), take("B")
        shape = take(f"{rank}I") if rank else ()
        kind, size = take("B")[0], take("I")[0]
        found[name] = np.frombuffer(raw, kinds[kind], size // np.dtype(kinds[kind]).itemsize, at).reshape(shape)
        at += size
    for _ in range(take("I")[0]):
        alias, name = text(), text()
        found[alias] = found[name]
    return found


def _whisper_config(found: dict[str, np.ndarray]) -> dict[str, Any]:
    words, wide = found["decoder/embeddings/weight"].shape
    english = words < 51_865
    layers = {
        part: len(
            {k.split("/")[1] for k in found if k.startswith(f"{part}/layer_") and k.split("/")[1] != "layer_norm"}
        )
        for part in ("encoder", "decoder")
    }
    inner = found["encoder/layer_0/ffn/linear_0/weight"].shape[0]
    end = 50_256 if english else 50_257
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "vocab_size": int(words),
        "num_mel_bins": int(found["encoder/conv1/weight"].shape[1]),
        "d_model": int(wide),
        "encoder_layers": layers["encoder"],
        "decoder_layers": layers["decoder"],
        "encoder_attention_heads": int(found["encoder/num_heads"]),
        "decoder_attention_heads": int(found["decoder/num_heads"]),
        "encoder_ffn_dim": int(inner),
        "decoder_ffn_dim": int(inner),
        "max_source_positions": int(found["encoder/position_encodings/encodings"].shape[0]),
        "max_target_positions": int(found["decoder/position_encodings/encodings"].shape[0]),
        "decoder_start_token_id": 50_257 if english else 50_258,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "begin_suppress_tokens": [220, end],
        "suppress_tokens": None,
    }


def _whisper_tensors(found: dict[str, np.ndarray], config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """(name in transformers, tensor). The fused projections are taken apart; the keys have no bias."""

    def layer(
        new: str, old: str, *, norm: bool = False, names: tuple[str, ...] = ("",)
    ) -> Iterator[tuple[str, np.ndarray]]:
        weight, bias = (found[f"{old}/{k}"] for k in (("gamma", "beta") if norm else ("weight", "bias")))
        for name, w, b in zip(names, np.split(weight, len(names)), np.split(bias, len(names))):
            yield f"{new}{name}.weight", np.ascontiguousarray(w)
            if name != "k_proj":
                yield f"{new}{name}.bias", np.ascontiguousarray(b)

    for conv in ("conv1", "conv2"):
        yield from layer(f"model.encoder.{conv}", f"encoder/{conv}")
    yield "model.decoder.embed_tokens.weight", found["decoder/embeddings/weight"]
    for part in ("encoder", "decoder"):
        top = f"model.{part}."
        yield f"{top}embed_positions.weight", found[f"{part}/position_encodings/encodings"]
        yield from layer(f"{top}layer_norm", f"{part}/layer_norm", norm=True)
        for i in range(config[f"{part}_layers"]):
            old, new = f"{part}/layer_{i}/", f"{top}layers.{i}."
            yield from layer(f"{new}self_attn.", f"{old}self_attention/linear_0", names=("q_proj", "k_proj", "v_proj"))
            yield from layer(f"{new}self_attn.out_proj", f"{old}self_attention/linear_1")
            yield from layer(f"{new}self_attn_layer_norm", f"{old}self_attention/layer_norm", norm=True)
            if part == "decoder":
                yield from layer(f"{new}encoder_attn.q_proj", f"{old}attention/linear_0")
                yield from layer(f"{new}encoder_attn.", f"{old}attention/linear_1", names=("k_proj", "v_proj"))
                yield from layer(f"{new}encoder_attn.out_proj", f"{old}attention/linear_2")
                yield from layer(f"{new}encoder_attn_layer_norm", f"{old}attention/layer_norm", norm=True)
            yield from layer(f"{new}fc1", f"{old}ffn/linear_0")
            yield from layer(f"{new}fc2", f"{old}ffn/linear_1")
            yield from layer(f"{new}final_layer_norm", f"{old}ffn/layer_norm", norm=True)


def _json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
