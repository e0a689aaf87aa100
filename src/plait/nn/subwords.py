"""Text for encoders: byte-level subwords, learned from the training cells, for any script.

Byte-level BPE (Radford et al. 2019; Sennrich et al. 2016) starts from the 256 bytes, so no script, spaced or not, has an
unknown character, and what is frequent becomes one token. Special tokens are ids that no text can produce.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from plait.nn import rows
from plait.types import Inputs, Prepared

PAD, START, HIDDEN = 0, 1, 2
SPECIAL = 3
CHARACTERS_A_TOKEN = 16  # what of a text is looked at, at most, for each token kept


def learn(cells: Iterable[str], *, vocabulary: int, lowercase: bool) -> str:
    """A tokenizer as JSON, learned from texts. `vocabulary`: tokens at most, the 256 bytes included."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    # Runs of one script, then words: where a script has no spaces, a run of it is a word and BPE finds its parts.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=True)])
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, min_frequency=2, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(cells, trainer)
    state: dict[str, Any] = json.loads(tokenizer.to_str())
    return json.dumps(state, ensure_ascii=False, sort_keys=True)


class Subwords:
    """Texts -> ids int32 (N,), a START token first, at most `tokens` of them."""

    def __init__(self, *, tokenizer: str, tokens: int, hide: float) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer)
        self.size = self._tokenizer.get_vocab_size() + SPECIAL
        self.tokens, self.hide = tokens, hide

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        cut = [c[: self.tokens * CHARACTERS_A_TOKEN] for c in cells]
        codes = self._tokenizer.encode_batch(cut, add_special_tokens=False)
        return [{"ids": np.array([START, *(i + SPECIAL for i in c.ids[: self.tokens - 1])], dtype=np.int32)}
                for c in codes]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return rows.pad(cells, "ids", fill=PAD, dtype=np.int32)

    def augment(self, inputs: Inputs) -> Inputs:
        """Each token but START is hidden with chance `hide`."""
        ids = inputs["ids"]
        hidden = (torch.rand(ids.shape, device=ids.device) < self.hide) & (ids >= SPECIAL)
        return {**inputs, "ids": ids.masked_fill(hidden, HIDDEN)}
