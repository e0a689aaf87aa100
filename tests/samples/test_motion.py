"""Stamps in motion: clips that show what their row says, of a small table of made-up stamps."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import encoded, sounded, tone

from plait.errors import MissingExtraError
from plait.modalities import modality
from plait.samples import motion, stamps, write_table


@pytest.fixture
def table(write: Callable[..., Path]) -> Path:
    """Two stamps, a red bar that stands and one that lies, on nothing; one of them has a sound."""
    rows = []
    for name, shape in (("a/high", (60, 24)), ("b/wide", (24, 60))):
        pixels = np.zeros((64, 64, 4), np.uint8)
        top, left = (64 - shape[0]) // 2, (64 - shape[1]) // 2
        pixels[top : top + shape[0], left : left + shape[1]] = (255, 0, 0, 255)
        write(f"media/{name}.png", encoded(pixels))
        sound = f"media/{name}.ogg" if name == "a/high" else ""
        if sound:
            write(sound, sounded(tone(440, 3.0, 22_050), 22_050, "OGG"))
        blank = dict.fromkeys(stamps.COLUMNS, "")
        rows.append(
            blank | {"id": name, "category": name[0], "folder": name[0], "image": f"media/{name}.png", "sound": sound}
        )
    path = write("stamps.csv", "")
    write_table(path, stamps.COLUMNS, rows)
    return path


def red(frame: np.ndarray) -> np.ndarray:
    """(3,) of what is red: its middle's row and column, and how much there is."""
    place = np.argwhere((frame[..., 0] > 170) & (frame[..., 1] < 80) & (frame[..., 2] < 80))
    return np.array([*place.mean(0), len(place)])


def test_a_table_of_clips_is_built_that_show_what_they_say(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion, "FRAMES", 8)
    said: list[str] = []
    built = motion.build(tmp_path / "motion", table=table, log=said.append)
    rows = list(csv.DictReader(built.read_text("utf-8").splitlines()))
    assert [(r["stamp"], r["motion"]) for r in rows] == [(s, m) for s in ("a/high", "b/wide") for m in motion.MOTIONS]
    assert motion.build(tmp_path / "motion", log=said.append) == built and len(said) == 2
    for row in rows:
        clip = modality("video").read((built.parent / row["clip"]).read_bytes(), frames=motion.FRAMES)
        assert clip.frames.shape == (motion.FRAMES, motion.SIDE, motion.SIDE, 3)
        assert (clip.sound is not None) == (row["sounds"] == "yes") == (row["stamp"] == "a/high")
        if clip.sound is not None:
            assert len(clip.sound.samples) / clip.sound.rate == pytest.approx(motion.FRAMES / motion.RATE, abs=0.1)
        down, right, more = red(clip.frames[-1]) - red(clip.frames[0])
        expected = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}.get(row["motion"], (0, 0))
        assert (np.sign(down) * (abs(down) > 12), np.sign(right) * (abs(right) > 12)) == expected, row["clip"]
        grown = more / red(clip.frames[0])[2]
        assert {"grow": grown > 0.8, "shrink": grown < -0.4}.get(row["motion"], abs(grown) < 0.4), row["clip"]


def test_a_clip_is_the_same_each_time(table: Path, tmp_path: Path) -> None:
    row = motion.choose(table).to_dict("records")[0]
    clips = []
    for name in ("x", "y"):
        (tmp_path / name / "clips").mkdir(parents=True)
        made = motion.write_clip(tmp_path / name, table.parent, row, "turn")
        clips.append(modality("video").read((tmp_path / name / made["clip"]).read_bytes()).frames)
    np.testing.assert_array_equal(*clips)


def test_silent_stamps_are_drawn_by_their_name(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "SILENT_STAMPS", 0)
    assert motion.choose(table)["id"].tolist() == ["a/high"]


def test_without_pyav_the_way_to_install_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'plait\[video\]'"):
        motion.build(tmp_path / "motion")
