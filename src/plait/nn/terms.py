"""Terms of a text (words and pieces of words, in runs of some lengths) and their weights, by scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from plait.errors import PlaitError
from plait.nn.words import WORD
from plait.optional import need

BLOCKS = ("words", "characters")
Lengths = tuple[int, int]  # of runs: the shortest and the longest


def lengths(block: str, value: Sequence[int]) -> Lengths:
    """The option as a pair. Raises PlaitError for what is none."""
    try:
        low, high = (int(v) for v in value)
    except (TypeError, ValueError):
        low, high = 0, 0
    if not 1 <= low <= high <= 10:
        raise PlaitError(f"{block} is {value!r}; expected two lengths of n-grams like [1, 2], from 1 to 10.")
    return low, high


def _options(block: str, lengths: Lengths, lowercase: bool) -> dict[str, Any]:
    kind = {"analyzer": "word", "token_pattern": WORD} if block == "words" else {"analyzer": "char_wb"}
    return {**kind, "ngram_range": lengths, "lowercase": lowercase}


@lru_cache(maxsize=32)
def analyzer(block: str, lengths: Lengths, lowercase: bool) -> Callable[[str], list[str]]:
    """text -> its terms. "words": runs of words, one space between them. "characters": runs of characters within what
    stands between spaces, with a space at both of its ends (scikit-learn's char_wb)."""
    text = need("sklearn.feature_extraction.text", "classic")
    return text.CountVectorizer(**_options(block, lengths, lowercase)).build_analyzer()  # type: ignore[no-any-return]


def learn(
    texts: list[str], block: str, lengths: Lengths, *, lowercase: bool, most: int, least: int
) -> tuple[list[str], np.ndarray, Any]:
    """The `most` commonest terms that stand in at least `least` texts, their inverse document frequencies float32, and
    the weights of all texts, a sparse float32 matrix (texts, terms) with rows of length 1 or 0."""
    sparse = need("scipy.sparse", "classic")
    text = need("sklearn.feature_extraction.text", "classic")
    options = _options(block, lengths, lowercase)
    tfidf = text.TfidfVectorizer(**options, max_features=most, min_df=least, sublinear_tf=True, dtype=np.float32)
    try:
        matrix = tfidf.fit_transform(texts)
    except ValueError:  # no term at all, or none in enough texts
        return [], np.zeros(0, np.float32), sparse.csr_matrix((len(texts), 0), dtype=np.float32)
    return tfidf.get_feature_names_out().tolist(), tfidf.idf_.astype(np.float32), matrix


def weigh(terms: list[str], table: dict[str, int], idf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Terms of one text -> their places in the table, ascending, and (1 + ln count) idf, scaled to length 1
    (Salton & Buckley 1988)."""
    counts = Counter(p for p in map(table.get, terms) if p is not None)
    places = np.array(sorted(counts), np.int64)
    weights = (1 + np.log(np.array([counts[p] for p in places.tolist()], np.float64))) * idf[places]
    length = np.sqrt((weights**2).sum())
    return places, weights / length if length > 0 else weights
