"""Every bad input of the list, through its modality, and all of them in one fit and one predict; and the page about them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.bad.case import BAD, MISSING, READ, REMARK, Case
from tests.bad.clips import CLIPS
from tests.bad.page import page
from tests.bad.pictures import PICTURES, furnish
from tests.bad.plain import PLAIN
from tests.bad.sounds import SOUNDS
from tests.bad.tables import TABLES
from tests.conftest import encoded, picture, sounded, tone

import plait
from plait.errors import MediaError
from plait.modalities import modality
from plait.preparation import prepare

CASES = [*PICTURES, *SOUNDS, *CLIPS, *PLAIN]
if os.geteuid() == 0:  # who may read everything
    HERE = [c._replace(outcome=READ, says="") if "may not be read" in c.title else c for c in CASES]
else:
    HERE = CASES
PAGE = Path(__file__).parents[2] / "docs" / "broken-inputs.md"
FORBIDDEN = re.compile(r"0x[0-9a-f]{4}|object at|BytesIO|Errno|libsnd|libav|Traceback|\w+Error\b", re.IGNORECASE)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    furnish(folder)
    return folder


def named(case: Case) -> str:
    return f"{case.number} {case.title}".encode("ascii", "replace").decode()


@pytest.mark.parametrize("case", HERE, ids=named)
def test_each_is_read_remarked_on_refused_or_missing(case: Case, furnished: Path) -> None:
    part, said = modality(case.kind), []
    given = case.make(furnished)
    try:
        raw = part.load(given, furnished)
        cell = None if raw is None else part.read(raw, note=said.append)
    except MediaError as error:
        assert case.outcome == BAD, error
        assert case.says in str(error) and not FORBIDDEN.search(str(error)) and len(str(error)) < 300, error
        return
    assert case.outcome == (MISSING if cell is None else REMARK if said else READ), said
    assert case.says in "; ".join(said)


def test_every_number_of_the_list_has_a_case() -> None:
    assert {c.number for c in CASES} | {number for number, *_ in TABLES} == set(range(1, 116))
    titles = [(c.kind, c.number, c.title) for c in CASES]
    assert len(titles) == len(set(titles))


COLUMNS = {"image": "picture", "audio": "sound", "video": "clip", "text": "note", "number": "size", "category": "name"}
COLUMNS["date"] = "day"
TINY: dict[str, Any] = {
    "picture": {"name": "image_resnet", "size": 16, "channels": 4, "width": 16},
    "sound": {"name": "audio_cnn", "bands": 16, "channels": 4, "width": 16, "seconds": 1.0},
    "note": {"name": "text_transformer", "width": 16, "depth": 1, "heads": 2, "vocabulary": 400},
}


def good_rows(folder: Path, n: int = 12) -> list[dict[str, Any]]:
    """Rows with nothing wrong in them; the videos are left out."""
    rows = []
    for i in range(n):
        (folder / f"good{i}.png").write_bytes(encoded(picture(20, 24, i)))
        (folder / f"good{i}.wav").write_bytes(sounded(tone(300 + 40 * i, 0.2)))
        rows.append(
            {
                "picture": f"good{i}.png",
                "sound": f"good{i}.wav",
                "note": f"note {i}",
                "size": float(i),
                "name": f"n{i % 3}",
            }
        )
    return rows


@pytest.fixture(scope="session")
def rows(furnished: Path) -> tuple[list[dict[str, Any]], list[Case | None]]:
    """One row for each case, which holds its cell and nothing else, among good rows; and which row holds which case."""
    cases = [c for c in HERE if c.title != "a complex number"]  # a table that holds one is refused as a whole
    held: list[Case | None] = [None] * 12 + cases
    made = good_rows(furnished) + [{COLUMNS[c.kind]: c.make(furnished)} for c in cases]
    order = np.random.default_rng(0).permutation(len(made))
    made = [{**dict.fromkeys(COLUMNS.values()), **made[i], "y": "ab"[k % 2]} for k, i in enumerate(order)]
    return made, [held[i] for i in order]


@pytest.mark.slow
def test_one_fit_and_one_predict_of_them_all(
    rows: tuple[list[dict[str, Any]], list[Case | None]],
    furnished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The model is one that was written and loaded again: nothing in a cell keeps a finished fit from being written."""
    made, held = rows
    ledgers: list[Any] = []

    def watched(*args: Any, **options: Any) -> Any:
        ledgers.append(options["ledger"])
        return prepare(*args, **options)

    monkeypatch.setattr("plait.work.prepare", watched)
    monkeypatch.setattr("plait.predictor.prepare", watched)
    kinds = {column: kind for kind, column in COLUMNS.items()}
    options: dict[str, Any] = {"epochs": 1, "max_bad": 1.0, "base": furnished, "out": tmp_path / "m", "quiet": True}
    plait.fit(pd.DataFrame(made), "y", inputs=kinds, encoders=TINY, **options)
    model = plait.load(tmp_path / "m")
    found = model.predict(pd.DataFrame(made).drop(columns="y"), base=furnished, allow_missing=True)
    assert len(ledgers) == 2 and len(found) == len(made) and set(found["y"]) <= {"a", "b"}
    for ledger in ledgers:
        bad, odd = ledger.by_row(), ledger.by_row(odd=True)
        for row, case in enumerate(held):
            if case is None:
                assert row not in bad and row not in odd
                continue
            column = COLUMNS[case.kind]
            assert ([b.column for b in bad.get(row, [])] == [column]) == (case.outcome == BAD), (
                named(case),
                bad.get(row),
            )
            assert ([b.column for b in odd.get(row, [])] == [column]) == (case.outcome == REMARK), (
                named(case),
                odd.get(row),
            )
            for entry in bad.get(row, []) + odd.get(row, []):
                assert case.says in entry.reason and not FORBIDDEN.search(str(entry)), entry
    for row, case in enumerate(held):
        status, column = found["status"][row], "" if case is None else COLUMNS[case.kind]
        begin = {BAD: f"bad {column}: ", REMARK: f"note {column}: ", None: "missing clip"}.get(
            case and case.outcome, ""
        )
        assert begin in status and (case is None or case.says in status), (case and named(case), status)
        if case is not None and case.outcome in (BAD, MISSING):
            assert "nothing is present" in status
    nothing = [r for r, c in enumerate(held) if c is not None and c.outcome in (BAD, MISSING)]
    answers = model.predict_proba(pd.DataFrame(made).drop(columns="y"), base=furnished, allow_missing=True)
    prior = answers.loc[nothing].drop(columns="status").to_numpy(float)
    assert np.isfinite(answers.drop(columns="status").to_numpy(float)).all()
    np.testing.assert_allclose(prior, np.broadcast_to(prior[0], prior.shape), atol=1e-6)


@pytest.mark.parametrize("number, title, check, becomes", TABLES, ids=lambda v: v if isinstance(v, str) else "")
def test_tables_and_labels(number: int, title: str, check: Any, becomes: str, tmp_path: Path) -> None:
    check(tmp_path)


def test_the_page_tells_what_becomes_of_each() -> None:
    """Written by `PLAIT_WRITE=1 python -m pytest tests/bad -k page`."""
    if os.environ.get("PLAIT_WRITE"):
        PAGE.write_text(page(CASES, TABLES), "utf-8")
    written = PAGE.read_text("utf-8")
    for case in CASES:
        assert case.title.replace("|", "\\|") in written, named(case)
    assert written == page(CASES, TABLES)
