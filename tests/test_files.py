"""Folders written whole or not at all, and read only as they were written."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from plait import files, moves
from plait.errors import DiskFullError, ModelFormatError, OutputError
from plait.files import MANIFEST, check_writable, read_set, write_set

CONTENTS = {"a.json": b"{}", "deep/er/b.bin": bytes(range(256)), "empty": b"", "ü番茄.txt": b"x"}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_set(tmp_path / "m" / "n", CONTENTS)
    assert read_set(tmp_path / "m" / "n") == CONTENTS
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["n"]


def test_equal_contents_give_equal_bytes(tmp_path: Path) -> None:
    write_set(tmp_path / "a", CONTENTS)
    write_set(tmp_path / "b", dict(reversed(CONTENTS.items())))
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_nothing_is_replaced_unless_it_is_allowed(tmp_path: Path) -> None:
    write_set(tmp_path / "m", CONTENTS)
    with pytest.raises(OutputError, match="exists already"):
        write_set(tmp_path / "m", {"a.json": b"new"})
    assert read_set(tmp_path / "m") == CONTENTS
    write_set(tmp_path / "m", {"a.json": b"new"}, replace=True)
    assert read_set(tmp_path / "m") == {"a.json": b"new"}
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


STEPS = ["mkdir", "write", "sync", "exchange", "rename 1", "rename 2"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "kill"])
def test_a_failure_at_any_step_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    write_set(tmp_path / "m", CONTENTS)
    rename, renames = os.rename, iter(range(1, 9))

    def fail(*_: object, **__: object) -> None:
        raise error

    def fail_at(a: Path, b: Path) -> None:
        if f"rename {next(renames)}" == step:
            raise error
        rename(a, b)

    with monkeypatch.context() as patched:
        if step == "mkdir":
            patched.setattr(Path, "mkdir", fail)
        elif step == "write":
            patched.setattr(files, "_write", fail)
        elif step == "sync":
            patched.setattr(files, "_sync_folder", fail)
        elif step == "exchange":
            patched.setattr(moves, "_exchange", fail)
        else:
            patched.setattr(moves, "_exchange", lambda *_: False)
            patched.setattr(moves.os, "rename", fail_at)
        with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt, match=r"No space|^$"):
            write_set(tmp_path / "m", {"a.json": b"new"}, replace=True)
    assert read_set(tmp_path / "m") == CONTENTS
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_full_disk_says_what_is_needed_and_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write", fail)
    with pytest.raises(DiskFullError) as found:
        write_set(tmp_path / "m", CONTENTS)
    assert found.value.path == str(tmp_path / "m") and found.value.needed == 259
    assert found.value.free == pytest.approx(os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize, rel=0.1)
    assert "needs 259 bytes" in str(found.value) and str(tmp_path / "m") in str(found.value)


def leave(place: Path, kind: str, process: int) -> Path:
    """What a process that was killed leaves, or one that lives has."""
    left = place.with_name(f".{place.name}.{process}.0123abcd.{kind}")
    write_set(left, {"a.json": b"left"})
    return left


DEAD = 2**22 + 1  # above the largest process number of Linux


def test_what_dead_processes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    write_set(tmp_path / "m", CONTENTS)
    dead = [leave(tmp_path / "m", kind, DEAD) for kind in ("part", "old", "probe")]
    living, other = leave(tmp_path / "m", "part", os.getppid()), leave(tmp_path / "mm", "part", DEAD)
    mine = tmp_path / ".m.notes.old"
    mine.write_text("mine")
    used = leave(tmp_path / "n", "part", DEAD)
    with moves.held(used):
        check_writable(tmp_path / "n")
        assert used.exists(), "another machine is at it"
    check_writable(tmp_path / "m", replace=True)
    assert not any(path.exists() for path in dead)
    assert living.exists() and other.exists() and mine.read_text() == "mine" and read_set(tmp_path / "m") == CONTENTS


def test_a_replacement_killed_between_its_two_steps_leaves_the_old_folder(tmp_path: Path) -> None:
    for act in (read_set, lambda place: check_writable(place, replace=True)):
        left = leave(tmp_path / "m", "old", DEAD)
        act(tmp_path / "m")
        assert read_set(tmp_path / "m") == {"a.json": b"left"} and not left.exists()
        shutil.rmtree(tmp_path / "m")


def test_a_folder_replaced_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "m", CONTENTS)
    real, reads = files._content, [0]

    def slow(descriptor: int, name: str, *rest: str) -> bytes:
        reads[0] += 1
        if reads[0] == 2:  # after the manifest of the old one
            write_set(tmp_path / "m", {"a.json": b"new"}, replace=True)
        return real(descriptor, name, *rest)

    monkeypatch.setattr(files, "_content", slow)
    assert read_set(tmp_path / "m") == {"a.json": b"new"}


def damage_tree(folder: Path, how: str) -> None:
    manifest, victim = folder / MANIFEST, folder / "deep/er/b.bin"
    hashes = json.loads(manifest.read_text("utf-8"))
    if how == "bit":
        victim.write_bytes(b"\1" + victim.read_bytes()[1:])
    elif how == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif how == "gone":
        victim.unlink()
    elif how == "folder":
        victim.unlink()
        victim.mkdir()
    elif how == "link":
        victim.rename(folder / "elsewhere")
        victim.symlink_to(folder / "elsewhere")
    elif how == "link above":
        (folder / "deep").rename(folder / "elsewhere")
        (folder / "deep").symlink_to(folder / "elsewhere")
    elif how == "hard link":
        os.link(victim, folder / "elsewhere")
    elif how == "pipe":
        victim.unlink()
        os.mkfifo(victim)
    elif how == "no manifest":
        manifest.unlink()
    elif how == "fewer files":
        del hashes["sha256"]["empty"]
        manifest.write_text(json.dumps(hashes))
    else:
        manifest.write_text(how)


MANIFESTS = [
    "",
    "{",
    "[]",
    "3",
    "null",
    "{}",
    '{"sha256": []}',
    '{"sha256": ["a.json"]}',
    '{"sha256": 3}',
    '{"sha256": {"a.json": 3}}',
    '{"sha256": {"../x": "00"}}',
    '{"sha256": {"/etc/hostname": "00"}}',
    '{"sha256": {"a\\u0000": "00"}}',
    '{"sha256": {"\\ud800": "00"}}',
    '{"sha256": {"": "00"}}',
    '{"sha256": {".": "00"}}',
    "[" * 100_000,
    "\udcff",
]


BROKEN_FILES = ["bit", "cut", "gone", "folder", "link", "link above", "hard link", "pipe"]


@pytest.mark.parametrize("how", [*BROKEN_FILES, "no manifest", "fewer files", *MANIFESTS], ids=lambda h: ascii(h[:30]))
def test_a_changed_folder_is_refused(tmp_path: Path, how: str) -> None:
    write_set(tmp_path / "m", CONTENTS)
    if how == "\udcff":
        (tmp_path / "m" / MANIFEST).write_bytes(b"\xff\xfe{")
    else:
        damage_tree(tmp_path / "m", how)
    with pytest.raises(ModelFormatError, match=r"b\.bin" if how in BROKEN_FILES else rf"{MANIFEST}|not a regular file"):
        read_set(tmp_path / "m")


def test_a_file_beside_the_set_is_not_read(tmp_path: Path) -> None:
    write_set(tmp_path / "m", CONTENTS)
    (tmp_path / "m" / "evil.pkl").write_bytes(b"x")
    assert read_set(tmp_path / "m") == CONTENTS


@pytest.mark.parametrize("what", ["nothing", "file", "folder"])
def test_what_is_no_set_is_refused(tmp_path: Path, what: str) -> None:
    if what == "file":
        (tmp_path / "m").write_text("x")
    elif what == "folder":
        (tmp_path / "m").mkdir()
    with pytest.raises(ModelFormatError, match="not a folder that plait has written"):
        read_set(tmp_path / "m")


def test_a_place_is_checked_before_any_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep")
    assert list((tmp_path / "new").iterdir()) == [] if (tmp_path / "new").exists() else True
    write_set(tmp_path / "m", CONTENTS)
    with pytest.raises(OutputError, match="overwrite=True"):
        check_writable(tmp_path / "m")
    check_writable(tmp_path / "m", replace=True)
    (tmp_path / "photos").mkdir()
    with pytest.raises(OutputError, match="was not written by plait"):
        check_writable(tmp_path / "photos", replace=True)
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "m", Path("/proc/m")):
        with pytest.raises(OutputError, match="Cannot write"):
            check_writable(place)
        with pytest.raises(OutputError, match="Cannot write"):
            write_set(place, CONTENTS)
