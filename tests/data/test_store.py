"""The store of prepared cells: whole or not there, found by content, repaired, bounded."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from plait.data import store as module
from plait.data.store import FEW, Shelf, Store, cache_folder, cache_limit
from plait.errors import OutputError, PlaitError
from plait.types import Prepared


def key(i: int) -> bytes:
    return i.to_bytes(16, "big")


def cell(i: int) -> Prepared:
    """Two fields, one of a length of its own."""
    return {"pixels": np.full((1, 2, 2), i, np.uint8), "a.b": np.arange(i + 1, dtype=np.float32)}


def same(a: Prepared, b: Prepared) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def filled(root: Path, *packs: list[int]) -> Shelf:
    shelf = Store(root).shelf("f")
    for pack in packs:
        shelf.add([key(i) for i in pack], [cell(i) for i in pack])
    return shelf


def test_what_was_put_comes_back_now_and_after_opening_again(tmp_path: Path) -> None:
    for shelf in (filled(tmp_path, [3, 1], [2]), Shelf(tmp_path / "f")):
        assert len(shelf) == 3 and all(key(i) in shelf and same(shelf.get(key(i)), cell(i)) for i in (1, 2, 3))
        assert key(4) not in shelf
        with pytest.raises(KeyError):
            shelf.get(key(4))


def test_cells_are_read_from_the_disk_and_cannot_be_changed(tmp_path: Path) -> None:
    values = filled(tmp_path, [1, 2]).get(key(2))["pixels"]
    with pytest.raises(ValueError, match="read-only"):
        values[:] = 0
    assert isinstance(values.base, np.memmap) or isinstance(getattr(values.base, "base", None), np.memmap)


def test_adding_nothing_writes_nothing(tmp_path: Path) -> None:
    filled(tmp_path, [])
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["used"]


def test_a_pack_that_failed_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, save = filled(tmp_path, [1]), np.save
    calls = iter(range(9))

    def full(path: Path, values: np.ndarray) -> None:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        save(path, values)

    monkeypatch.setattr(module.np, "save", full)
    with pytest.raises(OutputError, match=r"No space left on device.*PLAIT_CACHE"):
        shelf.add([key(2)], [cell(2)])
    monkeypatch.undo()
    assert key(2) not in shelf and len(list((tmp_path / "f").iterdir())) == 2
    shelf.add([key(2)], [cell(2)])
    assert same(Shelf(tmp_path / "f").get(key(2)), cell(2))


def test_a_leftover_of_a_killed_process_is_ignored(tmp_path: Path) -> None:
    filled(tmp_path, [1])
    part = tmp_path / "f" / "part-0"
    part.mkdir()
    (part / "keys.npy").write_bytes(b"half")
    assert len(Shelf(tmp_path / "f")) == 1


@pytest.mark.parametrize("name", ["keys.npy", "pixels.npy", "a.b.npy", "a.b.offsets.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "short", "nonsense", "pickle"])
def test_a_damaged_pack_is_forgotten_and_the_others_stay(tmp_path: Path, name: str, damage: str) -> None:
    filled(tmp_path, [1], [2])
    bad = sorted((tmp_path / "f").glob("pack-*"))[0] / name
    if damage == "gone":
        bad.unlink()
    elif damage == "short":
        np.save(bad, np.load(bad)[:-1])
    elif damage == "pickle":
        np.save(bad, np.array([print], dtype=object), allow_pickle=True)
    else:
        bad.write_bytes({"empty": b"", "cut": bad.read_bytes()[:-1], "nonsense": b"x" * 300}[damage])
    shelf = Shelf(tmp_path / "f")
    assert key(1) not in shelf and same(shelf.get(key(2)), cell(2))
    shelf.add([key(1)], [cell(1)])
    assert len(Shelf(tmp_path / "f")) == 2 and len(list((tmp_path / "f").glob("pack-*"))) == 2


def test_two_writers_do_not_disturb_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: filled(tmp_path, [i, i + 1]), range(12)))
    shelf = Shelf(tmp_path / "f")
    assert len(shelf) == 13 and all(same(shelf.get(key(i)), cell(i)) for i in range(13))


def shelves(root: Path, ages: dict[str, int]) -> Store:
    """Shelves of about 1 MB each, used so many seconds after each other."""
    store = Store(root, limit=0)
    for name, age in ages.items():
        store.shelf(name).add([key(0)], [{"x": np.zeros(10**6, np.uint8)}])
        os.utime(root / name / "used", (age, age))
    return store


def test_trimming_forgets_what_was_used_longest_ago(tmp_path: Path) -> None:
    store = shelves(tmp_path, {"new": 300, "old": 100, "middle": 200})
    sizes = store.sizes()
    assert list(sizes) == ["old", "middle", "new"] and all(10**6 < s < 1.01 * 10**6 for s in sizes.values())
    store.limit = 2 * 10**6 + 10**5
    assert store.trim() == sizes["old"] and list(store.sizes()) == ["middle", "new"]
    assert store.trim() == 0
    store.shelf("middle")  # used now
    store.limit = 10**6 + 10**5
    assert store.trim() == sizes["new"] and list(store.sizes()) == ["middle"]


def test_trimming_never_forgets_what_is_to_be_kept(tmp_path: Path) -> None:
    store = shelves(tmp_path, {"a": 100, "b": 200, "c": 300})
    open_cell = store.shelf("b").get(key(0))["x"]
    os.utime(tmp_path / "b" / "used", (200, 200))
    store.trim(keep={"a": store.shelf("a").packs([key(0)])})
    assert list(store.sizes()) == ["a"] and key(0) in store.shelf("a")
    assert open_cell.sum() == 0  # open memory maps stay readable


def test_trimming_forgets_the_oldest_packs_of_a_shelf_in_use(tmp_path: Path) -> None:
    store = Store(tmp_path, limit=2 * 10**6 + 10**5)
    shelf = store.shelf("a")
    for i in range(4):
        shelf.add([key(i)], [{"x": np.full(10**6, i, np.uint8)}])
    store.trim(keep={"a": shelf.packs([key(0)])})
    left = store.shelf("a")
    assert [i for i in range(4) if key(i) in left] == [0, 3]  # 0 is in use, 1 and 2 are the oldest
    assert shelf.get(key(1))["x"].sum() == 10**6  # open memory maps stay readable


def test_many_small_packs_become_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "f")
    for i in range(FEW + 1):
        shelf.add([key(i)], [cell(i)], {key(i): ["odd"]} if i == 3 else {})
    assert len(list((tmp_path / "f").glob("pack-*"))) == FEW + 1
    tidied = Shelf(tmp_path / "f")
    assert len(list((tmp_path / "f").glob("pack-*"))) == 1
    for found in (shelf, tidied, Shelf(tmp_path / "f")):  # who has the old ones open can go on reading
        assert len(found) == FEW + 1 and all(same(found.get(key(i)), cell(i)) for i in range(FEW + 1))
    assert Shelf(tmp_path / "f").remarks(key(3)) == ("odd",) and Shelf(tmp_path / "f").remarks(key(4)) == ()


def test_clearing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    store = shelves(tmp_path, {"a": 100, "b": 200})
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").touch()
    (tmp_path / "note.txt").touch()
    assert store.clear() > 2 * 10**6 and store.sizes() == {}
    assert {p.name for p in tmp_path.iterdir()} == {"photos", "note.txt"}
    assert Store(tmp_path / "none").sizes() == {} and Store(tmp_path / "none").clear() == 0


def test_files_that_vanish_while_they_are_counted_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, walk = shelves(tmp_path, {"a": 100}), os.walk
    monkeypatch.setattr(module.os, "walk", lambda p: ((d, f, [*n, "gone"]) for d, f, n in walk(p)))
    assert store.sizes()["a"] > 10**6


def test_where_and_how_much_is_said_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == Path(os.environ["PLAIT_CACHE"]) and cache_limit() == 20 * 2**30
    monkeypatch.setenv("PLAIT_CACHE_LIMIT", "0.5")
    assert cache_limit() == 2**29
    monkeypatch.setenv("PLAIT_CACHE_LIMIT", "much")
    with pytest.raises(PlaitError, match="'much'; expected a number of GiB"):
        cache_limit()
    monkeypatch.delenv("PLAIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "plait"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Set PLAIT_CACHE"):
        Store(tmp_path / "file").shelf("f")
