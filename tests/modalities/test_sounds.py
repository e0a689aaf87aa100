"""The same sound in any file is prepared alike; what is cut, cancels or is too long is said; MP3s are read to their end."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from tests.clips import sound_only
from tests.conftest import sounded, tone
from tests.conftest import wav as wav_head

from plait.encoders import DEFAULTS, ENCODERS
from plait.errors import MediaError
from plait.modalities import audio as module
from plait.modalities import modality
from plait.nn.spectrum import LogMel
from plait.reading import mapped, mp3, speakers, wav
from plait.types import Wave

READ = modality("audio").read


def remarks(raw: bytes) -> list[str]:
    said: list[str] = []
    modality("audio").read(raw, note=said.append)
    return said


def speech(rate: int = 48_000, seconds: float = 2.0) -> np.ndarray:
    """Something like speech: hums that glide, hissing between them, louder and softer; nothing above 3.4 kHz."""
    t = np.arange(round(seconds * rate)) / rate
    hum = sum(np.sin(2 * np.pi * k * (140 * t + 20 * np.sin(3 * t))) / k for k in range(1, 20))
    hiss = soxr.resample(np.random.default_rng(0).normal(size=round(seconds * 8000)), 8000, rate, quality="VHQ")
    hiss = np.resize(hiss, len(t))
    loud = 0.5 + 0.5 * np.sin(2 * np.pi * 2.5 * t)
    return (0.12 * hum * loud + 0.05 * hiss * (1.2 - loud)).astype(np.float32)


SPEECH = speech()


def at(rate: int) -> np.ndarray:
    return soxr.resample(SPEECH, 48_000, rate, quality="VHQ")


def channels(n: int) -> np.ndarray:
    return np.repeat(SPEECH[:, None], n, 1)


SAME: dict[str, Callable[[], bytes]] = {
    "stereo": lambda: sounded(channels(2), 48_000),
    "5.1": lambda: sounded(channels(6), 48_000),
    "stereo, one side": lambda: sounded(channels(2) * [1, 0], 48_000),
    "8 bits": lambda: sounded(SPEECH, 48_000, subtype="PCM_U8"),
    "24 bits": lambda: sounded(SPEECH, 48_000, subtype="PCM_24"),
    "32 bits": lambda: sounded(SPEECH, 48_000, subtype="PCM_32"),
    "float": lambda: sounded(SPEECH, 48_000, subtype="FLOAT"),
    "double": lambda: sounded(SPEECH, 48_000, subtype="DOUBLE"),
    "8 kHz": lambda: sounded(at(8_000), 8_000),
    "11 kHz": lambda: sounded(at(11_025), 11_025),
    "16 kHz": lambda: sounded(at(16_000), 16_000),
    "22 kHz": lambda: sounded(at(22_050), 22_050),
    "44.1 kHz": lambda: sounded(at(44_100), 44_100),
    "96 kHz": lambda: sounded(at(96_000), 96_000),
    "FLAC": lambda: sounded(SPEECH, 48_000, "FLAC"),
    "Vorbis": lambda: sounded(SPEECH, 48_000, "OGG", "VORBIS"),
    "Opus": lambda: sounded(SPEECH, 48_000, "OGG", "OPUS"),
    "MP3": lambda: sounded(SPEECH, 48_000, "MP3"),
    "AIFF": lambda: sounded(SPEECH, 48_000, "AIFF"),
    "6 dB louder": lambda: sounded(SPEECH * 2, 48_000, subtype="FLOAT"),
    "6 dB softer": lambda: sounded(SPEECH / 2, 48_000, subtype="FLOAT"),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_sound_in_any_file_is_prepared_alike(case: str) -> None:
    encoder = ENCODERS.build(ENCODERS.complete(DEFAULTS["audio"], []))
    found, expected = (encoder.prepare([READ(raw)])[0]["mel"] for raw in (SAME[case](), sounded(SPEECH, 48_000)))
    assert abs(len(found) - len(expected)) <= 2
    a, b = (m[: min(len(found), len(expected))].astype(float) for m in (found, expected))
    assert (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()) >= 0.98


def test_what_lies_above_half_the_new_rate_is_60_decibels_down() -> None:
    """15 kHz at 48 kHz would come back at 1 kHz of 16 kHz."""
    mel = LogMel(bands=64, seconds=10.0, gain=0.0, noise=0.0, time_mask=0.0, band_mask=0.0)
    power = [
        10 ** mel.prepare([Wave(tone(f, 1.0, 48_000), 48_000)])[0]["mel"][5:-5].astype(float) for f in (15_000, 1_000)
    ]
    assert 10 * np.log10(power[0].max() / power[1].max()) <= -60


PLAIN = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@pytest.mark.parametrize("subtype", PLAIN)
@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_plain_wav_is_what_libsndfile_reads(subtype: str, kind: str, count: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (777, count))
    raw = sounded(samples, 22_050, kind, subtype)
    found = wav.parse(raw)
    assert found is not None and (found.rate, found.channels, found.size) == (22_050, count, found.declared)
    expected = soundfile.read(io.BytesIO(raw), dtype="float32", always_2d=True)[0]
    np.testing.assert_array_equal(wav.samples(raw, found, 0, 10**6), expected)
    np.testing.assert_array_equal(wav.samples(raw, found, 700, 50), expected[700:750])
    np.testing.assert_allclose(READ(raw).samples, expected.mean(1), atol=1e-6)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_other_wav_is_left_to_libsndfile(subtype: str) -> None:
    raw = sounded(tone(), 8_000, subtype=subtype)
    found = wav.parse(raw)
    assert found is not None and wav.samples(raw, found, 0, 9) is None
    np.testing.assert_array_equal(READ(raw).samples, soundfile.read(io.BytesIO(raw), dtype="float32")[0])


@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF", "AU", "MP3"])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_a_cut_file_is_used_with_a_remark(kind: str, share: float) -> None:
    raw = sounded(tone(440, 5.0), 16_000, kind)
    assert remarks(raw) == []
    said = remarks(raw[: int(len(raw) * share)])
    assert len(said) == 1 and "the file is cut off" in said[0]
    if kind != "MP3":
        assert f"{share:.0%} of its samples are there" in said[0]


@pytest.mark.parametrize("size", [2**32 - 1, 0x7FFFFFFF, 0x7FFF0000, 0xFFFFFFF0])
def test_a_size_that_says_unknown_is_no_cut(size: int) -> None:
    raw = bytearray(sounded(tone()))
    struct.pack_into("<I", raw, raw.index(b"data") + 4, size)
    assert remarks(bytes(raw)) == []
    assert len(READ(bytes(raw)).samples) == len(tone())


def test_channels_that_cancel_are_remarked_on() -> None:
    anti = np.stack([tone(), -tone()], 1)
    assert remarks(sounded(anti, subtype="FLOAT")) == [
        "its channels cancel when they are averaged: hardly anything is left"
    ]
    near = np.stack([tone(), -0.95 * tone()], 1)
    assert len(remarks(sounded(near))) == 1
    for fine in (np.stack([tone(), tone()], 1), np.stack([tone(), 0 * tone()], 1), 0 * anti, tone()):
        assert remarks(sounded(fine)) == []
    six = np.zeros((4800, 6), np.float32)
    six[:, 2] = tone()
    assert remarks(sounded(six)) == []


def test_long_sounds_are_cut_with_a_remark_and_little_memory() -> None:
    """Ten hours, as the header says; the bytes are one zero page in memory until they are read."""
    code = """
import struct, sys
from plait.modalities import modality
frames = 10 * 3600 * 4000
head = b"RIFF" + struct.pack("<I", 36 + frames) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 4000, 4000, 1, 8)
raw = head + b"data" + struct.pack("<I", frames) + bytes(frames)
said, base = [], int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
wave = modality("audio").read(raw, note=said.append)
assert len(wave.samples) == 600 * 4000 and said == ["only the first 600 s of 36000 s are used"], said
assert (int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) - base) / 1024 < 100
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_sound_of_hours_on_the_disk_is_mapped_with_little_memory(tmp_path: Path) -> None:
    """Two hours of a CD, 1.3 GB, of which the disk holds a page: what is not written reads as silence."""
    frames = 2 * 3600 * 44_100
    path = tmp_path / "long.wav"
    path.write_bytes(wav_head(44_100, 2, bytes(2000), claimed=4 * frames))
    os.truncate(path, 44 + 4 * frames)
    code = f"""
import resource
from pathlib import Path
from plait.modalities import modality
status = lambda name: int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) / 1024
resource.setrlimit(resource.RLIMIT_DATA, (int((status("VmData") + 400) * 2**20),) * 2)  # what is mapped is not counted
part, said, base = modality("audio"), [], status("VmHWM")
raw = part.load({str(path)!r}, Path())
assert len(raw) == {44 + 4 * frames} and status("VmHWM") - base < 20
wave = part.read(raw, note=said.append)
assert len(wave.samples) == 600 * 44_100 and said == ["only the first 600 s of 7200 s are used"], said
assert status("VmHWM") - base < 400, status("VmHWM") - base
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    os.truncate(path, mapped.MAX_LONG_BYTES + 1)
    with pytest.raises(MediaError, match="is larger than 16 GB"):
        modality("audio").load(path, tmp_path)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF", "AU", "FLAC", "OGG", "MP3", "MP3 without a count", "M4A"])
def test_a_mapped_sound_is_read_as_a_held_one(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "M4A":
        content = sound_only(at(48_000))
    else:
        content = sounded(SPEECH, 48_000, kind.split()[0])
    path = tmp_path / "x"
    path.write_bytes(without_count(content) if "without" in kind else content)
    part = modality("audio")
    held = part.load({"path": "x"}, tmp_path)
    monkeypatch.setattr(mapped, "HELD_SOUND_BYTES", 1000)
    large = part.load({"path": "x"}, tmp_path)
    assert isinstance(held, bytes) and isinstance(large, mmap) and large[:] == held
    np.testing.assert_array_equal(READ(large).samples, READ(held).samples)
    assert len(READ(held).samples) >= len(SPEECH) and remarks(large) == remarks(held)  # type: ignore[arg-type]


def test_a_bomb_of_silence_is_refused_by_what_it_claims() -> None:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 48_000, 8, format="FLAC", subtype="PCM_16") as file:
        for _ in range(24):
            file.write(np.zeros((48_000 * 5, 8), np.int16))
    assert len(buffer.getvalue()) < 120_000  # 5,760,000 x 8 values
    with pytest.raises(MediaError, match="claims 5760000 samples of 8 channels in"):
        READ(buffer.getvalue())


def test_silence_that_is_no_bomb_is_a_sound() -> None:
    for kind in ("FLAC", "OGG", "MP3"):
        assert len(READ(sounded(np.zeros(16_000 * 60), kind=kind)).samples) == 16_000 * 60


@pytest.mark.parametrize("limit", [1000, 10])
def test_the_limit_is_of_samples_times_channels(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 64)
    samples = np.random.default_rng(0).uniform(-1, 1, (3000, 3))
    whole = READ(sounded(samples, subtype="FLOAT")).samples
    np.testing.assert_allclose(whole, samples.mean(1), atol=1e-6)
    monkeypatch.setattr(module, "MAX_VALUES", limit * 3)
    for kind, subtype in (("WAV", "FLOAT"), ("AU", "FLOAT")):
        raw = sounded(samples, kind=kind, subtype=subtype)
        np.testing.assert_allclose(READ(raw).samples, whole[:limit], atol=1e-6)
        assert remarks(raw) == [f"only the first {limit / 16_000:.0f} s of 0 s are used"]


MP3 = sounded(speech(44_100, 4.0), 44_100, "MP3")  # of varying bit rate, with a count of its frames in front


def without_count(raw: bytes) -> bytes:
    """The same MP3 without the frame that counts the others."""
    first = next(mp3._candidates(raw, 0))
    assert raw[first.place + 4 + first.side :][:4] in (b"Xing", b"Info")
    return raw[first.length :]


def test_an_mp3_without_a_count_is_read_to_its_end() -> None:
    whole, bare = READ(MP3).samples, READ(without_count(MP3)).samples
    assert remarks(without_count(MP3)) == []
    assert len(bare) >= len(whole)
    lag = np.correlate(bare[20_000:24_000], whole[18_000:26_000], "full").argmax()
    start = 18_000 + (8_000 - 1 - lag)  # the count also says what the encoder put in front
    both = min(len(whole) - start, len(bare) - 20_000)
    assert both > 150_000 and np.abs(bare[20_000 : 20_000 + both] - whole[start : start + both]).max() < 0.02


def test_mp3_tags_pictures_and_padding_do_not_matter() -> None:
    art = b"ID3\x03\0\0" + bytes([0, 4, 0, 0]) + b"\xff\xfb\x90\x64" * (4 * 128 * 128 // 4)
    whole = READ(MP3).samples
    for raw in (
        art + MP3,
        art + art + MP3,
        art + bytes(5000) + MP3,
        MP3 + b"TAG" + bytes(125),
        b"ID3\x04\0\0\0\0\0\0" + MP3,
    ):
        np.testing.assert_array_equal(READ(raw).samples, whole)
        assert remarks(raw) == []


def test_a_cut_mp3_is_remarked_on_with_and_without_a_count() -> None:
    for raw in (MP3, without_count(MP3)):
        said = remarks(raw[: len(raw) // 2 + 1])
        assert len(said) == 1 and "cut off" in said[0]


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("count", [1, 2])
def test_frames_of_every_rate_follow_each_other(rate: int, count: int) -> None:
    raw = sounded(np.repeat(tone(440, 1.0, rate)[:, None], count, 1), rate, "MP3")
    frames, place = 0, next(mp3._candidates(raw, 0)).place
    while frame := mp3._frame(raw, place):
        frames, place = frames + 1, place + frame.length
    assert place == len(raw)
    assert frames * (1152 if rate >= 32_000 else 576) >= rate
    bare = without_count(raw)
    before, start, cut = mp3.counted(bare)
    promised = before + bare[start:]
    assert not cut and promised.endswith(bare) and struct.pack(">II", 1, frames - 1) in promised[:200]
    assert rate <= len(READ(bare).samples) <= rate + 4 * 1152


@pytest.mark.parametrize("raw", [b"", b"ID3", b"\xff", b"\xff\xfb\x90", b"\xff\xfb\x90\x64" * 9, MP3[:100], bytes(999)])
def test_what_is_no_mp3_stays_as_it_is(raw: bytes) -> None:
    assert mp3.counted(raw) == (b"", 0, False)


def test_ogg_and_flac_that_are_cut_or_damaged_are_refused() -> None:
    for kind, subtype in (("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS")):
        raw = sounded(SPEECH, 48_000, kind, subtype)
        for cut in (len(raw) // 2, len(raw) // 5, 20, 1):
            with pytest.raises(MediaError):
                READ(raw[:-cut])
        if kind == "OGG":  # its last page is left out as a whole
            assert remarks(raw[: raw.rindex(b"OggS")]) == ["the file has no mark at its end: it may be cut off"]
    flac = bytearray(sounded(SPEECH, 48_000, "FLAC"))
    flac[len(flac) // 2] ^= 0xFF
    with pytest.raises(MediaError, match="a FLAC sound that is damaged"):
        READ(bytes(flac))


def test_no_word_of_a_decoder_is_passed_on() -> None:
    for raw in (b"RIFF" + bytes(40), b"fLaC" + bytes(40), b"OggS" + bytes(40), b".snd" + bytes(40), b"ID3" + bytes(40)):
        with pytest.raises(MediaError) as caught:
            READ(raw)
        assert not any(word in str(caught.value) for word in ("0x", "BytesIO", "sndfile", "Error", "object"))


# Loudspeakers


NAMES = ["FL", "FR", "FC", "LFE", "BL", "BR"]


def test_channels_that_name_their_loudspeakers_are_mixed_as_bs_775_says() -> None:
    """Recommendation ITU-R BS.775, table 2, 3/2 to one channel: 0.7071 L + 0.7071 R + C + 0.5 Ls + 0.5 Rs; less 3 dB."""
    found = speakers.shares(NAMES)
    np.testing.assert_allclose(found, np.array([0.7071, 0.7071, 1.0, 0.0, 0.5, 0.5]) * 0.7071, atol=1e-4)
    assert speakers.shares(["FL", "FR"]) is None and speakers.shares(["LFE"] * 3) is None
    assert speakers.shares(["FL", "FR", "TFL"]) is None and speakers.shares(["FL", "FR", "FL"]) is None
    assert speakers.named(0x3F, 6) == NAMES and speakers.named(0x60F, 6) == [*NAMES[:4], "SL", "SR"]
    assert speakers.named(0x3F, 5) == speakers.named(0, 6) == speakers.named(0x1003F, 7) == []


def six(subtype: str = "PCM_16") -> tuple[bytes, np.ndarray]:
    """A WAV of six channels, each of its own, that names their loudspeakers; and its samples (T, 6)."""
    samples = np.stack([0.1 * tone(200 + 90 * i, 0.1) for i in range(6)], 1)
    raw = bytearray(sounded(samples, kind="WAVEX", subtype=subtype))
    assert struct.unpack_from("<H", raw, 20)[0] == wav.EXTENSIBLE
    struct.pack_into("<I", raw, 40, 0x3F)
    return bytes(raw), samples


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_that_names_its_loudspeakers(subtype: str) -> None:
    raw, samples = six(subtype)
    found = READ(raw).samples
    np.testing.assert_allclose(found, samples @ speakers.shares(NAMES), atol=1e-4)
    silent = bytearray(raw)
    struct.pack_into("<I", silent, 40, 0)
    np.testing.assert_allclose(READ(bytes(silent)).samples, samples.mean(1), atol=1e-4)


@pytest.mark.parametrize("codec", ["flac", "alac", "pcm_s16le", "pcm_u8", "pcm_f32le"])
def test_a_film_that_names_its_loudspeakers(codec: str) -> None:
    """Matroska has no place for the names of loudspeakers; FLAC and ALAC have."""
    av = pytest.importorskip("av")
    _, samples = six()
    samples = np.concatenate([samples] * 4)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream: Any = container.add_stream(codec, rate=16_000, layout="5.1")
        whole = np.ascontiguousarray((samples * 32_768).round().astype(np.int16)).reshape(1, -1)
        block = av.AudioFrame.from_ndarray(whole, format="s16", layout="5.1")
        block.sample_rate, block.pts = 16_000, 0
        own = stream.codec_context.format.name
        fits = av.AudioResampler(format=own, layout="5.1", rate=16_000, frame_size=stream.frame_size or None)
        for part in [*fits.resample(block), *fits.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    found = READ(buffer.getvalue()).samples
    expected = samples.mean(1) if codec.startswith("pcm") else samples @ speakers.shares(NAMES)
    np.testing.assert_allclose(found[: len(expected)], expected, atol=0.02 if codec == "pcm_u8" else 1e-3)


@pytest.mark.parametrize("head", [b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"ID3\4\0\0\0\0\0\0" * 2000])
def test_headers_without_end_are_given_up_soon(head: bytes) -> None:
    began = time.process_time()
    with pytest.raises(MediaError):
        modality("audio").read(head + bytes(40_000_000))
    assert time.process_time() - began < 1.5  # all of it: ten seconds and more
