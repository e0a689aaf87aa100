"""Prepared cells on disk: each distinct cell once, addressed by content, memory-mapped, resumable, bounded.

A shelf holds what one way of preparing gave: `<root>/<fingerprint>/<pack>/`. A pack is a folder that was renamed into
place when it was whole: `keys.npy` (n, 16) and, for each field, `<field>.npy` (all cells one after the other along the
first axis) and `<field>.offsets.npy` (n + 1); `remarks.json` says what was odd about a cell. A killed preparation leaves
whole packs, so the next one goes on there.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from plait.errors import OutputError, PlaitError
from plait.types import Prepared

DEFAULT_LIMIT = 20 * 2**30
SMALL, FEW = 512, 32  # more than FEW packs of fewer than SMALL cells, as single predictions leave them, become one


def cache_folder() -> Path:
    """Where prepared cells are kept: $PLAIT_CACHE, else plait in the user's cache folder."""
    if given := os.environ.get("PLAIT_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "plait"


def cache_limit() -> int:
    """How many bytes may be kept: $PLAIT_CACHE_LIMIT in GiB, else 20 GiB."""
    given = os.environ.get("PLAIT_CACHE_LIMIT")
    try:
        return int(float(given) * 2**30) if given else DEFAULT_LIMIT
    except (ValueError, OverflowError):
        raise PlaitError(f"PLAIT_CACHE_LIMIT is {given!r}; expected a number of GiB.") from None


class Pack:
    """Prepared cells one after the other: field -> (all values along the first axis, offsets (n + 1))."""

    def __init__(self, fields: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        self.fields = fields

    @classmethod
    def of(cls, cells: Sequence[Prepared]) -> Pack:
        """Every array must have at least one axis; all but the first axis agree between cells."""
        return cls(
            {
                name: (np.concatenate([c[name] for c in cells]), np.cumsum([0, *(len(c[name]) for c in cells)]))
                for name in (cells[0] if cells else ())
            }
        )

    @classmethod
    def joined(cls, packs: Sequence[Pack]) -> Pack:
        """The cells of several packs as one."""
        fields = {}
        for name in packs[0].fields if packs else ():
            starts = np.cumsum([0, *(len(p.fields[name][0]) for p in packs)])
            offsets = [p.fields[name][1][:-1] + start for p, start in zip(packs, starts)]
            fields[name] = (np.concatenate([p.fields[name][0] for p in packs]), np.concatenate([*offsets, starts[-1:]]))
        return cls(fields)

    def get(self, i: int) -> Prepared:
        """Cell i: views."""
        return {name: values[offsets[i] : offsets[i + 1]] for name, (values, offsets) in self.fields.items()}


class Shelf:
    """The prepared cells of one way of preparing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._where: dict[bytes, tuple[int, int]] = {}
        self._packs: list[Pack] = []
        self._names: list[str] = []
        self._remarks: dict[bytes, tuple[str, ...]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "used").touch()
        except OSError as error:
            raise OutputError(
                f"Cannot write to the cache {folder}: {error.strerror}. Set PLAIT_CACHE to a folder that "
                f"can be written."
            ) from None
        for pack in sorted(p for p in folder.iterdir() if p.name.startswith("pack-")):
            self._open(pack)
        self._tidy()

    def __contains__(self, key: bytes) -> bool:
        return key in self._where

    def __len__(self) -> int:
        return len(self._where)

    def get(self, key: bytes) -> Prepared:
        """What was prepared for a key: views into the memory maps."""
        pack, i = self._where[key]
        return self._packs[pack].get(i)

    def packs(self, keys: Iterable[bytes]) -> set[str]:
        """The names of the packs that hold these cells."""
        return {self._names[self._where[key][0]] for key in keys}

    def remarks(self, key: bytes) -> tuple[str, ...]:
        """What was odd about a cell when it was read."""
        return self._remarks.get(key, ())

    def add(
        self, keys: Sequence[bytes], cells: Sequence[Prepared], remarks: Mapping[bytes, Sequence[str]] = {}
    ) -> None:
        """Writes one pack."""
        if not keys:
            return
        part = self.folder / f"part-{uuid.uuid4().hex}"
        try:
            part.mkdir()
            np.save(part / "keys.npy", np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 16))
            for name, (values, offsets) in Pack.of(cells).fields.items():
                np.save(part / f"{name}.npy", values)
                np.save(part / f"{name}.offsets.npy", offsets)
            if odd := {key.hex(): list(remarks[key]) for key in keys if remarks.get(key)}:
                (part / "remarks.json").write_text(json.dumps(odd), encoding="utf-8")
            pack = self.folder / f"pack-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
            os.rename(part, pack)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise OutputError(
                f"Cannot write to the cache {self.folder}: {error.strerror}. Free some space, run `plait "
                f"cache --clear`, or set PLAIT_CACHE to another folder."
            ) from None
        self._open(pack)

    def _tidy(self) -> None:
        """Makes one pack of many small ones. Whoever has the old ones mapped can go on reading them."""
        small: dict[int, list[tuple[int, bytes]]] = {}
        for key, (pack, i) in self._where.items():
            small.setdefault(pack, []).append((i, key))
        small = {pack: held for pack, held in small.items() if len(held) < SMALL}
        if len(small) <= FEW:
            return
        keys = [key for held in small.values() for _, key in sorted(held)]
        self.add(keys, [self.get(key) for key in keys], self._remarks)
        for pack in small:
            shutil.rmtree(self.folder / self._names[pack], ignore_errors=True)

    def _open(self, pack: Path) -> None:
        try:
            keys = np.load(pack / "keys.npy", allow_pickle=False)
            names = sorted({p.stem.removesuffix(".offsets") for p in pack.glob("*.npy")} - {"keys"})
            fields = {
                n: (
                    np.load(pack / f"{n}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray),
                    np.load(pack / f"{n}.offsets.npy", allow_pickle=False),
                )
                for n in names
            }
            if not names or any(len(o) != len(keys) + 1 or o[-1] > len(v) for v, o in fields.values()):
                raise ValueError("not whole")
            odd = pack / "remarks.json"
            remarks = json.loads(odd.read_text("utf-8")) if odd.exists() else {}
        except (FileNotFoundError, ValueError, EOFError):
            shutil.rmtree(pack, ignore_errors=True)  # damaged, e.g. by a power cut: prepared again
            return
        for i, key in enumerate(keys):
            self._where[key.tobytes()] = (len(self._packs), i)
        self._packs.append(Pack(fields))
        self._names.append(pack.name)
        self._remarks.update({bytes.fromhex(key): tuple(said) for key, said in remarks.items()})


class Store:
    """All shelves under one folder, kept below a limit by forgetting those used longest ago."""

    def __init__(self, root: Path | None = None, *, limit: int | None = None) -> None:
        self.root = root or cache_folder()
        self.limit = cache_limit() if limit is None else limit

    def shelf(self, fingerprint: str) -> Shelf:
        return Shelf(self.root / fingerprint)

    def sizes(self) -> dict[str, int]:
        """Fingerprint -> bytes, the shelf used longest ago first."""
        used = {}
        for mark in self.root.glob("*/used"):
            with suppress(FileNotFoundError):  # another process may be at work here
                used[mark.parent] = mark.stat().st_mtime
        return {shelf.name: _size(shelf) for shelf in sorted(used, key=lambda s: used[s])}

    def trim(self, keep: Mapping[str, Collection[str]] = {}) -> int:
        """Forgets shelves, then single packs, the oldest first, until the limit is met; never the packs that `keep`
        names (fingerprint -> names). Returns the bytes freed. Memory maps that are open stay readable."""
        sizes, freed = self.sizes(), 0
        held = sum(sizes.values())
        packs = sorted(p for name in keep for p in (self.root / name).glob("pack-*") if p.name not in keep[name])
        for place in [*(self.root / name for name in sizes if name not in keep), *sorted(packs, key=lambda p: p.name)]:
            if held - freed <= self.limit:
                break
            size = _size(place)
            shutil.rmtree(place, ignore_errors=True)
            freed += size
        return freed

    def clear(self) -> int:
        """Forgets everything; returns the bytes freed."""
        sizes = self.sizes()
        for name in sizes:
            shutil.rmtree(self.root / name, ignore_errors=True)
        return sum(sizes.values())


def _size(folder: Path) -> int:
    """The bytes of the files below a folder, which another process may be changing."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.stat(os.path.join(place, name)).st_size
    return size
