"""Encoders of series: planted problems they must solve, the tokens they make of long cells, their closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import wave

import plait
from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import MediaError
from plait.modalities import modality
from plait.nn.series import learn_facts

MADE_OF = ("series_union", "series_module")  # of other encoders, and of others' networks: they have tests of their own
NAMES = [n for n in ENCODERS if ENCODERS.load(n).modality == "series" and n not in MADE_OF]
every = pytest.mark.parametrize("name", NAMES)


def encoder_of(name: str, cells: list[Any], **options: Any) -> Encoder:
    return ENCODERS.build(ENCODERS.complete({"name": name, **options}, cells)).eval()  # type: ignore[no-any-return]


def planted(kind: str, rows: int = 120, seed: int = 0) -> list[dict[str, Any]]:
    """Series of 40 to 60 steps with gaps; the class lies in a frequency, a ramp that rises or falls, or the level."""
    random = np.random.default_rng(seed)
    table = []
    for i in range(rows):
        steps, label = int(random.integers(40, 61)), i % 2
        values = 0.3 * random.standard_normal((steps, 2))
        if kind == "frequency":
            values[:, 1] += np.sin(np.arange(steps) * (0.6, 0.9)[label] + 7 * random.random())
        elif kind == "shape":
            ramp, at = np.linspace(0, 3, 12), int(random.integers(0, steps - 12))
            values[at : at + 12, 0] += ramp if label else ramp[::-1]
        else:
            values[:, 0] += 100 + label
        values[random.random(values.shape) < 0.05] = np.nan
        table.append({"x": values, "y": "ab"[label]})
    return table


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frequency", "shape", "level"])
@every
def test_a_planted_problem_is_solved(name: str, kind: str) -> None:
    split = {"valid": 0.15, "test": 0.35}
    spec = {"name": name, "kernels": 500} if name == "series_rocket" else name
    rows = 400 if name == "series_statistics" else 120  # 30 figures are more than 40 rows can weigh up
    model = plait.fit(planted(kind, rows), "y", encoders={"x": spec}, split=split, epochs=40, quiet=True)
    assert model.inputs == {"x": "series"}
    assert model.figures["y"]["accuracy"] >= 0.9


@every
def test_cells_with_other_channels_than_in_training_are_refused_before_they_are_prepared(name: str) -> None:
    part = modality("series")
    encoder = encoder_of(name, [wave(20, 1), wave(30, 2)])
    part.read(part.load([[1, 2], [3, 4]], None), **encoder.reading)  # type: ignore[arg-type]
    with pytest.raises(MediaError, match="has 3 channels; expected 2"):
        part.read(part.load([[1, 2, 3]], None), **encoder.reading)  # type: ignore[arg-type]


@every
def test_a_long_cell_keeps_its_beginning_and_its_end(name: str) -> None:
    """Nothing is cut: a change at either end of a cell with many steps changes its tokens."""
    cells = [wave(5000, 1), wave(5000, 2)]
    encoder = encoder_of(name, cells, steps=400)
    base = cells[0]
    tokens = encoder(encoder.collate(encoder.prepare([base])))
    assert 1 <= tokens.mask.sum() <= 400
    if tokens.position is not None:
        seconds = tokens.position[0, :, 0]
        assert (seconds.diff() > 0).all() and seconds[-1] == pytest.approx(2500, rel=0.05)
    for part in (slice(0, 200), slice(-200, None)):
        values = base.values.copy()
        values[part] += values.std(0) * 3
        other = encoder(encoder.collate(encoder.prepare([base._replace(values=values)])))
        assert (other.x - tokens.x).abs().max() > 1e-3


@every
def test_values_in_gaps_and_units_do_not_count(name: str) -> None:
    """The same series in another unit, with the facts learned in that unit, gives the same tokens."""
    cells = [wave(30, 1, gaps=True), wave(40, 2, gaps=True), wave(20, 3)]
    other = [c._replace(values=c.values * np.float32(1000) + np.float32(5)) for c in cells]
    a, b = encoder_of(name, cells), encoder_of(name, other)
    b.load_state_dict(a.state_dict())
    x, y = (e(e.collate(e.prepare(c))) for e, c in ((a, cells), (b, other)))
    assert torch.allclose(x.x[x.mask], y.x[y.mask], atol=0.02)


def test_the_token_of_random_kernels_is_one_linear_map_of_their_standard_answers() -> None:
    encoder: Any = encoder_of("series_rocket", [wave(20, 1), wave(30, 2)], kernels=32, width=8)
    norm = encoder.norm.norm
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_()
    inputs = encoder.collate(encoder.prepare([wave(25, 3)]))
    scaled = (inputs["answers"].float() - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    expected = (scaled * norm.weight + norm.bias) / 64**0.5 @ encoder.out.weight.T + encoder.out.bias
    assert torch.allclose(encoder(inputs).x[0], expected, atol=1e-5)


@pytest.mark.parametrize("longest, stride", [(1, 1), (512, 1), (513, 2), (1500, 4)])
def test_convolutions_stride_where_series_are_long(longest: int, stride: int) -> None:
    encoder: Any = encoder_of("series_conv", [wave(longest, 1)])
    assert encoder.stride == stride
    tokens = encoder(encoder.collate(encoder.prepare([wave(longest, 2)])))
    assert tokens.mask.sum() == -(-longest // stride)


@pytest.mark.parametrize("name, most", [("series_recurrent", 64), ("series_patch", 50)])
def test_steps_are_read_together_where_there_are_many(name: str, most: int) -> None:
    for longest in (3, 64, 65, 1000):
        encoder = encoder_of(name, [wave(longest, 1)])
        count = int(encoder(encoder.collate(encoder.prepare([wave(longest, 2)]))).mask.sum())
        assert min(longest, 24) // 2 <= count <= most
    facts = learn_facts([wave(100, 1)], steps=2048)["facts"]
    given: Any = ENCODERS.build({"name": name, "facts": facts, "patch": 20})
    assert given(given.collate(given.prepare([wave(100, 1)]))).mask.sum() == (5 if name == "series_recurrent" else 10)
