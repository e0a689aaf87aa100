"""The ledger of bad cells: complete, in order, and strict about how many there may be."""

from __future__ import annotations

import json

import pytest

from plait.data.ledger import Ledger
from plait.errors import TooManyBadCellsError


def test_every_row_of_a_bad_value_is_entered_in_order() -> None:
    ledger = Ledger()
    ledger.note("b", "x.png", [7, 2], "no such file")
    ledger.note("a", "y" * 500, [2], "broken")
    assert [(c.row, c.column, c.reason) for c in ledger] == [
        (2, "a", "broken"),
        (2, "b", "no such file"),
        (7, "b", "no such file"),
    ]
    assert len(ledger) == 3 and {row: len(cells) for row, cells in ledger.by_row().items()} == {2: 2, 7: 1}
    assert json.loads(json.dumps(ledger.to_json()))[2] == {
        "row": 7,
        "column": "b",
        "path": "x.png",
        "reason": "no such file",
    }
    assert str(list(ledger)[1]) == "row 2, column 'b', x.png: no such file"


def test_what_no_file_can_hold_is_written_as_python_writes_it() -> None:
    ledger = Ledger()
    ledger.note("a", "\ud800 many", [0], "found \udfff")
    ledger.remark("a", {"path": "caf\udce9.png"}, [1], ["is \ud800"])
    assert str(next(iter(ledger))).encode() == rb"row 0, column 'a', \ud800 many: found \udfff"
    assert str(ledger.odd[0]).encode() == rb"row 1, column 'a', caf\udce9.png: is \ud800"


def test_more_bad_cells_than_allowed_are_an_error_that_shows_them() -> None:
    ledger = Ledger(filled={"a": 20, "b": 1000})
    ledger.note("a", "x.png", [3], "broken")
    ledger.note("b", "y.png", list(range(60)), "gone")
    ledger.check(max_bad=0.06)
    with pytest.raises(
        TooManyBadCellsError, match=r"(?s)'b': 60 of 1000 .*row 0, column 'b', y\.png: gone.*and 55 more.*max_bad=0\.07"
    ):
        ledger.check(max_bad=0.055)
    with pytest.raises(TooManyBadCellsError, match="'a': 1 of 20"):
        ledger.check(max_bad=0)


def test_the_share_named_in_the_error_is_enough() -> None:
    for filled in (1, 3, 7, 200, 1000):
        for bad in {1, filled // 2 + 1, filled}:
            ledger = Ledger(filled={"a": filled})
            ledger.note("a", "x", list(range(bad)), "broken")
            with pytest.raises(TooManyBadCellsError) as error:
                ledger.check(max_bad=0)
            ledger.check(max_bad=float(str(error.value).split("max_bad=")[1].split(" ")[0]))


def test_no_bad_cell_is_no_error() -> None:
    Ledger(filled={"a": 0}).check(max_bad=0)
    assert Ledger().first() == "" and list(Ledger()) == []
