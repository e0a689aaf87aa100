"""The page of the documentation that tells what becomes of each broken input, from the cases themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.bad.case import BAD, MISSING, READ, REMARK, Case

HEAD = """# Broken and odd inputs

What becomes of each kind of broken or odd cell. This page is written from the cases in `tests/bad/`, which run each of them
through its modality and all of them through one fit and one predict; a test fails when the page and the cases differ.

- **is read**: nothing is wrong with it, or nothing that can be told.
- **is read, with a remark**: it is used; the remark is in the ledger, and in the status of a prediction.
- **counts as missing, and is named**: the cell counts as missing, in training and in prediction. The ledger names row, column,
  path and reason before training begins; more than `max_bad` (5 %) of a column stops the run. No row is dropped or moved.
- **is missing**: as an empty cell.

A reason never holds words of a decoder or a reader of files, which may hold parts of memory. Nothing is fetched: a URL in a
cell is refused. `PLAIT_ALLOW_FILE_URLS=1` in the environment lets `file://` addresses name local files.

**Limits.** Pictures: 50 million pixels, told from the header, 500 scans of a progressive JPEG; PNG, JPEG, WebP, GIF, BMP and TIFF
only. Sounds: 4 to 384 kHz, 256 channels, the first 600 s and the first 60 million samples x channels; from 30 million on, a file
must hold a byte for every 500 of them. Videos: frames of 4,096 x 2,304 pixels, 30 s of decoding; cells of 1,024 frames and 400
million values, above which frames are made smaller; of the sound track the first 600 s. Texts: the first 100,000 characters.
Series: 10 million values, 4,096 channels, .npy files of versions 1 and 2. Lists of pictures or texts: the first 64. Files of
sounds and videos: 16 GB; above 512 and 64 MB they are mapped (and must not be cut while they are read), and what is not used of
them is only hashed. All other files, and what a
cell holds itself: 512 MB.

**Sounds.** Channels are averaged, all alike; where a WAV or a film says which loudspeaker each of three or more is for, they are
mixed down as in ITU-R BS.775: those in front count 0.5, the centre 0.71, those around 0.35, low frequencies not. Rates are
changed to the encoder's with a filter that leaves what lies above half the new rate 60 dB down or more.

**Not told.** A JPEG, BMP or uncompressed TIFF has no checksum: a changed bit within its pixels shows as wrong pixels; what the
decoder notices of it in a JPEG, Pillow does not pass on. A sound cut exactly between two frames of an MP3 without a count of
frames looks whole. Which float is white in a picture of floats is not written in it: 1, 255 or 65535, the least that no pixel
exceeds, else its largest.
"""
TITLES = {
    "image": "Pictures, and paths",
    "audio": "Sounds",
    "video": "Videos",
    "text": "Texts",
    "number": "Numbers",
    "category": "Names",
    "date": "Dates",
}


def page(cases: Sequence[Case], tables: Sequence[tuple[int, str, Callable[..., Any], str]]) -> str:
    """Markdown: a table for each modality, and one for labels and tables."""
    lines = [HEAD]
    for kind, title in TITLES.items():
        lines += [f"## {title}\n", "| | input | what becomes of it | what is said |", "|---|---|---|---|"]
        lines += [_row(c.number, c.title, c.outcome, c.says) for c in cases if c.kind == kind]
        lines.append("")
    lines += ["## Columns, labels and tables\n", "| | input | what becomes of it |", "|---|---|---|"]
    lines += [_cells(str(number), title, becomes) for number, title, _, becomes in tables]
    assert {c.outcome for c in cases} == {READ, REMARK, BAD, MISSING}
    return "\n".join(lines) + "\n"


def _row(number: int, title: str, outcome: str, says: str) -> str:
    return _cells(str(number), title, outcome, f"“{says}”" if says else "")


def _cells(*cells: str) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
