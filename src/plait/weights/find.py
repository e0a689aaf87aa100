"""Where weights are on this machine: a folder, the folders of PLAIT_WEIGHTS, plait's own, the hub's cache, a package."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from plait.data.store import cache_folder
from plait.errors import FetchError, unknown
from plait.weights.catalogue import CATALOGUE, canonical
from plait.weights.fetch import ABOUT, get, installed, sha256

TENSORS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Found:
    """Weights on this machine."""

    name: str
    folder: Path
    licence: str | None

    def tensors(self) -> list[Path]:
        """The files of tensors. Raises FetchError where there is none, or where one that is listed is missing."""
        for name in TENSORS:
            path = self.folder / name
            if path.exists():
                if path.suffix != ".json":
                    return [path]
                parts = sorted(set(json.loads(path.read_text("utf-8"))["weight_map"].values()))
                if gone := [p for p in parts if not (self.folder / p).exists()]:
                    raise FetchError(f"{self.folder} is not whole: {gone[0]} is missing. Fetch {self.name!r} again.")
                return [self.folder / p for p in parts]
        raise FetchError(f"{self.folder} holds no tensors: expected one of {', '.join(TENSORS)}.")

    def check(self) -> None:
        """Raises FetchError where a file is not as it was when it was fetched."""
        about = self.folder / ABOUT
        hashes = json.loads(about.read_text("utf-8"))["sha256"] if about.exists() else {}
        for name, expected in hashes.items():
            path = self.folder / name
            if not path.exists() or sha256(path) != expected:
                what = "has changed since it was fetched" if path.exists() else "is missing"
                raise FetchError(f"{path} {what}. Delete {self.folder} and run `plait weights get {self.name}`.")


def own_folder() -> Path:
    """Where `plait weights get` puts what it fetches."""
    return cache_folder() / "weights"


def roots() -> list[Path]:
    """The folders that are looked in, in this order: those of PLAIT_WEIGHTS, then plait's own."""
    given = os.environ.get("PLAIT_WEIGHTS", "")
    return [*(Path(p).expanduser() for p in given.split(os.pathsep) if p), own_folder()]


def find(name: str) -> Found | None:
    """The weights called `name`: a folder, a name of the catalogue, or OWNER/NAME of the hub; None where they are not on
    this machine. Raises UnknownNameError on a name that nothing has."""
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return Found(name, path, None)
    own = canonical(name)
    for root in roots():
        folder = root / (own or name.replace("/", "--"))
        if (folder / "config.json").is_file():
            about = json.loads((folder / ABOUT).read_text("utf-8")) if (folder / ABOUT).exists() else {}
            return Found(own or name, folder, about.get("licence"))
    for alias in CATALOGUE[own].aliases if own else (name,):
        if kept := _in_hub_cache(alias):
            return Found(own or name, kept, None)
    if own and installed(CATALOGUE[own]):
        return Found(own, get(own, own_folder(), say=lambda _: None), CATALOGUE[own].licence)
    if own is None and "/" not in name:
        raise unknown("weights", name, CATALOGUE)
    if own is None and path.is_dir():
        raise FetchError(f"{path} holds no config.json: expected a folder as transformers saves one.")
    return None


def resolve(name: str) -> Found:
    """As `find`. Raises FetchError, naming what to fetch, where they are not on this machine."""
    found = find(name)
    if found is None:
        own = canonical(name)
        size = f" ({CATALOGUE[own].megabytes} MB, {CATALOGUE[own].licence})" if own else ""
        looked = ", ".join(map(str, roots()))
        raise FetchError(
            f"The weights {name!r}{size} are not on this machine (looked in {looked}, the cache of the hub, and the installed "
            f"packages). Fetch them with `plait weights get {own or name}`, or choose an encoder that needs none."
        )
    found.check()
    return found


def _in_hub_cache(name: str) -> Path | None:
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    kept = cache / f"models--{name.replace('/', '--')}"
    reference = kept / "refs" / "main"
    if not reference.is_file():
        return None
    folder = kept / "snapshots" / reference.read_text("utf-8").strip()
    return folder if (folder / "config.json").is_file() else None
