"""GGUF beside ggml's own loops written out, and Gemma 3 from it beside the network and the tokenizer it was made from."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plait.encoders import ENCODERS
from plait.errors import FetchError
from plait.weights import convert, gguf
from plait.weights.find import resolve

transformers = pytest.importorskip("transformers")

MARK = "\u2581"
ENGLISH = (
    "The Moon is the only natural satellite of the Earth. It orbits at an average distance of about 384,000 kilometres, "
    "roughly thirty times the diameter of the Earth, and always shows us the same side. Its gravity causes the tides of "
    "the oceans, and its phases were used by people of many cultures to measure the months of the year."
)


def half(block: bytes, at: int) -> float:
    return float(np.frombuffer(block[at : at + 2], np.float16)[0])


def by_ggml(kind: int, block: bytes) -> list[float]:
    """One block, as ggml-quants.c takes it apart, a number at a time."""
    if kind == 8:
        return [half(block, 0) * struct.unpack("b", block[2 + j : 3 + j])[0] for j in range(32)]
    if kind == 6:
        (bits,) = struct.unpack("<I", block[2:6])
        low = [((block[6 + j] & 15) | ((bits >> j) & 1) << 4) - 16 for j in range(16)]
        high = [((block[6 + j] >> 4) | ((bits >> (j + 16)) & 1) << 4) - 16 for j in range(16)]
        return [half(block, 0) * q for q in low + high]
    y: list[float] = []
    if kind == 12:
        scales, quants = block[4:16], block[16:]
        for j in range(8):
            if j < 4:
                scale, least = scales[j] & 63, scales[j + 4] & 63
            else:
                scale = (scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4
                least = (scales[j + 4] >> 4) | (scales[j] >> 6) << 4
            for place in range(32):
                byte = quants[32 * (j // 2) + place]
                y.append(half(block, 0) * scale * (byte >> 4 if j % 2 else byte & 15) - half(block, 2) * least)
        return y
    low6, high6, scales6 = block[:128], block[128:192], np.frombuffer(block[192:208], np.int8)
    for n in range(2):
        parts: list[list[float]] = [[], [], [], []]
        for place in range(32):
            a, b, h = low6[64 * n + place], low6[64 * n + place + 32], high6[32 * n + place]
            found = [
                a & 15 | (h & 3) << 4,
                b & 15 | (h >> 2 & 3) << 4,
                a >> 4 | (h >> 4 & 3) << 4,
                b >> 4 | (h >> 6) << 4,
            ]
            for k, q in enumerate(found):
                parts[k].append(half(block, 208) * float(scales6[8 * n + place // 16 + 2 * k]) * (q - 32))
        y += [v for part in parts for v in part]
    return y


@pytest.mark.parametrize("kind", [6, 8, 12, 14])
def test_blocks_are_taken_apart_as_ggml_does(kind: int) -> None:
    random, size, many = np.random.default_rng(kind), gguf.BLOCKS[kind][0], gguf.VALUES[kind]
    blocks = random.integers(0, 256, (6, size), dtype=np.uint8)
    for at in {6: (0,), 8: (0,), 12: (0, 2), 14: (208,)}[kind]:  # scales that are numbers
        blocks[:, at : at + 2] = random.standard_normal((6, 1)).astype(np.float16).view(np.uint8)
    found = gguf.Stored(kind, (3, 2 * many), memoryview(blocks.tobytes())).numbers()
    assert found.dtype == np.float32 and found.shape == (3, 2 * many)
    expected = np.array([by_ggml(kind, b.tobytes()) for b in blocks]).reshape(3, 2 * many)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def said(value: Any) -> bytes:
    """Kind and value, as GGUF writes them."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        kind = 8 if isinstance(value[0], str) else 5 if isinstance(value[0], int) else 6
        inner = (
            b"".join(map(text, value))
            if kind == 8
            else struct.pack(f"<{len(value)}{'i' if kind == 5 else 'f'}", *value)
        )
        return struct.pack("<IIQ", 9, kind, len(value)) + inner
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)


def written(about: dict[str, Any], tensors: dict[str, tuple[int, np.ndarray]]) -> bytes:
    """A GGUF file, version 3. `tensors`: name -> kind of numbers, and these."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(about))
    head += b"".join(text(k) + said(v) for k, v in about.items())
    body = b""
    for name, (kind, x) in tensors.items():
        shape = x.shape[::-1]
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(body))
        raw = packed(kind, x)
        body += raw + b"\0" * (-len(raw) % 32)
    return head + b"\0" * (-len(head) % 32) + body


def packed(kind: int, x: np.ndarray) -> bytes:
    if kind != 8:
        return x.astype({0: np.float32, 1: np.float16}[kind]).tobytes()
    blocks = x.reshape(-1, 32).astype(np.float32)
    scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype(np.float16)
    values = np.round(blocks / np.maximum(scale.astype(np.float32), 1e-12)).clip(-127, 127).astype(np.int8)
    return np.concatenate([scale.view(np.uint8), values.view(np.uint8)], 1).tobytes()


TOKENS = [
    *("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<unused0>", "\n\n", "  ", "   "),
    *(f"<0x{i:02X}>" for i in range(256)),
    *("th", MARK + "t", MARK + "th", MARK + "the", "om", "to", "tom", MARK + "tom", "ripe", "ri", "pe", MARK + "ripe"),
    *"abcdefghijklmnopqrstuvwxyz.,0",
    MARK,
    "é",
]
OF_TRANSFORMERS = {new: old for old, new in convert.GEMMA.items()}


def tiny_gemma() -> tuple[Any, dict[str, Any], dict[str, np.ndarray]]:
    """A network of random numbers, what GGUF says of it, and its tensors as GGUF names them."""
    config = transformers.Gemma3TextConfig(
        vocab_size=len(TOKENS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=7,  # the sixth sees all of the text
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=4,
        max_position_embeddings=48,
    )
    net = transformers.Gemma3ForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    about = {
        "general.architecture": "gemma3",
        "gemma3.context_length": 48,
        "gemma3.embedding_length": 32,
        "gemma3.block_count": 7,
        "gemma3.feed_forward_length": 64,
        "gemma3.attention.head_count": 2,
        "gemma3.attention.head_count_kv": 1,
        "gemma3.attention.key_length": 32,
        "gemma3.attention.layer_norm_rms_epsilon": 1e-6,
        "gemma3.attention.sliding_window": 4,
        "gemma3.rope.freq_base": 1e6,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.scores": [float(-i) for i in range(len(TOKENS))],
        "tokenizer.ggml.token_type": [3] * 6 + [4] * 3 + [6] * 256 + [1] * (len(TOKENS) - 265),
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.unknown_token_id": 3,
        "tokenizer.ggml.padding_token_id": 0,
    }
    tensors = {}
    for name, tensor in net.model.state_dict().items():
        short = name.removesuffix(".weight")
        if short.startswith("layers."):
            _, number, inner = short.split(".", 2)
            short = f"blk.{number}.{OF_TRANSFORMERS[inner]}"
        short = {"embed_tokens": "token_embd", "norm": "output_norm"}.get(short, short)
        tensors[f"{short}.weight"] = tensor.numpy() + ("norm" in short)
    return net, about, tensors


def converted(folder: Path, raw: bytes, parts: int = 2) -> Path:
    """The folder of weights that is made of a file in parts."""
    folder.mkdir()
    size = -(-len(raw) // parts)
    files = [folder.parent / "NOTICE.md", *(folder.parent / f"x.gguf.part{i:02d}" for i in range(parts))]
    files[0].write_text("the terms")
    for i, path in enumerate(files[1:]):
        path.write_bytes(raw[i * size : (i + 1) * size])
    convert.gemma3(files[::-1], folder)
    return folder


def test_gemma_of_gguf_is_gemma_of_transformers(tmp_path: Path) -> None:
    net, about, tensors = tiny_gemma()
    kinds = {name: 8 if x.ndim == 2 and ".attn_v" not in name else 0 for name, x in tensors.items()}
    folder = converted(tmp_path / "made", written(about, {n: (kinds[n], x) for n, x in tensors.items()}))
    assert (folder / "NOTICE.md").read_text() == "the terms"
    made = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    state = made.state_dict()
    for name, tensor in net.state_dict().items():
        rough = 0.0 if "norm" in name else float(tensor.abs().max()) * (1e-3 if "v_proj" in name else 1e-2)
        np.testing.assert_allclose(state[name], tensor, atol=max(rough, 1e-6), err_msg=name)
    net.load_state_dict(state)
    ids = torch.tensor([[2, 270, 280, 271, 290, 268, 275, 269, 266]])
    with torch.no_grad():
        torch.testing.assert_close(made(ids).logits, net(ids).logits)
    assert made.config.layer_types == net.config.layer_types and made.config.sliding_window == 4


def test_the_tokens_of_gemma_are_those_of_transformers(tmp_path: Path) -> None:
    theirs = pytest.importorskip(
        "transformers.integrations.gguf.gguf_tokenizer_mapping", reason="an older transformers"
    )
    _, about, tensors = tiny_gemma()
    raw = written(about, {n: (0, x) for n, x in tensors.items()})
    (tmp_path / "x.gguf").write_bytes(raw)
    architecture, found, _ = theirs.get_gguf_tokenizer(str(tmp_path / "x.gguf"))
    oracle, _ = theirs.convert_gguf_tokenizer(architecture, found)
    ours = transformers.AutoTokenizer.from_pretrained(converted(tmp_path / "made", raw))
    texts = [
        "the ripe tom",
        " the  ripe   tom\n\nand é 番茄",
        "",
        "<unused0>tomtom<eos>",
        "to the\n\n\n t",
        "rip ripe thethe",
    ]
    for said in texts:
        assert ours(said)["input_ids"] == [2, *oracle.encode(said, add_special_tokens=False).ids], said
    assert len(ours("the ripe tom")["input_ids"]) == 1 + 4


def test_half_a_file_is_refused() -> None:
    _, about, tensors = tiny_gemma()
    raw = written(about, {n: (0, x) for n, x in tensors.items()})
    for size in (0, 3, 20, 500, len(raw) - 40):
        with pytest.raises(FetchError):
            gguf.read(raw[:size])
    with pytest.raises(FetchError, match="begins with"):
        gguf.read(b"GGML" + raw[4:])


# An encoder of it


def layers(folder: Path, said: str) -> list[np.ndarray]:
    """The states of one text by transformers, (N, D) of each layer, without that of the beginning."""
    own = transformers.AutoTokenizer.from_pretrained(folder)
    net = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        out = net(**own(said, return_tensors="pt"), output_hidden_states=True)
    return [h[0, 1:].numpy() for h in (*out.hidden_states[:-1], out.last_hidden_state)]


def test_without_a_prompt_a_text_is_the_mean_over_its_tokens_without_the_one_it_begins_with(tmp_path: Path) -> None:
    _, about, tensors = tiny_gemma()
    folder = converted(tmp_path / "made", written(about, {n: (0, x) for n, x in tensors.items()}))
    texts = ["the ripe tom", "tom", "", "the long story of the ripe tom and the deep sea, the end"]
    encoder = {
        how: ENCODERS.build(
            ENCODERS.complete({"name": "text_pretrained", "weights": str(folder), "prompt": "", **options}, [])
        )
        for how, options in {"usual": {}, "tokens": {"tokens": True, "layer": 4}, "mix": {"layer": "mix"}}.items()
    }
    found = {how: [p["states"].astype(np.float32) for p in e.prepare(texts)] for how, e in encoder.items()}
    for i, said in enumerate(texts):
        if not said:  # one token of padding
            assert found["tokens"][i].shape == (1, 32)
            continue
        expected = layers(folder, said)
        assert len(expected) == 8
        np.testing.assert_allclose(found["usual"][i], expected[-1].mean(0)[None], rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(found["tokens"][i], expected[4], rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(found["mix"][i], [h.mean(0) for h in expected], rtol=2e-3, atol=2e-3)
    for said, kept in zip(texts, encoder["usual"].prepare(texts)):  # the same bytes alone
        np.testing.assert_array_equal(encoder["usual"].prepare([said])[0]["states"], kept["states"])


def test_a_tuned_one_leaves_out_the_same_token(tmp_path: Path) -> None:
    _, about, tensors = tiny_gemma()
    folder = converted(tmp_path / "made", written(about, {n: (0, x) for n, x in tensors.items()}))
    texts = ["the ripe tom", "", "tom to the ripe"]
    for tokens in (False, True):
        made = []
        for tune in ("frozen", "lora"):
            spec = {"name": "text_pretrained", "weights": str(folder), "tune": tune, "layer": "last", "tokens": tokens}
            encoder = ENCODERS.build(ENCODERS.complete(spec, [])).eval()
            with torch.no_grad():
                made.append(encoder(encoder.collate([*encoder.prepare(texts), None])))
        assert made[0].mask.tolist() == made[1].mask.tolist() and made[0].mask.any(1).tolist() == [True] * 3 + [False]
        torch.testing.assert_close(made[0].x, made[1].x, rtol=5e-3, atol=5e-3)


@pytest.mark.slow
def test_the_real_gemma_reads_english(real: Callable[..., Path]) -> None:
    """Perplexity: a network whose numbers or words were wrong is lost at tens of thousands. And what is kept of a text is what
    transformers computes."""
    real("gemma-3-270m", fetch=False)  # 239 MB, under terms of their own: for who has fetched them
    found = resolve("gemma-3-270m")
    own = transformers.AutoTokenizer.from_pretrained(found.folder)
    net = transformers.AutoModelForCausalLM.from_pretrained(found.folder, dtype=torch.float32).eval()
    ids = own(ENGLISH, return_tensors="pt")["input_ids"]
    assert own.decode(ids[0], skip_special_tokens=True) == ENGLISH
    with torch.no_grad():
        out = net(ids, labels=ids)
    assert 2 < float(out.loss.exp()) < 20
    assert found.licence is not None and "Gemma Terms" in found.licence and (found.folder / "GEMMA_TERMS.html").exists()
    for prompt, ids, of in [
        (None, own(f"{ENGLISH} Category:"), lambda h: h[-1]),
        ("", own(ENGLISH), lambda h: h[1:].mean(0)),
    ]:
        spec = {"name": "text_pretrained", "weights": "gemma-3-270m", "prompt": prompt}
        kept = ENCODERS.build(ENCODERS.complete(spec, [])).prepare([ENGLISH])[0]["states"][0]
        with torch.no_grad():
            out = net(input_ids=torch.tensor([ids["input_ids"]]), output_hidden_states=True)
        expected = of(out.hidden_states[-1][0])
        assert float(torch.cosine_similarity(torch.from_numpy(kept.astype(np.float32)), expected, 0)) > 0.9999
