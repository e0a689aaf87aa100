"""From a cell to the bytes of its file: regular local files only, with a reason for everything else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plait.errors import MediaError
from plait.modalities.base import load_file, missing, quiet
from plait.reading import mapped


def test_relative_and_absolute_paths_with_loose_spaces(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("a b/x.png", b"data")
    for value in ("a b/x.png", " a b/x.png\r", str(path), path, Path("a b/x.png"), "./a b/../a b/x.png"):
        assert load_file(value, tmp_path, "a picture") == b"data"


@pytest.mark.parametrize("value", [None, float("nan"), "", "  ", "\r\n"], ids=repr)
def test_empty_cells_are_missing(value: Any, tmp_path: Path) -> None:
    assert load_file(value, tmp_path, "a picture") is None


@pytest.mark.parametrize(
    "value, said",
    [
        ("no.png", "no such file .relative paths are taken from"),
        ("x.png/y.png", "Not a directory"),
        (".", "is a folder, not a regular file"),
        ("empty.png", "0 bytes"),
        ("/dev/zero", "is a device, not a regular file"),
        ("/proc/self/environ", "not a regular file"),
        ("/dev/stdin", "."),
        ("fifo", "is a pipe, not a regular file"),
        ("loop", "symbolic links"),
        ("dangling", "no such file"),
        ("https://host/x.png", "is a URL"),
        ("s3://bucket/x.png", "is a URL"),
        ("a\0.png", "NUL"),
        ("\ud800.png", "surrogate"),
        ("x" * 5000, "too long"),
        ("file:///x.png", "is a URL .file://.: .*PLAIT_ALLOW_FILE_URLS=1"),
        ("gopher://x", "is a URL"),
        (3, "found a int, expected the path, bytes or base64 text of a picture"),
        (b"", "0 bytes"),
        ({"bytes": b""}, "0 bytes"),
        ({"x": 1}, "found a dict of x, expected bytes or path"),
        ({}, "found a dict of nothing"),
        (["x.png"], "found a list"),
    ],
    ids=lambda v: ascii(v)[:20],
)
def test_what_is_no_regular_file_is_refused_at_once(
    value: Any, said: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    write("x.png", b"data")
    write("empty.png", b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    began = time.monotonic()
    with pytest.raises(MediaError, match=said):
        load_file(value, tmp_path, "a picture")
    assert time.monotonic() - began < 1


def test_a_link_to_a_regular_file_is_followed(write: Callable[..., Path], tmp_path: Path) -> None:
    write("x.png", b"data")
    (tmp_path / "link").symlink_to("x.png")
    assert load_file("link", tmp_path, "a picture") == b"data"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    write("x.png", b"data").chmod(0)
    with pytest.raises(MediaError, match="Permission denied"):
        load_file("x.png", tmp_path, "a picture")


def test_a_file_that_is_too_large_is_refused(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "MAX_FILE_BYTES", 2**20)
    write("fits.png", b"x" * 2**20)
    write("large.png", b"x" * (2**20 + 1))
    assert len(load_file("fits.png", tmp_path, "a picture") or b"") == 2**20
    with pytest.raises(MediaError, match="larger than 1 MB"):
        load_file("large.png", tmp_path, "a picture")


@pytest.mark.parametrize(
    "value", [0, 0.0, False, "", "nan", "None", [], float("inf"), object()], ids=lambda v: repr(v)[:15]
)
def test_what_looks_empty_is_not_missing(value: Any) -> None:
    assert not missing(value)


def test_being_quiet_in_many_threads_leaves_warnings_as_they_were() -> None:
    import warnings

    before = list(warnings.filters)
    meet = threading.Barrier(2)

    def overlap(first: bool) -> None:
        """The first enters first and leaves first: with `catch_warnings` alone its filter would stay."""
        if not first:
            meet.wait()
        with quiet():
            if first:
                meet.wait()
                time.sleep(0.02)
            else:
                time.sleep(0.06)
            warnings.warn("not to be heard", stacklevel=1)

    threads = [threading.Thread(target=overlap, args=(f,)) for f in (True, False)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard again", stacklevel=1)
