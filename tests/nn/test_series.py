"""Series for encoders: closed forms for scale, pooling, gaps and clocks; what augmentation may change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import wave

from plait.nn.series import Facts, Waves, bridged, channels_of, learn_facts, places, pooled, standard
from plait.types import Series

NAN = float("nan")
FACTS: Facts = {"mean": [1.0, 0.0], "std": [2.0, 10.0], "interval": 0.5, "longest": 8, "pool": 1, "steps": 8}


def series(values: object, times: object = None) -> Series:
    array = np.asarray(values, dtype=np.float32)
    return Series(
        array, np.arange(len(array), dtype=np.float64) if times is None else np.asarray(times, dtype=np.float64)
    )


def waves(facts: Facts = FACTS, **options: float) -> Waves:
    return Waves(facts, **{"normalise": False, "jitter": 0.0, "scale": 0.0, "hide": 0.0, **options})  # type: ignore[arg-type]


def test_facts_are_those_of_all_known_values_together() -> None:
    cells = [wave(20, 1), None, wave(63, 2, gaps=True), wave(1, 3), wave(150, 4, gaps=True)]
    facts = learn_facts(cells, steps=100)["facts"]
    every = np.concatenate([c.values for c in cells if c is not None]).astype(np.float64)
    np.testing.assert_allclose(facts["mean"], np.nanmean(every, 0), rtol=1e-9)
    np.testing.assert_allclose(facts["std"], np.nanstd(every, 0), rtol=1e-9)
    assert (facts["longest"], facts["pool"], facts["steps"]) == (150, 2, 100)
    assert facts["interval"] == pytest.approx(0.5)


def test_facts_of_odd_columns() -> None:
    assert learn_facts([], steps=7)["facts"] == learn_facts([None], steps=7)["facts"]
    flat = learn_facts([series([[5.0, NAN]] * 3, [1, 1, 1])], steps=7)["facts"]
    assert flat["mean"] == [5.0, 0.0] and flat["std"] == [1.0, 1.0] and flat["interval"] == 1.0
    most = learn_facts([series([[1.0]]), series([[2.0, 2.0]]), series([[4.0, 4.0]])], steps=7)["facts"]
    assert most["mean"] == [3.0, 3.0], "the commonest number of channels"
    huge = learn_facts([series([[3e38]]), series([[-3e38]])], steps=7)["facts"]
    np.testing.assert_allclose(huge["std"], [3e38], rtol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_pooling_is_the_mean_of_what_is_known(size: int) -> None:
    cell = wave(31, 5, gaps=True)
    values, times = pooled(cell, size)
    assert len(values) == len(times) == -(-31 // size)
    for i, (value, time) in enumerate(zip(values, times)):
        part = slice(i * size, (i + 1) * size)
        np.testing.assert_allclose(time, cell.times[part].mean())
        for c in range(2):
            known = [float(v) for v in cell.values[part, c] if not np.isnan(v)]
            np.testing.assert_allclose(value[c], np.mean(known) if known else NAN)


def test_a_standard_cell_has_mean_0_and_deviation_1_and_keeps_its_gaps() -> None:
    values = np.array([[1, 7, NAN], [NAN, 7, NAN], [3, 7, NAN], [5, 7, NAN]])
    np.testing.assert_allclose(
        standard(values), [[-(1.5**0.5), 0, NAN], [NAN, 0, NAN], [0, 0, NAN], [1.5**0.5, 0, NAN]]
    )


def test_gaps_are_bridged_by_straight_lines_in_time() -> None:
    values = np.array([[NAN, NAN, 1], [1, NAN, 2], [NAN, NAN, 3], [5, NAN, 4], [NAN, NAN, 5]])
    found = bridged(values, np.array([0.0, 1, 2, 5, 6]))
    np.testing.assert_allclose(found, [[1, 0, 1], [1, 0, 2], [2, 0, 3], [5, 0, 4], [5, 0, 5]])


def test_what_is_kept_of_a_cell() -> None:
    (found,) = waves().prepare([series([[3, NAN], [NAN, 5], [1, 1e9]], [10, 10.5, 12.5])])
    np.testing.assert_allclose(found["values"], [[1, 0], [0, 0.5], [0, 20]])
    np.testing.assert_allclose(found["known"], [[1, 0], [0, 1], [1, 1]])
    np.testing.assert_allclose(found["clock"], [[0, 0], [0.5, 0], [2.5, 2]])  # 2.0 s is 4 = 2^2 usual intervals
    inputs = waves().collate([found, None])
    np.testing.assert_allclose(channels_of(inputs)[0, 2], [0, 20, 1, 1, 0.5])
    assert inputs["lengths"].tolist() == [3, 0] and not channels_of(inputs)[1].any()


def test_a_cell_that_is_too_long_is_pooled_more_and_its_clock_follows() -> None:
    long = series(np.ones((17, 2)), np.arange(17) * 0.5)
    (found,) = waves().prepare([long])  # 17 steps, at most 8: three at a time
    np.testing.assert_allclose(found["clock"][:, 0], [0, 1.5, 3, 4.5, 6, 7.25])
    np.testing.assert_allclose(found["clock"][:5, 1], 0, atol=1e-6)
    assert found["values"].shape == (6, 2)


def test_where_nothing_could_be_learned_only_the_clock_is_read() -> None:
    part = waves(learn_facts([], steps=8)["facts"])
    (found,) = part.prepare([series([[1, 2, 3], [4, 5, 6]])])
    assert not found["values"].any() and not found["known"].any() and found["values"].shape == (2, 1)
    assert part.scaled.reading == {} and waves().scaled.reading == {"channels": 2}


def test_a_cell_by_its_own_scale_does_not_change_with_unit_or_level() -> None:
    cell = wave(40, 3)
    other = cell._replace(values=cell.values * np.float32(7) + np.float32(3))
    part = waves(normalise=True)
    a, b = part.prepare([cell, other])
    np.testing.assert_allclose(a["values"], b["values"], atol=1e-4)
    np.testing.assert_allclose(a["values"].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(a["values"].std(0), 1, atol=1e-5)


def batch(part: Waves) -> dict[str, torch.Tensor]:
    return part.collate(part.prepare([wave(8, 1), wave(5, 2, gaps=True), wave(8, 3)]))


def test_scaling_is_one_factor_a_channel_of_a_row() -> None:
    part = waves(scale=0.3)
    inputs = batch(part)
    ratio = part.augment(inputs)["values"] / inputs["values"]
    for row in range(3):
        for c in range(2):
            here = ratio[row, :, c][inputs["values"][row, :, c] != 0]
            assert torch.allclose(here, here[:1]) and 0.7 <= here[0] <= 1.3
    assert ratio[0, 0, 0] != ratio[0, 0, 1] != ratio[2, 0, 1]


def test_noise_is_of_the_size_said_and_gaps_and_padding_stay_empty() -> None:
    part = waves(jitter=0.5)
    inputs = {k: v.repeat(2000, *[1] * (v.ndim - 1)) for k, v in batch(part).items()}
    apart = part.augment(inputs)["values"] - inputs["values"]
    known = inputs["known"].bool()
    assert (apart[~known] == 0).all()
    assert apart[known].std() == pytest.approx(0.5, rel=0.02) and abs(apart[known].mean()) < 0.01
    together = (apart[::3, 0] * apart[::3, 1]).mean(), (apart[::3, 0, 0] * apart[::3, 0, 1]).mean()
    assert max(map(abs, together)) < 0.02, "each value has noise of its own"


def test_one_stretch_is_hidden_anywhere_up_to_the_share_said() -> None:
    part = waves({**FACTS, "longest": 100, "steps": 100}, hide=0.3)
    inputs = part.collate(part.prepare([wave(100, 1)] * 500 + [wave(50, 2)]))
    found = part.augment(inputs)
    gone = (inputs["known"] - found["known"])[..., 0].bool()
    assert (found["values"][gone] == 0).all() and (inputs["known"] >= found["known"]).all()
    share = gone[:500].float().mean(1)
    assert 0.28 < share.max() <= 0.31 and share.mean() == pytest.approx(0.15, abs=0.02)
    edges = (gone[:, 1:] != gone[:, :-1]).sum(1)
    assert edges.max() <= 2, "one stretch"
    assert gone[:500, 3:-3].any(0).all(), "anywhere"


def test_a_token_lies_at_the_mean_time_of_its_steps() -> None:
    part = waves()
    inputs = part.collate(part.prepare([wave(8, 1), wave(5, 2), wave(1, 3)]))
    found = places(inputs, 3)
    assert found.shape == (3, 3, 3) and found[..., 1:].isnan().all()
    np.testing.assert_allclose(found[0, :, 0], [0.5, 2.0, 3.25], rtol=1e-6)
    np.testing.assert_allclose(found[1, :2, 0], [0.5, 1.75], rtol=1e-6)
    assert found[2, 0, 0] == 0
