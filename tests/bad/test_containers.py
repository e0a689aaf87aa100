"""One real file of every container format, from the package iscc-samples: each decodes, or is refused for what it is."""

from __future__ import annotations

import hashlib
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.online import online

from plait.errors import MediaError
from plait.modalities import modality
from plait.samples import run

PACKAGE = "iscc-samples==0.6.0"  # 54 MB; its media are under the licences its README names
SHA256 = "5714df1ecbc49df091042fabf2f96a9c99623eb442453598db26198c7d187d22"
MPEG, MOVIE = "an MPEG video", ((144, 176), 60)  # height and width, seconds of sound
SOUND, RATE = 15.5, 44_100

OUTCOMES: dict[str, Any] = {  # folder/file -> what it decodes to, or part of the reason
    "image/demo.bmp": (133, 200),
    "image/demo.gif": (133, 200),
    "image/demo.jpg": (133, 200),
    "image/demo.png": (133, 200),
    "image/demo.tif": (133, 200),
    "image/demo.psd": "a PSD picture, which is not read: save it as PNG or JPEG",
    "audio/demo.aac": (SOUND, RATE),
    "audio/demo.aif": (SOUND, RATE),
    "audio/demo.mp3": (SOUND, RATE),
    "audio/demo.ogg": (SOUND, RATE),
    "audio/demo.opus": (SOUND, 48_000),
    "audio/demo.wav": (SOUND, RATE),
    "audio/short.wav": (1.35, 48_000),
    "audio/withcover.mp3": (SOUND, RATE),
    "audio/demo.ac3": "an AC-3 sound, which is not read: save it as WAV or FLAC",
    "audio/demo.wv": "a WavPack sound, which is not read: save it as WAV or FLAC",
    "video/demo.avi": MOVIE,
    "video/demo.f4v": MOVIE,
    "video/demo.m4v": MOVIE,
    "video/demo.mkv": MOVIE,
    "video/demo.mov": MOVIE,
    "video/demo.mp4": MOVIE,
    "video/demo.webm": MOVIE,
    "video/demo.gif": ((144, 176), None),
    "video/demo.3g2": ((288, 352), None),  # its sound is AMR, and left out with a remark
    "video/demo.3gp": ((288, 352), None),
    "video/demo.asf": "a WMV or WMA file",
    "video/demo.wmv": "a WMV or WMA file",
    "video/demo.flv": "an FLV video",
    "video/demo.m1v": MPEG,
    "video/demo.mpeg": MPEG,
    "video/demo.mpg": MPEG,
    "video/demo.vob": MPEG,
    "video/demo.ogg": "an Ogg file",
    "video/demo.ogv": "an Ogg file",
    "video/demo.rm": "a RealMedia video",
    "video/demo.swf": "a Flash file",
}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """folder/file -> content, of the pictures, sounds and videos in the package."""
    folder = tmp_path_factory.mktemp("samples")
    command: list[str | Path] = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    with online():
        run([*command, "--disable-pip-version-check", "--dest", folder, PACKAGE], cwd=folder)
    (archive,) = folder.glob("iscc*samples-*.tar.gz")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            place = member.name.split("/")[-2:]
            if member.isfile() and place[0] in ("image", "audio", "video") and not place[1].endswith(".py"):
                content = tar.extractfile(member)
                assert content is not None
                found["/".join(place)] = content.read()
    return found


@pytest.mark.slow
def test_the_list_is_of_all_files(files: dict[str, bytes]) -> None:
    assert files.keys() == OUTCOMES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTCOMES)
def test_each_decodes_or_is_refused_for_what_it_is(name: str, files: dict[str, bytes]) -> None:
    kind, expected, said = name.split("/")[0], OUTCOMES[name], []
    if isinstance(expected, str):
        for reader in {kind, "audio" if kind == "video" else kind}:
            with pytest.raises(MediaError, match=expected):
                modality(reader).read(files[name])
        return
    cell = modality(kind).read(files[name], note=said.append)
    if kind == "image":
        assert cell.shape[:2] == expected and said == []
    elif kind == "audio":
        assert (len(cell.samples) / cell.rate, cell.rate) == (pytest.approx(expected[0], abs=0.05), expected[1])
        assert said == [] and abs(cell.samples).max() > 0.01
    else:
        size, seconds = expected
        assert cell.frames.shape == (8, *size, 3) and (cell.sound is None) == (seconds is None)
        assert said == [] or "sound" in said[0]
        if seconds is not None:
            assert len(cell.sound.samples) / cell.sound.rate == pytest.approx(seconds, abs=0.5)
            alone = modality("audio").read(files[name])
            assert alone.rate == cell.sound.rate and len(alone.samples) / alone.rate == pytest.approx(seconds, abs=0.5)
