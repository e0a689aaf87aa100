"""Fixed encoders of numbers, categories, labels and dates: against scikit-learn and closed forms."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
import torch

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.nn import fixed

NAMES = ["number_scaled", "category_onehot", "labels_multihot", "date_features"]
every = pytest.mark.parametrize("name", NAMES)
RANDOM = np.random.default_rng(0)
TRAINING: dict[str, list[Any]] = {
    "number_scaled": [None, *RANDOM.normal(5, 3, 400).tolist(), None],
    "category_onehot": [None, *RANDOM.choice(list("abcdefg"), 300).tolist()],
    "labels_multihot": [None, *(tuple(sorted(set(RANDOM.choice(list("abcdefg"), k)))) for k in range(9)), ()],
    "date_features": [None, *RANDOM.uniform(0, 2e9, 500).tolist()],
}


def learned(name: str, cells: list[Any], **options: Any) -> Encoder:
    return ENCODERS.build(ENCODERS.complete({"name": name, **options}, cells))  # type: ignore[no-any-return]


def vectors(encoder: Encoder, cells: list[Any]) -> np.ndarray:
    """(cells, F); zeros where None."""
    ready = iter(encoder.prepare([c for c in cells if c is not None]))
    tokens = encoder(encoder.collate([None if c is None else next(ready) for c in cells]))
    assert tokens.x.shape == (len(cells), 1, encoder.width) and tokens.x.dtype == torch.float32
    assert tokens.mask[:, 0].tolist() == [c is not None for c in cells]
    return tokens.x[:, 0].numpy()  # type: ignore[no-any-return]


@every
def test_entries_have_unit_size_in_training_and_missing_cells_are_0(name: str) -> None:
    cells = TRAINING[name]
    x = vectors(learned(name, cells), cells)
    there = np.array([c is not None for c in cells])
    assert np.sqrt((x[there] ** 2).mean()) == pytest.approx(1, abs=0.02)
    assert not x[~there].any()


@every
def test_a_column_with_nothing_in_it_or_one_cell_is_finite(name: str) -> None:
    some = [c for c in TRAINING[name] if c is not None][:5]
    for cells in ([], [None, None], some[:1], some[:1] * 4):
        encoder = learned(name, cells)
        assert list(encoder.parameters()) == [] and not encoder.state_dict() and encoder.stored is False
        assert np.isfinite(vectors(encoder, [None, *some])).all()
        assert not vectors(encoder, [None, None]).any() and encoder.prepare([]) == []


def test_what_varies_by_rounding_alone_is_0() -> None:
    vectors = [np.array([1000, 5, 0], np.float32), np.array([np.nextafter(np.float32(1000), np.float32(2000)), 7, 0])]
    found = fixed.learn_standard(vectors, 3)
    assert found["scale"].tolist() == [0, 1, 0] and np.allclose(found["mean"], [1000, 6, 0])
    tokens = fixed.Standard(**found, size=3)(fixed.collate([{"features": np.array([9e9, 8, 1], np.float32)}, None], 3))
    assert tokens.x[:, 0].tolist() == [[0, 2, 0], [0, 0, 0]]


def test_numbers_are_those_of_a_standard_scaler_and_of_a_quantile_transformer() -> None:
    from scipy.stats import norm
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    values = np.concatenate([RANDOM.exponential(3, 300), np.full(40, 2.0)])
    encoder = learned("number_scaled", values.tolist())
    asked = np.concatenate([values, RANDOM.uniform(values.min(), values.max(), 100)])
    x = vectors(encoder, asked.tolist())
    table = values[:, None]
    assert np.allclose(x[:, 0], StandardScaler().fit(table).transform(asked[:, None])[:, 0], atol=1e-5)
    n = len(values)
    shares = QuantileTransformer(n_quantiles=n).fit(table).transform(asked[:, None])[:, 0]
    assert np.allclose(x[:, 1], norm.ppf((shares * (n - 1) + 1) / (n + 1)), atol=1e-4)


def test_the_normal_scores_of_the_training_values_are_those_of_their_ranks() -> None:
    from scipy.stats import norm, rankdata

    values = RANDOM.standard_cauchy(50)
    x = vectors(learned("number_scaled", values.tolist()), [*values.tolist(), 1e9, -1e9])
    assert np.allclose(x[:50, 1], norm.ppf(rankdata(values) / 51), atol=1e-5)
    assert x[50, 1] == pytest.approx(norm.ppf(50 / 51), abs=1e-5) and x[51, 1] == pytest.approx(-x[50, 1], abs=1e-5)


def test_an_outlier_hides_nothing_and_huge_numbers_are_finite() -> None:
    values = [*np.linspace(0, 1, 99).tolist(), 1e12]
    x = vectors(learned("number_scaled", values), values)
    assert np.ptp(x[:99, 0]) < 1e-6 and (np.diff(x[:, 1]) > 0).all()
    huge = [-1.7e308, 1.7e308, 0.0, 1e308]
    x = vectors(learned("number_scaled", huge), huge)
    assert np.isfinite(x).all() and (x[np.argsort(huge)][1:, 1] > x[np.argsort(huge)][:-1, 1]).all()
    assert np.abs(vectors(learned("number_scaled", [0.0, 1.0]), [1e300, -1e300])).max() == 10


def test_at_most_so_many_quantiles_are_kept() -> None:
    values = RANDOM.standard_normal(5000).tolist()
    spec = ENCODERS.complete({"name": "number_scaled", "most": 11}, values)
    assert np.allclose(spec["quantiles"], np.quantile(values, np.linspace(0, 1, 11)))
    assert len(ENCODERS.complete("number_scaled", values)["quantiles"]) == 1001


def test_categories_are_those_of_a_one_hot_encoder() -> None:
    from sklearn.preprocessing import OneHotEncoder

    cells = [c for c in TRAINING["category_onehot"] if c]
    encoder, asked = learned("category_onehot", cells), [*cells[:20], "never seen", "番茄"]
    reference = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(np.array(cells)[:, None])
    expected = reference.transform(np.array(asked)[:, None])
    unknown = np.array([c not in cells for c in asked])
    x = vectors(encoder, asked)
    assert np.allclose(x, np.column_stack([unknown, expected]) * np.sqrt(1 + expected.shape[1]))


def test_labels_are_those_of_a_multi_label_binarizer() -> None:
    from sklearn.preprocessing import MultiLabelBinarizer

    cells = [c for c in TRAINING["labels_multihot"] if c is not None]
    encoder = learned("labels_multihot", cells)
    binary = MultiLabelBinarizer().fit_transform(cells)
    level = np.sqrt((1 + binary.shape[1]) / np.mean([len(c) for c in cells]))
    x = vectors(encoder, cells)
    assert np.allclose(x[:, 1:], binary * level) and not x[:, 0].any()
    odd = vectors(encoder, [(), ("new", "x y"), ("a", "new"), None])
    assert np.allclose((odd > 0)[:, 0], [False, True, True, False]) and np.allclose(odd[odd > 0], level)
    assert odd[0].any() == odd[3].any() == False and (odd[2] > 0).sum() == 2  # noqa: E712


@pytest.mark.parametrize("name", ["category_onehot", "labels_multihot"])
def test_the_frequent_names_have_places(name: str) -> None:
    cells = [c if name == "category_onehot" else (c,) for c in "abbbccd"]
    encoder = learned(name, cells, most=2)
    assert encoder.width == 3
    assert vectors(encoder, cells).argmax(1).tolist() == [0, 1, 1, 1, 2, 2, 0]


def test_dates_are_their_place_in_year_month_week_and_day() -> None:
    cells = TRAINING["date_features"]
    encoder = learned("date_features", cells)
    assert encoder.width == 11
    noon = datetime.datetime(2021, 7, 2, 12, tzinfo=datetime.timezone.utc)
    x = vectors(encoder, [noon.timestamp()])[0]
    known = np.array([c for c in cells if c is not None])
    shares = [182 / 365, 6 / 12, 1 / 31, 4 / 7, 0.5]
    angles = 2 * np.pi * np.array(shares)
    circles = np.stack([np.sin(angles), np.cos(angles)], 1).ravel() * np.sqrt(2)
    assert x[0] == pytest.approx((noon.timestamp() - known.mean()) / known.std(), abs=1e-5)
    assert np.allclose(x[1:], circles, atol=1e-5)
    assert learned("date_features", cells, parts=["hour"]).width == 3
    assert learned("date_features", [0.0, 7 * 86_400.0], parts=[]).width == 1
