"""Where weights are on this machine: a folder, the folders of PLAIT_WEIGHTS, plait's own, the hub's cache, a package."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from plait.data.store import cache_folder
from plait.errors import FetchError, unknown
from plait.weights.catalogue import CATALOGUE, canonical
from plait.weights.fetch import about, damaged, get, installed

TENSORS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Found:
    """Weights on this machine."""

    name: str
    folder: Path
    licence: str | None
    made: bool = True  # False: they are in an installed package, and the folder is made of it when they are first used

    def tensors(self) -> list[Path]:
        """The files of tensors. Raises FetchError where there is none, or where one that is listed is missing."""
        for name in TENSORS:
            path = self.folder / name
            if path.exists():
                if path.suffix != ".json":
                    return [path]
                try:
                    parts = sorted(set(json.loads(path.read_text("utf-8"))["weight_map"].values()))
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise FetchError(f"{path} is not whole. Fetch {self.name!r} again.") from None
                if gone := [p for p in parts if not (self.folder / p).exists()]:
                    raise FetchError(f"{self.folder} is not whole: {gone[0]} is missing. Fetch {self.name!r} again.")
                return [self.folder / p for p in parts]
        raise FetchError(f"{self.folder} holds no tensors: expected one of {', '.join(TENSORS)}.")

    def check(self) -> None:
        """Raises FetchError where a file is not as it was when it was fetched."""
        if wrong := damaged(self.folder):
            to = "" if self.folder.parent == own_folder() else f" --to {self.folder.parent}"
            raise FetchError(
                f"{wrong}. Fetch them again with `plait weights get {about(self.folder).get('name', self.name)}{to}`."
            )

    def whole(self) -> bool:
        """Whether there is a config, and all tensors."""
        try:
            return (self.folder / "config.json").is_file() and bool(self.tensors())
        except FetchError:
            return False


def own_folder() -> Path:
    """Where `plait weights get` puts what it fetches."""
    return cache_folder() / "weights"


def roots() -> list[Path]:
    """The folders that are looked in, in this order: those of PLAIT_WEIGHTS, then plait's own."""
    given = os.environ.get("PLAIT_WEIGHTS", "")
    return [*(Path(p).expanduser() for p in given.split(os.pathsep) if p), own_folder()]


def find(name: str) -> Found | None:
    """The weights called `name`: a folder, a name of the catalogue, or OWNER/NAME of the hub; None where they are not on
    this machine, or not whole. Nothing is fetched and nothing converted. Raises UnknownNameError on a name that nothing
    has."""
    path, own = Path(name).expanduser(), canonical(name)
    licence = CATALOGUE[own].licence if own else None
    if (path / "config.json").is_file() and (own is None or Found(own, path, None).whole()):
        return Found(name, path, about(path).get("licence"))
    for found in [*_kept(name), *(Found(own or name, f, licence) for f in _in_hub_cache(own, name))]:
        if found.whole():
            return found
    if own and installed(CATALOGUE[own]):
        return Found(own, own_folder() / own, licence, made=False)
    if own is None and "/" not in name:
        raise unknown("weights", name, CATALOGUE)
    if own is None and path.is_dir():
        raise FetchError(f"{path} holds no config.json: expected a folder as transformers saves one.")
    return None


def unmade(names: Iterable[str]) -> list[str]:
    """Which of these weights are in installed packages and have yet to be converted, which takes a while, once."""
    known = [name for name in dict.fromkeys(names) if canonical(name)]
    return [name for name in known if (found := find(name)) is not None and not found.made]


def _kept(name: str) -> list[Found]:
    """Where weights of this name would be that were fetched, whole or not."""
    own = canonical(name)
    folders = [root / (own or name.replace("/", "--")) for root in roots()]
    return [Found(own or name, f, about(f).get("licence")) for f in folders if (f / "config.json").is_file()]


def resolve(name: str, *, say: Callable[[str], None] = lambda _: None) -> Found:
    """As `find`, their folder made of the installed package where need be, which `say` is told. Raises FetchError, naming
    what to fetch, where they are not on this machine."""
    found = find(name)
    if found is None:
        for half in _kept(name):
            half.check()
            half.tensors()
        own = canonical(name)
        size = f" ({CATALOGUE[own].megabytes} MB, {CATALOGUE[own].licence})" if own else ""
        looked = ", ".join(map(str, roots()))
        raise FetchError(
            f"The weights {name!r}{size} are not on this machine (looked in {looked}, the cache of the hub, and the installed "
            f"packages). Fetch them with `plait weights get {own or name}`, or choose an encoder that needs none."
        )
    if not found.made:
        return Found(found.name, get(found.name, own_folder(), say=say), found.licence)
    found.check()
    return found


def _in_hub_cache(own: str | None, name: str) -> list[Path]:
    """The folders of weights in the cache of the hub, whole or not."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    found = []
    for alias in CATALOGUE[own].aliases if own else (name,):
        kept = cache / f"models--{alias.replace('/', '--')}"
        reference = kept / "refs" / "main"
        if reference.is_file():
            found.append(kept / "snapshots" / reference.read_text("utf-8").strip())
    return found
