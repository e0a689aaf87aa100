"""Text by the vectors of its words: word2vec learned from the column, averaged with smooth inverse frequency weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fixed, skipgram
from plait.nn.words import words
from plait.spec import array_digest
from plait.types import Inputs, Prepared, Tokens

TEXTS, WORDS, LONGEST = 50_000, 1_000_000, 20_000  # learned from: texts, their words, characters of one text
MANY = 100  # texts from which on a word has to occur twice
RESIDUE = 1e-4  # of a vector: what is left of it below that is rounding


class TextWord2Vec(Encoder):
    """features (B, D), computed once a cell -> one token (B, 1, D): the mean of the vectors of its words (Mikolov et al.
    2013), each weighted by a / (a + its frequency), without its part along the first principal direction of the
    training texts (Arora, Liang & Ma 2017). The order of the words does not count; zeros where no word is known."""

    modality: ClassVar[str] = "text"
    stored: ClassVar[bool] = True

    def __init__(self, *, vocabulary: str, vectors: np.ndarray, common: np.ndarray) -> None:
        super().__init__()
        self.width, self.reading = vectors.shape[1], {}
        self.table = {word: i for i, word in enumerate(json.loads(vocabulary))}
        assert len(vectors) == len(self.table) and common.shape == vectors.shape[1:], "not as many words as vectors"
        self.vectors, self.common = vectors, common
        self.preparation = {
            "kind": "word vectors",
            "version": 1,
            "vocabulary": hashlib.blake2b(vocabulary.encode(), digest_size=16).hexdigest(),
            "vectors": array_digest(vectors),
            "common": array_digest(common),
        }

    @classmethod
    def learn(
        cls,
        cells: Iterable[str | None],
        *,
        width: int = 128,
        window: int = 5,
        most: int = 50_000,
        smooth: float = 1e-3,
        seed: int = 0,
    ) -> dict[str, Any]:
        """From a sample of at most 50,000 texts with 1 million words. `window`: words to each side that are company;
        `smooth`: a. The fewer words, the more epochs: 5 to 50. The vectors hold their weights, and what makes the mean
        square of a token's entries 1 on the sample."""
        if min(width, window, most) < 1 or not smooth > 0:
            raise PlaitError(f"width {width}, window {window} and most {most} are at least 1, smooth {smooth} above 0.")
        texts = fixed.sample((c if c is None else c[:LONGEST] for c in cells), TEXTS, seed, make=words)
        texts = texts[:: max(1, -(-sum(map(len, texts)) // WORDS))]
        least = 2 if len(texts) >= MANY else 1
        known, counts, vectors = skipgram.learn(texts, width=width, window=window, least=least, most=most, seed=seed)
        vectors = vectors * (smooth / (smooth + counts / max(counts.sum(), 1)))[:, None].astype(np.float32)
        common, left = _principal(texts, {word: i for i, word in enumerate(known)}, vectors)
        if not left:
            return {"vocabulary": "[]", "vectors": np.zeros((0, 1), np.float32), "common": np.zeros(1, np.float32)}
        return {"vocabulary": json.dumps(known), "vectors": (vectors / left).astype(np.float32), "common": common}

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return [{"features": self._features(words(c))} for c in cells]

    def _features(self, found: list[str]) -> np.ndarray:
        return _without(_mean(found, self.table, self.vectors), self.common)

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return fixed.tokens(inputs)


def _mean(found: list[str], table: dict[str, int], vectors: np.ndarray) -> np.ndarray:
    """The mean over the known words of a text, float32 (D,)."""
    counts = Counter(p for p in map(table.get, found) if p is not None)
    places = sorted(counts)
    if not places:
        return np.zeros(vectors.shape[1], np.float32)
    share = np.array([counts[p] for p in places], np.float32) / counts.total()
    return np.einsum("j,jk->k", share, vectors[places], optimize=False)  # type: ignore[no-any-return]


def _without(vector: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The vector without its part along a direction of length 1 (or 0)."""
    rest = vector - direction * np.float32((vector * direction).sum())
    return rest if np.abs(rest).max() > RESIDUE * np.abs(vector).max() else np.zeros_like(vector)


def _principal(texts: list[list[str]], table: dict[str, int], vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """The first principal direction (not centred) of the texts' vectors, and the root mean square of the entries that
    are left without it; 0 where that is rounding."""
    square = np.zeros((vectors.shape[1],) * 2)
    for text in texts:
        vector = _mean(text, table, vectors).astype(np.float64)
        square += np.outer(vector, vector)
    direction = np.linalg.eigh(square)[1][:, -1]
    direction *= np.sign(direction[np.abs(direction).argmax()])
    whole = np.trace(square)
    left = whole - direction @ square @ direction
    rms = np.sqrt(left / len(texts) / len(direction)) if left > RESIDUE**2 * whole else 0.0
    return direction.astype(np.float32), float(rms)
