"""Fixed encoders of video: planted motion, planted changes, still pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.conftest import clip, tone

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.types import Clip, Wave

cv2 = pytest.importorskip("cv2")
DIRECTIONS = {(1, 0): 0, (1, 1): 1, (0, 1): 2, (-1, 1): 3, (-1, 0): 4, (-1, -1): 5, (0, -1): 6, (1, -1): 7}  # x, y down


def texture(high: int, wide: int, seed: int = 0) -> np.ndarray:
    """Blots of all sizes, uint8 (high, wide, 3)."""
    random, total = np.random.default_rng(seed), np.zeros((high, wide))
    for size in (2, 4, 8):
        blots = cv2.GaussianBlur(random.standard_normal((high, wide)), (0, 0), size)
        total += blots / blots.std()
    return np.repeat((128 + 35 * total).clip(0, 255).astype(np.uint8)[..., None], 3, 2)


def moved(dx: int, dy: int, frames: int = 6, seconds: float = 0.1) -> Clip:
    """A clip 96 pixels wide in which all moves by (dx, dy) pixels a frame, dy downwards."""
    whole = texture(200, 220)
    pictures = [whole[60 - dy * i : 132 - dy * i, 60 - dx * i : 156 - dx * i] for i in range(frames)]
    return Clip(np.stack(pictures), np.arange(frames) * seconds)


def learned(cells: list[Any], **options: Any) -> Encoder:
    return ENCODERS.build(ENCODERS.complete({"name": "video_flow", **options}, cells))  # type: ignore[no-any-return]


def raw(cell: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations over time, (quarters, 17) each."""
    features = learned([]).prepare([cell])[0]["features"]
    assert features.shape == (136,) and features.dtype == np.float32 and np.isfinite(features).all()
    mean, std = features.reshape(2, 4, 17)
    return mean, std


@pytest.mark.parametrize("shift", DIRECTIONS)
def test_a_planted_shift_has_its_direction_and_speed(shift: tuple[int, int]) -> None:
    mean, std = raw(moved(2 * shift[0], 2 * shift[1]))
    speed = 2 * np.hypot(*shift) / 96 / 0.1
    for quarter in mean:
        assert quarter[:8].argmax() == DIRECTIONS[shift]
        assert quarter[:8].max() > 0.9 * quarter[:8].sum()
        assert quarter[:8].sum() == pytest.approx(speed, rel=0.25)
        assert quarter[8:12].argmax() == 2  # between 0.1 and 0.4 lengths a second
    assert std[:, :8].max() < 0.2 * speed


def test_speed_is_told_by_the_second_and_not_by_the_pixel() -> None:
    slow, fast = raw(moved(2, 0, seconds=0.2))[0], raw(moved(2, 0, seconds=0.1))[0]
    assert np.allclose(2 * slow[:, :8], fast[:, :8], rtol=1e-5)
    base = moved(2, 0)
    large = Clip(np.stack([cv2.resize(f, None, fx=3, fy=3) for f in base.frames]), base.times)
    assert np.allclose(raw(large)[0][:, 0], raw(base)[0][:, 0], rtol=0.15)


@pytest.mark.parametrize("quarter", range(4))
def test_motion_is_told_where_it_is(quarter: int) -> None:
    whole, frames = texture(96, 96), []
    high, wide = (
        slice(48 * (quarter // 2), 48 * (quarter // 2) + 48),
        slice(48 * (quarter % 2), 48 * (quarter % 2) + 48),
    )
    other = texture(48, 120, seed=1)
    for i in range(6):
        frame = whole.copy()
        frame[high, wide] = other[:, 60 - 2 * i : 108 - 2 * i]
        frames.append(frame)
    mean, _ = raw(Clip(np.stack(frames), np.arange(6) / 10))
    assert mean[:, :8].sum(1).argmax() == quarter and mean[quarter, :8].argmax() == 0
    assert mean[quarter, :8].sum() > 5 * np.delete(mean[:, :8].sum(1), quarter).max()


def test_a_still_picture_one_frame_and_no_time_have_no_motion() -> None:
    still = np.zeros(17)
    still[[8, 12]] = 1  # all pixels still, all changes below 2 levels
    black_and_white = (texture(72, 96) > 128).astype(np.uint8) * 255
    for frames, times in ((5, np.arange(5) / 4), (5, np.zeros(5)), (1, np.zeros(1))):
        mean, std = raw(Clip(np.repeat(black_and_white[None], frames, 0), times))
        assert np.array_equal(mean, np.tile(still, (4, 1))) and not std.any()


def test_changes_are_counted_by_their_size() -> None:
    """Every other step all pixels of the left half change by 40 grey levels."""
    frames = np.full((5, 96, 96, 3), 100, np.uint8)
    frames[1:3, :, :48] += 40
    mean, std = raw(Clip(frames, np.arange(5) / 4))
    assert np.allclose(mean[[0, 2], 12:], [0.5, 0, 0, 0.5, 0]) and np.allclose(mean[[1, 3], 12:], [1, 0, 0, 0, 0])
    assert np.allclose(std[[0, 2], 12:], [0.5, 0, 0, 0.5, 0]) and not std[[1, 3], 12:].any()


def test_odd_clips_have_finite_tokens_of_unit_size() -> None:
    cells = [
        *(clip(8, 12, 16), clip(3, 40, 17, seed=1), clip(1, 1, 1, seed=2), clip(8, 9, 70, seed=3), clip(2, 1, 300)),
        *(clip(5, 64, 64, seed=4), moved(2, 0), moved(0, 2), moved(-1, -1)),
    ]
    encoder = learned([None, *cells])
    tokens = encoder(encoder.collate([*encoder.prepare(cells), None]))
    assert tokens.x.shape == (10, 1, 136) and tokens.x.isfinite().all() and not tokens.x[-1].any()
    assert (tokens.x[:-1] ** 2).mean().sqrt() == pytest.approx(1, abs=0.05)
    for some in ([], [None], cells[:1], cells[:1] * 3):
        encoder = learned(some)
        assert not encoder(encoder.collate(encoder.prepare(cells[1:3]))).x.any()


def test_neither_the_sound_nor_the_threads_of_the_library_count() -> None:
    encoder, cell = learned([]), moved(2, 1)
    expected = encoder.prepare([cell])[0]["features"].tobytes()
    threads = cv2.getNumThreads()
    try:
        for count in (1, 4):
            cv2.setNumThreads(count)
            heard = cell._replace(sound=Wave(tone(440, 0.5), 16_000))
            assert encoder.prepare([heard])[0]["features"].tobytes() == expected
    finally:
        cv2.setNumThreads(threads)
    assert encoder.reading == {"frames": 16, "enough": 96, "sound": False}
    assert learned([], frames=5).reading["frames"] == 5


@pytest.mark.parametrize("frames", [0, 1, 2000, True])
def test_one_frame_is_refused(frames: int) -> None:
    with pytest.raises(PlaitError, match="motion lies between two"):
        learned([], frames=frames)
