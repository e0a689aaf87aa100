"""Fixed encoders of sound: against computations of their own, pure tones, odd sounds, and what they learn."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import tone

from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import MissingExtraError, PlaitError
from plait.types import Wave

pytest.importorskip("librosa")
NAMES = ["audio_mfcc", "audio_chroma", "audio_spectral"]
every = pytest.mark.parametrize("name", NAMES)


def noise(seconds: float, rate: int = 16_000, seed: int = 0, level: float = 0.1) -> Wave:
    return Wave((level * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32), rate)


def learned(name: str, cells: list[Any], **options: Any) -> Encoder:
    return ENCODERS.build(ENCODERS.complete({"name": name, **options}, cells))  # type: ignore[no-any-return]


def raw(name: str, cell: Wave, **options: Any) -> np.ndarray:
    """The features of a sound before they are standardised."""
    return learned(name, [], **options).prepare([cell])[0]["features"]  # type: ignore[no-any-return]


def frames_of(samples: np.ndarray, fft: int, hop: int) -> np.ndarray:
    """(frames, fft), the first around the first sample, zeros outside."""
    padded = np.pad(samples.astype(np.float64), fft // 2)
    return np.stack([padded[i : i + fft] for i in range(0, len(samples) + 1, hop)])


def spectrum_of(samples: np.ndarray, fft: int, hop: int) -> np.ndarray:
    """(1 + fft / 2, frames) magnitudes under a Hann window."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft) / fft)
    return np.abs(np.fft.rfft(frames_of(samples, fft, hop) * window)).T


def summed_up(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x.mean(1), x.std(1), np.percentile(x, 10, axis=1), np.percentile(x, 90, axis=1)])


def test_mfcc_are_the_cosine_transform_of_log_mel_bands_and_the_slopes_of_nine_frames() -> None:
    from librosa.filters import mel

    cell = noise(0.6)
    cell = cell._replace(samples=cell.samples * np.linspace(0, 2, len(cell.samples), dtype=np.float32))
    power = mel(sr=16_000, n_fft=512, n_mels=40).astype(np.float64) @ spectrum_of(cell.samples, 512, 256) ** 2
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    k, n = np.arange(13)[:, None], np.arange(40)
    cosines = np.sqrt(2 / 40) * np.cos(np.pi * k * (2 * n + 1) / 80)
    cosines[0] /= np.sqrt(2)
    first = cosines @ decibels
    at, padded = np.arange(-4, 5), np.pad(first, ((0, 0), (4, 4)), mode="edge")
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 9, axis=1)
    slope = (pieces * at).sum(2) / (at**2).sum()
    bend = np.stack([2 * np.polyfit(at, p, 2)[0] for p in pieces.reshape(-1, 9)]).reshape(first.shape)
    expected = summed_up(np.concatenate([first, slope, bend]))
    found = raw("audio_mfcc", cell, coefficients=13)
    assert found.dtype == np.float32 and found.shape == (13 * 12,)
    assert np.allclose(found, expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("hertz, place", [(261.63, 0), (440, 9), (880, 9), (493.88, 11), (369.99, 6)])
def test_a_pure_tone_has_its_pitch_class(hertz: float, place: int) -> None:
    for rate in (8_000, 44_100):
        mean = raw("audio_chroma", Wave(tone(hertz, 1.0, rate), rate))[:12]
        assert mean.argmax() == place and mean[place] > 0.95
        assert np.delete(mean, [place, (place + 1) % 12, (place - 1) % 12]).max() < 0.2


def test_chroma_are_those_of_the_library() -> None:
    from librosa.feature import chroma_stft

    cell = noise(1.0, 22_050)
    expected = chroma_stft(y=cell.samples, sr=22_050, n_fft=4096, hop_length=2048, tuning=0.0)
    assert np.allclose(raw("audio_chroma", cell), summed_up(expected), atol=1e-4)


def test_a_tone_between_two_pitches_belongs_to_both_alike() -> None:
    mean = raw("audio_chroma", Wave(tone(440 * 2 ** (0.5 / 12), 1.0, 44_100), 44_100))[:12]
    assert set(mean.argsort()[-2:]) == {9, 10} and mean[9] == pytest.approx(mean[10], rel=0.15)


def test_a_chord_has_its_three_pitch_classes() -> None:
    chord = sum(tone(f, 1.0, 22_050, 0.2) for f in (261.63, 329.63, 392.0))
    assert set(raw("audio_chroma", Wave(np.asarray(chord), 22_050))[:12].argsort()[-3:]) == {0, 4, 7}


def test_spectral_shapes_are_those_of_their_definitions() -> None:
    cell = Wave(noise(1.0, 22_050).samples + tone(3000, 1.0, 22_050, 0.2), 22_050)
    s = spectrum_of(cell.samples, 2048, 512)
    hertz, share = np.fft.rfftfreq(2048, 1 / 22_050)[:, None], s / s.sum(0)
    centroid = (share * hertz).sum(0)
    width = np.sqrt((share * (hertz - centroid) ** 2).sum(0))
    rolloff = hertz[(s.cumsum(0) >= 0.85 * s.sum(0)).argmax(0), 0]
    flat = np.exp(np.log(s**2).mean(0)) / (s**2).mean(0)
    loud = np.sqrt((frames_of(cell.samples, 2048, 512) ** 2).mean(1))
    found = raw("audio_spectral", cell)
    rows = found[:-1].reshape(4, 13)
    for row, expected in {0: centroid, 1: width, 2: rolloff, 3: np.log10(flat), 12: np.log10(loud + 1e-5)}.items():
        assert np.allclose(rows[:, row], summed_up(expected[None]), rtol=2e-3, atol=1e-3), row
    assert rows[0, 4:11].argmax() == 4 and rows[0, 8] > np.delete(rows[0, 4:11], 4).max() + 3  # 1600 to 3200 Hz, in dB
    crossings = (np.signbit(cell.samples[1:]) != np.signbit(cell.samples[:-1])).mean()
    assert rows[0, 11] == pytest.approx(crossings, rel=0.05)
    assert found[-1] == pytest.approx(0, abs=1e-3)  # one second


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_measures_the_same_at_every_rate(rate: int) -> None:
    mean = raw("audio_spectral", Wave(tone(1000, 2.0, rate), rate))[:13]
    assert mean[0] == pytest.approx(1000, rel=0.06) and mean[2] == pytest.approx(1000, rel=0.05)
    assert mean[11] == pytest.approx(2 * 1000 / 22_050, rel=0.03)
    assert mean[12] == pytest.approx(np.log10(0.5 / np.sqrt(2)), abs=0.02)
    hiss = raw("audio_spectral", noise(2.0, 22_050))[:13]
    assert hiss[3] > mean[3] + 2  # a hiss is flat, a tone is not
    assert hiss[0] == pytest.approx(22_050 / 4, rel=0.05)


@every
def test_odd_sounds_have_finite_features_and_no_warning(name: str) -> None:
    zeros = np.zeros(1, np.float32)
    odd = [
        *(
            Wave(zeros, 4_000),
            Wave(zeros + 1, 384_000),
            Wave(tone(300, 0.003), 16_000),
            Wave(tone(9, 0.1, 8_000), 8_000),
        ),
        *(Wave(np.zeros(48_000, np.float32), 48_000), Wave(np.ones(9_000, np.float32), 44_100), noise(0.2, level=1e6)),
        *(noise(0.2, level=1e-30), noise(0.13, 384_000), Wave(tone(300, 0.5)[::2], 8_000)),
    ]
    encoder = learned(name, odd)
    ready = encoder.prepare(odd)
    assert all(r["features"].shape == (encoder.width,) and r["features"].dtype == np.float32 for r in ready)
    tokens = encoder(encoder.collate([None, *ready]))
    assert tokens.x.shape == (11, 1, encoder.width) and tokens.x.isfinite().all() and not tokens.x[0].any()
    assert (tokens.x[1:] ** 2).mean().sqrt() == pytest.approx(1, abs=0.2)


@every
def test_what_lies_past_the_bound_is_not_heard(name: str) -> None:
    cell, other = noise(2.0), noise(1.0, seed=5)
    for samples in (cell.samples[:16_000], np.append(cell.samples[:16_000], other.samples)):
        assert np.array_equal(raw(name, cell, seconds=1), raw(name, Wave(samples, 16_000), seconds=1))
    assert not np.array_equal(raw(name, cell, seconds=1), raw(name, cell))
    long = Wave(np.tile(cell.samples, 16), 16_000)
    assert np.array_equal(raw(name, long), raw(name, long._replace(samples=long.samples[: 30 * 16_000])))


@every
def test_training_cells_have_mean_0_and_deviation_1_and_the_rest_is_clipped(name: str) -> None:
    cells = [noise(0.3, seed=i, level=0.01 * 2 ** (i % 5)) for i in range(12)]
    cells = [Wave(c.samples + tone(200 + 90 * i, 0.3), c.rate) for i, c in enumerate(cells)]
    encoder = learned(name, [None, *cells])
    x = encoder(encoder.collate(encoder.prepare(cells))).x[:, 0]
    varies = encoder.standard.factor > 0  # type: ignore[union-attr, operator]
    assert varies.float().mean() > 0.9
    assert torch.allclose(x.mean(0), torch.zeros(encoder.width), atol=1e-3)
    assert torch.allclose(x.std(0, correction=0)[varies], torch.ones(int(varies.sum())), atol=1e-3)
    far = encoder(encoder.collate(encoder.prepare([noise(0.3, level=1e5)]))).x
    assert far.abs().max() == 10


@every
def test_a_feature_that_never_varies_is_0(name: str) -> None:
    for cells in ([], [None], [noise(0.3)], [noise(0.3)] * 5):
        encoder = learned(name, cells)
        assert not encoder(encoder.collate(encoder.prepare([noise(0.4, seed=1)]))).x.any()


@every
def test_learning_holds_no_sound_and_reads_of_many_cells_only_some(name: str) -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def cells() -> Iterator[Wave]:
        nonlocal most
        for i in range(60):
            cell = noise(0.1, seed=i)
            alive.append(weakref.ref(cell.samples))
            yield cell
            del cell
            gc.collect(0)
            most = max(most, sum(r() is not None for r in alive))

    first = ENCODERS.complete({"name": name, "most": 8}, cells())
    assert most <= 3
    again = ENCODERS.complete({"name": name, "most": 8}, cells())
    assert all(np.array_equal(first[k], again[k]) for k in ("mean", "scale"))
    assert "most" not in first and all(first[k].dtype == np.float32 for k in ("mean", "scale"))


@every
def test_the_threads_of_linear_algebra_do_not_count(name: str) -> None:
    from threadpoolctl import threadpool_limits

    encoder, cell, found = learned(name, []), noise(20, 44_100), set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.add(encoder.prepare([cell])[0]["features"].tobytes())
    assert len(found) == 1


@every
def test_what_is_prepared_does_not_depend_on_what_was_learned(name: str) -> None:
    one, other = learned(name, [noise(0.3), noise(0.2, seed=1)]), learned(name, [noise(0.1, seed=2)] * 2)
    assert one.preparation == other.preparation and one.reading == other.reading
    a, b = (e.prepare([noise(0.3, seed=3)])[0]["features"] for e in (one, other))
    assert a.tobytes() == b.tobytes()
    assert learned(name, [], seconds=5).preparation != one.preparation


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": -1.0}, {"coefficients": 0}, {"coefficients": 41}])
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlaitError, match="expected"):
        ENCODERS.complete({"name": "audio_mfcc", **wrong}, [])


@every
def test_without_the_library_the_way_out_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = learned(name, [])
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingExtraError, match=r"plait\[classic\]"):
        encoder.prepare([noise(0.1)])
