"""Broken and odd videos, 67 to 87 of the list."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from tests.bad.case import BAD, READ, REMARK, Case, file, value
from tests.clips import growing, numbered, sound_only, turned, video
from tests.conftest import encoded, picture, tone


@cache
def movie(count: int = 12, **options: Any) -> bytes:
    return video(numbered(count), **options)


@cache
def webm() -> bytes:
    return video(numbered(40), kind="webm", codec="libvpx", gop=4)


def streamed() -> bytes:
    return video(numbered(12), container_options={"movflags": "frag_keyframe+empty_moov"})


def large() -> bytes:
    return video(numbered(1, 2304, 4112), codec="mpeg4")


def as_png() -> bytes:
    return video(numbered(3), kind="mov", codec="png", pix_fmt="rgb24")


def half() -> bytes:
    return webm()[: len(webm()) // 2]


def without_index() -> bytes:
    return movie()[: movie().index(b"moov")]


def damaged() -> bytes:
    raw = bytearray(video(numbered(40), gop=4))
    middle = raw.index(b"mdat") + 4 + (raw.index(b"moov") - raw.index(b"mdat")) // 2
    raw[middle : middle + 60] = bytes(60)
    return bytes(raw)


def locked() -> bytes:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    return video(numbered(5), container_options=key)


def case(number: int, title: str, make: Any, outcome: str = READ, says: str = "") -> Case:
    return Case(number, title, "video", make, outcome, says)


def interlaced() -> bytes:
    return video(numbered(12), options={"x264-params": "tff=1"})


def wide(times: list[float]) -> bytes:
    return video(numbered(len(times)), times=times)


def frames_url(count: int = 10_000) -> str:
    """Many frames as servers of language models take them."""
    return "data:video/jpeg;base64," + ",".join([base64.b64encode(encoded(picture(4, 4), "JPEG")).decode()] * count)


LISTS = {
    "ffconcat": b"ffconcat version 1.0\nfile 'x.mp4'\n",
    "m3u8": b"#EXTM3U\n#EXTINF:9,\nx.mp4\n",
    "DASH": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>',
}
CLIPS = [
    case(67, "an empty file", file(".mp4", lambda: b""), BAD, "0 bytes"),
    case(67, "a text", file(".mp4", lambda: b"not a video at all, only words"), BAD, "not a video"),
    case(68, "an MP4 that was cut", file(".mp4", without_index), BAD, "lost its index"),
    case(69, "a WebM cut in half", file(".webm", half), REMARK, "fewer frames than its header says"),
    case(70, "damage in the middle", file(".mp4", damaged), REMARK, "damaged; what can be decoded is used"),
    case(71, "sound alone", file(".mp4", lambda: sound_only(tone(440, 0.2, 48_000))), BAD, "no video track"),
    case(72, "no sound: the pictures alone", file(".mp4", movie)),
    case(73, "a rate that varies: by time stamps", file(".mp4", lambda: wide([0, 0.5, 0.52, 1.02]))),
    case(74, "no length in its header", file(".mp4", streamed)),
    *(case(75, f"turned by {90 * q} degrees", file(".mp4", lambda q=q: turned(movie(), q))) for q in (1, 2, 3)),
    *(case(75, f"mirrored, and turned by {90 * q} degrees", file(".mp4", lambda q=q: turned(movie(), 4 + q))) for q in range(4)),
    case(76, "10 bits", file(".mp4", lambda: movie(pix_fmt="yuv420p10le"))),
    case(76, "4:4:4", file(".mp4", lambda: movie(pix_fmt="yuv444p"))),
    case(76, "grey", file(".mkv", lambda: movie(kind="matroska", codec="ffv1", pix_fmt="gray"))),
    case(76, "interlaced: the upper field of each frame", file(".mp4", interlaced)),
    case(77, "odd sizes", file(".mkv", lambda: video(numbered(5, 33, 47), kind="matroska", codec="ffv1", pix_fmt="yuv444p"))),
    case(78, "one frame", file(".mp4", lambda: movie(1))),
    case(78, "1 frame a second", file(".mp4", lambda: movie(3, rate=1))),
    case(78, "240 frames a second", file(".mp4", lambda: movie(24, rate=240))),
    case(79, "frames that change size", file(".ts", lambda: growing(numbered(6), numbered(6, 96, 128, 6)))),
    case(80, "4,112 x 2,304 pixels", file(".mp4", large), BAD, "4112 x 2304 pixels"),
    case(81, "long: 200 frames, of which a few are sought", file(".mp4", lambda: movie(200, rate=1, gop=5))),
    case(82, "an unknown codec", file(".mov", as_png), BAD, "coded as png"),
    case(83, "encrypted", file(".mp4", locked), BAD, "encrypted"),
    *(case(84, f"{k} named .mp4", file(".mp4", lambda k=k: LISTS[k]), BAD, "not a video") for k in LISTS),
    case(85, "an animated GIF", file(".gif", lambda: movie(5, kind="gif", codec="gif", pix_fmt="rgb8", rate=25))),
    case(86, "a JPEG picture", file(".mp4", lambda: encoded(picture(), "JPEG")), BAD, "a JPEG picture"),
    case(87, "a list of frames as one data: URL", value(frames_url()), BAD, "a list of several base64 texts"),
    case(87, "a list of frames", value([encoded(picture(), "JPEG")] * 2), BAD, "found a list, expected the path"),
]  # fmt: skip
