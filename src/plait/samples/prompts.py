"""Spoken prompts of a telephone system with their words: 8 kHz human speech by one voice.

From the Debian packages asterisk-core-sounds-en and asterisk-core-sounds-en-wav (CC-BY-SA-3.0, spoken by Allison Smith),
which are fetched and unpacked, never installed.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from plait.errors import FetchError
from plait.samples import debian, staged, write_table

WORDS, SOUNDS = "asterisk-core-sounds-en", "asterisk-core-sounds-en-wav"
TESTED = "1.6.1-1"
COLUMNS = ("id", "kind", "sound", "text")


def build(folder: str | Path, *, log: Callable[[str], None] = print) -> Path:
    """Fetches the packages (18 MB), writes `folder/prompts.csv`, `media/` and `SOURCE.txt`; returns the table's path.

    id: name of the prompt. kind: its folder (prompt, digits, letters, phonetic, …). sound: .wav, 8 kHz, 16 bits, mono.
    text: what is said; empty where nothing is (tones, silence). A table that is there is returned at once. Raises
    FetchError without apt or network, OutputError if `folder` cannot be written.
    """
    folder = Path(folder)
    table = folder / "prompts.csv"
    if table.exists():
        return table
    debian.need_tools(SOUNDS, "Build the table on Debian or Ubuntu and copy the folder.")
    with staged(folder) as part:
        work = part / "work"
        work.mkdir()
        log(f"prompts: fetching {SOUNDS} (18 MB) with apt-get")
        debs = [debian.download(package, work, log) for package in (WORDS, SOUNDS)]
        for deb in debs:
            debian.unpack(deb, work / "tree")
        share = work / "tree" / "usr" / "share"
        rows = assemble(share, part)
        made = "Unchanged: sounds under media/. Made by plait: prompts.csv, from core-sounds-en.txt."
        notice = (share / "doc" / SOUNDS / "copyright").read_text(encoding="utf-8")
        text = debian.source(debs[1], notice, made, tested=TESTED, log=log)
        (part / "SOURCE.txt").write_text(text, encoding="utf-8")
        shutil.rmtree(work)
    log(f"prompts: {len(rows)} sounds, {sum(bool(row['text']) for row in rows)} with their words")
    return table


def assemble(share: Path, folder: Path) -> list[dict[str, str]]:
    """Writes `folder/prompts.csv` from an unpacked usr/share, and moves the sounds to `folder/media`."""
    root = next(iter(sorted((share / "asterisk" / "sounds").glob("en*"))), None)
    if root is None:
        raise FetchError(f"{SOUNDS} has no sounds where they are expected (usr/share/asterisk/sounds).")
    with gzip.open(share / "doc" / WORDS / "core-sounds-en.txt.gz", "rt", encoding="utf-8", errors="replace") as file:
        words = read_words(file.read())
    rows = []
    for sound in sorted(root.rglob("*.wav")):
        name = sound.relative_to(root).with_suffix("").as_posix()
        target = folder / "media" / f"{name}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        sound.replace(target)
        kind = name.rpartition("/")[0] or "prompt"
        rows.append({"id": name, "kind": kind, "sound": f"media/{name}.wav", "text": words.get(name, "")})
    write_table(folder / "prompts.csv", COLUMNS, rows)
    return rows


def read_words(text: str) -> dict[str, str]:
    """Name -> what is said, from lines `name: text`. Lines from `;` are comments; what is in brackets, a tone or a note
    of silence, is no speech."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith(";"))
    said = {
        name.strip(): re.sub(r"\s*(\[[^\]]*\]|\([^)]*\))\s*", " ", words).strip()
        for name, colon, words in pairs
        if colon
    }
    return {name: words for name, words in said.items() if words}
