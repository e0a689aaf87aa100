"""Fixed encoders of series: closed forms, planted runs and bursts, slow computations of their own, odd series."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from tests.conftest import wave

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn.statistics import NAMES, describe, standard
from plait.types import Series

RANDOM = np.random.default_rng(0)
OWN = 3  # mean, standard deviation, gaps
LONG = 20_000
NOISE = RANDOM.standard_normal(LONG)


def of(x: np.ndarray, times: np.ndarray | None = None) -> dict[str, float]:
    """The statistics of one channel (T,)."""
    values = describe(np.asarray(x, np.float64)[:, None], np.arange(float(len(x))) if times is None else times)
    return dict(zip(NAMES, values[0].tolist(), strict=True))


def steps(found: float) -> float:
    return round(float(2**found - 1), 9)


def learned(cells: list[Any], **options: Any) -> Encoder:
    return ENCODERS.build(ENCODERS.complete({"name": "series_statistics", **options}, cells))  # type: ignore[no-any-return]


def raw(cell: Series, **options: Any) -> np.ndarray:
    return learned([cell], **options).prepare([cell])[0]["features"]  # type: ignore[no-any-return]


def autoregressive(memory: float, count: int = LONG) -> np.ndarray:
    x = np.zeros(count)
    for i in range(1, count):
        x[i] = memory * x[i - 1] + NOISE[i]
    return x


@pytest.mark.parametrize("period", [8, 25, 60])
def test_a_sine_has_its_period(period: int) -> None:
    found = of(3 + 7 * np.sin(2 * np.pi * np.arange(200 * period) / period + 0.3))
    assert found["power_peak"] == pytest.approx(1 / period, rel=1e-6)
    assert found["power_centre"] == pytest.approx(1 / period, rel=1e-3)
    assert found["power_entropy"] == pytest.approx(0, abs=1e-6)
    assert found["power_low"] == pytest.approx(float(1 / period <= 0.1), abs=1e-6)
    assert steps(found["memory_turns"]) == pytest.approx(period / 2, abs=0.51)
    assert steps(found["memory_falls"]) == pytest.approx(period * np.arccos(1 / np.e) / (2 * np.pi), rel=0.05)
    assert found["memory_1"] == pytest.approx(np.cos(2 * np.pi / period), abs=0.01)
    assert found["crossings"] == pytest.approx(2 / period, rel=0.01)
    assert steps(found["longest_above"]) == pytest.approx(period / 2, abs=1)
    assert steps(found["longest_fall"]) == pytest.approx(period / 2, abs=1)
    assert found["kurtosis"] == pytest.approx(-1.5, abs=1e-6) and found["skewness"] == pytest.approx(0, abs=1e-6)
    assert found["quantile_0.95"] == pytest.approx(np.sqrt(2) * np.sin(np.pi * 0.45), abs=0.25 / np.sqrt(period))


def test_white_noise_has_no_memory_and_no_order() -> None:
    found = of(NOISE)
    expected = {
        **{"skewness": 0, "kurtosis": 0, "trend": 0, "middle": 0.5, "memory_1": 0, "reversal": 0},
        **{"power_low": 0.2, "power_centre": 0.25, "crossings": 0.5, "change": 2 / np.sqrt(np.pi)},
        **{"fluctuation": 0.5, "surprise": np.sqrt(4 / 3), "quantile_0.5": 0, "quantile_0.75": 0.6745},
        **{"big_increments": 1 - 0.04 / np.sqrt(4 * np.pi) * 2, "quantile_0.05": -1.6449, "words": np.log(9)},
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.12 if name in ("kurtosis", "reversal") else 0.04), name
    assert found["power_entropy"] == pytest.approx(1 - (1 - np.euler_gamma) / np.log(LONG / 2), abs=0.005)
    assert steps(found["memory_falls"]) == pytest.approx(1 - 1 / np.e, abs=0.03)  # on a line from 1 to 0


@pytest.mark.parametrize("memory", [0.5, 0.8, 0.95])
def test_an_autoregressive_series_has_its_memory(memory: float) -> None:
    found = of(autoregressive(memory))
    assert found["memory_1"] == pytest.approx(memory, abs=0.02)
    assert steps(found["memory_falls"]) == pytest.approx(-1 / np.log(memory), rel=0.15)
    at = np.linspace(0, 0.5, 10_001)
    density = 1 / (1 + memory**2 - 2 * memory * np.cos(2 * np.pi * at))
    assert found["power_low"] == pytest.approx(density[at <= 0.1].sum() / density.sum(), abs=0.02)
    assert found["power_centre"] == pytest.approx((at * density).sum() / density.sum(), abs=0.01)


def test_fluctuations_grow_as_they_do_in_noise_walks_and_by_a_slow_computation() -> None:
    assert of(np.cumsum(NOISE))["fluctuation"] == pytest.approx(1.5, abs=0.1)
    assert of(np.diff(NOISE))["fluctuation"] < 0.25
    x = autoregressive(0.7, 300)
    profile, logs = np.cumsum((x - x.mean()) / x.std()), []
    sizes = sorted({round(4 * (75 / 4) ** (i / 9)) for i in range(10)})
    for size in sizes:
        squares = []
        for start in range(0, 300 - size + 1, size):
            piece, at = profile[start : start + size], np.arange(size)
            squares.append(((piece - np.polyval(np.polyfit(at, piece, 1), at)) ** 2).mean())
        logs.append(np.log(np.mean(squares)) / 2)
    assert of(x)["fluctuation"] == pytest.approx(np.polyfit(np.log(sizes), logs, 1)[0], rel=1e-6)


def test_a_ramp_rises_all_the_time() -> None:
    found = of(np.linspace(-3, 50, 101))
    assert found["trend"] == pytest.approx(1) and of(np.linspace(50, -3, 101))["trend"] == pytest.approx(-1)
    assert found["longest_fall"] == 0 and steps(found["longest_above"]) == pytest.approx(50)
    assert found["crossings"] == pytest.approx(1 / 100) and found["reversal"] > 0
    assert steps(of(np.linspace(50, -3, 101))["longest_fall"]) == pytest.approx(100)
    uneven = np.sort(RANDOM.uniform(1e9, 1e9 + 50, 80))
    assert of(3 * uneven, uneven)["trend"] == pytest.approx(1)


def test_what_rises_slowly_and_falls_fast_is_told_from_its_mirror() -> None:
    saw = np.arange(2000) % 10 + 0.0
    there, back = of(saw), of(saw[::-1])
    z = (saw - saw.mean()) / saw.std()
    assert there["reversal"] == pytest.approx((np.diff(z) ** 3).mean()) and there["reversal"] < -1
    assert back["reversal"] == pytest.approx(-there["reversal"])
    assert steps(there["longest_fall"]) == 1 and steps(back["longest_fall"]) == 9


@pytest.mark.parametrize("at", [50, 400, 860])
def test_a_planted_burst_is_found(at: int) -> None:
    clean = np.zeros(1000)
    clean[at : at + 37] = 5 + np.arange(37)[::-1] / 10
    found = of(clean + 0.01 * NOISE[:1000])
    assert steps(found["longest_above"]) == 37 and steps(found["longest_fall"]) >= 36
    squares = (clean - clean.mean()) ** 2
    assert found["middle"] == pytest.approx((squares * np.linspace(0, 1, 1000)).sum() / squares.sum(), abs=1e-3)
    assert found["skewness"] > 3 and abs(found["mode"]) < 0.2 and found["kurtosis"] > 10


def test_big_increments_are_counted() -> None:
    x = np.zeros(1000)
    x[RANDOM.choice(np.arange(10, 990), 100, replace=False)] = 1e-4  # too small to count
    x[[100, 300, 500]] = 1.0
    assert of(x)["big_increments"] == pytest.approx(6 / 999)


def test_statistics_equal_slow_computations() -> None:
    for x in (autoregressive(0.6, 311), RANDOM.exponential(1, 90), np.round(RANDOM.standard_normal(64), 1)):
        found, z = of(x), (x - x.mean()) / x.std()
        letters = [int(v > np.quantile(z, 1 / 3)) + int(v > np.quantile(z, 2 / 3)) for v in z]
        shares = np.array(list(Counter(itertools.pairwise(letters)).values())) / (len(z) - 1)
        assert found["words"] == pytest.approx(-(shares * np.log(shares)).sum())
        counts, edges = np.histogram(z, 10)
        assert found["mode"] == pytest.approx(edges[counts.argmax()] + np.ptp(z) / 20)
        above = [len(list(g)) for k, g in itertools.groupby(z > 0) if k]
        assert steps(found["longest_above"]) == pytest.approx(max(above))
        acf = np.array([(z[: len(z) - k] * z[k:]).sum() / (z**2).sum() for k in range(len(z))])
        assert found["memory_1"] == pytest.approx(acf[1])
        turn = next(k for k in range(1, len(z)) if acf[k - 1] > acf[k] <= acf[k + 1])
        assert steps(found["memory_turns"]) == pytest.approx(turn)
        errors = [z[i] - z[i - 3 : i].mean() for i in range(3, len(z))]
        assert found["surprise"] == pytest.approx(np.std(errors))
        assert found["middle"] == pytest.approx((z**2 * np.linspace(0, 1, len(z))).sum() / (z**2).sum())
        assert found["kurtosis"] == pytest.approx((z**4).mean() - 3)


def test_statistics_know_neither_unit_nor_level_nor_the_other_channels() -> None:
    x = np.stack([autoregressive(0.9, 200), NOISE[:200], np.zeros(200)], 1)
    times = np.arange(200.0)
    found = describe(x, times)
    assert found.shape == (3, len(NAMES)) and not found[2].any()
    assert np.allclose(describe(1000 * x + 5e5, times)[:2], found[:2], atol=1e-6)
    assert np.allclose(found[1], describe(x[:, 1:2], times)[0])
    assert not standard(np.full((5, 1), 0.1)).any()


def test_the_vector_of_a_cell_is_made_of_its_channels_their_correlations_and_its_clock() -> None:
    random = np.random.default_rng(3)
    values = random.standard_normal((50, 3)).cumsum(0).astype(np.float32)
    values[:, 2] += values[:, 0]
    found = raw(Series(values, 10 + np.arange(50) * 0.25))
    each = OWN + len(NAMES)
    assert len(found) == 3 * each + 3 + 3
    for c in range(3):
        own = found[c * each : (c + 1) * each]
        assert np.allclose(own[:OWN], [values[:, c].mean(), values[:, c].std(), 0], rtol=1e-5)
        assert np.allclose(own[OWN:], describe(values[:, c : c + 1].astype(float), np.arange(50.0))[0], rtol=1e-5)
    assert np.allclose(found[3 * each : 3 * each + 3], np.corrcoef(values.T)[[0, 0, 1], [1, 2, 2]], atol=1e-5)
    assert np.allclose(found[-3:], [np.log2(50), -2, 0], atol=1e-6)


def test_gaps_are_bridged_and_their_share_is_told() -> None:
    x, times = np.linspace(0, 1, 40, dtype=np.float32), np.arange(40.0)
    gaps = x.copy()
    gaps[[3, 7, 8, 20]] = np.nan
    whole, holed = raw(Series(x[:, None], times)), raw(Series(gaps[:, None], times))
    assert holed[2] == pytest.approx(0.1) and whole[2] == 0
    assert holed[0] == pytest.approx(np.nanmean(gaps)) and holed[1] == pytest.approx(np.nanstd(gaps))
    assert np.allclose(whole[OWN:], holed[OWN:], atol=1e-4)


def test_uneven_times_are_told() -> None:
    between = np.array([1.0, 3.0] * 20)
    found = raw(Series(NOISE[:40, None].astype(np.float32), between.cumsum()))
    assert found[-3] == pytest.approx(np.log2(40)) and found[-1] == pytest.approx(
        between[1:].std() / between[1:].mean()
    )
    assert found[-2] == pytest.approx(np.log2(np.median(between[1:])))


def test_many_channels_have_bounded_correlations() -> None:
    cell = Series(RANDOM.standard_normal((30, 20)).astype(np.float32), np.arange(30.0))
    assert len(raw(cell)) == 20 * (OWN + len(NAMES)) + 28 + 3
    alone = raw(cell._replace(values=cell.values[:, 19:]))
    assert np.allclose(raw(cell)[19 * (OWN + len(NAMES)) :][: OWN + len(NAMES)], alone[: OWN + len(NAMES)], rtol=1e-5)


def test_odd_series_have_finite_tokens() -> None:
    def odd(values: Any) -> Series:
        values = np.asarray(values, np.float32)
        return Series(np.stack([values, values[::-1]], 1), np.arange(float(len(values))))

    cells = [
        *(odd([1]), odd([1, 2]), odd([1, 2, 1]), odd([np.nan]), odd([np.nan, 3, np.nan, 1]), odd(np.zeros(9))),
        *(odd([3e38, -3e38, 3e38]), odd([1e-40, 0, 1e-40, 0]), odd(np.arange(31)), odd(np.arange(33) % 2)),
        *(wave(20, 1), wave(63, 2, uneven=True), wave(31, 5, gaps=True), odd([5] * 6)._replace(times=np.zeros(6))),
        wave(5, 1)._replace(times=np.array([0, 1e-300, 1e300, 1e300, 1e300])),
    ]
    for some in (cells, [c for c in cells if len(c.times) > 10], [], [None], cells[:1], cells[10:11] * 3):
        encoder = learned(some)
        tokens = encoder(encoder.collate([None, *encoder.prepare(cells)]))
        assert tokens.x.shape == (len(cells) + 1, 1, encoder.width)
        assert tokens.x.isfinite().all() and not tokens.x[0].any() and tokens.x.abs().max() <= 10


def test_training_cells_are_standardised_and_the_commonest_channels_count() -> None:
    cells = [wave(int(n), i) for i, n in enumerate(RANDOM.integers(40, 90, 30))]
    other = Series(np.ones((9, 3), np.float32), np.arange(9.0))
    encoder = learned([other, None, *cells, other])
    assert encoder.reading == {"channels": 2} and encoder.preparation == learned(cells[:3]).preparation
    x = encoder(encoder.collate(encoder.prepare(cells))).x[:, 0]
    varies = x.std(0) > 0
    assert varies.float().mean() > 0.9 and np.allclose(x.mean(0), 0, atol=1e-4)
    assert np.allclose(x.std(0, correction=0)[varies], 1, atol=1e-3)
    few = ENCODERS.complete({"name": "series_statistics", "most": 5}, cells)
    assert len(few["mean"]) == encoder.width and not np.array_equal(few["mean"], encoder.standard.mean)  # type: ignore[union-attr]


def test_cells_of_many_steps_are_shortened() -> None:
    long = Series(NOISE[:1000, None].astype(np.float32), np.arange(1000.0))
    means = Series(long.values.reshape(-1, 4, 1).mean(1), long.times.reshape(-1, 4).mean(1))
    short, given = raw(long, steps=250), raw(means)
    assert np.allclose(short[1:-3], given[1:-3], rtol=1e-4, atol=1e-5) and short[-3] == pytest.approx(np.log2(1000))
    assert not np.allclose(raw(long)[:-3], short[:-3], atol=0.1)
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(PlaitError, match="steps is"):
            learned([], steps=wrong)
