"""Sounds: every odd file gives one channel of finite samples at its own rate, or is refused with a reason."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
from tests.conftest import sounded, tone, wav

from plait.errors import MediaError
from plait.modalities import audio as module
from plait.modalities import modality
from plait.types import Wave

READ = modality("audio").read


def is_wave(wave: Wave, rate: int) -> bool:
    x = wave.samples
    return wave.rate == rate and x.dtype == np.float32 and x.ndim == 1 and bool(x.flags["C_CONTIGUOUS"])


@pytest.mark.parametrize(
    "kind, subtype, near",
    [
        ("WAV", "PCM_U8", 1 / 100),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "ULAW", 0.05),
        ("FLAC", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
        ("AIFF", "PCM_16", 1e-4),
        ("AU", "PCM_16", 1e-4),
    ],
)
def test_every_depth_has_the_same_scale(kind: str, subtype: str, near: float) -> None:
    wave = READ(sounded(tone(), 16_000, kind, subtype))
    assert is_wave(wave, 16_000) and np.abs(wave.samples - tone()).max() <= near


@pytest.mark.parametrize(
    "kind, subtype, rate", [("OGG", "VORBIS", 16_000), ("OGG", "OPUS", 48_000), ("MP3", "MPEG_LAYER_III", 44_100)]
)
def test_lossy_sound_keeps_its_pitch_and_power(kind: str, subtype: str, rate: int) -> None:
    wave = READ(sounded(tone(1000, 1.0, rate), rate, kind, subtype))
    assert is_wave(wave, rate)
    spectrum = np.abs(np.fft.rfft(wave.samples))
    assert spectrum.argmax() * rate / len(wave.samples) == pytest.approx(1000, abs=3)
    assert np.std(wave.samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(channels: int) -> None:
    each = np.stack([tone(300 + 100 * c) for c in range(channels)], 1)
    np.testing.assert_allclose(READ(sounded(each, subtype="FLOAT")).samples, each.mean(1), atol=1e-6)
    assert not READ(sounded(np.stack([tone(), -tone()], 1), subtype="FLOAT")).samples.any()


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 96_000, 384_000])
def test_the_rate_is_the_files_own(rate: int) -> None:
    assert is_wave(READ(sounded(tone(440, 0.1, rate), rate)), rate)


@pytest.mark.parametrize(
    "samples", [np.zeros(5000), np.full(5000, 0.3), np.clip(tone() * 9, -1, 1), tone()[:48], tone()[:1]], ids=len
)
def test_silence_offset_clipping_and_short_sounds_are_sounds(samples: np.ndarray) -> None:
    np.testing.assert_allclose(READ(sounded(samples, subtype="FLOAT")).samples, samples, atol=1e-6)


@pytest.mark.parametrize("amplitude", [25, 32768])
def test_loud_floats_are_kept_as_they_are(amplitude: float) -> None:
    assert READ(sounded(tone(amplitude=amplitude), subtype="FLOAT")).samples.max() == pytest.approx(amplitude, rel=1e-3)


def test_floats_beyond_all_sound_are_refused() -> None:
    with pytest.raises(MediaError, match=r"up to 1e\+30, expected about -1 to 1"):
        READ(sounded(tone(4000, amplitude=1e30), subtype="FLOAT"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_samples_that_are_no_numbers_are_refused(bad: float) -> None:
    for shape in ((100,), (100, 2)):
        samples = np.zeros(shape)
        samples[7] = bad
        with pytest.raises(MediaError, match="not finite"):
            READ(sounded(samples, subtype="DOUBLE"))
    with pytest.raises(MediaError, match=r"not finite|expected about"):
        READ(sounded(np.full((10, 2), 3e38), subtype="FLOAT"))  # finite each, their sum is not


@pytest.mark.parametrize(
    "case, raw, said",
    [
        ("no samples", wav(data=b""), "no samples"),
        ("rate 0", wav(rate=0), "."),
        ("rate 2^31", wav(rate=2**31 - 1), "2147483647 Hz|not a sound"),
        ("rate 3999", wav(rate=3999), "3999 Hz, expected 4000 to 384000"),
        ("65535 channels", wav(channels=65535), "."),
        ("no channel", wav(channels=0), "."),
        ("HTML", b"<!doctype html><title>404</title>", "HTML page"),
        ("JSON", b'{"error": 404}', "not a sound"),
        ("text", b"hello", "not a sound"),
        ("RIFF only", b"RIFF", "not a sound"),
        ("a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "not a sound"),
        ("MIDI", b"MThd\0\0\0\6\0\1\0\1\0\x60", "not a sound"),
    ],
)
def test_what_is_no_sound_is_refused(case: str, raw: bytes, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        READ(raw)


@pytest.mark.parametrize("claimed", [2**32 - 1, 0x7FFFFFFF, 1000])
def test_a_size_that_lies_gives_what_is_there(claimed: int) -> None:
    data = (tone()[:400] * 32767).astype("<i2").tobytes()
    wave = READ(wav(data=data, claimed=claimed))
    np.testing.assert_allclose(wave.samples, tone()[:400], atol=1e-4)


@pytest.mark.parametrize(
    "kind, subtype", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
)
def test_a_cut_sound_is_what_is_left_or_refused(kind: str, subtype: str) -> None:
    whole = sounded(tone(440, 1.0), 16_000, kind, subtype)
    for share in (0.02, 0.3, 0.6, 0.95):
        try:
            wave = READ(whole[: int(len(whole) * share)])
        except MediaError:
            continue
        assert is_wave(wave, 16_000) and 0 < len(wave.samples) <= 16_000 * 1.2 and np.isfinite(wave.samples).all()


def test_flipped_bits_give_a_sound_or_a_media_error() -> None:
    generator = np.random.default_rng(0)
    for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF"):
        raw = np.frombuffer(sounded(tone(440, 0.2), 16_000, kind), np.uint8)
        for _ in range(30):
            broken = raw.copy()
            broken[generator.integers(0, len(raw), 3)] ^= generator.integers(1, 256, 3, dtype=np.uint8)
            try:
                wave = READ(broken.tobytes())
            except MediaError as error:
                assert str(error)
            else:
                assert np.isfinite(wave.samples).all()


def test_a_long_sound_is_read_up_to_its_limit_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = tone(440, 3.0, 8_000)
    monkeypatch.setattr(module, "MAX_SECONDS", 2)
    np.testing.assert_array_equal(READ(sounded(samples, 8_000, subtype="FLOAT")).samples, samples[:16_000])
    monkeypatch.setattr(module, "MAX_VALUES", 9_000)
    assert len(READ(sounded(samples, 8_000)).samples) == 9_000
    assert len(READ(sounded(np.stack([samples] * 3, 1), 8_000)).samples) == 3_000


def test_a_bomb_of_silence_costs_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 48_000, 2, format="FLAC", subtype="PCM_16") as file:
        for _ in range(30):
            file.write(np.zeros((48_000 * 10, 2), np.int16))
    monkeypatch.setattr(module, "MAX_SECONDS", 10)
    tracemalloc.start()
    wave = READ(buffer.getvalue())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(buffer.getvalue()) < 10**6 and len(wave.samples) == 10 * 48_000
    assert peak < 4 * 10 * 48_000 * 2 * 4  # of float32, two channels; the whole sound is 30 times that
