"""From the path in a cell to an open regular file: as it is written, as it was meant, or with a reason why not."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from plait.errors import MediaError
from plait.reading.mapped import Raw, held, held_or_mapped

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_STREAMS = ("/dev/stdin", "/dev/fd/", "/proc/", "/sys/")  # some of them pass for regular files
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


def read_path(text: str, folder: Path) -> bytes:
    """The bytes of the file that `text` names, relative to `folder`. Raises MediaError."""
    return held(open_path(text, folder))


def map_path(text: str, folder: Path, *, sound: bool) -> Raw:
    """The same of a sound or a video, which may be long: a map of the file where it is large. Raises MediaError."""
    return held_or_mapped(open_path(text, folder), sound=sound)


def open_path(text: str, folder: Path) -> int:
    """The descriptor of the regular file that `text` names: as written, else with "~", "%20", "\\" and accents as they
    were meant. Raises MediaError; what is wrong with the name is said as far as it can be told."""
    given = text.strip()
    if _SCHEME.match(given):
        given = _local(given)
    for path in (given, *_meant(text, given)):
        try:
            return _open_regular(os.path.join(folder, path))
        except FileNotFoundError:
            continue
        except MediaError:
            raise
        except NotADirectoryError:
            raise MediaError("Not a directory: a part of the path is a file") from None
        except OSError as error:
            raise MediaError(error.strerror or type(error).__name__) from None
        except UnicodeEncodeError:
            raise MediaError("the path holds half a character (a lone surrogate)") from None
        except ValueError:
            raise MediaError("the path holds a NUL character") from None
    raise MediaError(_nowhere(given, folder))


def _open_regular(path: str) -> int:
    """Opens regular files only: a pipe or a device would hang or never end."""
    if path.startswith(_STREAMS):
        raise MediaError("is a stream of the system, not a regular file")
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise MediaError(f"is {next((name for is_, name in _KINDS if is_(mode)), 'something')}, not a regular file")
    return descriptor


def _local(url: str) -> str:
    """The path of a file:// address, where $PLAIT_ALLOW_FILE_URLS is 1."""
    scheme = url.partition("://")[0].lower()
    if scheme != "file":
        raise MediaError(f"is a URL ({scheme}://); plait reads local files only: download it and give its path")
    if os.environ.get("PLAIT_ALLOW_FILE_URLS") != "1":
        raise MediaError("is a URL (file://): give the path alone, or set PLAIT_ALLOW_FILE_URLS=1")
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise MediaError("is a file:// URL of another machine")
    return unquote(parts.path)


def _meant(text: str, given: str) -> Iterator[str]:
    """Other readings of a path that does not exist as it is written."""
    if given.startswith("~"):
        yield os.path.expanduser(given)
    plain = unquote(given)
    if plain != given:
        yield plain
    if os.sep == "/" and "\\" in plain:
        yield plain.replace("\\", "/")
    if text != given:
        yield text
    for form in ("NFC", "NFD"):
        if not given.isascii() and unicodedata.normalize(form, given) != given:
            yield unicodedata.normalize(form, given)


def _nowhere(given: str, folder: Path) -> str:
    """Why there is no such file, as far as it can be told."""
    if near := _near(given.replace("\\", "/"), folder):
        return f"no such file; did you mean {near!r}? Capital and small letters differ"
    if _DRIVE.match(given):
        return "no such file: the path begins with a drive of Windows"
    if os.path.isabs(given):
        return "no such file"
    if os.path.isfile(given):
        return f"no such file in {folder}, but in the working directory: did you mean base='.' (--base .)?"
    return f"no such file (relative paths are taken from {folder})"


def _near(given: str, folder: Path) -> str | None:
    """The path as it would be right, where only capital and small letters are wrong."""
    here, found = ("/" if given.startswith("/") else str(folder)), []
    for part in filter(None, given.split("/")):
        if part not in (".", "..") and not os.path.exists(os.path.join(here, part)):
            try:
                part = _names(here, os.stat(here).st_mtime_ns).get(part.casefold(), "")
            except OSError:
                return None
            if not part:
                return None
        found.append(part)
        here = os.path.join(here, part)
    return "/" * given.startswith("/") + "/".join(found) if os.path.isfile(here) else None


@lru_cache(maxsize=16)
def _names(folder: str, changed: int) -> dict[str, str]:
    """Names in a folder by what they are without capital letters. `changed`: when the folder did, so that it is read
    again then."""
    return {name.casefold(): name for name in os.listdir(folder)}
