"""Text by the words and pieces of words in it: TF-IDF and a truncated SVD (latent semantic analysis)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fixed, terms
from plait.optional import need
from plait.spec import array_digest
from plait.types import Inputs, Prepared, Tokens

TEXTS, CHARACTERS, LONGEST = 20_000, 10_000_000, 20_000  # learned from: texts, their characters, of one text
MANY = 100  # texts from which on a term has to stand in two of them
EXACT = 1000  # texts or terms up to which all singular vectors are computed
CHUNK = 512  # terms projected at a time


class TextTfidf(Encoder):
    """features (B, D), computed once a cell -> one token (B, 1, D): latent semantic analysis (Deerwester et al. 1990).
    Terms are runs of words and of characters of these lengths, weighted by (1 + ln count) idf, each of the two kinds
    scaled to length 1 (Salton & Buckley 1988). The token has length sqrt(D); zeros where no term is known."""

    modality: ClassVar[str] = "text"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        vocabulary: str,
        idf: np.ndarray,
        components: np.ndarray,
        words: Sequence[int] = (1, 2),
        characters: Sequence[int] = (2, 5),
        lowercase: bool = True,
    ) -> None:
        super().__init__()
        self.width, self.reading = components.shape[1], {}
        self.kinds = {"words": terms.lengths("words", words), "characters": terms.lengths("characters", characters)}
        self.lowercase = lowercase
        known = json.loads(vocabulary)
        assert len(idf) == len(components) == sum(map(len, known.values())), "not as many terms as numbers for them"
        parted = np.split(idf, [len(known[terms.BLOCKS[0]])])
        self.idf = dict(zip(terms.BLOCKS, parted))
        self.tables = {block: {term: i for i, term in enumerate(known[block])} for block in terms.BLOCKS}
        self.components = components
        self.preparation = {
            "kind": "tf-idf",
            "version": 1,
            **{block: list(lengths) for block, lengths in self.kinds.items()},
            "lowercase": lowercase,
            "vocabulary": hashlib.blake2b(vocabulary.encode(), digest_size=16).hexdigest(),
            "idf": array_digest(idf),
            "components": array_digest(components),
        }

    @classmethod
    def learn(
        cls,
        cells: Iterable[str | None],
        *,
        width: int = 512,
        words: Sequence[int] = (1, 2),
        characters: Sequence[int] = (2, 5),
        lowercase: bool = True,
        most: int = 50_000,
        seed: int = 0,
    ) -> dict[str, Any]:
        """From a sample of at most 20,000 texts with 10 million characters, at most the `most` commonest terms of each
        kind; where there are 100 texts or more, those that stand in two."""
        if min(width, most) < 1:
            raise PlaitError(f"width is {width} and most is {most}; expected at least 1.")
        texts = _bounded(fixed.sample((c if c is None else c[:LONGEST] for c in cells), TEXTS, seed))
        least = 2 if len(texts) >= MANY else 1
        given = {"words": terms.lengths("words", words), "characters": terms.lengths("characters", characters)}
        found = [
            terms.learn(texts, block, given[block], lowercase=lowercase, most=most, least=least)
            for block in terms.BLOCKS
        ]
        matrix = need("scipy.sparse", "classic").hstack([matrix for _, _, matrix in found], format="csr")
        return {
            "vocabulary": json.dumps(dict(zip(terms.BLOCKS, (names for names, _, _ in found)))),
            "idf": np.concatenate([idf for _, idf, _ in found]),
            "components": _components(matrix, width, seed),
        }

    def prepare(self, cells: Sequence[str]) -> list[Prepared]:
        return [{"features": fixed.unit(self._project(c))} for c in cells]

    def _project(self, text: str) -> np.ndarray:
        vector, start = np.zeros(self.width, np.float32), 0
        for block, lengths in self.kinds.items():
            found = terms.analyzer(block, lengths, self.lowercase)(text)
            places, weights = terms.weigh(found, self.tables[block], self.idf[block])
            for i in range(0, len(places), CHUNK):
                rows = self.components[start + places[i : i + CHUNK]].astype(np.float32)
                vector += np.einsum("j,jk->k", weights[i : i + CHUNK].astype(np.float32), rows, optimize=False)
            start += len(self.tables[block])
        return vector

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return fixed.tokens(inputs)


def _bounded(texts: list[str]) -> list[str]:
    """The texts, evenly thinned out where they have too many characters together."""
    step = -(-sum(map(len, texts)) // CHARACTERS)
    return texts[:: max(1, step)]


def _components(matrix: Any, width: int, seed: int) -> np.ndarray:
    """(texts, terms) sparse -> float16 (terms, k): the right singular vectors, k at most `width` and the rank. Of few
    texts or terms exactly, else by random projections (Halko, Martinsson & Tropp 2011)."""
    k = min(width, *matrix.shape)
    if not k:
        return np.zeros((matrix.shape[1], 1), np.float16)
    if min(matrix.shape) <= EXACT:
        x = matrix.astype(np.float64)
        wide = x.shape[0] <= x.shape[1]
        squares, sides = np.linalg.eigh((x @ x.T if wide else x.T @ x).toarray())
        values, sides = np.sqrt(np.maximum(squares[::-1][:k], 0)), sides[:, ::-1][:, :k]
        vectors = (x.T @ sides / np.maximum(values, 1e-12) if wide else sides).T
    else:
        extmath = need("sklearn.utils.extmath", "classic")
        _, values, vectors = extmath.randomized_svd(matrix, k, n_iter=2, random_state=seed)
    keep = max(1, int((values > 1e-5 * values[0]).sum()))
    return np.ascontiguousarray(vectors[:keep].T, dtype=np.float16)
