"""Every broken file is named by row, column, path and reason before training, and no whole one is; rows keep their own."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests import toy
from tests.conftest import encoded, picture, sounded, tone

from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import ENCODERS
from plait.errors import TooManyBadCellsError
from plait.preparation import prepare
from plait.progress import Progress

ROWS = 300
KINDS = {"picture": "image", "sound": "audio", "note": "text"}


def grey(width: int, height: int, body: bytes | None = None) -> bytes:
    """A PNG of one bit a pixel whose header says this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    if body is None:
        body = zlib.compress(bytes(min((width // 8 + 1) * height, 12_000_000)), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg(**options: Any) -> bytes:
    return encoded(picture(64, 64, 3), "JPEG", quality=95, **options)


def tiff() -> bytes:
    from PIL import Image

    buffer, pixels = io.BytesIO(), np.full((8, 8), np.nan, np.float32)
    Image.fromarray(pixels).save(buffer, "TIFF")
    return buffer.getvalue()


BROKEN: dict[str, bytes | None] = {
    "b1-empty.png": b"",
    "b2-page.jpg": b"<!DOCTYPE html><html><body>404</body></html>",
    "b3-half.jpg": jpeg()[: len(jpeg()) // 2],
    "b4-cut.jpg": jpeg()[:-20],
    "b13-nan.tiff": tiff(),
    "b21-nothing.png": grey(0, 5),
    "b22-wide.png": grey(9_400, 9_400),
    "b23-wider.png": grey(13_000, 13_000, b"x"),
    "b24-widest.png": grey(50_000, 50_000, b"x"),
    "b25-claims.png": grey(13_000, 13_000, b"0123456789"),
    "b27-drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "b28-page.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "b34-nowhere.png": None,
}
WHOLE: dict[str, bytes] = {
    "b6-png.jpg": encoded(picture(12, 16, 1)),
    "b7-jpeg.png": jpeg(),
    "b7-jpeg": jpeg(),
    "b8-turned.jpg": jpeg(exif=bytes.fromhex("457869660000492a0008000000010012010300010000000600000000000000")),
    "b10-cmyk.jpg": encoded(picture(12, 16, 2), "JPEG", "CMYK"),
    "b14-palette.png": encoded(picture(12, 16, 4), "PNG", "P"),
    "b15-alpha.png": encoded(picture(12, 16, 5), "PNG", "RGBA"),
    "b16-grey.png": encoded(picture(12, 16, 6), "PNG", "LA"),
    "b16-bit.png": encoded(picture(12, 16, 7), "PNG", "1"),
    "b17-moving.gif": encoded(picture(12, 16, 8), "GIF"),
    "b19-one.png": encoded(picture(1, 1, 9)),
    "b20-long.png": encoded(picture(1, 4_000, 10)),
}
SOUNDS: dict[str, bytes] = {
    "b41-empty.wav": b"",
    "b65-page.wav": b"<html></html>",
    "b42-header.wav": sounded(tone(440, 0.1))[:44],
    "b61-cut.ogg": sounded(tone(440, 0.5), kind="OGG")[:60],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind, and a table of 300 rows over the whole ones."""
    folder = tmp_path_factory.mktemp("media")
    toy.make(folder, 60)
    for name, content in {**BROKEN, **WHOLE, **SOUNDS}.items():
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


def table(place: Path, share: float) -> tuple[pd.DataFrame, dict[tuple[int, str], str]]:
    """300 rows, and the broken cells planted in them: (row, column) -> path."""
    frame = pd.read_csv(place / "toy.csv")
    frame = pd.concat([frame] * (ROWS // 60), ignore_index=True)
    generator, whole = np.random.default_rng(0), list(WHOLE)
    for row in generator.permutation(ROWS)[:60]:
        frame.loc[row, "picture"] = whole[row % len(whole)]
    planted: dict[tuple[int, str], str] = {}
    for column, names in (("picture", list(BROKEN)), ("sound", list(SOUNDS))):
        for number, row in enumerate(generator.permutation(ROWS)[: round(share * ROWS)]):
            planted[int(row), column] = names[number % len(names)]
            frame.loc[row, column] = names[number % len(names)]
    return frame, planted


def prepared(frame: pd.DataFrame, place: Path) -> tuple[dict[str, list[Any]], Ledger]:
    """The prepared cells of pictures and sounds by row, and the ledger."""
    encoders = {c: ENCODERS.build(toy.TINY[c]) for c in ("picture", "sound")}
    ledger = Ledger()
    found = prepare(
        read_table(frame, base=place), encoders, store=Store(), ledger=ledger, progress=Progress(quiet=True)
    )
    return {c: cells.rows(np.arange(len(frame))) for c, cells in found.items()}, ledger


@pytest.mark.parametrize("share", [0.01, 0.2, 1.0])
def test_the_scan_finds_every_broken_cell_and_no_other(place: Path, share: float) -> None:
    frame, planted = table(place, share)
    cells, ledger = prepared(frame, place)
    assert {(b.row, b.column): b.path for b in ledger} == planted
    assert all(len(b.reason) > 8 for b in ledger)
    whole = {c: [v for v in frame[c]] for c in cells}
    for column in cells:
        whole[column] = [None if (r, column) in planted else v for r, v in enumerate(whole[column])]
    expected, none = prepared(frame.assign(**whole), place)
    assert len(none) == 0
    for column, found in cells.items():
        for row, (one, other) in enumerate(zip(found, expected[column])):
            assert (one is None) == (other is None) == ((row, column) in planted)
            if one is not None and other is not None:
                assert all(np.array_equal(one[k], other[k]) for k in one), (row, column)


def test_one_in_a_hundred_is_trained_with_and_counted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame, planted = table(place, 0.01)
    model = toy.fit(frame, base=place, modalities=KINDS, epochs=1, quiet=False)
    shown = capsys.readouterr().err
    assert model.record["bad_cells"] == len(planted) == 6
    assert re.search(rf"{len(planted)} bad cells", shown)
    judged = model.record["evaluation"]["targets"]["kind"]
    assert judged["rows"] == (frame["part"] == "test").sum(), "every labelled row is judged"
    assert sum(model.record["parts"]) == ROWS


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_many_stop_it_before_the_first_step(place: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    from plait.training.loop import _Run

    def never(*_: object) -> None:
        raise AssertionError("a step was taken")

    frame, planted = table(place, share)
    with monkeypatch.context() as patch, pytest.raises(TooManyBadCellsError) as found:
        patch.setattr(_Run, "advance", never)
        toy.fit(frame, base=place, modalities=KINDS, epochs=1)
    number = round(share * ROWS)
    assert f"'picture': {number} of {ROWS}" in str(found.value) and "max_bad=" in str(found.value)
    first = sorted(r for r, c in planted if c == "picture")[:5]
    assert all(f"row {r}, column 'picture', {planted[r, 'picture']}" in str(found.value) for r in first)
    if share < 1:
        assert toy.fit(frame, base=place, modalities=KINDS, epochs=1, max_bad=0.25).record["bad_cells"] == len(planted)


# Prediction


@pytest.mark.slow
def test_a_row_is_answered_as_if_it_stood_alone(place: Path) -> None:
    """200 rows, a tenth of the cells broken or missing, between neighbours of other kinds."""
    model = toy.fit(pd.read_csv(place / "toy.csv"), base=place, epochs=8, training={"batch_size": 8})
    frame, generator = pd.read_csv(place / "toy.csv")[toy.INPUTS].astype(object), np.random.default_rng(1)
    frame = pd.concat([frame] * 4, ignore_index=True).iloc[:200]
    bad: dict[str, Callable[[int], Any]] = {
        "picture": lambda i: [None, *list(BROKEN)[:6]][i % 7],
        "sound": lambda i: [None, *SOUNDS][i % 5],
        "note": lambda _: None,
        "size": lambda i: [None, "many", float("inf")][i % 3],
    }
    broken = generator.random(frame.shape) < 0.1
    for number, (row, column) in enumerate(zip(*np.nonzero(broken))):
        frame.iloc[row, column] = bad[frame.columns[column]](number)
    whole = {size: model.predict_proba(frame, base=place, batch_size=size) for size in (1, 7, 64)}
    torch.set_num_threads(2)
    whole[2] = model.predict_proba(frame, base=place)
    torch.set_num_threads(1)
    rows = range(0, 200, 2)
    alone = pd.concat([model.predict_proba(frame.iloc[[row]], base=place) for row in rows])
    values = alone.iloc[:, :3].to_numpy(float)
    for found in whole.values():
        assert list(found.index) == list(range(200))
        assert ((found["status"] != "ok") == broken.any(1)).all()
        answers = found.iloc[rows, :3].to_numpy(float)
        assert np.abs(answers - values).max() <= 1e-5 and (answers.argmax(1) == values.argmax(1)).all()
        assert (found["status"].iloc[rows] == alone["status"]).all()
    for row, status in enumerate(whole[64]["status"]):
        assert all(c in status for c in frame.columns[broken[row]])
    guess, truth = model.predict(frame, base=place)["kind"], np.array([toy.KINDS[r % 60 % 3] for r in range(200)])
    assert (guess[~broken.any(1)] == truth[~broken.any(1)]).mean() >= 0.95, "neighbours are of another kind"
