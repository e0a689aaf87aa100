"""Text for encoders: byte-level subwords, learned from the training cells, for any script.

Byte-level BPE (Radford et al. 2019; Sennrich et al. 2016) starts from the 256 bytes, so no script, spaced or not, has
an unknown character, and what is frequent becomes one token. Special tokens are ids that no text can produce.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from plait.nn import rows
from plait.types import Inputs, Prepared

PAD, START, HIDDEN = 0, 1, 2
SPECIAL = 3
RARE = 2  # a token seen fewer times in training counts as not seen
LONGEST_WORD = 256  # bytes; a longer run is several words, for the time to learn from a word is its length squared
AT_ONCE = 8192  # texts that are encoded together: what the tokenizer tells of each is many times its size
CHARACTERS_A_TOKEN = 16  # what of a text is looked at, at most, for each token kept


def learn(cells: Iterable[str | None], *, vocabulary: int, lowercase: bool) -> dict[str, Any]:
    """From texts, the arguments that Subwords needs: a tokenizer as JSON, and its tokens that training hardly shows.
    `vocabulary`: tokens at most, the 256 bytes included."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    texts = [c for c in cells if c is not None]
    tokenizer = Tokenizer(models.BPE())
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    # Digits one by one, then words: where a script has no spaces, a run of letters is a word and BPE finds its parts.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=True),
            pre_tokenizers.Split(Regex(f".{{1,{LONGEST_WORD}}}"), "isolated"),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    counts: Counter[int] = Counter()
    often = list(Counter(texts).items())
    for start in range(0, len(often), AT_ONCE):
        part = often[start : start + AT_ONCE]
        for code, (_, times) in zip(tokenizer.encode_batch([t for t, _ in part], add_special_tokens=False), part):
            for token in code.ids:
                counts[token] += times
    rare = [i for i in range(tokenizer.get_vocab_size()) if counts[i] < RARE]
    return {"tokenizer": json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, sort_keys=True), "rare": rare}


class Subwords:
    """Texts -> ids int32 (N,), a START token first, at most `tokens` of them. Tokens in `rare` are HIDDEN: training has
    taught nothing about them but how to do without."""

    def __init__(self, *, tokenizer: str, rare: Sequence[int], tokens: int, hide: float) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer)
        self.size = self._tokenizer.get_vocab_size() + SPECIAL
        self.tokens, self.hide = tokens, hide
        self.preparation: dict[str, Any] = {
            "kind": "subwords",
            "tokens": tokens,
            "tokenizer": tokenizer,
            "rare": list(rare),
        }
        hidden = set(rare)
        self._ids = [HIDDEN if i in hidden else i + SPECIAL for i in range(self._tokenizer.get_vocab_size())]

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        cut = [c[: self.tokens * CHARACTERS_A_TOKEN] for c in cells]
        codes = self._tokenizer.encode_batch(cut, add_special_tokens=False)
        return [
            {"ids": np.array([START, *(self._ids[i] for i in c.ids[: self.tokens - 1])], dtype=np.int32)} for c in codes
        ]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.pad(cells, "ids", fill=PAD, dtype=np.int32)

    def augment(self, inputs: Inputs) -> Inputs:
        """Each token but START is hidden with chance `hide`."""
        ids = inputs["ids"]
        hidden = (torch.rand(ids.shape, device=ids.device) < self.hide) & (ids >= SPECIAL)
        return {**inputs, "ids": ids.masked_fill(hidden, HIDDEN)}
