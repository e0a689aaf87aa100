"""Classic features of pictures: held against slow formulas, gradients by differences, OpenCV's colours, odd pictures."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from tests.conftest import picture

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import MissingExtraError, PlaitError
from plait.nn import fisher, sift
from plait.nn.colours import histograms, lab
from plait.nn.gradients import CLIP, QUIET, hog

SPECS: list[dict[str, Any]] = [
    {"name": "image_hog"},
    {"name": "image_hog", "fit": "pad", "size": 40, "cell": 9, "bins": 5, "whiten": True},
    {"name": "image_sift"},
    {"name": "image_sift", "dense": False},
    {"name": "image_sift", "encode": "bag", "k": 8, "width": 4},
    {"name": "image_colour"},
    {"name": "image_colour", "lightness": 2, "tone": 3, "size": 7},
]
every = pytest.mark.parametrize("spec", SPECS, ids=lambda s: "-".join(map(str, s.values())))
ODD = [
    np.zeros((1, 1, 3), np.uint8),
    np.full((50, 40, 3), 200, np.uint8),
    np.full((50, 40, 3), 255, np.uint8),
    picture(1, 1000),
    picture(1000, 1),
    picture(3, 2),
    picture(40, 300),
]


def encoder_of(spec: Any, cells: list[Any]) -> Encoder:
    return ENCODERS.build(ENCODERS.complete(spec, cells)).eval()  # type: ignore[no-any-return]


def features(encoder: Encoder, cells: list[np.ndarray]) -> np.ndarray:
    return np.stack([p["features"] for p in encoder.prepare(cells)])


def drawing(seed: int, steep: bool) -> np.ndarray:
    """A few thin lines on paper, steep or flat, at random places."""
    random = np.random.default_rng(seed)
    paper = np.full((90, 90, 3), 250, np.uint8)
    for _ in range(6):
        a, b, c = random.integers(5, 85, 3).tolist()
        d = int(np.clip(c + random.integers(-12, 13), 0, 89))
        cv2.line(paper, (c, 5) if steep else (5, c), (d, 85) if steep else (85, d), (20, 20, 20), 2)
    return paper


@pytest.mark.parametrize("spec", [*SPECS[:2], {"name": "image_sift", "k": 4}, SPECS[4]], ids=str)
def test_drawings_of_steep_and_of_flat_lines_are_told_apart(spec: dict[str, Any]) -> None:
    """Not by keypoints, whose descriptors are turned upright."""
    cells = [drawing(i, i % 2 == 0) for i in range(26)]
    x = features(encoder_of({**spec, "width": 4}, cells[:16]), cells)
    centres = [x[:16][k::2].mean(0) for k in range(2)]
    guessed = [int(np.linalg.norm(v - centres[0]) > np.linalg.norm(v - centres[1])) for v in x[16:]]
    assert guessed == [0, 1] * 5


@pytest.mark.parametrize("cell, bins, shape", [(4, 9, (16, 16)), (5, 6, (17, 23))])
def test_hog_is_its_formula_pixel_by_pixel(cell: int, bins: int, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    root = np.sqrt(pixels / 255.0)
    high, wide = shape
    down, across = high // cell, wide // cell
    cells = np.zeros((down, across, bins))
    for y in range(high):
        for x in range(wide):
            best = (0.0, 0.0, 0.0)
            for c in range(3):
                dx = root[y, min(x + 1, wide - 1), c] - root[y, max(x - 1, 0), c]
                dy = root[min(y + 1, high - 1), x, c] - root[max(y - 1, 0), x, c]
                best = max(best, (np.hypot(dx, dy), dx, dy))
            degrees = np.degrees(np.arctan2(best[2], best[1])) % 180
            for k in range(bins):
                off = abs(degrees - (k + 0.5) * 180 / bins)
                share = max(0.0, 1 - min(off, 180 - off) / (180 / bins))
                for i in range(down):
                    for j in range(across):
                        near = max(0.0, 1 - abs(y + 0.5 - (i + 0.5) * cell) / cell)
                        near *= max(0.0, 1 - abs(x + 0.5 - (j + 0.5) * cell) / cell)
                        cells[i, j, k] += best[0] * share * near
    expected = []
    for i in range(down - 1):
        for j in range(across - 1):
            block = cells[i : i + 2, j : j + 2].ravel()
            block = np.minimum(block / np.sqrt((block**2).sum() + QUIET**2), CLIP)
            expected.append(block / np.sqrt((block**2).sum() + QUIET**2))
    np.testing.assert_allclose(hog(pixels, cell=cell, bins=bins), np.concatenate(expected), atol=1e-5)


def test_hog_of_an_edge_votes_for_its_direction() -> None:
    edge = np.zeros((16, 16, 3), np.uint8)
    edge[:, 8:] = 255
    for pixels, direction in ((edge, 0), (edge.transpose(1, 0, 2), 4)):  # of nine: around 0 and around 90 degrees
        votes = hog(np.ascontiguousarray(pixels), cell=8, bins=9).reshape(4, 9).sum(0)
        beside = {0, 8} if direction == 0 else {4}
        assert set(np.flatnonzero(votes > 1e-6)) == beside
    assert not hog(np.full((16, 16, 3), 77, np.uint8), cell=8, bins=9).any()


def mixture(k: int = 3, d: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    weights = random.random(k) + 0.2
    return {
        "weights": weights / weights.sum(),
        "means": 2 * random.standard_normal((k, d)),
        "variances": 0.3 + random.random((k, d)),
    }


def likelihood(x: np.ndarray, weights: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> float:
    """The mean logarithm of a mixture's density."""
    total = np.zeros(len(x))
    for w, m, s in zip(weights, means, deviations):
        total += w * np.prod(np.exp(-((x - m) ** 2) / (2 * s**2)) / np.sqrt(2 * np.pi) / s, axis=1)
    return float(np.log(total).mean())


def test_a_fisher_vector_is_the_gradient_of_the_likelihood_by_its_information() -> None:
    model = mixture()
    weights, means, deviations = model["weights"], model["means"], np.sqrt(model["variances"])
    x = np.random.default_rng(2).standard_normal((25, 4)) * 2
    by_weight, by_mean, by_deviation, h = np.zeros(3), np.zeros_like(means), np.zeros_like(means), 1e-6
    for k in range(3):
        more, less = (weights * np.exp(sign * h * (np.arange(3) == k)) for sign in (1, -1))
        by_weight[k] = likelihood(x, more / more.sum(), means, deviations)
        by_weight[k] -= likelihood(x, less / less.sum(), means, deviations)
    by_weight /= np.sqrt(weights) * 2 * h
    for place in np.ndindex(means.shape):
        step = np.zeros_like(means)
        step[place] = h
        by_mean[place] = likelihood(x, weights, means + step, deviations)
        by_mean[place] -= likelihood(x, weights, means - step, deviations)
        by_deviation[place] = likelihood(x, weights, means, deviations + step)
        by_deviation[place] -= likelihood(x, weights, means, deviations - step)
    by_mean *= deviations / np.sqrt(weights)[:, None] / (2 * h)  # information: w, w / s^2 and 2 w / s^2
    by_deviation *= deviations / np.sqrt(2 * weights)[:, None] / (2 * h)
    expected = np.concatenate([by_weight, by_mean.ravel(), by_deviation.ravel()])
    np.testing.assert_allclose(fisher.fisher_vector(x, **model), expected, atol=1e-6)


def test_a_planted_mixture_is_learned_and_its_own_draws_have_no_fisher_vector() -> None:
    random = np.random.default_rng(3)
    means = np.array([[-4.0, 0, 0], [4, 0, 0], [0, 5, 5]])
    which = random.choice(3, 20_000, p=[0.5, 0.3, 0.2])
    x = means[which] + random.standard_normal((20_000, 3)) * 0.7
    found = fisher.learn_mixture(x[:6000], 3, seed=0)
    order = np.argsort(-found["weights"])
    np.testing.assert_allclose(found["weights"][order], [0.5, 0.3, 0.2], atol=0.03)
    np.testing.assert_allclose(found["means"][order], means, atol=0.1)
    np.testing.assert_allclose(found["variances"], 0.49, atol=0.06)
    own, other = fisher.fisher_vector(x, **found), fisher.fisher_vector(x[which == 2] + 0.5, **found)
    assert np.abs(own).max() < 0.05 < 0.5 < np.abs(other).max()


def test_a_bag_counts_the_nearest_words_and_powers_are_signed_roots() -> None:
    random = np.random.default_rng(4)
    x, means = random.standard_normal((50, 6)), random.standard_normal((7, 6))
    nearest = [min(range(7), key=lambda k: np.linalg.norm(v - means[k])) for v in x]
    np.testing.assert_allclose(fisher.bag(x, means), np.bincount(nearest, minlength=7) / 50)
    found = fisher.learn_words(np.repeat(means, 20, 0) + 0.01 * random.standard_normal((140, 6)), 7, seed=0)
    assert all(np.linalg.norm(found["means"] - m, axis=1).min() < 0.1 for m in means)
    np.testing.assert_allclose(fisher.powered(np.array([-4.0, 0, 9])), np.array([-2, 0, 3]) / np.sqrt(13))
    assert not fisher.powered(np.zeros(3)).any()


def test_sift_is_that_of_opencv_and_its_grid_leaves_out_what_is_even() -> None:
    grey = sift.shrink(drawing(0, True), 128)
    assert grey.shape == (128, 128)
    found = sift.describe(grey, dense=False)
    expected = cv2.SIFT_create().detectAndCompute(grey, None)[1]
    np.testing.assert_array_equal(found, expected)
    rooted = sift.rooted(found)
    np.testing.assert_allclose((rooted**2).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(rooted[0] ** 2 * found[0].sum(), found[0], atol=1e-3)
    blank = np.full((128, 128), 200, np.uint8)
    assert len(sift.describe(blank, dense=True)) == len(sift.describe(blank, dense=False)) == 0
    blank[61, 64] = 0
    few = sift.describe(blank, dense=True)
    assert 2**2 + 4**2 - 4 <= len(few) <= 2**2 + 4**2 < 2 * 16**2  # of patches 16 and 32 wide every 8 pixels


def test_lab_is_that_of_opencv() -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    expected = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(lab(pixels), expected, atol=0.5)
    np.testing.assert_allclose(lab(np.array([[255, 255, 255], [0, 0, 0]])), [[100, 0, 0], [0, 0, 0]], atol=1e-9)


def test_a_colour_is_shared_between_the_nodes_around_it() -> None:
    colours = np.array([[25.0, -60, 80], [100, 0, -999]])
    sums = histograms(colours, (3, 3, 5), np.array([1, 1]), 2).reshape(2, 3, 3, 5)
    expected = np.zeros((3, 3, 5))
    expected[:2, 0, 4] = 0.5 * 0.25
    expected[:2, 0, 4] = 0.5 * 0.75
    expected[:2, 1, 4] = 0.5 * 0.25
    expected[2, 1, 0] = 1
    assert not sums[0].any()
    np.testing.assert_allclose(sums[1], expected, atol=1e-12)


def test_the_colours_of_a_plain_picture_lie_in_one_place_and_quarters_know_theirs() -> None:
    encoder = encoder_of("image_colour", [])
    white = features(encoder, [np.full((30, 50, 3), 255, np.uint8)])[0].reshape(5, 4, 5, 5)
    expected = np.zeros((5, 4, 5, 5))
    expected[:, 3, 2, 2] = np.sqrt(500 / 5)
    np.testing.assert_allclose(white, expected, atol=1e-3)
    half = np.zeros((41, 60, 3), np.uint8)
    half[:, :30] = 255
    left, right = features(encoder, [half, half[:, ::-1].copy()]).reshape(2, 5, 4, 5, 5)
    np.testing.assert_allclose(left[0], right[0], atol=1e-5)
    np.testing.assert_allclose(left[[1, 2, 3, 4]], right[[2, 1, 4, 3]], atol=1e-5)
    assert left[1, 3, 2, 2] > 9 and left[2, 3, 2, 2] == 0


@every
def test_any_pictures_can_be_learned_from_and_prepared(spec: dict[str, Any]) -> None:
    for cells in ([], [None, None], [picture()], [picture(60, 60)] * 3, ODD[:3], [*ODD, None]):
        encoder = encoder_of(spec, cells)
        x = features(encoder, ODD)
        assert x.shape == (len(ODD), encoder.width) and x.dtype == np.float32 and np.isfinite(x).all()
        if spec["name"] == "image_sift":
            assert not x[:3].any()
    assert not list(encoder.parameters())


@every
def test_a_token_of_training_pictures_has_a_mean_square_of_one_and_preparing_is_pure(spec: dict[str, Any]) -> None:
    cells = [picture(60 + i, 80 - i, seed=i) for i in range(6)]
    encoder = encoder_of(spec, cells)
    x = features(encoder, cells)
    assert (x**2).mean() == pytest.approx(1, rel=0.02)
    assert len({row.tobytes() for row in x}) == len(cells)
    assert all(features(encoder, [c])[0].tobytes() == row.tobytes() for c, row in zip(cells, x))
    with ThreadPoolExecutor(3) as pool:
        assert all((y == x).all() for y in pool.map(lambda _: features(encoder, cells), range(3)))
    tokens = encoder(encoder.collate([*encoder.prepare(cells[:2]), None]))
    assert tokens.mask.tolist() == [[True], [True], [False]] and not tokens.x[2].any()
    np.testing.assert_array_equal(tokens.x[:2, 0].numpy(), x[:2])


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "image_hog", "size": 8},
        {"name": "image_hog", "fit": "bend"},
        {"name": "image_sift", "encode": "box"},
        {"name": "image_sift", "k": 0},
        {"name": "image_colour", "tone": 1},
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(PlaitError, match=r"expected|at least"):
        encoder_of(spec, [picture()])


def test_without_opencv_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r'pip install "plait\[classic\]"'):
        ENCODERS.complete("image_sift", [picture()])
