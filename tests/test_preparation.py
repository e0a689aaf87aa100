"""From columns to prepared cells: each once, each in its row, every bad one in the ledger, and no file opened later."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from plait import preparation
from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import Table, read_table
from plait.encoders import DEFAULTS, ENCODERS
from plait.encoders.base import Encoder
from plait.modalities import modality
from plait.preparation import ColumnCells, Dataset, fingerprint, prepare, read_cells, read_labels
from plait.progress import Progress
from plait.reading import mapped
from plait.types import Inputs, Prepared, Tokens
from tests import toy
from tests.conftest import encoded, picture, sounded, tone

QUIET = Progress(quiet=True)
KINDS = {"picture": "image", "sound": "audio", "note": "text", "size": "number", "kind": "category", "tags": "labels"}
opened: list[str] | None = None  # the media files opened while this is a list


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if opened is not None and event == "open" and str(args[0]).endswith((".png", ".wav", ".ogg")):
        opened.append(str(args[0]))  # os.open within open tells of itself too, without a mode


sys.addaudithook(_watch)  # cannot be taken away again: hence the flag


class Counting(Encoder):
    """An encoder of pictures that counts, and that may fail."""

    modality, stored = "image", True

    def __init__(self, *, version: int = 0, reading: dict | None = None, fail_at: int | None = None) -> None:
        super().__init__()
        self.width, self.reading, self.preparation = 1, reading or {}, {"version": version}
        self.fail_at, self.cells, self.lock = fail_at, 0, threading.Lock()

    @classmethod
    def learn(cls, cells: Iterable[Any]) -> dict[str, Any]:
        return {}

    def prepare(self, cells: Sequence[Any]) -> list[Prepared]:
        with self.lock:
            self.cells += len(cells)
            if self.fail_at is not None and self.cells > self.fail_at:
                raise RuntimeError("killed")
        return [{"colour": c[0, 0].copy()} for c in cells]

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return {"present": torch.tensor([c is not None for c in cells])}

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        raise NotImplementedError


def colour(i: int) -> list[int]:
    return [i % 256, i // 256, 77]


@pytest.fixture
def colours(write: Callable[..., Path], tmp_path: Path) -> Callable[[int], Table]:
    """colours(n): a table of n pictures, each of a colour of its own."""

    def make(n: int) -> Table:
        for i in range(n):
            write(f"c{i}.png", encoded(np.full((4, 4, 3), colour(i), np.uint8)))
        return read_table([{"picture": f"c{i}.png"} for i in range(n)], base=tmp_path)

    return make


def prepared(
    table: Table, encoder: Encoder | None = None, column: str = "picture", ledger: Ledger | None = None
) -> ColumnCells:
    found = prepare(
        table,
        {column: encoder or Counting()},
        store=Store(),
        ledger=Ledger() if ledger is None else ledger,
        progress=QUIET,
    )
    return found[column]


def seen(cells: ColumnCells, n: int) -> list[list[int] | None]:
    return [None if c is None else c["colour"].tolist() for c in cells.rows(np.arange(n))]


def encoders_for(table: Table) -> dict[str, Encoder]:
    return {c: ENCODERS.build(ENCODERS.complete(DEFAULTS[k], read_cells(table, c, k))) for c, k in KINDS.items()}


def test_every_row_holds_its_own_cell_or_none(media_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(30) % 10  # every row three times
    table = read_table([media_rows[i] for i in order], base=tmp_path)
    encoders, ledger = encoders_for(table), Ledger()
    columns = prepare(table, encoders, store=Store(), ledger=ledger, progress=QUIET)
    assert not len(ledger)
    some = np.random.default_rng(1).permutation(30)
    for column, kind in KINDS.items():
        part, values = modality(kind), table.column(column)
        for row, found in zip(some, columns[column].rows(some)):
            raw = part.load(values[row], tmp_path)
            if raw is None:
                assert found is None and media_rows[order[row]][column] is None
                continue
            expected = encoders[column].prepare([part.read(raw, **encoders[column].reading)])[0]
            assert found is not None and found.keys() == expected.keys()
            assert all(np.array_equal(found[k], expected[k]) for k in expected), (column, row)
    assert ledger.filled == {c: 27 for c in KINDS}


def test_batches_are_of_their_rows_and_open_no_media_file(media_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    global opened
    table = read_table(media_rows, base=tmp_path)
    encoders, label = encoders_for(table), torch.arange(10)
    opened = []
    try:
        data = Dataset(
            prepare(table, encoders, store=Store(), ledger=Ledger(), progress=QUIET), encoders, {"y": label}, 10
        )
        assert len({Path(p).name for p in opened}) == len(opened) == 18  # while preparing, each file once
        opened = []
        for rows in (np.array([3]), np.array([9, 0, 9]), np.arange(10)[::-1].copy()):
            batch = data.batch(rows)
            assert batch["targets"]["y"].tolist() == rows.tolist()
            for column, inputs in batch["inputs"].items():
                here = inputs["present"] if "present" in inputs else inputs["lengths"] > 0
                assert here.tolist() == [media_rows[r][column] is not None for r in rows]
        assert opened == []
    finally:
        opened = None


BROKEN = [b"", b"<html>404", encoded(picture(40, 40), "JPEG")[:200], b"\x89PNG\r\n\x1a\n", None]


def test_the_ledger_holds_all_that_is_broken_and_nothing_else(write: Callable[..., Path], tmp_path: Path) -> None:
    n, generator = 200, np.random.default_rng(0)
    planted = {c: set(generator.choice(n, n // 10, replace=False).tolist()) for c in ("picture", "sound", "size")}
    rows: list[dict[str, Any]] = []
    for i in range(n):
        for column, suffix, good in (
            ("picture", "png", encoded(picture(8, 8, i))),
            ("sound", "wav", sounded(tone(300 + i, 0.05))),
        ):
            content = BROKEN[i % len(BROKEN)] if i in planted[column] else good
            if content is not None:
                write(f"{i}.{suffix}", content)
        rows.append({"picture": f"{i}.png", "sound": f"{i}.wav", "size": "many" if i in planted["size"] else i})
    table, ledger = read_table(rows, base=tmp_path), Ledger()
    encoders = {c: ENCODERS.build(ENCODERS.complete(DEFAULTS[KINDS[c]], [])) for c in planted}
    columns = prepare(table, encoders, store=Store(), ledger=ledger, progress=QUIET)
    for column, bad in planted.items():
        assert {b.row for b in ledger if b.column == column} == bad
        assert {i for i, c in enumerate(columns[column].rows(np.arange(n))) if c is None} == bad
    assert len(ledger) == sum(map(len, planted.values())) and ledger.filled == dict.fromkeys(planted, n)
    assert all(b.reason and b.path == str(rows[b.row][b.column]) for b in ledger)
    again = Ledger()
    prepare(table, encoders, store=Store(), ledger=again, progress=QUIET)
    assert list(again) == list(ledger)


def test_a_bad_value_in_many_rows_is_entered_for_each(colours: Callable[[int], Table], tmp_path: Path) -> None:
    colours(2)
    table = read_table(
        [{"picture": p} for p in ["c0.png", "no.png", None, "no.png", "c1.png", "no.png", "c0.png"]], base=tmp_path
    )
    ledger = Ledger()
    assert seen(prepared(table, ledger=ledger), 7) == [colour(0), None, None, None, colour(1), None, colour(0)]
    assert [(b.row, b.path) for b in ledger] == [(1, "no.png"), (3, "no.png"), (5, "no.png")]
    assert ledger.filled == {"picture": 6}


@pytest.mark.parametrize("n", [0, 1, 40])
def test_each_cell_is_prepared_once_for_all_runs(colours: Callable[[int], Table], n: int, tmp_path: Path) -> None:
    table = colours(n) if n else read_table(pd.DataFrame({"picture": []}), base=tmp_path)
    first, second = Counting(), Counting()
    assert seen(prepared(table, first), n) == [colour(i) for i in range(n)] and first.cells == n
    assert seen(prepared(table, second), n) == [colour(i) for i in range(n)] and second.cells == 0
    repeated = read_table([{"picture": f"c{i % n}.png"} for i in range(3 * n)], base=tmp_path) if n else table
    assert seen(prepared(repeated, second), 3 * n) == [colour(i % n) for i in range(3 * n)] if n else True
    assert second.cells == 0


def test_another_way_of_preparing_has_another_shelf(colours: Callable[[int], Table]) -> None:
    table, variants = colours(3), [Counting(), Counting(version=1), Counting(reading={"enough": 2})]
    assert len({fingerprint("image", v) for v in variants}) == 3
    assert fingerprint("image", Counting()) == fingerprint("image", variants[0])
    for encoder in variants:
        prepared(table, encoder)
        assert encoder.cells == 3
    assert len(Store().sizes()) == 3


def test_equal_bytes_under_two_paths_are_one_cell(
    colours: Callable[[int], Table], write: Callable[..., Path], tmp_path: Path
) -> None:
    colours(2)
    for i in range(40):
        write(f"copy{i}.png", (tmp_path / "c1.png").read_bytes())
    table = read_table(
        [{"picture": p} for p in ["c0.png", "c1.png", *(f"copy{i}.png" for i in range(40))]], base=tmp_path
    )
    encoder = Counting()
    assert seen(prepared(table, encoder), 42) == [colour(0)] + [colour(1)] * 41
    assert len(Store().shelf(fingerprint("image", encoder))) == 2 and encoder.cells == 2


def test_broken_bytes_under_two_paths_are_bad_under_both(write: Callable[..., Path], tmp_path: Path) -> None:
    paths = [str(write(f"{i}.png", b"<html>" if i % 2 else b"broken")) for i in range(60)]
    ledger = Ledger()
    assert seen(prepared(read_table([{"picture": p} for p in paths]), ledger=ledger), 60) == [None] * 60
    assert [(b.row, b.path) for b in ledger] == list(enumerate(paths)) and len({b.reason for b in ledger}) == 2


def test_a_changed_file_is_prepared_anew(colours: Callable[[int], Table], write: Callable[..., Path]) -> None:
    table, encoder = colours(3), Counting()
    before = prepared(table, encoder).digest()
    write("c1.png", encoded(np.full((4, 4, 3), colour(500), np.uint8)))
    after = prepared(table, encoder)
    assert seen(after, 3) == [colour(0), colour(500), colour(2)] and encoder.cells == 4 and after.digest() != before


def test_a_killed_preparation_goes_on_where_its_last_pack_ended(
    colours: Callable[[int], Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "CHUNK", 2)
    monkeypatch.setattr(preparation, "PACK_CELLS", 10)
    monkeypatch.setattr(preparation.os, "cpu_count", lambda: 1)
    table, encoder = colours(60), Counting(fail_at=36)
    with pytest.raises(RuntimeError, match="killed"):
        prepared(table, encoder)
    kept = len(Store().shelf(fingerprint("image", encoder)))
    assert kept == 30  # whole packs; the 6 cells after them are lost
    second = Counting()
    assert seen(prepared(table, second), 60) == [colour(i) for i in range(60)] and second.cells == 60 - kept
    pack = sorted(Store().shelf(fingerprint("image", encoder)).folder.glob("pack-*"))[1]
    (pack / "colour.npy").write_bytes(b"a power cut")
    third = Counting()
    assert seen(prepared(table, third), 60) == [colour(i) for i in range(60)] and 0 < third.cells <= 30


def test_what_is_in_use_is_not_forgotten(colours: Callable[[int], Table], monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(colours(3), Counting(version=1))
    monkeypatch.setenv("PLAIT_CACHE_LIMIT", "0")
    assert seen(prepared(colours(3)), 3) == [colour(i) for i in range(3)]
    assert list(Store().sizes()) == [fingerprint("image", Counting())]


def test_a_digest_tells_contents_and_their_rows(colours: Callable[[int], Table], tmp_path: Path) -> None:
    table = colours(3)
    digest = prepared(table).digest()
    assert prepared(table).digest() == digest
    changed = ([0, 2, 1], [0, 1], [0, 1, 2, 2], [0, 1, None])
    others = [
        prepared(read_table([{"picture": None if i is None else f"c{i}.png"} for i in rows], base=tmp_path)).digest()
        for rows in changed
    ]
    assert len({digest, *others}) == 5
    size = ENCODERS.build({"name": "number_linear"})
    plain = [
        prepared(read_table([{"picture": v} for v in vs]), size).digest()
        for vs in ([1, 2, 3], [1, 2, 3.0], [1, 2, 4], [1, 3, 2], [1, 2, None])
    ]
    assert plain[0] == plain[1] and len(set(plain)) == 4


def test_plain_cells_are_prepared_once_each(tmp_path: Path) -> None:
    given: list[str] = []

    class Listing(Counting):
        modality, stored = "text", False

        def prepare(self, cells: Sequence[Any]) -> list[Prepared]:
            given.extend(cells)
            return [{"n": np.array([len(c)])} for c in cells]

    table = read_table([{"note": v} for v in ["a", "bb", None, "a", "", ["x"], "bb", 1]])
    ledger = Ledger()
    cells = prepared(table, Listing(), "note", ledger)
    assert sorted(given) == ["", "1", "a", "bb"]
    assert [None if c is None else c["n"].tolist()[0] for c in cells.rows(np.arange(8))] == [
        1,
        2,
        None,
        1,
        0,
        None,
        2,
        1,
    ]
    assert [(b.row, b.column) for b in ledger] == [(5, "note")] and ledger.filled == {"note": 7}


def test_cells_are_read_when_asked_for(colours: Callable[[int], Table], tmp_path: Path) -> None:
    global opened
    table = colours(9)
    opened = []
    try:
        cells = iter(read_cells(table, "picture", "image", [7, 2]))
        assert opened == [] and next(cells)[0, 0].tolist() == colour(7) and len(opened) == 1
        assert next(cells)[0, 0].tolist() == colour(2) and len(opened) == 2
    finally:
        opened = None
    mixed = read_table([{"picture": p} for p in ["c0.png", None, "no.png"]], base=tmp_path)
    assert [c is None for c in read_cells(mixed, "picture", "image")] == [False, True, True]


def test_labels_that_cannot_be_read_are_in_the_ledger() -> None:
    ledger = Ledger()
    assert read_labels(read_table([{"y": v} for v in [1, "2.5", None, "much", ""]]), "y", "number", ledger) == [
        1.0,
        2.5,
        None,
        None,
        None,
    ]
    assert [(b.row, b.column, b.path) for b in ledger] == [(3, "y", "much")] and ledger.filled == {"y": 3}


@pytest.mark.parametrize("cells", [1, 2, 3, 16, 17, 33, 600, 952])
@pytest.mark.parametrize(("most", "workers"), [(16, 2), (256, 2), (16, 5), (4, 1)])
def test_cells_are_shared_out_so_that_all_workers_end_together(cells: int, most: int, workers: int) -> None:
    size = preparation._share(cells, most, workers)
    shares = [min(size, cells - first) for first in range(0, cells, size)]
    assert 1 <= size <= most
    busy = [sum(shares[w::workers]) for w in range(workers)]  # turn by turn
    assert max(busy) <= -(-cells // workers) + len(shares) // workers + 1


def test_large_files_of_one_size_are_told_apart(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are mapped, and a map says of itself no more than its length."""
    monkeypatch.setattr(mapped, "HELD_SOUND_BYTES", 1000)
    waves = [sounded(tone(hertz)) for hertz in (300, 600, 300)]
    assert len({len(w) for w in waves}) == 1
    table = read_table([{"sound": write(f"{i}.wav", w).name} for i, w in enumerate(waves)], base=tmp_path)
    encoder = ENCODERS.build(toy.TINY["sound"])
    cells = prepare(table, {"sound": encoder}, store=Store(), ledger=Ledger(), progress=QUIET)["sound"]
    assert cells.places.tolist() == [0, 1, 0]
    low, high, again = cells.rows(np.arange(3))
    assert low is not None and high is not None and again is not None
    assert all(np.array_equal(low[k], again[k]) for k in low) and any((low[k] != high[k]).any() for k in low)
