"""Near duplicates: the bands find what comparing all pairs finds, copies are found and strangers are not."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from tests.conftest import tone
from tests.inspection.planted import scene

from plait.inspection import twins as module
from plait.inspection.cells import Seen, folded, measured
from plait.inspection.twins import BITS, grouped, joint, near_pairs
from plait.types import Wave


def scanned(seen: list[Seen]) -> Any:
    return SimpleNamespace(
        marks=np.array([s.mark or 0 for s in seen], dtype=np.uint64),
        known=np.array([s.mark is not None for s in seen]),
        smalls=np.stack([s.small for s in seen if s.small is not None]),
        ratios=np.array([s.ratio for s in seen]),
    )


def marked(marks: np.ndarray) -> Any:
    """Contents that differ in nothing but their marks."""
    blank = np.zeros((len(marks), 16, 16, 3), np.uint8)
    return SimpleNamespace(marks=marks, known=np.ones(len(marks), bool), smalls=blank, ratios=np.ones((len(marks), 2)))


def flipped(mark: int, bits: list[int]) -> int:
    for bit in bits:
        mark ^= 1 << bit
    return mark


def by_hand(marks: np.ndarray, most: int = BITS) -> set[tuple[int, int]]:
    pairs = ((i, j) for i in range(len(marks)) for j in range(i + 1, len(marks)))
    return {(i, j) for i, j in pairs if bin(int(marks[i]) ^ int(marks[j])).count("1") <= most}


def near_marks(n: int = 40) -> np.ndarray:
    generator = np.random.default_rng(0)
    marks = [int(m) for m in generator.integers(0, 2**63, n, dtype=np.uint64)]
    copies = [flipped(m, generator.choice(64, i % 8, replace=False).tolist()) for i, m in enumerate(marks)]
    return np.array(marks + copies, dtype=np.uint64)


def test_bands_find_all_pairs_that_differ_in_few_bits() -> None:
    marks = near_marks()
    found = {(int(a), int(b)) for a, b in near_pairs(marked(marks))}
    assert found == by_hand(marks) and 25 < len(found) < 40


def test_large_buckets_lose_at_most_pairs_that_differ_most(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = near_marks()
    marks[:40] &= np.uint64(0xFFFFFFFFFFFFF800)  # one band is the same for all
    marks[40:] &= np.uint64(0xFFFFFFFFFFFFF800)
    monkeypatch.setattr(module, "MOST", 30)
    found = {(int(a), int(b)) for a, b in near_pairs(marked(marks))}
    assert by_hand(marks, BITS - 1) <= found <= by_hand(marks)


def test_large_buckets_are_divided_by_every_other_band(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    bands = [[0, 0b11111] for _ in module.BANDS]  # few values: every band has large buckets
    made = [sum(int(generator.choice(v)) << start for v, (start, _) in zip(bands, module.BANDS)) for _ in range(60)]
    copy = flipped(made[0], [20, 31, 42, 63])  # agrees in the first and the fifth band only
    marks = np.array([*made, copy], dtype=np.uint64)
    monkeypatch.setattr(module, "MOST", 25)
    assert [0, 60] in near_pairs(marked(marks)).tolist()


def test_many_equal_marks_take_no_square_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    pairs = near_pairs(marked(np.zeros(1000, dtype=np.uint64)))
    assert len(pairs) <= 1000 * module.NEIGHBOURS
    assert len(set(module._joined(1000, pairs).tolist())) == 1


@pytest.mark.parametrize("side", [48, 160])
def test_copies_of_pictures_are_found_and_strangers_are_not(side: int) -> None:
    generator = np.random.default_rng(1)
    seen, copies, n = [], [], 60
    for i in range(n):
        picture, buffer = Image.fromarray(scene(i, side)), io.BytesIO()
        size = round(side * generator.uniform(0.5, 2))
        picture.resize((size, size), Image.Resampling.BICUBIC).save(
            buffer, "JPEG", quality=int(generator.integers(40, 95))
        )
        seen.append(measured(np.asarray(picture)))
        copies.append(measured(np.asarray(Image.open(buffer).convert("RGB"))))
    pairs = near_pairs(scanned(seen + copies)).tolist()
    right = [p for p in pairs if p[1] - p[0] == n]
    assert len(right) >= 0.9 * n and len(pairs) == len(right)


def test_other_colours_and_other_shapes_are_no_copies() -> None:
    picture = scene(5)
    wide = np.asarray(Image.fromarray(picture).resize((96, 48)))
    assert len(near_pairs(scanned([measured(picture), measured(picture[..., ::-1].copy()), measured(wide)]))) == 0


def test_a_sound_encoded_anew_is_found_and_another_is_not() -> None:
    def song(seed: int) -> np.ndarray:
        notes = np.random.default_rng(seed).uniform(200, 2000, 8)
        return np.concatenate([tone(float(hertz), 0.15) for hertz in notes])

    buffer = io.BytesIO()
    soundfile.write(buffer, song(0), 16_000, format="OGG")
    again, rate = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32")
    seen = [measured(Wave(s, r)) for s, r in ((song(0), 16_000), (song(1), 16_000), (again, rate), (song(2), 16_000))]
    assert near_pairs(scanned(seen)).tolist() == [[0, 2]]


def test_low_rates_and_short_sounds_are_measured() -> None:
    for wave in (Wave(tone(100, 0.2, 4_000), 4_000), Wave(np.ones(1, np.float32), 8_000), Wave(tone(), 16_000)):
        assert all(np.isfinite(v) for v in measured(wave).figures.values())


@pytest.mark.parametrize(
    ("text", "same"),
    [("  A  b\tC\n", "a b c"), ("ＡＢＣ", "abc"), ("Straße", "STRASSE"), ("ﬁne", "FINE"), ("cafe\u0301", "CAFÉ")],
)
def test_folding_overlooks_what_an_eye_does(text: str, same: str) -> None:
    assert folded(text) == folded(same) and folded(text) != folded(same + "!")


def test_grouped_joins_rows_over_several_columns() -> None:
    a, b = np.array([0, 0, 1, 2, -1, 3]), np.array([5, 6, 6, -1, -1, 7])
    assert grouped([a, b]).tolist() == [0, 0, 0, 3, 4, 5]
    assert joint([a, b]).tolist()[4] == -1 and len(set(joint([a, b]).tolist())) == 6


def test_a_long_chain_is_one_cluster() -> None:
    pairs = np.stack([np.arange(999), np.arange(1, 1000)], 1)[np.random.default_rng(0).permutation(999)]
    assert set(module._joined(1000, pairs).tolist()) == {0}
