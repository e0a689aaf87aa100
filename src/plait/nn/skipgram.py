"""Word vectors learned from some texts, by gensim."""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np

from plait.optional import need

SEEN = 2_000_000  # words that training goes over, so that there are more epochs where there are fewer words
EPOCHS = (5, 50)
PIECE = 1000  # words of a text taken together: gensim drops what is behind the first 10,000


def learn(
    texts: list[list[str]], *, width: int, window: int, least: int, most: int, seed: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Words, the commonest first: those that occur at least `least` times, at most `most`; their counts; and their
    vectors float32 (words, width): skip-gram with negative sampling (Mikolov et al. 2013). One thread and a hash that
    Python does not vary: equal texts give equal vectors."""
    counts = Counter(word for text in texts for word in text)
    known = sorted((w for w, c in counts.items() if c >= least), key=lambda w: (-counts[w], w))[:most]
    if not known:
        return [], np.zeros(0), np.zeros((0, width), np.float32)
    kept = set(known)
    pieces = [[w for w in text[i : i + PIECE] if w in kept] for text in texts for i in range(0, len(text), PIECE)]
    total = sum(map(len, pieces))
    model = need("gensim.models", "classic").Word2Vec(
        vector_size=width,
        window=window,
        min_count=1,
        sg=1,
        negative=5,
        seed=seed,
        workers=1,
        hashfxn=_hash,
        batch_words=max(1, min(10_000, total // 20)),  # gensim complains about fewer than 10 batches
    )
    model.build_vocab(pieces)
    model.train(pieces, total_examples=len(pieces), epochs=int(np.clip(SEEN // total, *EPOCHS)))
    return known, np.array([counts[w] for w in known], np.float64), model.wv[known]


def _hash(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))
