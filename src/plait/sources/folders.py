"""Folders of media as tables: one folder a class, or media beside a file of metadata; in folders of splits or not.

The convention is that of `imagefolder` and `audiofolder` of Hugging Face datasets
(its page "Create an image dataset"): train/tomato/1.png is a row of class tomato that trains; a
metadata.csv, .jsonl or .parquet names files, relative to itself, in `file_name` and in columns ending in `_file_name`; lists of
files in `file_names` and in columns ending in `_file_names`.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.errors import TableError
from plait.modalities import MODALITIES, modality
from plait.modalities.several import items_of, present
from plait.sources.encoding import utf8
from plait.sources.frames import stack, with_column
from plait.sources.tablefile import holds_table, read_file
from plait.sources.values import frame_of, objects

if TYPE_CHECKING:
    import pandas as pd

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
MEDIA = ("image", "video", "audio")  # a suffix of two kinds belongs to the first
TEXT = ".txt"
NAMES = re.compile(r"(^|_)file_names?$")  # of columns whose cells name files
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
LAYOUT = (
    "Expected a folder for each class (root/tomato/1.png), media beside a metadata.csv, metadata.jsonl or "
    "metadata.parquet with a column 'file_name' or 'file_names', or a data set that save_to_disk wrote."
)


def read_folder(root: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A row for each media file, or for each row of the metadata; files are named relative to `root`, in the order of
    their names. Raises TableError."""
    files, notices = _walk(root)
    metadata = [file for file in files if posixpath.basename(file) in METADATA]
    frame, more = _by_metadata(root, files, metadata) if metadata else _by_class(root, files)
    return frame, (*notices, *more)


def _walk(root: Path) -> tuple[list[str], tuple[str, ...]]:
    """Every file below a folder that is not hidden, with / between the parts. Links are followed; a folder that is
    reached twice is read once."""
    files, waiting, seen, again = [], [""], set(), 0
    while waiting:
        within = waiting.pop()
        try:
            state = os.stat(root / within)
            if (state.st_dev, state.st_ino) in seen:
                again += 1
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(root / within) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            raise TableError(f"Cannot read the folder {root / within}: {error.strerror}.") from None
        for entry in entries:
            if entry.name.startswith((".", "__")):
                continue
            path = f"{within}/{entry.name}" if within else entry.name
            if not _is_folder(entry):
                files.append(path)
            else:
                waiting.insert(0 if entry.is_symlink() else len(waiting), path)  # links last: folders by their own name
    told = (f"{root.name}: {again} links to folders that are read already were not followed.",) if again else ()
    return sorted(files, key=lambda path: path.split("/")), told


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _kinds() -> dict[str, str]:
    """Suffix -> modality."""
    found: dict[str, str] = {}
    for kind in MEDIA:
        if kind in MODALITIES:
            found = {**dict.fromkeys(modality(kind).suffixes, kind), **found}
    return found


def _kind(path: str, kinds: dict[str, str]) -> str | None:
    return kinds.get(posixpath.splitext(path)[1].lower())


def _by_class(root: Path, files: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A column for each kind of media, `label`, and `split` where there are folders of splits. Texts (.txt) are read
    where there is nothing else: the path of a text would give its class away."""
    kinds = _kinds()
    media = {file: kind for file in files if (kind := _kind(file, kinds))}
    texts = [file for file in files if file.lower().endswith(TEXT)]
    rows = list(media) or texts
    others = [file for file in files if file not in media] if media else sorted(set(files) - set(texts))
    if not rows:
        tables = [file for file in files if holds_table(file)]
        hint = f" Tables in it: {', '.join(tables[:5])}. Give the path of one." if tables else ""
        raise TableError(f"{root} is a folder without media; found {_counted(others) or 'nothing'}. {LAYOUT}{hint}")
    notices: list[str] = []
    if others:
        what = " or ".join(k for k in MEDIA if k in kinds.values()) if media else "text"
        notices.append(
            f"{root.name}: {len(others)} files that are no {what} were left out: {_counted(others)}; "
            f"the first is {others[0]}."
        )
    columns: dict[str, list[Any]] = {}
    for kind in dict.fromkeys(media.values()):
        columns[kind] = [file if media[file] == kind else None for file in rows]
    if not media:
        columns["text"], told = _texts(root, rows)
        notices += told
    splits = _splits(rows)
    places = [file.split("/")[1 if split else 0 : -1] for file, split in zip(rows, splits)]
    if any(places):
        columns["label"] = [place[0] if place else None for place in places]
        notices += _odd_places(root, rows, places)
    if any(splits):
        columns["split"] = splits
    return _frame(columns, len(rows)), tuple(notices)


def _odd_places(root: Path, rows: list[str], places: list[list[str]]) -> list[str]:
    deep = [row for row, place in zip(rows, places) if len(place) > 1]
    bare = [row for row, place in zip(rows, places) if not place]
    found = []
    if deep:
        found.append(
            f"{root.name}: {len(deep)} files lie deeper than root/class/file, such as {deep[0]}; "
            f"their class is the outermost folder."
        )
    if bare:
        found.append(f"{root.name}: {len(bare)} files lie in no class folder, such as {bare[0]}; they have no label.")
    return found


def _texts(root: Path, files: list[str]) -> tuple[list[str], list[str]]:
    texts: list[str] = []
    notices: list[str] = []
    for file in files:
        try:
            data, told = utf8((root / file).read_bytes(), file)
        except OSError as error:
            raise TableError(f"Cannot read {root / file}: {error.strerror}.") from None
        texts.append(data.decode("utf-8"))
        notices += told
    return texts, notices


def _splits(files: Sequence[str]) -> list[str | None]:
    """Train, validation or test for each file, where all outermost folders are named so."""
    outer = [file.split("/")[0].lower() if "/" in file else None for file in files]
    if not {name for name in outer if name} <= set(SPLITS):
        return [None] * len(files)
    return [SPLITS[name] if name else None for name in outer]


def _by_metadata(root: Path, files: list[str], metadata: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of all files of metadata. A file that they name and that is not there stays in its cell, to be reported
    as a bad one."""
    twice = [place for place, n in Counter(map(posixpath.dirname, metadata)).items() if n > 1]
    if twice:
        here = [posixpath.basename(file) for file in metadata if posixpath.dirname(file) == twice[0]]
        raise TableError(f"{root / twice[0]} holds {' and '.join(here)}. Keep one of them.")
    kinds, frames = _kinds(), []
    notices: list[str] = []
    named: set[str] = set()
    where: list[str] = []
    for file in metadata:
        frame, told = read_file(root / file)
        frame, paths, renamed = _from_root(frame, file, kinds)
        frames.append(frame)
        notices += [*told, *renamed]
        named.update(path for column in paths for row in column for path in row)
        where += [row[0] if row else "" for row in paths[0]] if "/" not in file else [file] * len(frame)
    splits = _splits(where)
    unnamed = [file for file in files if _kind(file, kinds) and file not in named]
    if unnamed:
        notices.append(
            f"{root.name}: {len(unnamed)} media files that no metadata names were left out, such as {unnamed[0]}."
        )
    whole = stack(frames)
    if any(splits) and "split" not in whole.columns:
        whole = with_column(whole, "split", splits)
    return whole, tuple(dict.fromkeys(notices))


def _from_root(
    frame: pd.DataFrame, file: str, kinds: dict[str, str]
) -> tuple[pd.DataFrame, list[list[list[str]]], list[str]]:
    """The metadata with its files named from the root; of each column that names files, the paths in each row; notices.
    `file_name` gets the name of what it holds (image, audio, video), `file_names` the same with an s, `mask_file_name`
    and `mask_file_names` become `mask`, unless there is such a column."""
    place = posixpath.dirname(file)
    found = [c for c in frame.columns if NAMES.search(c)]
    if not found:
        raise TableError(
            f"{file} has no column 'file_name' and none that ends in '_file_name' or '_file_names'; found "
            f"{', '.join(frame.columns)}. "
            f"Name the files in it, relative to its folder, or give its path to read it as a plain table."
        )
    names: dict[str, str] = {}
    paths: list[list[list[str]]] = []
    for column in found:
        values = [_moved_all(value, place) if column.endswith("s") else _moved(value, place) for value in frame[column]]
        frame = with_column(frame, column, values)
        paths.append(
            [[_plain(path) for path in present(value) or [value] if isinstance(path, str)] for value in values]
        )
        kind = next((kind for row in paths[-1] for path in row if (kind := _kind(path, kinds))), "file")
        name = NAMES.sub("", column) or kind + "s" * column.endswith("s")
        if name not in frame.columns and name not in names.values():
            names[column] = name
    renamed = [f"The metadata's column {old!r} is called {new!r}." for old, new in names.items()]
    return frame.rename(columns=names), paths, renamed


def _plain(path: str) -> str:
    return posixpath.normpath(path.strip().replace("\\", "/"))


def _moved_all(value: Any, place: str) -> Any:
    """The same of a list of paths, or of one as JSON text."""
    items = items_of(value)
    return _moved(value, place) if items is None else [_moved(item, place) for item in items]


def _moved(value: Any, place: str) -> Any:
    """A path relative to the metadata -> relative to the root. Absolute paths, addresses and gaps stay."""
    if not place or not isinstance(value, str) or not value.strip():
        return value
    text = value.strip()
    if text.startswith(("/", "\\", "~")) or text[1:3] in (":\\", ":/") or "://" in text:
        return value
    return f"{place}/{text}"


def _frame(columns: dict[str, list[Any]], size: int) -> pd.DataFrame:
    return frame_of(list(columns), [objects(values, size) for values in columns.values()], range(size))


def _counted(files: list[str]) -> str:
    """12 .json, 2 .md"""
    times = Counter(posixpath.splitext(file)[1].lower() or "without a suffix" for file in files)
    return ", ".join(f"{n} {suffix}" for suffix, n in times.most_common(5))
