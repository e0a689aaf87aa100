"""Videos as the modality reads them: which frames, when, upright, whatever the file says of itself."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import sys
import threading
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from tests.clips import (
    MATRICES,
    combed,
    displayed,
    growing,
    is_upright,
    number_of,
    numbered,
    sound_only,
    turned,
    video,
    woven,
)
from tests.conftest import encoded, tone

from plait.errors import MediaError, MissingExtraError
from plait.modalities import containers, modality, tape
from plait.modalities.containers import read_sound
from plait.reading import mapped
from plait.types import Clip

RATE = 30
MOVIES: dict[str, dict[str, Any]] = {
    "mp4 h264": {},
    "mp4 h264, many key frames": {"gop": 5},
    "mp4 h264, open": {"gop": 10, "options": {"x264-params": "open-gop=1:bframes=3"}},
    "mp4 mpeg4": {"codec": "mpeg4"},
    "mov prores": {"kind": "mov", "codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "webm vp8": {"kind": "webm", "codec": "libvpx"},
    "webm vp9": {"kind": "webm", "codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "mp4 av1": {"codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "lp=1"}},
    "mkv ffv1": {"kind": "matroska", "codec": "ffv1"},
    "avi mpeg4": {"kind": "avi", "codec": "mpeg4"},
    "avi mpeg4, reordered": {"kind": "avi", "codec": "mpeg4", "options": {"bf": "2"}},
    "avi h264": {"kind": "avi"},
    "avi h264, many key frames": {"kind": "avi", "gop": 10},
    "ts h264": {"kind": "mpegts", "gop": 10},
    "ts mpeg2": {"kind": "mpegts", "codec": "mpeg2video"},
    "gif": {"kind": "gif", "codec": "gif", "pix_fmt": "rgb8", "rate": 25},
}


def read(raw: Any, **options: Any) -> Clip:
    """The clip in these bytes, about which nothing may be remarked."""
    said: list[str] = []
    clip = modality("video").read(raw, note=said.append, **options)
    assert said == []
    return clip


def on_screen(count: int, frames: int) -> list[int]:
    """The numbers of the frames at the middles of equal spans, of `count` that last equally long."""
    return sorted({int((i + 0.5) / frames * count) for i in range(frames)})


@pytest.mark.parametrize("frames", [1, 3, 8, 60])
@pytest.mark.parametrize("name", MOVIES)
def test_frames_are_those_on_the_screen_at_even_moments(name: str, frames: int) -> None:
    if name == "mp4 av1" and "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV has no encoder for AV1")
    count, rate = 41, MOVIES[name].get("rate", RATE)
    clip = read(movie(name, count), frames=frames)
    wanted = on_screen(count, frames)
    assert [number_of(f) for f in clip.frames] == wanted
    np.testing.assert_allclose(clip.times, np.array(wanted) / rate, atol=0.011 if name == "gif" else 2e-3)
    assert clip.frames.dtype == np.uint8 and clip.frames.shape[1:] == (48, 64, 3) and is_upright(clip.frames[0])
    assert clip.sound is None


_made: dict[tuple[str, int], bytes] = {}


def movie(name: str, count: int) -> bytes:
    if (name, count) not in _made:
        _made[name, count] = video(numbered(count), **MOVIES[name])
    return _made[name, count]


def through(raw: bytes) -> list[np.ndarray]:
    """Every frame, decoded by PyAV from the first to the last."""
    with av.open(io.BytesIO(raw)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["mp4 h264", "mp4 h264, open", "mp4 mpeg4", "webm vp8", "avi h264", "ts h264"])
def test_frames_passed_over_change_no_pixel_of_those_kept(name: str) -> None:
    raw = movie(name, 41)
    every = through(raw)
    np.testing.assert_array_equal(read(raw, frames=7).frames, [every[i] for i in on_screen(41, 7)])


@pytest.mark.parametrize(
    "name", ["mp4 h264", "mp4 h264, many key frames", "webm vp8", "mkv ffv1", "avi h264, many key frames", "ts h264"]
)
def test_long_files_are_sought_through_with_the_same_outcome(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = movie(name, 41)
    expected = read(raw, frames=6)
    monkeypatch.setattr(tape, "HELD_PACKETS", 5)
    windows: list[int] = []
    packets: list[Any] = []
    window, fetch = tape._window, tape._fetched
    monkeypatch.setattr(tape, "_window", lambda *a: windows.append(1) or window(*a))
    monkeypatch.setattr(tape, "_fetched", lambda *a: packets.extend(found := fetch(*a)) or found)
    clip = read(raw, frames=6)
    assert 0 < len(windows) <= 6
    assert (np.diff([p.dts for p in packets]) > 0).all()  # none is fetched twice
    windows.clear()
    assert [number_of(f) for f in read(raw, frames=300).frames] == list(range(41)) and len(windows) < 60
    np.testing.assert_allclose(clip.times, expected.times, atol=1e-3)
    np.testing.assert_array_equal(clip.frames, expected.frames)


def test_frames_of_a_varying_rate_go_by_their_time_stamps() -> None:
    times = [0.0, 0.5, 0.52, 0.54, 1.5, 1.52, 3.5]
    clip = read(video(numbered(7), times=times), frames=8)
    # the last frame lasts as its packet says: PyAV's encoder writes the nominal length
    asked = (np.arange(8) + 0.5) / 8 * (3.5 + _last(video(numbered(7), times=times)))
    expected = sorted({int(np.searchsorted(times, t, side="right")) - 1 for t in asked})
    assert [number_of(f) for f in clip.frames] == expected
    np.testing.assert_allclose(clip.times, np.array(times)[expected], atol=2e-3)


def _last(raw: bytes) -> float:
    with av.open(io.BytesIO(raw)) as container:
        packet = max((p for p in container.demux(video=0) if p.size), key=lambda p: p.pts)
        return float(packet.duration * packet.time_base) or 0.5


@pytest.mark.parametrize("name", ["mp4 h264", "webm vp8", "avi mpeg4", "turned", "sounding", "varying", "one frame"])
def test_sampled_times_lie_within_a_frame_of_the_asked_ones(name: str) -> None:
    frames = numbered(40)
    raw = {
        "turned": lambda: turned(movie("mp4 h264", 40), 1),
        "sounding": lambda: video(frames, sound=tone(440, 4 / 3, 48_000)),
        "varying": lambda: video(frames, times=[i / RATE + 0.01 * (i % 3) for i in range(40)]),
        "one frame": lambda: video(frames[:1]),
    }.get(name, lambda: movie(name, 40))()
    clip = read(raw, frames=8)
    asked = (np.arange(8) + 0.5) / 8 * 40 / RATE if name != "one frame" else np.array([0.5 / RATE])
    assert len(clip.times) == len(asked)
    assert (np.abs(clip.times - asked) <= 1 / RATE + 0.02 * (name == "varying") + 1e-3).all()


@pytest.mark.parametrize("which", range(len(MATRICES)))
def test_a_header_that_asks_for_a_turn_or_a_mirror_is_obeyed(which: int) -> None:
    stored = np.stack(numbered(5, first=2))
    expected = displayed(stored, which)
    if which < 4:
        np.testing.assert_array_equal(expected, np.rot90(stored, -which, axes=(1, 2)))
    raw = turned(video(stored, pix_fmt="yuv444p", options={"qp": "0"}), which)
    found = read(raw, frames=5).frames
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 8  # what the way to YUV and back changes
    assert len({displayed(stored, i).tobytes() for i in range(8)}) == 8


INTERLACED: dict[str, dict[str, Any]] = {
    "mp4 h264": {"options": {"x264-params": "tff=1"}},
    "mp4 h264, lower field first": {"options": {"x264-params": "bff=1"}},
    "ts mpeg2": {"kind": "mpegts", "codec": "mpeg2video", "options": {"flags": "+ildct+ilme", "b": "4M"}},
    "mov prores": {"kind": "mov", "codec": "prores_ks", "pix_fmt": "yuv422p10le", "options": {"flags": "+ildct"}},
}


@pytest.mark.parametrize("name", INTERLACED)
@pytest.mark.parametrize("enough", [None, 48])
def test_of_interlaced_frames_one_field_is_shown(name: str, enough: int | None) -> None:
    """A bright bar goes to the right, on a coloured ground; the fields of a frame are of different moments."""
    moments = np.full((24, 96, 128, 3), [40, 90, 60], np.uint8)
    for i, moment in enumerate(moments):
        moment[:, 4 * i : 4 * i + 20] = 230
    raw = video(woven(moments), **INTERLACED[name])
    with av.open(io.BytesIO(raw)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    found = read(raw, frames=12, enough=enough).frames
    upper = read(video(list(moments[::2])), frames=12, enough=enough).frames
    assert found.shape == upper.shape and combed(np.stack(woven(moments))) > 10
    assert combed(found) < 0.5
    assert np.abs(found.astype(int) - upper).mean() < 3 and np.abs(found.astype(int) - upper).max(-1).mean() < 5


def test_progressive_frames_keep_all_their_lines() -> None:
    lines = np.zeros((4, 48, 64, 3), np.uint8)
    lines[:, ::2] = 255
    raw = video(list(lines), codec="ffv1", kind="matroska", pix_fmt="yuv444p")
    np.testing.assert_allclose(read(raw, frames=4).frames, lines, atol=3)


def test_a_file_without_a_length_in_its_header_is_read_by_its_packets() -> None:
    raw = video(numbered(40), kind="webm", codec="libvpx", container_options={"live": "1"})
    with av.open(io.BytesIO(raw)) as container:
        assert container.duration is None and not container.streams.video[0].frames
    assert [number_of(f) for f in read(raw, frames=8).frames] == on_screen(40, 8)


def test_a_video_of_a_day_is_sought_through(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [345.6 * i for i in range(250)]
    raw = video(numbered(250), times=times, gop=5)
    monkeypatch.setattr(tape, "HELD_PACKETS", 20)
    clip = read(raw, frames=8)
    asked = (np.arange(8) + 0.5) / 8 * times[-1]  # the header gives the last frame no length
    expected = np.searchsorted(times, asked, side="right") - 1
    assert [number_of(f) for f in clip.frames] == expected.tolist()
    np.testing.assert_allclose(clip.times, np.array(times)[expected], atol=0.5)


def test_what_an_edit_list_leaves_out_is_not_shown() -> None:
    times = [(i - 5) / RATE for i in range(20)]  # five frames before the beginning
    clip = read(video(numbered(20), times=times, container_options={"avoid_negative_ts": "disabled"}), frames=20)
    assert [number_of(f) for f in clip.frames] == list(range(5, 20))
    np.testing.assert_allclose(clip.times, np.arange(15) / RATE, atol=2e-3)


@pytest.mark.parametrize("rate", [1, 240])
def test_slow_and_fast_rates(rate: int) -> None:
    clip = read(video(numbered(24), rate=rate), frames=6)
    assert [number_of(f) for f in clip.frames] == on_screen(24, 6)
    np.testing.assert_allclose(clip.times, np.array(on_screen(24, 6)) / rate, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "colour"),
    [
        ({"pix_fmt": "yuv420p10le"}, True),
        ({"pix_fmt": "yuv444p"}, True),
        ({"pix_fmt": "gray"}, False),
        ({"pix_fmt": "yuvj420p", "codec": "mjpeg", "kind": "avi"}, True),
        ({"options": {"x264-params": "tff=1"}}, True),
        ({"pix_fmt": "bgra", "codec": "ffv1", "kind": "matroska"}, True),
    ],
    ids=["10 bit", "4:4:4", "gray", "mjpeg", "interlaced", "alpha"],
)
def test_pixel_formats_become_rgb(options: dict[str, Any], colour: bool) -> None:
    clip = read(video(numbered(9), **options), frames=3)
    assert [number_of(f) for f in clip.frames] == [1, 4, 7]
    assert clip.frames.shape[1:] == (48, 64, 3) and is_upright(clip.frames[0]) == colour
    if colour:
        np.testing.assert_allclose(clip.frames[0][40, 8], [220, 0, 0], atol=12)


def test_odd_sizes() -> None:
    clip = read(video(numbered(6, 47, 65), kind="webm", codec="libvpx"), frames=2)
    assert clip.frames.shape == (2, 47, 65, 3) and [number_of(f) for f in clip.frames] == [1, 4]


def test_pixels_that_are_not_square_are_made_so() -> None:
    wide = read(video(numbered(4), options={"x264-params": "sar=2/1"}), frames=1)
    high = read(video(numbered(4), options={"x264-params": "sar=1/2"}), frames=1)
    assert wide.frames.shape == (1, 48, 128, 3) and high.frames.shape == (1, 96, 64, 3)
    assert number_of(wide.frames[0]) == number_of(high.frames[0]) == 2


def test_transparent_pixels_are_laid_on_white() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream: Any = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgra"
        pixels = np.zeros((16, 16, 4), np.uint8)
        pixels[:8, :, 3] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgra")))
        container.mux(stream.encode(None))
    frame = read(buffer.getvalue()).frames[0]
    assert (frame[:8] == 0).all() and (frame[8:] == 255).all()


def test_frames_that_change_size_are_brought_to_that_of_the_first() -> None:
    clip = read(growing(numbered(10), numbered(10, 96, 128, first=10)), frames=10)
    assert clip.frames.shape == (10, 48, 64, 3)
    assert [number_of(f) for f in clip.frames] == on_screen(20, 10)


@pytest.mark.parametrize(("enough", "shape"), [(24, (24, 32)), (48, (48, 64)), (500, (48, 64))])
def test_detail_beyond_what_is_enough_is_left_out(enough: int, shape: tuple[int, int]) -> None:
    raw = movie("mkv ffv1", 41)
    clip = read(raw, frames=4, enough=enough)
    assert clip.frames.shape[1:3] == shape and [number_of(f) for f in clip.frames] == on_screen(41, 4)
    if enough == 24:
        full = read(raw, frames=4).frames.astype(float)
        expected = full.reshape(4, 24, 2, 32, 2, 3).mean((2, 4))
        assert np.abs(clip.frames - expected).mean() < 3


# Sound


def test_the_sound_track_comes_with_the_frames() -> None:
    samples = tone(440, 1.0, 48_000)
    clip = read(video(numbered(30), sound=samples, sound_codec="flac", kind="matroska"))
    assert clip.sound is not None and clip.sound.rate == 48_000
    np.testing.assert_allclose(clip.sound.samples, samples, atol=1e-4)
    assert clip.sound.samples.dtype == np.float32


def test_sound_is_read_only_when_and_as_far_as_it_is_asked_for() -> None:
    raw = video(numbered(30), sound=tone(440, 1.0, 48_000))
    assert read(raw, sound=False).sound is None
    short = read(raw, seconds=0.25).sound
    assert short is not None and len(short.samples) == 12_000


def test_sound_counts_from_the_first_frame() -> None:
    late = read(
        video(numbered(30), sound=tone(440, 0.5, 48_000), sound_codec="flac", kind="matroska", sound_at=0.4)
    ).sound
    assert late is not None
    loud = np.flatnonzero(np.abs(late.samples) > 0.1)
    assert loud[0] == pytest.approx(0.4 * 48_000, abs=200) and len(late.samples) == pytest.approx(0.9 * 48_000, abs=100)


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "close"),
    [
        ("mp4", "aac", 44_100, 0.05),
        ("webm", "libopus", 48_000, 0.05),
        ("matroska", "flac", 44_100, 1e-4),
        ("mov", "pcm_s16le", 8_000, 1e-4),
        ("avi", "pcm_u8", 8_000, 0.01),
        ("mp4", "alac", 44_100, 1e-4),
    ],
)
def test_sound_of_any_container_is_read(kind: str, codec: str, rate: int, close: float) -> None:
    samples = tone(440, 0.5, rate)
    wave = read_sound(sound_only(samples, rate, kind=kind, codec=codec))
    assert wave.rate == rate and abs(len(wave.samples) - len(samples)) <= 1024
    inner = slice(2000, 3800)
    np.testing.assert_allclose(wave.samples[inner], samples[inner], atol=close)


def test_a_long_sound_is_cut_with_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_SECONDS", 1)
    said: list[str] = []
    wave = read_sound(sound_only(tone(440, 2.0, 44_100), 44_100), note=said.append)
    assert len(wave.samples) == 44_100 and said == ["only the first 1 s of its sound are used"]


def test_raw_aac_is_read() -> None:
    wave = read_sound(sound_only(tone(440, 0.5, 44_100), 44_100, kind="adts"))
    assert wave.rate == 44_100 and np.abs(wave.samples[5000:15_000]).max() == pytest.approx(0.5, abs=0.05)


def test_channels_are_averaged() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream: Any = container.add_stream("flac", rate=16_000, layout="stereo")
        both = np.stack([np.full(4096, 12_000), np.full(4096, -4_000)], 1).astype(np.int16).reshape(1, -1)
        block = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        block.sample_rate, block.pts = 16_000, 0
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(read_sound(buffer.getvalue()).samples, 4_000 / 32_768, atol=1e-6)


def test_a_sound_track_that_cannot_be_decoded_is_left_out_with_a_remark() -> None:
    raw = video(numbered(30), sound=tone(440, 1.0, 48_000), sound_codec="wavpack", kind="matroska")
    said: list[str] = []
    clip = modality("video").read(raw, note=said.append)
    assert clip.sound is None and len(clip.frames) == 8
    assert said == ["its sound is left out: its sound is coded as wavpack, which is not read here"]


@pytest.mark.parametrize("make", [lambda: movie("mp4 h264", 40), lambda: b"no container at all"])
def test_a_file_without_sound_has_no_sound_to_read(make: Callable[[], bytes]) -> None:
    with pytest.raises(MediaError, match=r"no sound track|not a sound"):
        read_sound(make())


# What cannot be read


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"not a video at all, only words", "not a video"),
        (b"<!DOCTYPE html><html>404</html>", "HTML"),
        (encoded(numbered(1)[0], "JPEG"), "JPEG picture"),
        (encoded(numbered(1)[0], "PNG"), "PNG picture"),
        (b"", "not a video"),
        (b"\0" * 5000, "not a video"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 100, "MP4"),
    ],
    ids=["text", "html", "jpeg", "png", "empty", "zeros", "stub"],
)
def test_what_is_no_video_is_named(raw: bytes, why: str) -> None:
    with pytest.raises(MediaError, match=why):
        read(raw)


def test_a_file_with_sound_alone_has_no_video_track() -> None:
    with pytest.raises(MediaError, match="no video track"):
        read(sound_only(tone(440, 0.2, 48_000)))


def test_the_cover_of_an_album_is_no_video() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        sound: Any = container.add_stream("aac", rate=48_000, layout="mono")
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(numbered(1)[0], format="rgb24").reformat(format="yuvj420p")
        block = av.AudioFrame.from_ndarray(tone(440, 0.5, 48_000)[None], format="fltp", layout="mono")
        block.sample_rate, block.pts = 48_000, 0
        for stream, frame in ((cover, picture), (sound, block)):
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert len(read_sound(buffer.getvalue()).samples) >= 24_000
    with pytest.raises(MediaError, match="no video track"):
        read(buffer.getvalue())


def test_a_codec_outside_the_list_is_named() -> None:
    with pytest.raises(MediaError, match="coded as png, which is not read here"):
        read(video(numbered(3), kind="mov", codec="png", pix_fmt="rgb24"))


def test_an_encrypted_track_is_refused() -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    with pytest.raises(MediaError, match="encrypted"):
        read(video(numbered(5), container_options=key))


@pytest.mark.parametrize("disguise", [".mp4", ".avi"])
@pytest.mark.parametrize("script", ["ffconcat", "m3u8", "dash", "concat without a header"])
def test_text_that_names_other_files_opens_none_of_them(
    script: str, disguise: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    canary = write("canary.mp4", movie("mp4 h264", 40))
    knocks: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        server.settimeout(0.2)

        def listen() -> None:
            with contextlib.suppress(OSError):
                knocks.append(server.accept())

        thread = threading.Thread(target=listen)
        thread.start()
        text = {
            "ffconcat": f"ffconcat version 1.0\nfile '{canary}'\nfile '{address}'\n",
            "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{canary}\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n",
            "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
            f'<Representation id="1"><BaseURL>{address}</BaseURL></Representation></AdaptationSet></Period></MPD>',
            "concat without a header": f"file '{canary}'\n",
        }[script]
        write(f"x{disguise}", text)
        part = modality("video")
        with pytest.raises(MediaError) as caught:
            part.read(part.load(f"x{disguise}", tmp_path))
        thread.join()
    assert knocks == [] and "canary" not in str(caught.value) and "127.0.0.1" not in str(caught.value)


def test_frames_beyond_the_limit_are_refused() -> None:
    with pytest.raises(MediaError, match="4112 x 2304 pixels"):
        read(video([np.zeros((2304, 4112, 3), np.uint8)], codec="mpeg4"))


def _highest() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


@pytest.mark.slow
def test_a_large_video_is_decoded_one_frame_at_a_time() -> None:
    raw = video((np.full((2304, 4096, 3), i, np.uint8) for i in range(40)), codec="mpeg4")
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident size is that of now
    before = _highest()
    clip = read(raw, frames=8, enough=64)
    assert clip.frames.shape == (8, 64, 114, 3)
    assert _highest() - before < 300 * 1024  # kB; all frames would be 1.1 GB


def test_a_file_may_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "BUDGET", -1.0)
    with pytest.raises(MediaError, match="takes longer than"):
        read(movie("mp4 h264", 40))


# What is damaged


def test_an_mp4_that_was_cut_is_refused() -> None:
    raw = movie("mp4 h264", 40)
    with pytest.raises(MediaError, match="lost its index"):
        read(raw[: raw.index(b"moov")])


@pytest.mark.parametrize("name", ["webm vp8", "mkv ffv1"])
def test_a_file_that_was_cut_gives_what_is_left_with_a_remark(name: str) -> None:
    raw, said = movie(name, 40), []
    clip = modality("video").read(raw[: len(raw) // 2], note=said.append, frames=8)
    assert len(clip.frames) and number_of(clip.frames[-1]) < 35
    assert [s for s in said if "holds fewer frames than its header says" in s]


def test_a_stream_that_lost_its_beginning_starts_at_its_first_key_frame() -> None:
    raw = movie("ts h264", 41)
    clip = modality("video").read(raw[len(raw) // 3 // 188 * 188 :], frames=41)
    numbers = [number_of(f) for f in clip.frames]
    assert numbers[0] > 5 and numbers == list(range(numbers[0], 41))
    np.testing.assert_allclose(clip.times, np.arange(len(numbers)) / RATE, atol=1e-3)


def test_damage_in_the_middle_keeps_what_can_be_decoded() -> None:
    raw = bytearray(video(numbered(40), gop=4))
    middle = raw.index(b"mdat") + 4 + (raw.index(b"moov") - raw.index(b"mdat")) // 2
    raw[middle : middle + 60] = bytes(60)
    said: list[str] = []
    clip = modality("video").read(bytes(raw), note=said.append, frames=20)
    right = [number_of(f) for f in clip.frames]
    assert (np.diff(clip.times) > 0).all()
    assert len(set(right) & set(on_screen(40, 20))) >= 10
    assert said == ["its video track is damaged; what can be decoded is used"]


def test_damage_that_the_decoder_paints_over_is_remarked_on() -> None:
    raw = video(numbered(24, 96, 128), codec="mpeg4", gop=8)
    begin, end, remarked = raw.index(b"mdat") + 8, raw.index(b"moov"), 0
    for place in np.linspace(begin, end, 14)[1:-1].astype(int):
        said: list[str] = []
        clip = modality("video").read(
            raw[:place] + bytes([raw[place] ^ 255]) + raw[place + 1 :], note=said.append, frames=24
        )
        assert len(clip.frames) >= 16
        remarked += said == ["its video track is damaged; what can be decoded is used"]
    assert remarked >= 8


@pytest.mark.parametrize("name", ["mp4 h264", "webm vp8", "avi mpeg4", "gif", "ts h264"])
def test_flipped_bytes_give_frames_or_a_media_error_and_soon(name: str) -> None:
    raw, random = movie(name, 40), np.random.default_rng(0)
    began = time.monotonic()
    for _ in range(25):
        bad = np.frombuffer(raw, np.uint8).copy()
        places = random.integers(0, len(bad), random.integers(1, 12))
        bad[places] = random.integers(0, 256, len(places))
        content = bad.tobytes()[: int(random.integers(len(raw) // 2, len(raw) + 1))]
        try:
            clip = modality("video").read(content, frames=4, enough=32)
            assert clip.frames.ndim == 4 and len(clip.frames) == len(clip.times) >= 1
            assert (np.diff(clip.times) > 0).all()
        except MediaError as error:
            assert str(error)
    assert time.monotonic() - began < 20


# Loading


def test_a_large_file_is_mapped_not_read(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    raw = movie("mp4 h264", 40)
    path = write("x.mp4", raw)
    part = modality("video")
    assert part.load("x.mp4", path.parent) == raw
    monkeypatch.setattr(mapped, "HELD_BYTES", 1000)
    large = part.load("x.mp4", path.parent)
    assert isinstance(large, mmap) and hash(large)
    assert hashlib.blake2b(large).digest() == hashlib.blake2b(raw).digest()
    np.testing.assert_array_equal(read(large).frames, read(raw).frames)
    monkeypatch.setattr(mapped, "MAX_LONG_BYTES", 1000)
    with pytest.raises(MediaError, match="is larger than"):
        part.load("x.mp4", path.parent)


def test_without_pyav_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'plait\[video\]'"):
        read(b"anything")


def test_a_column_of_paths_is_claimed() -> None:
    part = modality("video")
    for suffix in (".mp4", ".MOV", ".m4v", ".webm", ".mkv", ".avi"):
        claim = part.claim([f"a/{i}{suffix}" for i in range(10)], target=False)
        assert claim is not None and claim.strength > 0.9
    assert part.claim([f"{i}.gif" for i in range(10)], target=False) is None
