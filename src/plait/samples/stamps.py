"""The stamps of Tux Paint: 952 things with a picture, their name in five languages, and people saying it.

From the Debian package tuxpaint-stamps-default (GPL-2), which is fetched and unpacked, never installed.
"""

from __future__ import annotations

import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from plait.errors import FetchError
from plait.samples import debian, staged, write_table

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "tuxpaint-stamps-default"
TESTED = "2022.06.04-1"
LEAST_ROWS = 15  # a category with fewer rows is left out of the spine
TEXTS = {"text_fr": "fr", "text_zh": "zh_CN", "text_ru": "ru", "text_es": "es"}
SOUNDS = {"speech_fr": "_desc_fr", "speech_es": "_desc_es", "speech_ru": "_desc_ru", "speech_en": "_desc", "sound": ""}
COLUMNS = ("id", "category", "folder", "text_en", *TEXTS, "image", *SOUNDS, "width", "height")


def build(folder: str | Path, *, log: Callable[[str], None] = print) -> Path:
    """Fetches the package (161 MB), writes `folder/stamps.csv`, `media/` and `SOURCE.txt`; returns the table's path.

    A table that is there is returned at once. Raises FetchError without apt or network, OutputError if `folder` cannot
    be written. While it works, `folder.part` beside it takes 500 MB; what stays is 110 MB.
    """
    folder = Path(folder)
    table = folder / "stamps.csv"
    if table.exists():
        return table
    debian.need_tools(
        PACKAGE,
        "Build the table on Debian or Ubuntu and copy the folder, or use plait.samples.countries, which needs pip.",
    )
    start = time.perf_counter()
    with staged(folder) as part:
        work = part / "work"
        work.mkdir()
        log(f"stamps: fetching {PACKAGE} (161 MB) with apt-get")
        deb = debian.download(PACKAGE, work, log)
        log("stamps: unpacking")
        debian.unpack(deb, work / "tree")
        rows = assemble(work / "tree" / "usr" / "share" / "tuxpaint" / "stamps", part)
        copyright_file = work / "tree" / "usr" / "share" / "doc" / PACKAGE / "copyright"
        made = "Unchanged: pictures and sounds under media/. Made by plait: stamps.csv, from names and .txt files."
        text = debian.source(deb, copyright_file.read_text(encoding="utf-8"), made, tested=TESTED, log=log)
        (part / "SOURCE.txt").write_text(text, encoding="utf-8")
        shutil.rmtree(work)
    pictures = sum(bool(row["image"]) for row in rows)
    log(f"stamps: {len(rows)} rows, {pictures} with a picture, in {time.perf_counter() - start:.0f} s")
    return table


def assemble(stamps: Path, folder: Path) -> list[dict[str, str]]:
    """Writes `folder/stamps.csv` from a tree of stamps, and moves the files it names to `folder/media`."""
    texts = sorted(stamps.rglob("*.txt"))
    if not texts:
        raise FetchError(f"{PACKAGE} has no stamps where they are expected (usr/share/tuxpaint/stamps).")
    rows = sorted((row_of(stamps, text) for text in texts), key=lambda row: row["id"])
    for row in rows:
        for column in ("image", *SOUNDS):
            if row[column]:
                target = folder / row[column]
                target.parent.mkdir(parents=True, exist_ok=True)
                (stamps / Path(row[column]).relative_to("media")).replace(target)
    write_table(folder / "stamps.csv", COLUMNS, rows)
    return rows


def row_of(stamps: Path, text: Path) -> dict[str, str]:
    """The row of one stamp, given its .txt file; an empty string where the stamp has nothing for a column."""
    stem = text.relative_to(stamps).with_suffix("").as_posix()
    english, translations = read_text(text)
    row = {"id": stem, "category": stem.split("/")[0], "folder": stem.rpartition("/")[0], "text_en": english}
    row |= {column: translations.get(locale, "") for column, locale in TEXTS.items()}
    row["image"] = media(stamps, stem, (".png",))
    row |= {column: media(stamps, stem + suffix, (".ogg", ".wav")) for column, suffix in SOUNDS.items()}
    width, height = png_size(stamps / f"{stem}.png") if row["image"] else ("", "")
    return row | {"width": str(width), "height": str(height)}


def read_text(path: Path) -> tuple[str, dict[str, str]]:
    """The English text, which is the first line, and the translations by locale, from lines `fr.utf8=Un pingouin.`"""
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    pairs = (line.partition(".utf8=") for line in rest.split("\n"))
    return first.strip(), {locale.strip(): text.strip() for locale, equals, text in pairs if equals}


def media(stamps: Path, stem: str, suffixes: tuple[str, ...]) -> str:
    """`media/...` for the first file with that stem, or an empty string."""
    for suffix in suffixes:
        if (stamps / (stem + suffix)).is_file():
            return f"media/{stem}{suffix}"
    return ""


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG in pixels, from its header (PNG specification, 11.2.2 IHDR). Raises FetchError."""
    with path.open("rb") as file:
        header = file.read(24)
    if len(header) < 24 or header[:8] != b"\x89PNG\r\n\x1a\n" or header[12:16] != b"IHDR":
        raise FetchError(f"{path.name} of {PACKAGE} is not a PNG picture.")
    width, height = struct.unpack(">II", header[16:])
    return width, height


def spine(table: Path) -> pd.DataFrame:
    """The rows of the protocol: those with picture and French speech, in the categories with at least 15 such rows.

    Paths stay relative to the table's folder; an empty cell is NaN. Split it by `folder`: letters and coins come in
    series, and a random split flatters.
    """
    import pandas as pd

    frame = pd.read_csv(table, keep_default_na=False, na_values=[""])
    both = frame[frame["image"].notna() & frame["speech_fr"].notna()]
    rows = both.groupby("category")["id"].transform("size")
    kept: pd.DataFrame = both[rows >= LEAST_ROWS].astype({"width": int, "height": int}).reset_index(drop=True)
    return kept
