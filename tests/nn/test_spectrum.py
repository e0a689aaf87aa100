"""The log-mel spectrogram against a direct one, tones that land in their band, and how it is augmented."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import tone

from plait.nn import rows
from plait.nn.spectrum import FFT, FLOOR, HOP, RATE, WINDOW, LogMel, mel_filters
from plait.types import Wave

BANDS = 64


def log_mel(**options: float) -> LogMel:
    return LogMel(
        **{"bands": BANDS, "seconds": 10.0, "gain": 0.0, "noise": 0.0, "time_mask": 0.0, "band_mask": 0.0, **options}
    )  # type: ignore[arg-type]


def edges(bands: int) -> np.ndarray:
    """Hz, evenly spaced in mel, by definition."""
    mel = np.linspace(2595 * np.log10(1 + 0 / 700), 2595 * np.log10(1 + RATE / 2 / 700), bands + 2)
    return 700 * (10 ** (mel / 2595) - 1)


@pytest.mark.parametrize("seconds", [0.9, 1.0, 1.2345])
def test_it_equals_the_short_time_fourier_transform_of_torch(seconds: float) -> None:
    samples = np.random.default_rng(0).normal(size=round(seconds * RATE)).astype(np.float32) * 0.1
    found = log_mel().prepare([Wave(samples, RATE)])[0]["mel"]
    spectrum = torch.stft(
        torch.from_numpy(samples),
        FFT,
        HOP,
        WINDOW,
        torch.hann_window(WINDOW),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    expected = np.log10(spectrum.abs().square().T.numpy() @ mel_filters(BANDS) + FLOOR)
    assert found.dtype == np.float16 and found.shape == expected.shape
    np.testing.assert_allclose(found.astype(np.float32), expected, atol=0.01)


@pytest.mark.parametrize("bands", [32, 64])
def test_the_filters_are_triangles_of_unit_area(bands: int) -> None:
    e, filters = edges(bands), mel_filters(bands)
    assert filters.shape == (FFT // 2 + 1, bands)
    np.testing.assert_allclose(filters.sum(0), 1, rtol=1e-5)  # so no band is empty
    for b in (bands // 3, bands // 2, bands - 1):
        for k in range(FFT // 2 + 1):
            f = k * RATE / FFT
            inside = e[b] < f < e[b + 2]
            assert (filters[k, b] > 0) == inside
        assert abs(filters[:, b].argmax() * RATE / FFT - e[b + 1]) <= RATE / FFT


@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000, 11_025])
@pytest.mark.parametrize("hertz", [500, 1000, 3000])
def test_a_pure_tone_lands_in_its_band(hertz: float, rate: int) -> None:
    mel = log_mel().prepare([Wave(tone(hertz, 1.0, rate), rate)])[0]["mel"]
    band = mel[5:-5].astype(np.float32).mean(0).argmax()
    e = edges(BANDS)
    assert e[band] < hertz < e[band + 2]
    assert len(mel) == pytest.approx(RATE / HOP + 1, abs=1)


def test_what_lies_above_half_the_rate_leaves_no_ghost() -> None:
    mel = log_mel().prepare([Wave(tone(12_000, 1.0, 44_100), 44_100)])[0]["mel"][5:-5]
    assert mel.max() < log_mel().prepare([Wave(tone(6_000, 1.0, 44_100), 44_100)])[0]["mel"][5:-5].max() - 6


def test_ten_times_the_amplitude_is_two_more() -> None:
    soft, loud = (log_mel().prepare([Wave(tone(1000, 0.5, amplitude=a), RATE)])[0]["mel"].max() for a in (0.05, 0.5))
    assert float(loud) - float(soft) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    "samples", [np.zeros(1), np.zeros(5), np.zeros(8000), np.full(3, 0.5), tone(440, 0.003)], ids=len
)
@pytest.mark.parametrize("rate", [4_000, 16_000, 384_000])
def test_silence_and_a_moment_are_finite(samples: np.ndarray, rate: int) -> None:
    mel = log_mel().prepare([Wave(samples.astype(np.float32), rate)])[0]["mel"]
    assert len(mel) >= 1 and np.isfinite(mel).all()
    if not samples.any():
        np.testing.assert_allclose(mel.astype(float), np.log10(FLOOR), atol=0.01)


def test_only_the_first_seconds_are_heard() -> None:
    wave = np.concatenate([tone(500, 1.0), tone(3000, 1.0)])
    short = log_mel(seconds=1.0).prepare([Wave(wave, RATE)])[0]["mel"]
    np.testing.assert_array_equal(short, log_mel().prepare([Wave(wave[:RATE], RATE)])[0]["mel"])


def batch(mel: LogMel) -> rows.Inputs:  # type: ignore[name-defined]
    noise = np.random.default_rng(0).normal(size=RATE * 2).astype(np.float32) * 0.1
    return mel.collate(
        [p for n in (2.0, 1.0, 0.4) for p in mel.prepare([Wave(noise[: round(n * RATE)], RATE)])] + [None]
    )


def test_no_augmentation_leaves_the_spectrum() -> None:
    mel = log_mel()
    inputs = batch(mel)
    np.testing.assert_allclose(mel.augment(inputs)["mel"], inputs["mel"].float(), atol=1e-3)


def test_gain_moves_all_of_a_sound_alike_and_no_further_than_it_may() -> None:
    mel, moves = log_mel(gain=6.0), []
    inputs = batch(mel)
    real = rows.length_mask(inputs["lengths"], inputs["mel"].shape[1])
    for _ in range(50):
        moved = mel.augment(inputs)["mel"] - inputs["mel"].float()
        for i in range(3):
            here = moved[i][real[i]]
            assert here.max() - here.min() < 0.01
            moves.append(float(here.mean()) * 10)
        assert not moved[~real].any() and not moved[3].any()
    assert max(map(abs, moves)) <= 6.01 and min(moves) < -4 and max(moves) > 4


def test_noise_raises_what_is_soft_by_a_share_of_the_mean() -> None:
    mel = log_mel(noise=0.5)
    inputs = batch(mel)
    grown = 10 ** mel.augment(inputs)["mel"][0] - 10 ** inputs["mel"][0].float()
    assert (grown > -1e-4).all() and 0 < grown.mean() <= 0.55 * (10 ** inputs["mel"][0].float()).mean()


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_masks_silence_at_most_their_share_in_one_stretch(share: float) -> None:
    for kind in ("time_mask", "band_mask"):
        mel = log_mel(**{kind: share})
        inputs, hit = batch(mel), []
        for _ in range(60):
            out = mel.augment(inputs)["mel"]
            for i, n in enumerate(inputs["lengths"][:3].tolist()):
                silent = (out[i, :n] <= mel.floor + 1e-3).all(1 if kind == "time_mask" else 0)
                where = silent.nonzero().flatten()
                assert len(where) <= share * len(silent) + 1
                assert len(where) == 0 or where[-1] - where[0] + 1 == len(where)
                hit.append(len(where) / len(silent))
        assert np.mean(hit) == pytest.approx(share / 2, rel=0.25)


def test_samples_that_may_not_be_written_to_are_read() -> None:
    samples = np.ones(1000, np.float32)
    samples.flags.writeable = False
    assert len(log_mel().prepare([Wave(samples, RATE)])[0]["mel"])
