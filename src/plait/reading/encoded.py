"""Files within text: base64, with or without `data:…;base64,` before it, told apart from paths."""

from __future__ import annotations

import base64
import binascii
import re

from plait.errors import MediaError
from plait.reading.magic import sniff

_DATA = re.compile(r"\s*data:[^,;]{0,100}(?:;[^,;]{1,100}){0,5},", re.IGNORECASE)
_SHORTEST = 32  # characters: no picture or sound is smaller


def base64_head(text: str) -> bytes | None:
    """The first bytes of what base64 text holds; None for any other text. Without `data:` before it they must begin like
    a picture, a sound or a video and hold no dot, so that a path is not taken for it."""
    start = text[:800]
    given = _DATA.match(start)
    if given is None and (len(text) < _SHORTEST or start[:5].lower() == "data:" or "." in start):
        return None
    letters = "".join(start[given.end() if given else 0 :].split())
    try:
        head = base64.b64decode(letters[: len(letters) // 4 * 4][: 684 if given else _SHORTEST], validate=True)
    except (binascii.Error, ValueError):
        return None
    return head if given or sniff(head) else None


def from_base64(text: str) -> bytes | None:
    """What base64 text holds; None for any other text. Raises MediaError where it is damaged."""
    given = _DATA.match(text[:800])
    if given is None:
        if text[:5].lower() == "data:":
            raise MediaError("is a data: URL that is not whole")
        if len(text) < _SHORTEST or base64_head(text) is None:
            return None
    elif not given.group().lower().endswith(";base64,"):
        raise MediaError("is a data: URL that is not base64; expected data:…;base64,")
    letters = text[given.end() :] if given else text
    try:
        return base64.b64decode("".join(letters.split()), validate=True)
    except (binascii.Error, ValueError):
        if given and "," in letters:
            raise MediaError("is a list of several base64 texts; expected one file") from None
        raise MediaError("is damaged base64 text") from None
