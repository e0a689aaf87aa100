"""Cells of every sort hold the same picture or sound, each tells its column, and odd paths are read as they were meant."""

from __future__ import annotations

import base64
import io
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from tests.conftest import encoded, picture, sounded, tone

from plait.data.ledger import Ledger
from plait.data.schema import infer
from plait.data.table import read_table
from plait.errors import MediaError
from plait.modalities import modality
from plait.modalities.base import load_file
from plait.types import Wave

HERE = Path()
RGB, PNG = picture(6, 9), encoded(picture(6, 9))
WAV = sounded(tone(), subtype="FLOAT")


def read(kind: str, value: Any, folder: Path = HERE) -> Any:
    raw = modality(kind).load(value, folder)
    return None if raw is None else modality(kind).read(raw)


def text(raw: bytes, before: str = "", width: int = 0) -> str:
    letters = base64.b64encode(raw).decode()
    return before + ("\r\n".join(letters[i : i + width] for i in range(0, len(letters), width)) if width else letters)


WHOLE: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "base64": text,
    "base64 in lines": lambda raw: text(raw, width=76) + "\n",
    "data URL": lambda raw: text(raw, "data:image/png;base64,"),
    "bare data URL": lambda raw: text(raw, "data:;base64,"),
    "data URL with charset": lambda raw: text(raw, " DATA:image/png;charset=utf-8;BASE64,"),
    "dict": lambda raw: {"bytes": raw, "path": None},
    "dict with a name": lambda raw: {"bytes": raw, "path": "gone.png"},
    "dict of base64": lambda raw: {"bytes": text(raw)},
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_cell_may_hold_the_file_itself(case: str) -> None:
    assert modality("image").load(WHOLE[case](PNG), HERE) == PNG
    assert np.array_equal(read("image", WHOLE[case](PNG)), RGB)
    assert np.array_equal(read("audio", WHOLE[case](WAV)).samples, tone())


def test_a_dict_without_bytes_is_its_path(write: Callable[..., Path], tmp_path: Path) -> None:
    write("x.png", PNG)
    for cell in ({"bytes": None, "path": "x.png"}, {"path": "x.png"}, {"path": tmp_path / "x.png", "bytes": None}):
        assert np.array_equal(read("image", cell, tmp_path), RGB)
    assert read("image", {"bytes": None, "path": None}) is None


GREY = RGB[..., 0]
ALPHA = np.concatenate([RGB, np.full((6, 9, 1), 255, np.uint8)], 2)
ARRAYS: dict[str, tuple[Any, np.ndarray]] = {
    "HWC": (RGB, RGB),
    "CHW": (RGB.transpose(2, 0, 1), RGB),
    "Fortran order": (np.asfortranarray(RGB), RGB),
    "every second pixel": (np.repeat(RGB, 2, 1)[:, ::2], RGB),
    "RGBA": (ALPHA, RGB),
    "RGBA first": (ALPHA.transpose(2, 0, 1), RGB),
    "HW": (GREY, np.stack([GREY] * 3, 2)),
    "HW1": (GREY[..., None], np.stack([GREY] * 3, 2)),
    "1HW": (GREY[None], np.stack([GREY] * 3, 2)),
    "truth": (GREY > 99, np.stack([(GREY > 99) * np.uint8(255)] * 3, 2)),
    "float32": ((RGB / 255).astype(np.float32), RGB),
    "float64": (RGB / 255, RGB),
    "float16": ((RGB > 99).astype(np.float16), (RGB > 99) * np.uint8(255)),
    "float CHW": ((RGB / 255).transpose(2, 0, 1), RGB),
    "uint16": (RGB.astype(np.uint16) * 257, RGB),
    "tensor": (torch.from_numpy(RGB.copy()).permute(2, 0, 1) / 255, RGB),
    "see-through": (ALPHA * np.array([1, 1, 1, 0], np.uint8), np.full((6, 9, 3), 255, np.uint8)),
    "Pillow": (Pillow.fromarray(RGB), RGB),
    "Pillow file": (Pillow.open(io.BytesIO(PNG)), RGB),
    "Pillow grey": (Pillow.fromarray(GREY), np.stack([GREY] * 3, 2)),
    "Pillow HSV": (Pillow.new("HSV", (9, 6), (0, 255, 255)), np.zeros((6, 9, 3), np.uint8) + np.uint8([255, 0, 0])),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_a_cell_may_hold_an_array_or_a_picture_of_pillow(case: str) -> None:
    given, expected = ARRAYS[case]
    cell = read("image", given)
    assert cell.dtype == np.uint8 and np.array_equal(cell, expected)
    assert modality("image").load(given, HERE) == modality("image").load(given, HERE)


@pytest.mark.parametrize(
    "value, said",
    [
        (RGB.astype(np.int64), r"found an array of int64 \(6, 9, 3\), expected uint8"),
        (RGB.astype(np.float32), r"found floats of \S+ to 2\d\d, expected 0 to 1, or uint8"),
        (RGB / 255 - 0.5, r"found floats of -0\.\d+ to"),
        (np.where(RGB > 99, np.nan, 0.5), "not finite"),
        (np.zeros((5, 6, 7), np.uint8), r"found an array of uint8 \(5, 6, 7\), expected"),
        (np.zeros(9, np.uint8), "expected"),
        (np.zeros((2, 6, 9, 3), np.uint8), "expected"),
        (np.zeros((0, 9, 3), np.uint8), "expected"),
        (np.zeros((6, 9), complex), "found an array of complex128, expected"),
        (np.array([["a", "b"]]), "found an array of <U1, expected"),
        (np.array([[{}, "b"]]), "found an array of object, expected"),
        (np.broadcast_to(np.uint8(0), (8000, 8000)), "is 8000 x 8000 pixels"),
        (torch.zeros(3, 4, 4, requires_grad=True), "found a Tensor that is no plain array"),
        (Pillow.new("1", (8000, 8000)), "is 8000 x 8000 pixels"),
    ],
    ids=lambda v: v[:20] if isinstance(v, str) else "",
)
def test_other_arrays_are_refused_with_what_was_expected(value: Any, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        read("image", value)


def test_an_npy_file_is_a_picture_too_but_never_runs_code(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", RGB)
    assert np.array_equal(read("image", "x.npy", tmp_path), RGB)
    np.save(tmp_path / "o.npy", np.array([print], dtype=object), allow_pickle=True)
    good = (tmp_path / "x.npy").read_bytes()
    huge = good.replace(b"(6, 9, 3)", b"(9**9,9, 3)".ljust(9))
    for raw in ((tmp_path / "o.npy").read_bytes(), good[:-1], good[:20], huge, b"\x93NUMPY"):
        with pytest.raises(MediaError, match=r"a damaged NumPy array|a NumPy array that is damaged"):
            modality("image").read(raw)


def test_one_object_of_pillow_in_many_rows_is_loaded_by_one_thread_at_a_time() -> None:
    raw = encoded(picture(300, 400), "JPEG")
    one, inside, most, meet = Pillow.open(io.BytesIO(raw)), [0], [0], threading.Barrier(4)
    own = one.load

    def watched() -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        found = own()
        inside[0] -= 1
        return found

    one.load = watched  # type: ignore[method-assign]

    def load(_: int) -> np.ndarray:
        meet.wait()
        return read("image", one)

    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(cell, modality("image").read(raw)) for cell in pool.map(load, range(4)))
    assert most == [1]


STEREO = np.stack([tone(), tone() / 2], 1)
SOUNDS: dict[str, tuple[Any, np.ndarray]] = {
    "dict": ({"array": tone(), "sampling_rate": 16_000}, tone()),
    "Hugging Face": ({"path": None, "array": tone().astype(np.float64), "sampling_rate": 16_000}, tone()),
    "tuple": ((tone(), 16_000), tone()),
    "list": ([tone(), np.int64(16_000)], tone()),
    "Wave": (Wave(tone(), 16_000), tone()),
    "time first": ((STEREO, 16_000.0), STEREO.mean(1)),
    "channels first": ((STEREO.T, 16_000), STEREO.mean(1)),
    "int16": ((np.int16([16384, -32768]), 16_000), np.float32([0.5, -1])),
    "int32": ((np.int32([2**30, -(2**31)]), 16_000), np.float32([0.5, -1])),
    "uint8": ((np.uint8([192, 0]), 16_000), np.float32([0.5, -1])),
    "tensor": ((torch.from_numpy(tone()), 16_000), tone()),
}


@pytest.mark.parametrize("case", SOUNDS)
def test_a_cell_may_hold_samples_and_their_rate(case: str) -> None:
    given, expected = SOUNDS[case]
    wave = read("audio", given)
    assert wave.rate == 16_000 and wave.samples.dtype == np.float32
    np.testing.assert_allclose(wave.samples, expected, atol=1e-7)


@pytest.mark.parametrize(
    "value, said",
    [
        (tone(), r'found an array without a sample rate, expected {"array"'),
        ({"array": tone()}, "without a sample rate"),
        ({"array": tone(), "sampling_rate": None}, "without a sample rate"),
        ((tone(), "fast"), "sample rate of fast"),
        ((tone(), 0.5), "sample rate of 0.5"),
        ((tone(), True), "sample rate of True"),
        ((tone(), 16), "sample rate of 16 Hz, expected 4000 to 384000"),
        ((16_000, tone()), "found a tuple"),
        ((tone().astype(np.int64), 16_000), "found samples of int64"),
        ((np.zeros((2, 2, 2)), 16_000), r"shape \(2, 2, 2\)"),
        ((np.zeros(0), 16_000), "no samples"),
        ((np.full(9, np.nan), 16_000), "not finite"),
        ((np.array(["a"]), 16_000), "found an array of <U1"),
    ],
    ids=str,
)
def test_other_samples_are_refused_with_what_was_expected(value: Any, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        read("audio", value)


CLAIMS: dict[str, tuple[str, Any]] = {
    "pictures": ("image", PNG),
    "JPEGs": ("image", encoded(RGB, "JPEG")),
    "base64 pictures": ("image", text(PNG)),
    "picture URLs": ("image", text(PNG, "data:image/png;base64,")),
    "picture dicts": ("image", {"bytes": PNG, "path": None}),
    "picture paths in dicts": ("image", {"bytes": None, "path": "x.jpg"}),
    "picture arrays": ("image", RGB),
    "objects of Pillow": ("image", Pillow.fromarray(RGB)),
    "sounds": ("audio", WAV),
    "base64 sounds": ("audio", text(WAV)),
    "MP3s": ("audio", sounded(tone(), kind="MP3")),
    "sound dicts": ("audio", {"bytes": WAV, "path": "x"}),
    "samples": ("audio", {"array": tone(), "sampling_rate": 16_000}),
    "pairs": ("audio", (tone(), 16_000)),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_column_is_told_by_what_its_cells_hold(case: str) -> None:
    kind, value = CLAIMS[case]
    rows = [{"x": value if i else None, "y": "ab"[i % 2]} for i in range(12)]
    column = next(c for c in infer(read_table(rows), targets=["y"]).columns if c.name == "x")
    assert column.modality == kind, column
    assert "sampled values" in column.reason


@pytest.mark.parametrize(
    "value",
    ["iVBORw0KGgo", "A" * 64, "words " * 20, text(b"hello " * 20), b"\0" * 40, np.arange(5), {"a": 1}],
    ids=repr,
)
def test_what_begins_like_nothing_is_not_claimed(value: Any) -> None:
    assert modality("image").claim([value] * 5, target=False) is None
    assert modality("audio").claim([value] * 5, target=False) is None


@pytest.mark.parametrize(
    "value, said",
    [
        (text(PNG)[:-3], "damaged base64"),
        (text(PNG)[:50] + "*" + text(PNG)[50:], "damaged base64"),
        ("data:image/png;base64,***", "damaged base64"),
        ("data:image/png;base64,", "0 bytes"),
        ("data:image/png,%89PNG", "is a data: URL that is not base64"),
        ("data:image", "not whole"),
        (text(b"hello " * 900), "too long"),
    ],
)
def test_damaged_base64_text_is_refused(value: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=said):
        load_file(value, tmp_path, "a picture")


@pytest.mark.parametrize("name", ["iVBORw0KGgoAAAANSUhEUgAAAAkAAAAGCAIAAACepSOSAAAAnUlEQVR4.png", "R0lGODlh" * 6])
def test_a_path_that_looks_like_base64_is_a_path(name: str, write: Callable[..., Path], tmp_path: Path) -> None:
    if "." in name:
        write(name, b"data")
        assert load_file(name, tmp_path, "a picture") == b"data"
    else:
        assert load_file(name, tmp_path, "a picture") == base64.b64decode(name)


@pytest.mark.parametrize(
    "stored, written",
    [
        ("a b/é.png", "a%20b/%C3%A9.png"),
        ("100%.png", "100%.png"),
        ("%20.png", "%20.png"),
        ("a/b/x.png", r"a\b\x.png"),
        ("a b/x.png", r"a%20b\x.png"),
        ("x.png ", "x.png "),
        ("x.png", " x.png\t\r"),
        ("e\u0301.png", "é.png"),
        ("é.png", "e\u0301.png"),
        ("data:x/y.png", "./data:x/y.png"),
    ],
    ids=ascii,
)
def test_paths_are_read_as_they_were_meant(
    stored: str, written: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    write(stored, b"data")
    assert load_file(written, tmp_path, "a picture") == b"data"


def test_what_is_written_goes_before_what_may_be_meant(write: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("a%20b.png", "a b.png", r"c\d.png", "c/d.png", "~/x.png"):
        write(name, name.encode())
        assert load_file(name, tmp_path, "a picture") == name.encode()


def test_a_tilde_is_the_home_of_the_user(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("home/x.png", b"data")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load_file("~/x.png", tmp_path, "a picture") == b"data"


@pytest.mark.parametrize("asked", ["photos/CAT.jpg", "Photos/cat.JPG", "PHOTOS/cat.jpg", r"photos\CAT.JPG"])
def test_the_right_name_is_suggested_where_only_capitals_differ(
    asked: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    write("Photos/Cat.jpg", b"data")
    with pytest.raises(MediaError, match=r"no such file; did you mean 'Photos/Cat\.jpg'"):
        load_file(asked, tmp_path, "a picture")
    with pytest.raises(MediaError, match=f"did you mean '{tmp_path}/Photos/Cat.jpg'"):
        load_file(f"{tmp_path}/photos/cat.jpg", tmp_path / "x", "a picture")


def test_the_folder_is_suggested_where_the_file_lies_in_the_working_one(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("x.png", b"data")
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MediaError, match=r"in the working directory: did you mean base='\.'"):
        load_file("x.png", tmp_path / "tables", "a picture")
    with pytest.raises(MediaError, match="drive of Windows"):
        load_file(r"C:\photos\x.png", tmp_path, "a picture")


def test_file_urls_are_read_where_they_are_allowed(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = write("a b.png", b"data").as_uri()
    assert "%20" in url
    with pytest.raises(MediaError, match="PLAIT_ALLOW_FILE_URLS"):
        load_file(url, tmp_path, "a picture")
    monkeypatch.setenv("PLAIT_ALLOW_FILE_URLS", "1")
    assert load_file(url, tmp_path, "a picture") == b"data"
    for other in ("file://host/x.png", "https://host/x.png"):
        with pytest.raises(MediaError, match="is a"):
            load_file(other, tmp_path, "a picture")


def test_a_path_costs_hardly_more_than_reading_its_file(write: Callable[..., Path], tmp_path: Path) -> None:
    path = str(write("x.png", b"data" * 1000))
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(300):
        began = time.thread_time()
        descriptor = os.open(path, os.O_RDONLY)
        os.read(descriptor, os.fstat(descriptor).st_size)
        os.close(descriptor)
        middle = time.thread_time()
        load_file("x.png", tmp_path, "a picture")
        times["plain"].append(middle - began)
        times["ours"].append(time.thread_time() - middle)
    assert np.median(times["ours"]) < np.median(times["plain"]) + 100e-6


def test_pictures_that_are_equal_are_prepared_once(tmp_path: Path) -> None:
    from plait.data.store import Store
    from plait.encoders import DEFAULTS, ENCODERS
    from plait.preparation import prepare
    from plait.progress import Progress

    encoder, ledger = ENCODERS.build(ENCODERS.complete(DEFAULTS["image"], [])), Ledger()
    table = read_table([{"x": v} for v in (RGB, RGB.copy(), Pillow.fromarray(RGB), PNG, text(PNG), None)])
    cells = prepare(table, {"x": encoder}, store=Store(tmp_path), ledger=ledger, progress=Progress(quiet=True))["x"]
    assert cells.places.tolist() == [0, 0, 0, 1, 1, -1] and not ledger.bad
