"""The sample series: the .ts format on made-up files, and (slow) the real sets with their published counts."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.online import online

from plait.errors import FetchError, OutputError, UnknownNameError
from plait.samples import series

TS = """#a comment: with colons
@problemName Tiny
@classLabel true a b
@data
1,2,?:4,5,6:a

1.5,-2e1:0,0:b b
"""


def silent(line: str) -> None:
    return None


def read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def wheel(files: dict[str, str]) -> zipfile.ZipFile:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return zipfile.ZipFile(held)


def test_a_ts_file_gives_channels_and_labels() -> None:
    first, second = series.cases(TS)
    np.testing.assert_array_equal(first[0], [[1, 2, float("nan")], [4, 5, 6]])
    assert first[1] == "a" and second == ([[1.5, -20.0], [0.0, 0.0]], "b b")


@pytest.mark.parametrize("text", ["", "@data\n", "@problemName x\n@data\n\n"])
def test_a_file_without_cases_is_an_error(text: str) -> None:
    with pytest.raises(FetchError, match="no cases"):
        series.cases(text)
    with pytest.raises(FetchError, match="not as expected: '\\(0,1\\)"):
        series.cases("\n@data\n(0,1),(1,2):a\n")


def test_cases_become_rows_and_arrays_with_time_first(tmp_path: Path) -> None:
    place = "aeon/datasets/data/Tiny/Tiny_{}.ts".format
    packed = wheel({place("TRAIN"): TS, place("TEST"): TS.replace("1.5", "7.5")})
    rows = series.assemble(packed, "Tiny", tmp_path)
    assert rows == read(tmp_path / "Tiny.csv")
    assert [(r["label"], r["split"]) for r in rows] == [
        ("a", "train"),
        ("b b", "train"),
        ("a", "test"),
        ("b b", "test"),
    ]
    array = np.load(tmp_path / rows[3]["series"])
    assert array.dtype == np.float32 and array.tolist() == [[7.5, 0], [-20, 0]]
    with pytest.raises(FetchError, match="no train cases of Other"):
        series.assemble(packed, "Other", tmp_path)


def test_a_wheel_with_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "run", lambda command, *, cwd: (cwd / "aeon-1.6.0-py3-none-any.whl").write_text("x"))
    with pytest.raises(FetchError, match=f"sha256 {hashlib.sha256(b'x').hexdigest()}, expected"):
        series.download(tmp_path)


def test_without_pip_the_error_says_so_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(command, *, cwd):
        raise FetchError("No module named pip.")

    monkeypatch.setattr(series, "run", broken)
    with pytest.raises(FetchError, match=r"No module named pip\. This sample needs pip"):
        series.build(tmp_path / "out", log=silent)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(OutputError, match="is there already"):
        series.build(tmp_path / "mine", log=silent)
    with pytest.raises(UnknownNameError, match="Did you mean 'GunPoint'"):
        series.build(tmp_path / "out", "Gunpoint", log=silent)


PUBLISHED = {  # cases to train on and to test on, channels, classes, steps of the shortest and the longest
    "ACSF1": (100, 100, 1, 10, 1460, 1460),
    "ArrowHead": (36, 175, 1, 3, 251, 251),
    "BasicMotions": (40, 40, 6, 4, 100, 100),
    "GunPoint": (50, 150, 1, 2, 150, 150),
    "ItalyPowerDemand": (67, 1029, 1, 2, 24, 24),
    "JapaneseVowels": (270, 370, 12, 9, 7, 29),
    "OSULeaf": (200, 242, 1, 6, 427, 427),
    "PickupGestureWiimoteZ": (50, 50, 1, 10, 29, 361),
}


@pytest.mark.slow
def test_the_real_sets_have_the_published_counts(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    with online():
        assert series.build(folder, log=silent) == folder / "BasicMotions.csv"
    assert set(PUBLISHED) == set(series.SETS)
    for name, published in PUBLISHED.items():
        rows = read(series.build(folder, name, log=silent))
        cells = [np.load(folder / r["series"]) for r in rows]
        parts = [r["split"] for r in rows]
        lengths = [len(c) for c in cells]
        channels = {c.shape[1] for c in cells}
        found = (parts.count("train"), parts.count("test"), *channels, len({r["label"] for r in rows}))
        assert (*found, min(lengths), max(lengths)) == published, name
    assert "BSD-3-Clause" in (folder / "SOURCE.txt").read_text()
