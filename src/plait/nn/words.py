"""The words of a text in any script."""

from __future__ import annotations

import re
import unicodedata

# Kana and Chinese characters, written without spaces between words
_SINGLE = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SINGLE += "\U00020000-\U000323af"
_MARKS = "".join(c for c in map(chr, range(0x300, 0x1DFF + 1)) if unicodedata.category(c).startswith("M"))
_LETTER = rf"[^\W_{_SINGLE}]"
_RUN = rf"{_LETTER}(?:{_LETTER}|[{_MARKS}])*"
WORD = rf"[{_SINGLE}]|{_RUN}(?:['’]{_RUN})*"
_WORD = re.compile(WORD)


def words(text: str) -> list[str]:
    """Runs of letters, digits and combining marks, in small letters; an apostrophe within a word belongs to it. Each
    Chinese character or kana is a word of its own. Scripts like Thai give what stands between two spaces."""
    return _WORD.findall(text.lower())
