"""Broken media planted in a table of 300 rows: all found before training, by row, column, path and reason, and no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.bad.case import BAD
from tests.bad.pictures import PICTURES, furnish
from tests.bad.sounds import SOUNDS
from tests.conftest import encoded, picture, sounded, tone
from tests.toy import TINY

import plait
from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import ENCODERS
from plait.errors import TooManyBadCellsError
from plait.preparation import ColumnCells, prepare
from plait.progress import Progress

ROWS = 300
BROKEN = {  # those that name a file of their own
    "picture": [c for c in PICTURES if c.outcome == BAD and c.number <= 32],
    "sound": [c for c in SOUNDS if c.outcome == BAD and c.number <= 65],
}
assert len({c.number for c in BROKEN["picture"]}) >= 15


def planted(folder: Path, share: float) -> tuple[pd.DataFrame, dict[str, dict[int, Any]]]:
    """A table of which this share of pictures and of sounds is broken, and by column which row holds which case."""
    generator, rows = np.random.default_rng(0), []
    where: dict[str, dict[int, Any]] = {}
    for column, cases in BROKEN.items():
        bad = generator.choice(ROWS, round(share * ROWS), replace=False)
        where[column] = {int(row): cases[i % len(cases)] for i, row in enumerate(bad)}
    for i in range(ROWS):
        (folder / f"{i}.png").write_bytes(encoded(picture(12, 16, i)))
        (folder / f"{i}.wav").write_bytes(sounded(tone(300 + i, 0.1)))
        row: dict[str, Any] = {"picture": f"{i}.png", "sound": f"{i}.wav", "y": "ab"[i % 2]}
        row.update({column: cases[i].make(folder) for column, cases in where.items() if i in cases})
        rows.append(row)
    return pd.DataFrame(rows), where


def scanned(table: pd.DataFrame, folder: Path, cache: Path) -> tuple[dict[str, ColumnCells], Ledger]:
    encoders, ledger = {c: ENCODERS.build(TINY[c]) for c in BROKEN}, Ledger()
    source = read_table(table, base=folder)
    return prepare(source, encoders, store=Store(cache), ledger=ledger, progress=Progress(quiet=True)), ledger


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.2, 1.0])
def test_all_that_is_planted_is_found_and_nothing_else(share: float, tmp_path: Path) -> None:
    furnish(tmp_path)
    table, where = planted(tmp_path, share)
    columns, ledger = scanned(table, tmp_path, tmp_path / "cache")
    found = {(b.row, b.column): b for b in ledger}
    assert found.keys() == {(row, column) for column, cases in where.items() for row in cases}
    assert len(found) == len(ledger) == 2 * round(share * ROWS) and ledger.odd == []
    for (row, column), entry in found.items():
        assert entry.path == table[column][row] and where[column][row].says in entry.reason, entry
    (tmp_path / "x").mkdir()
    good = planted(tmp_path / "x", 0.0)[0]
    alone, none = scanned(good, tmp_path / "x", tmp_path / "other cache")
    assert not none.bad
    for column, cells in columns.items():
        for row, (here, there) in enumerate(zip(cells.rows(np.arange(ROWS)), alone[column].rows(np.arange(ROWS)))):
            assert (here is None) == (row in where[column]) and there is not None
            assert here is None or all(np.array_equal(here[k], there[k]) for k in there), (row, column)


def fit(table: pd.DataFrame, folder: Path, **options: Any) -> Any:
    encoders = {c: TINY[c] for c in BROKEN}
    kinds = {"picture": "image", "sound": "audio"}
    return plait.fit(
        table, "y", inputs=kinds, encoders=encoders, epochs=1, base=folder, quiet=True, **options
    )  # fmt: skip


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when training begins."""

    def train(*args: Any, **options: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr("plait.work.train", train)


@pytest.mark.slow
def test_one_in_a_hundred_trains_on_all_rows(tmp_path: Path) -> None:
    furnish(tmp_path)
    table, where = planted(tmp_path, 0.01)
    model = fit(table, tmp_path)
    assert sum(model.record["parts"]) == ROWS and model.record["bad_cells"] == 6
    status = model.predict(table.drop(columns="y"), base=tmp_path)["status"]
    bad = {row for cases in where.values() for row in cases}
    assert {i for i, s in enumerate(status) if s != "ok"} == bad


@pytest.mark.slow
@pytest.mark.parametrize("share, count", [(0.2, 60), (1.0, 300)])
def test_more_stop_before_training_with_the_way_out(
    share: float, count: int, tmp_path: Path, untrained: Callable[..., None]
) -> None:
    furnish(tmp_path)
    table, where = planted(tmp_path, share)
    with pytest.raises(TooManyBadCellsError) as caught:
        fit(table, tmp_path)
    said = str(caught.value)
    assert f"{count} of 300 cells cannot be read ({share:.0%}, allowed 5%)" in said and "max_bad=" in said
    first = min(where["picture"])
    assert f"row {first}, column 'picture', {table['picture'][first]}: " in said


@pytest.mark.slow
def test_a_fifth_trains_where_it_is_allowed(tmp_path: Path) -> None:
    furnish(tmp_path)
    table, _ = planted(tmp_path, 0.2)
    assert fit(table, tmp_path, max_bad=0.25).record["bad_cells"] == 120


@pytest.mark.slow
def test_two_hundred_thousand_missing_files_are_one_error_and_soon(
    tmp_path: Path, untrained: Callable[..., None]
) -> None:
    """In a folder of many others: it is listed once, not for each of them."""
    (tmp_path / "pictures").mkdir()
    for i in range(1000):
        (tmp_path / "pictures" / f"other {i}.png").touch()
    rows = 200_000
    table = pd.DataFrame({"picture": [f"pictures/{i}.png" for i in range(rows)], "y": ["a", "b"] * (rows // 2)})
    began = time.process_time()
    with pytest.raises(TooManyBadCellsError) as caught:
        plait.fit(
            table,
            "y",
            inputs={"picture": "image"},
            encoders={"picture": TINY["picture"]},
            epochs=1,
            base=tmp_path,
            quiet=True,
        )
    assert time.process_time() - began < 60
    said = str(caught.value).splitlines()
    assert said[0] == "Column 'picture': 200000 of 200000 cells cannot be read (100%, allowed 5%)."
    assert [line.split(": ")[0] for line in said[1:6]] == [
        f"  row {i}, column 'picture', pictures/{i}.png" for i in range(5)
    ]
    assert said[6] == "  … and 199995 more" and "max_bad=" in said[7] and len(said) == 8
