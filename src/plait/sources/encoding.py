"""Bytes of a text file in any encoding that can be told -> UTF-8."""

from __future__ import annotations

_MARKS = {  # the longer first: the mark of UTF-16 begins that of UTF-32
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_SAMPLE = 1 << 16
_LOST = "\ufffd".encode()
_ASCII = bytes(range(128))


def utf8(raw: bytes, name: str) -> tuple[bytes, tuple[str, ...]]:
    """The same text in UTF-8 without a byte order mark, and what was guessed or lost on the way. UTF-16 and UTF-32 by
    their mark or by their zero bytes; UTF-8, even with a few broken bytes; else Windows-1252."""
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return _recoded(raw, encoding, name, ())
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    broken = _first_broken(raw)
    if wide := _wide(raw, broken is None):
        return _recoded(raw, wide, name, (f"{name}: no byte order mark; read as {wide.upper()} for its zero bytes.",))
    if broken is None:
        return raw, ()
    text = raw.decode("utf-8", errors="replace")
    lost = text.count("\ufffd") - raw.count(_LOST)
    ascii_letters = len(raw) - len(raw.translate(None, _ASCII))
    if len(text) - ascii_letters - text.count("\ufffd") > lost:  # more letters of other scripts are whole than broken
        line = raw.count(b"\n", 0, broken) + 1
        return text.encode(), (f"{name}: {lost} broken bytes, the first in line {line}, were replaced by \ufffd.",)
    return _recoded(raw, "cp1252", name, (f"{name}: is not UTF-8; read as Windows-1252.",))


def _first_broken(raw: bytes) -> int | None:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _wide(raw: bytes, valid: bool) -> str | None:
    """UTF-16 without a mark: one of each two bytes is zero in many letters, the other in none. `valid`: as UTF-8."""
    head = raw[:_SAMPLE]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if not (even or odd) or (even and odd) or max(even, odd) * 2 < len(head) * (0.5 if valid else 0.02):
        return None
    return "utf-16-le" if odd else "utf-16-be"


def _recoded(raw: bytes, encoding: str, name: str, notices: tuple[str, ...]) -> tuple[bytes, tuple[str, ...]]:
    text = raw.decode(encoding, errors="replace")
    if lost := text.count("\ufffd"):
        notices += (f"{name}: {lost} characters that cannot be read as {encoding.upper()} were replaced by \ufffd.",)
    return text.encode("utf-8"), notices
