"""Classic features of texts: held against scikit-learn's own pipeline, formulas, planted topics and odd texts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import Normalizer

from plait.encoders import ENCODERS, text_tfidf
from plait.encoders.base import Encoder
from plait.errors import MissingExtraError, PlaitError
from plait.nn import skipgram, terms
from plait.nn.words import words

TOPICS = ["sun rain wind cloud storm snow", "bread soup salt flour oven cake", "drum flute song choir organ harp"]
ODD = ["", " \n", "!!! ... ?", "我爱北京天安门", "สวัสดี", "x" * 3000, "a b " * 3000, "é\n\0", "one", "😀"]
NAMES = ["text_tfidf", "text_word2vec"]
CHINESE = ["日月风云雨雪霜雷", "面汤盐粉炉饼茶糖", "鼓笛歌琴唱弦曲舞"]
every = pytest.mark.parametrize("name", NAMES)


def topical(rows: int, seed: int = 0, chinese: bool = False) -> tuple[list[str], list[int]]:
    """Texts of eight words of one of three topics, and their topics; the Chinese ones without spaces."""
    random = np.random.default_rng(seed)
    labels = [i % 3 for i in range(rows)]
    if chinese:
        return ["".join(random.choice(list(CHINESE[label]), 8)) + "。" for label in labels], labels
    return [" ".join(random.choice(TOPICS[label].split(), 8)) for label in labels], labels


def encoder_of(spec: Any, cells: list[Any]) -> Encoder:
    return ENCODERS.build(ENCODERS.complete(spec, cells)).eval()  # type: ignore[no-any-return]


def features(encoder: Encoder, cells: list[str]) -> np.ndarray:
    return np.stack([p["features"] for p in encoder.prepare(cells)])


@pytest.mark.parametrize("rows, exact", [(40, True), (150, True), (12, False)])
def test_tfidf_is_the_pipeline_of_scikit_learn(rows: int, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """12 texts span so few dimensions that random projections are exact too."""
    if not exact:
        monkeypatch.setattr(text_tfidf, "EXACT", 0)
    cells, _ = topical(rows)
    others = [*topical(9, seed=1)[0], "Rain RAIN rain, bread - nothing known: zzzz"]
    least = 2 if rows >= 100 else 1
    made = [
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=least),
        TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=least),
    ]
    svd = TruncatedSVD(6, algorithm="arpack", random_state=0)
    expected = make_pipeline(make_union(*made), svd, Normalizer()).fit(cells).transform(others)
    encoder = encoder_of({"name": "text_tfidf", "width": 6}, cells)
    found = features(encoder, others) / 6**0.5
    assert encoder.width == 6
    sign = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * sign, expected, atol=5e-3)


def test_the_width_of_tfidf_is_at_most_the_rank() -> None:
    cells = ["mama papa", "mama papa", "zwölf", None]
    encoder = encoder_of("text_tfidf", cells)
    assert encoder.width == 2
    a, b, c = features(encoder, ["mama papa", "papa mama!", "zwölf"])
    assert np.allclose((a**2).mean(), 1, atol=1e-5)
    assert abs(a @ c) < 1e-2 < 1.5 < a @ b


def test_most_terms_are_the_commonest_and_small_letters_are_an_option() -> None:
    cells = ["The Cat The dog", "The Cat", "a The"]
    spec = ENCODERS.complete({"name": "text_tfidf", "most": 2, "lowercase": False, "words": [1, 1]}, cells)
    assert json.loads(spec["vocabulary"])["words"] == ["Cat", "The"]
    assert all(len(v) == 2 for v in json.loads(spec["vocabulary"]).values())
    assert len(spec["components"]) == len(spec["idf"]) == 4


def test_a_weighing_of_terms_by_hand() -> None:
    places, weights = terms.weigh(["b", "a", "b", "zz"], {"a": 0, "c": 1, "b": 2}, np.array([1.0, 5.0, 2.0]))
    raw = np.array([1.0, (1 + np.log(2)) * 2])
    assert places.tolist() == [0, 2]
    np.testing.assert_allclose(weights, raw / np.linalg.norm(raw))


def test_words_of_many_scripts() -> None:
    text = "Don't stop_me: 3.5 МИР हिन्दी 我爱北京, ひらカナ・e\u0301te ''"
    expected = ["don't", "stop", "me", "3", "5", "мир", "हिन्दी", *"我爱北京ひらカナ", "e\u0301te"]
    assert words(text) == expected


@pytest.mark.parametrize("chinese", [False, True], ids=["spaces", "chinese"])
@every
def test_texts_of_one_topic_are_nearer_than_across(name: str, chinese: bool) -> None:
    cells, _ = topical(200, chinese=chinese)
    others, labels = topical(60, seed=5, chinese=chinese)
    x = features(encoder_of({"name": name, "width": 16}, cells), others)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    alike, same = x @ x.T, np.equal.outer(labels, labels)
    off = ~np.eye(len(x), dtype=bool)
    assert alike[same & off].mean() > alike[~same].mean() + 0.5
    assert np.mean([labels[j] == labels[i] for i, j in enumerate((alike - 9 * np.eye(len(x))).argmax(1))]) == 1


def test_words_of_one_topic_are_nearer_than_across() -> None:
    known, counts, vectors = skipgram.learn(
        [t.split() for t in topical(300)[0]], width=16, window=4, least=2, most=100, seed=0
    )
    assert sorted(known) == sorted(" ".join(TOPICS).split()) and counts.sum() == 2400
    assert (np.diff(counts) <= 0).all()
    x = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    topic = [next(i for i, t in enumerate(TOPICS) if w in t.split()) for w in known]
    same, alike = np.equal.outer(topic, topic), x @ x.T
    assert (alike[same & ~np.eye(len(x), dtype=bool)]).min() > alike[~same].max()


def test_word2vec_is_the_smooth_inverse_frequency_mean_without_the_first_direction() -> None:
    cells = topical(60)[0]
    encoder = encoder_of({"name": "text_word2vec", "width": 8, "smooth": 0.01}, cells)
    texts = [c.split() for c in cells]
    known, counts, vectors = skipgram.learn(texts, width=8, window=5, least=1, most=50_000, seed=0)
    weighed = {w: v * 0.01 / (0.01 + n / 480) for w, n, v in zip(known, counts, vectors.astype(float))}
    means = np.array([np.mean([weighed[w] for w in t], axis=0) for t in texts])
    first = np.linalg.svd(means)[2][0]
    left = means - np.outer(means @ first, first)
    expected = left / np.sqrt((left**2).mean())
    np.testing.assert_allclose(features(encoder, cells), expected, atol=2e-3)
    np.testing.assert_allclose(features(encoder, ["unknown", f"{cells[0]} and unknown"])[1], expected[0], atol=2e-3)


def test_word_vectors_are_the_same_whatever_python_hashes() -> None:
    code = (
        "import hashlib; from plait.nn import skipgram\n"
        "texts = [f'w{i % 7} w{i % 11} w{i % 5} 北'.split() for i in range(300)]\n"
        "known, counts, v = skipgram.learn(texts, width=8, window=3, least=1, most=99, seed=1)\n"
        "print(known, counts, hashlib.sha256(v.tobytes()).hexdigest())"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
        )
        for seed in ("1", "2")
    ]
    first, second = (p.communicate()[0] for p in running)
    assert first == second and len(first) > 64


@every
@pytest.mark.parametrize("cells", [[], [None, None], ["one"], ["one two"] * 4, [""] * 3, ["?!"], ODD], ids=len)
def test_any_texts_can_be_learned_from_and_prepared(name: str, cells: list[Any]) -> None:
    encoder = encoder_of(name, cells)
    some = [*ODD, *filter(None, cells), "one two three"]
    x = features(encoder, some)
    assert x.shape == (len(some), encoder.width) and x.dtype == np.float32 and np.isfinite(x).all()
    assert not list(encoder.parameters())
    assert not x[0].any() and not x[1].any()


@every
def test_texts_without_a_known_term_give_zeros(name: str) -> None:
    x = features(encoder_of(name, topical(20)[0]), ["", "我", "QQQQ", "sun drum"])
    assert not x[:3].any() and x[3].any()


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "text_tfidf", "words": [0, 2]},
        {"name": "text_tfidf", "characters": 3},
        {"name": "text_tfidf", "width": 0},
        {"name": "text_word2vec", "window": 0},
        {"name": "text_word2vec", "smooth": 0},
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(PlaitError, match=r"expected|at least"):
        ENCODERS.complete(spec, ["a b c"] * 3)


@pytest.mark.parametrize("name, module", [("text_word2vec", "gensim.models"), ("text_tfidf", "scipy.sparse")])
def test_without_a_library_the_pip_line_is_named(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r'pip install "plait\[classic\]"'):
        ENCODERS.complete(name, ["a b c"] * 3)
