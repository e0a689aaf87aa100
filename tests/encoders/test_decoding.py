"""Encoders that learn from the training cells: each cell is decoded once, for learning and for encoding together."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import encoded, picture, sounded, tone

import plait
from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import ENCODERS
from plait.modalities import modality
from plait.modalities.audio import Audio
from plait.modalities.image import Image
from plait.preparation import prepare, read_cells
from plait.progress import Progress

KINDS = {"image": Image, "audio": Audio}
NAMES = {
    "image": ["image_hog", "image_sift", "image_colour"],
    "audio": ["audio_mfcc", "audio_chroma", "audio_spectral"],
}
EACH = [(kind, name) for kind, names in NAMES.items() for name in names]


@pytest.fixture
def rows(write: Callable[..., Path]) -> list[dict[str, Any]]:
    """Twenty rows; the third picture is broken, the fourth missing, the last sound that of the first row, blank the fifth."""
    made: list[dict[str, Any]] = []
    for i in range(20):
        blank = np.full((30, 30, 3), 200, np.uint8)
        write(f"{i}.png", b"\x89PNG broken" if i == 2 else encoded(blank if i == 4 else picture(40 + i, 50, seed=i)))
        write(f"{i}.wav", sounded(tone(300 + 30 * (i % 19), 0.3)))
        made.append({"image": None if i == 3 else f"{i}.png", "audio": f"{i}.wav", "kind": "ab"[i % 2]})
    return made


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each content has been decoded."""
    counts: Counter[bytes] = Counter()
    lock = threading.Lock()
    for cls in KINDS.values():

        def read(self: Any, raw: bytes, inner: Any = cls.read, **how: Any) -> Any:
            with lock:
                counts[raw] += 1
            return inner(self, raw, **how)

        monkeypatch.setattr(cls, "read", read)
    return counts


@pytest.mark.parametrize(("kind", "name"), EACH, ids=[name for _, name in EACH])
def test_a_fit_decodes_each_content_once(
    kind: str, name: str, rows: list[dict[str, Any]], decoded: Counter[bytes], tmp_path: Path
) -> None:
    how: dict[str, Any] = {"inputs": [kind], "encoders": {kind: name}, "learner": "ridge", "max_bad": 0.2}
    model = plait.fit(rows, "kind", base=tmp_path, quiet=True, **how)
    good = {"image": 18, "audio": 19}[kind]
    once = [raw for raw in decoded if b"broken" not in raw]
    assert len(once) == good and all(decoded[raw] == 1 for raw in once)
    again = plait.fit(rows, "kind", base=tmp_path, quiet=True, seed=1, **how)  # another split: nothing is decoded again
    assert all(decoded[raw] == 1 for raw in once)
    model.predict(rows, base=tmp_path)
    again.predict(rows, base=tmp_path)
    assert all(decoded[raw] == 1 for raw in once)


@pytest.mark.parametrize(("kind", "name"), EACH, ids=[name for _, name in EACH])
def test_what_is_learned_and_kept_is_that_of_cells_decoded_by_hand(
    kind: str, name: str, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    table, part = read_table(rows, base=tmp_path), modality(kind)
    train = [r for r in range(20) if r not in (2, 7, 9)]
    spec = ENCODERS.complete(name, read_cells(table, kind, kind, train))
    encoder = ENCODERS.build(spec)
    cells = [
        None if rows[r][kind] is None or (kind, r) == ("image", 2)
        else part.read(part.load(rows[r][kind], tmp_path), **encoder.reading)
        for r in range(20)
    ]  # fmt: skip
    by_hand = ENCODERS.complete(name, [cells[r] for r in train])
    assert by_hand.keys() == spec.keys()
    for key, value in by_hand.items():
        np.testing.assert_array_equal(spec[key], value, err_msg=key)
    found = prepare(table, {kind: encoder}, store=Store(), ledger=Ledger(), progress=Progress(quiet=True))[kind]
    for cell, kept in zip(cells, found.rows(np.arange(20))):
        assert (cell is None) == (kept is None)
        if kept is not None:
            np.testing.assert_array_equal(kept["features"], encoder.prepare([cell])[0]["features"])
