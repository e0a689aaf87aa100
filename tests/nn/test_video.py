"""Clips for encoders: small, padded to one length, moved alike; and that motion and sound can be learned from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.clips import is_upright, numbered, video
from tests.conftest import clip, tone
from torch import nn

import plait
from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.nn import pooling, rows
from plait.nn.hearing import Hearing
from plait.nn.spectrum import LogMel
from plait.nn.video import Clips, Over, clip_tokens, frames_of
from plait.types import Clip, Wave


def clips(**options: Any) -> Clips:
    return Clips(**{"frames": 8, "size": 16, "sound": 2.0, "crop": 0.3, "flip": 0.0, "colour": 0.3, **options})


def test_a_clip_becomes_small_pictures_times_and_a_spectrogram() -> None:
    sound = tone(440, 3.0)
    ready = clips().prepare([clip(5, 40, 20, sound=sound), clip(2, 8, 8)])
    assert ready[0]["pixels"].shape == (5, 3, 16, 16) and ready[0]["pixels"].dtype == np.uint8
    np.testing.assert_array_equal(ready[0]["times"], np.arange(5) / 4)
    expected = LogMel(bands=64, seconds=2.0, gain=0, noise=0, time_mask=0, band_mask=0).prepare([Wave(sound, 16_000)])
    np.testing.assert_array_equal(ready[0]["mel"], expected[0]["mel"])
    assert ready[0]["heard"].tolist() == [len(expected[0]["mel"])]
    assert ready[1]["mel"].shape == (1, 64) and ready[1]["heard"].tolist() == [0]
    assert clips(sound=0.0).prepare([clip(5, 40, 20, sound=sound)])[0].keys() == {"pixels", "times"}


def test_a_batch_is_padded_to_the_frames_asked_for() -> None:
    encoder = clips()
    first, second = encoder.prepare([clip(5, 40, 20), clip(2, 8, 8, sound=tone(440, 0.5))])
    inputs = encoder.collate([first, None, second])
    assert inputs["pixels"].shape == (3, 8, 3, 16, 16) and inputs["times"].shape == (3, 8)
    assert inputs["lengths"].tolist() == [5, 0, 2] and inputs["heard"].tolist() == [0, 0, len(second["mel"])]
    assert (inputs["pixels"][0, :5].numpy() == first["pixels"]).all() and not inputs["pixels"][0, 5:].any()


def test_what_is_asked_of_the_modality_is_what_is_used() -> None:
    assert clips().reading == {"frames": 8, "enough": 16, "sound": True, "seconds": 2.0}
    assert clips(sound=0.0).reading["sound"] is False
    with pytest.raises(AssertionError, match="number of seconds"):
        clips(sound=True)


def test_all_frames_of_a_clip_are_augmented_alike_and_right_stays_right() -> None:
    encoder = clips(size=32)
    still = np.repeat(numbered(1, 32, 32)[0][None], 8, axis=0)
    inputs = encoder.collate(encoder.prepare([Clip(still, np.arange(8.0))] * 6))
    pixels = encoder.augment(inputs)["pixels"]
    assert pixels.shape == inputs["pixels"].shape and pixels.min() >= 0 and pixels.max() <= 1
    assert torch.allclose(pixels, pixels[:, :1].expand_as(pixels), atol=1e-6)
    assert all(not torch.allclose(pixels[0], pixels[i], atol=0.01) for i in range(1, 6))
    assert all(is_upright(255 * p[0].permute(1, 2, 0).numpy()) for p in pixels)


def test_differences_are_those_to_the_frame_before() -> None:
    pixels = torch.randint(0, 256, (2, 4, 3, 5, 5), dtype=torch.uint8)
    x = frames_of(pixels, difference=True)
    plain = (pixels.numpy() / 255 - 0.5) / 0.25
    np.testing.assert_allclose(x[:, :, :3].numpy(), plain, atol=1e-5)
    np.testing.assert_allclose(x[:, 1:, 3:].numpy(), np.diff(plain, axis=1), atol=1e-5)
    assert not x[:, 0, 3:].any() and frames_of(pixels, difference=False).shape == (2, 4, 3, 5, 5)


def test_a_block_over_space_and_time_is_made_of_3d_convolutions() -> None:
    block = Over(4, 6).train()
    block(torch.randn(3, 5, 4, 8, 8), torch.ones(3, 5, 1, 1, 1))  # statistics that are not those of a new one
    block.eval()
    x = torch.randn(2, 5, 4, 8, 8)

    def bn(norm: Any, v: torch.Tensor) -> torch.Tensor:
        n = norm.norm
        return nn.functional.batch_norm(v, n.running_mean, n.running_var, n.weight, n.bias, False, 0, n.eps)

    def conv(weight: torch.Tensor, v: torch.Tensor, axes: str, stride: int = 1) -> torch.Tensor:
        kernel, pad = (weight[:, :, None], (0, 1, 1)) if axes == "space" else (weight[..., None], (1, 0, 0))
        return nn.functional.conv3d(v, kernel, stride=(1, stride, stride), padding=pad)

    v = x.transpose(1, 2)
    short = nn.functional.conv3d(v, block.short.weight[:, :, None], stride=(1, 2, 2))
    y = torch.relu(bn(block.norms[0], conv(block.space[0].weight, v, "space", 2)))
    y = torch.relu(bn(block.norms[1], conv(block.time[0].weight, y, "time")))
    y = torch.relu(bn(block.norms[2], conv(block.space[1].weight, y, "space")))
    y = torch.relu(bn(block.norms[3], conv(block.time[1].weight, y, "time")) + short)
    found = block(x, torch.ones(2, 5, 1, 1, 1))
    assert torch.allclose(found.transpose(1, 2), y, atol=1e-5)


def test_a_block_over_time_does_not_see_padding() -> None:
    block, x = Over(4, 6).eval(), torch.randn(2, 5, 4, 8, 8)
    real = torch.ones(2, 5, 1, 1, 1)
    real[:, 3:] = 0
    short = block(x[:, :3], real[:, :3])
    assert torch.allclose(block(x, real)[:, :3], short, atol=1e-6)


def test_sound_comes_after_the_frames_where_there_is_any() -> None:
    encoder, hearing = clips(), Hearing(width=12, bands=64, channels=4, dropout=0.0).eval()
    cells = encoder.prepare([clip(3, 8, 8, sound=tone(440, 1.0)), clip(8, 8, 8)])
    inputs = encoder.collate([*cells, None])
    tokens = clip_tokens(torch.zeros(3, 8, 12), inputs, hearing)
    heard = -(-len(cells[0]["mel"]) // 16)
    assert tokens.mask.sum(1).tolist() == [3 + heard, 8, 0] and tokens.x.shape == (3, 8 + heard, 12)
    assert tokens.position is not None
    seconds = tokens.position[0, :, 0]
    np.testing.assert_allclose(seconds[:3], [0, 0.25, 0.5])
    np.testing.assert_allclose(seconds[8:], (np.arange(heard) + 0.5) * 0.256, atol=1e-6)
    gone = clip_tokens(torch.zeros(3, 8, 12), rows.drop(inputs, torch.tensor([False, True, True])), hearing)
    assert not gone.mask[0].any() and gone.mask[1].sum() == 8


def moving(count: int, seed: int) -> tuple[list[Clip], torch.Tensor]:
    """Clips of a bright square that goes left, right, up or down over dark ground, from any place, and which way each goes."""
    random, made, ways = np.random.default_rng(seed), [], []
    for _ in range(count):
        way, frames = int(random.integers(4)), np.full((8, 32, 32, 3), random.integers(0, 90, 3), np.uint8)
        place, colour = random.uniform(10, 22, 2), random.integers(160, 256, 3)
        step = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)][way]) * random.uniform(1.0, 2.0)
        for t in range(8):
            y, x = (place + step * (t - 3.5)).round().astype(int)
            frames[t, max(0, y - 4) : max(0, y + 4), max(0, x - 4) : max(0, x + 4)] = colour
        made.append(Clip(frames, np.arange(8) / 8))
        ways.append(way)
    return made, torch.tensor(ways)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["video_recurrent", "video_cnn3d"])
def test_which_way_something_goes_is_learned(name: str) -> None:
    encoder: Encoder = ENCODERS.build({"name": name, "width": 32, "size": 32, "channels": 8, "sound": 0.0})
    head = nn.Linear(32, 4)
    (train, way), (test, answer) = moving(256, 0), moving(64, 1)
    cells, unseen = encoder.prepare(train), encoder.collate(encoder.prepare(test))
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for step in range(40):
        chosen = np.random.default_rng(step).permutation(256)[:32]
        inputs = encoder.augment(encoder.collate([cells[i] for i in chosen]))
        loss = nn.functional.cross_entropy(head(pooling.mean(encoder(inputs))), way[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = head(pooling.mean(encoder.eval()(unseen))).argmax(1) == answer
    assert right.float().mean() > 0.95
    backwards = {**unseen, "pixels": unseen["pixels"].flip(1)}  # left becomes right, up becomes down
    turned = head(pooling.mean(encoder(backwards))).argmax(1) == answer ^ 1
    assert turned.float().mean() > 0.9


@pytest.mark.parametrize("sound", [0.0, 2.0], ids=["no sound wanted", "no sound there"])
@pytest.mark.parametrize("name", ["video_recurrent", "video_cnn3d"])
def test_clips_without_a_sound_track_are_trained_on(
    name: str, sound: float, write: Callable[..., Path], tmp_path: Path
) -> None:
    """From files to a model, by the loop; whether the encoder wants a sound track or not."""
    rows = []
    for i, (made, way) in enumerate(zip(*moving(24, 0))):
        write(f"{i}.mp4", video(made.frames, rate=8))
        rows.append({"clip": f"{i}.mp4", "way": str(int(way))})
    tiny = {"name": name, "width": 16, "size": 32, "channels": 4, "frames": 4, "sound": sound}
    began = time.process_time()
    model = plait.fit(
        rows, "way", inputs={"clip": "video"}, encoders={"clip": tiny}, epochs=2, base=tmp_path, quiet=True
    )
    assert [entry["epoch"] for entry in model.record["history"]] == [0, 1] and model.record["bad_cells"] == 0
    assert all(np.isfinite(entry["loss"]) for entry in model.record["history"])
    found = model.predict(rows, base=tmp_path)
    assert (found["status"] == "ok").all() and found["way"].nunique() >= 1
    assert time.process_time() - began < 30
