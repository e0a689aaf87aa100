"""A video in a report: its frames in a row, and its sound to be played."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tests.clips import number_of, numbered, video
from tests.conftest import tone

from plait.data.table import read_table
from plait.report.media import GAP, STRIP, Media


def test_a_video_is_shown_as_its_frames_and_heard(write: Callable[..., Path]) -> None:
    write("a.mp4", video(numbered(8), sound=tone(440, 0.2, 48_000)))
    write("b.mp4", video(numbered(8)))
    write("c.mp4", b"<html>")
    media = Media(read_table([{"clip": f"{name}.mp4"} for name in "abcd"], base=write("x", "x").parent))
    heard, silent, broken, gone = (str(media.cell(row, "clip", "video")) for row in range(4))
    assert "<audio" in heard and "<audio" not in silent
    assert "cannot be read: not a video" in broken and "cannot be read: no such file" in gone
    source = re.search(r'src="data:image/jpeg;base64,([^"]+)"', silent)
    assert source is not None
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(source[1]))))
    width = round(64 * STRIP / 48)
    assert strip.shape == (STRIP, 8 * (width + GAP) - GAP, 3)
    frames = [strip[:, i * (width + GAP) :][:, :width] for i in range(8)]
    assert [number_of(f) for f in frames] == list(range(8))
