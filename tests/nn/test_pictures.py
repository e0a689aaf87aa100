"""Pictures for encoders: how they are fitted into a square, and how they are varied."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import picture

from plait.nn.pictures import Pictures, grid_positions, scaled

RED = np.zeros((20, 40, 3), np.uint8) + np.array([200, 0, 0], np.uint8)


def pictures(**options: float | str) -> Pictures:
    return Pictures(**{"size": 32, "fit": "pad", "crop": 0.0, "flip": 0.0, "rotate": 0.0, "colour": 0.0, **options})  # type: ignore[arg-type]


def test_a_picture_of_the_right_size_stays_as_it_is() -> None:
    for fit in ("pad", "crop", "stretch"):
        assert np.array_equal(
            pictures(fit=fit).prepare([picture(32, 32)])[0]["pixels"], picture(32, 32).transpose(2, 0, 1)
        )


def test_pad_keeps_the_whole_picture_and_its_shape_on_white() -> None:
    wide = pictures(fit="pad").prepare([RED])[0]["pixels"].transpose(1, 2, 0)
    assert (wide[:8] == 255).all() and (wide[24:] == 255).all() and (wide[8:24] == RED[0, 0]).all()
    tall = pictures(fit="pad").prepare([RED.transpose(1, 0, 2)])[0]["pixels"].transpose(1, 2, 0)
    assert np.array_equal(tall, wide.transpose(1, 0, 2))


def test_crop_keeps_the_shape_and_the_middle() -> None:
    thirds = np.concatenate([np.full((32, 16, 3), v, np.uint8) for v in (10, 100, 100, 200)], 1)
    assert (pictures(fit="crop").prepare([thirds])[0]["pixels"] == 100).all()


def test_stretch_keeps_the_whole_picture() -> None:
    halves = np.concatenate([np.full((8, 32, 3), 10, np.uint8), np.full((8, 32, 3), 200, np.uint8)], 1)
    found = pictures(fit="stretch").prepare([halves])[0]["pixels"]
    assert abs(int(found[0, 16, 2]) - 10) <= 1 and abs(int(found[0, 16, -3]) - 200) <= 1


def test_shrinking_averages_and_does_not_skip() -> None:
    checks = (np.indices((320, 320)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    assert np.abs(pictures().prepare([checks])[0]["pixels"].astype(int) - 127.5).max() < 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_extreme_shapes_fit(shape: tuple[int, int]) -> None:
    for fit in ("pad", "crop", "stretch"):
        ready = pictures(fit=fit).prepare([np.zeros((*shape, 3), np.uint8)])[0]["pixels"]
        assert ready.shape == (3, 32, 32) and ready.dtype == np.uint8 and ready.min() == 0


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(AssertionError, match="fit is 'cover'"):
        pictures(fit="cover")


def batch(p: Pictures, n: int = 4) -> dict[str, torch.Tensor]:
    smooth = [
        np.asarray(Image.fromarray(picture(8, 8, i)).resize((32, 32), Image.Resampling.BICUBIC)) for i in range(n)
    ]
    return p.collate(p.prepare(smooth))


def test_no_augmentation_leaves_the_pixels() -> None:
    p = pictures()
    inputs = batch(p)
    assert torch.allclose(p.augment(inputs)["pixels"], scaled(inputs["pixels"]), atol=1e-5)


def test_mirrored_pictures_are_flipped_ones() -> None:
    p = pictures(flip=1.0)
    inputs = batch(p)
    assert torch.allclose(p.augment(inputs)["pixels"], scaled(inputs["pixels"]).flip(3), atol=1e-5)
    half = pictures(flip=0.5)
    out = torch.cat([half.augment(inputs)["pixels"] for _ in range(50)])
    same = torch.isclose(out, scaled(inputs["pixels"]).repeat(50, 1, 1, 1), atol=1e-5).flatten(1).all(1)
    assert 0.35 < same.float().mean() < 0.65


def test_turning_keeps_the_middle_and_turns_the_rest_no_further_than_it_may() -> None:
    dot = torch.zeros(1, 3, 33, 33)
    dot[:, :, 16, 16], dot[:, :, 16, 28] = 1.0, 1.0
    p, angles = pictures(rotate=30.0), []
    for _ in range(60):
        out = p.augment({"pixels": dot, "present": torch.ones(1, dtype=torch.bool)})["pixels"][0, 0]
        assert out[16, 16] == pytest.approx(1, abs=1e-3)
        out[14:19, 14:19] = 0
        y, x = divmod(int(out.argmax()), 33)
        angles.append(np.degrees(np.arctan2(y - 16, x - 16)))
        assert np.hypot(y - 16, x - 16) == pytest.approx(12, abs=1)
    assert -33 < min(angles) < -15 and 15 < max(angles) < 33


def test_zoom_and_shift_stay_within_their_share() -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 32, 32).contiguous()
    p = pictures(crop=0.2)
    for _ in range(60):
        row = p.augment({"pixels": ramp, "present": torch.ones(1, dtype=torch.bool)})["pixels"][0, 0, 16]
        span = float(row[24] - row[8]) / float(ramp[0, 0, 0, 24] - ramp[0, 0, 0, 8])
        assert 0.79 <= span <= 1.01  # a picture is only zoomed into
        assert abs(float(row[15] + row[16]) / 2 - 0.5) <= 0.21


def test_colours_are_varied_within_their_share() -> None:
    p = pictures(colour=0.2)
    grey = {"pixels": torch.full((200, 3, 8, 8), 0.5), "present": torch.ones(200, dtype=torch.bool)}
    level = p.augment(grey)["pixels"].mean((1, 2, 3))
    assert 0.399 <= level.min() < 0.42 and 0.58 < level.max() <= 0.601
    out = p.augment(batch(p))["pixels"]
    assert out.min() >= 0 and out.max() <= 1


def test_places_are_the_middles_of_a_grid() -> None:
    grid = grid_positions(2, 4, torch.device("cpu"))
    assert grid[:, 0].isnan().all()
    assert grid[:, 1].tolist() == [0.25] * 4 + [0.75] * 4 and grid[:, 2].tolist() == [0.125, 0.375, 0.625, 0.875] * 2
