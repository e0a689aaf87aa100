"""Subwords: any script there and back, the same in every process, no more tokens than asked for."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import unicodedata
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers

from plait.nn import subwords
from plait.nn.subwords import HIDDEN, PAD, SPECIAL, START, Subwords

TEXTS = [
    "a ripe tomato",
    "une tomate mûre",
    "一个成熟的番茄",
    "มะเขือเทศสุก",
    "طماطم ناضجة",
    "ripe tomatoes, 12.50 €",
    "👩‍👩‍👧 🍅🍅",
    "two  spaces\tand\nlines",
    "पका हुआ टमाटर",
    "ＦＵＬＬ　ｗｉｄｔｈ ﬁ",
    "a1b22 c3",
    "",
    " ",
    "\0\x1b",
    "don't",
    "e\u0301\u0301",
] * 3
UNSEEN = ["Ω≈ç√∫", '!"#$%&', "ꦲꦤꦕꦫꦏ", "日本語のテキスト", "<s>[MASK]</s>", "1234567890" * 3, "\U0010ffff"]


def learned(**options: Any) -> dict[str, Any]:
    return subwords.learn(TEXTS, **{"vocabulary": 600, "lowercase": True, **options})


def byte_of() -> dict[str, int]:
    """The character that stands for each byte (Radford et al. 2019): itself where printable, else from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {**{chr(b): b for b in printable}, **{chr(256 + i): b for i, b in enumerate(others)}}


def decoded(tokenizer: Tokenizer, text: str) -> str:
    table = byte_of()
    tokens = tokenizer.encode(text, add_special_tokens=False).tokens
    return bytes(table[c] for t in tokens for c in t).decode("utf-8")


def test_the_bytes_are_all_in_the_alphabet() -> None:
    assert byte_of().keys() == set(pre_tokenizers.ByteLevel.alphabet())


@pytest.mark.parametrize("text", [*TEXTS[:16], *UNSEEN], ids=ascii)
def test_any_text_is_in_its_tokens_whole(text: str) -> None:
    tokenizer = Tokenizer.from_str(learned()["tokenizer"])
    normal = unicodedata.normalize("NFKC", text).lower()
    # words and digits are given a space before them
    assert decoded(tokenizer, text).replace(" ", "") == normal.replace(" ", "")


def test_other_texts_have_other_tokens() -> None:
    words = Subwords(**{**learned(), "rare": []}, tokens=64, hide=0.0)
    texts = sorted(
        {
            unicodedata.normalize("NFKC", t).lower()
            for t in [*TEXTS, *UNSEEN, "a 1 b 2", "a1b2", "12", "1 2", "to mato", "tomato"]
        }
    )
    assert len({tuple(p["ids"].tolist()) for p in words.prepare(texts)}) == len(texts)


def test_the_vocabulary_holds_the_bytes_and_no_more_than_asked_for() -> None:
    for wanted in (300, 600):
        tokenizer = Tokenizer.from_str(learned(vocabulary=wanted)["tokenizer"])
        assert 256 <= tokenizer.get_vocab_size() <= wanted and byte_of().keys() <= tokenizer.get_vocab().keys()


def test_what_is_frequent_is_one_token() -> None:
    facts = subwords.learn(["the ripe tomato", "番茄番茄"] * 50, vocabulary=600, lowercase=True)
    words = Subwords(**facts, tokens=64, hide=0.0)
    lengths = [len(p["ids"]) - 1 for p in words.prepare(["the ripe tomato", "番茄"])]
    assert lengths[0] == 3 and lengths[1] <= 3


def test_case_is_kept_where_it_is_to_be() -> None:
    for lowercase, same in ((True, True), (False, False)):
        a, b = Subwords(**{**learned(lowercase=lowercase), "rare": []}, tokens=64, hide=0.0).prepare(
            ["Tomato", "tomato"]
        )
        assert (a["ids"].tolist() == b["ids"].tolist()) == same


def test_composed_and_decomposed_characters_are_the_same() -> None:
    a, b = Subwords(**learned(), tokens=64, hide=0.0).prepare(["mûre", unicodedata.normalize("NFD", "mûre")])
    assert a["ids"].tolist() == b["ids"].tolist()


def test_learning_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib, json\nfrom tests.nn.test_subwords import learned\n"
        "print(hashlib.sha256(json.dumps(learned(), sort_keys=True).encode()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "12345", "TOKENIZERS_PARALLELISM": "true"}
    other = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert other == hashlib.sha256(json.dumps(learned(), sort_keys=True).encode()).hexdigest()


def test_start_comes_first_and_no_text_makes_a_special_token() -> None:
    words = Subwords(**{**learned(), "rare": []}, tokens=64, hide=0.0)
    for ready in words.prepare([*TEXTS, *UNSEEN]):
        ids = ready["ids"]
        assert ids[0] == START and (ids[1:] >= SPECIAL).all() and ids.max() < words.size


def test_tokens_that_training_hardly_shows_are_hidden() -> None:
    facts = learned()
    tokenizer = Tokenizer.from_str(facts["tokenizer"])
    counts: dict[int, int] = {}
    for text in TEXTS:
        for i in tokenizer.encode(text).ids:
            counts[i] = counts.get(i, 0) + 1
    assert facts["rare"] == [i for i in range(tokenizer.get_vocab_size()) if counts.get(i, 0) < subwords.RARE]
    seen, unseen = Subwords(**facts, tokens=64, hide=0.0).prepare([TEXTS[0], "Ω≈ç√∫"])
    assert HIDDEN not in seen["ids"] and HIDDEN in unseen["ids"]


@pytest.mark.parametrize("tokens", [1, 2, 16])
def test_a_long_text_is_cut(tokens: int) -> None:
    words, whole = (Subwords(**learned(), tokens=t, hide=0.0) for t in (tokens, 10_000))
    text = "a ripe tomato and then " * 500
    cut = words.prepare([text, "x" * 10**6, "e\u0301" * 10**5])
    assert all(len(c["ids"]) <= tokens for c in cut)
    assert cut[0]["ids"].tolist() == whole.prepare([text])[0]["ids"][:tokens].tolist()


def test_the_time_to_learn_grows_with_the_length_of_a_word_and_not_with_its_square() -> None:
    began = time.process_time()
    for piece in ("x", "一个成熟的番茄三只小猪", "e\u0301\u0316", "👩\u200d"):
        word = piece * (40_000 // len(piece))
        facts = subwords.learn([word, word], vocabulary=4000, lowercase=True)
        assert len(Subwords(**facts, tokens=128, hide=0.0).prepare([word * 25])[0]["ids"]) <= 128
    assert time.process_time() - began < 12  # a word of 100,000 letters took minutes


def test_hiding_spares_start_and_padding_and_has_its_share() -> None:
    words = Subwords(**{**learned(), "rare": []}, tokens=200, hide=0.3)
    inputs = words.collate([*words.prepare(["a ripe tomato " * 40, "x"]), None])
    ids = inputs["ids"]
    varied = torch.stack([words.augment(inputs)["ids"] for _ in range(40)])
    hidden = varied != ids
    assert (varied[hidden] == HIDDEN).all()
    assert not hidden[:, (ids == START) | (ids == PAD)].any()
    assert hidden[:, ids >= SPECIAL].float().mean() == pytest.approx(0.3, abs=0.05)


def test_nothing_to_learn_from_gives_bytes() -> None:
    for cells in ([], [None], [""]):
        facts = subwords.learn(cells, vocabulary=600, lowercase=True)
        assert Tokenizer.from_str(facts["tokenizer"]).get_vocab_size() == 256
        assert len(Subwords(**facts, tokens=64, hide=0.0).prepare(["番茄"])[0]["ids"]) > 1
