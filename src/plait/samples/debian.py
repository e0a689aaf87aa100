"""Debian packages: fetched with apt-get and unpacked with dpkg-deb, never installed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from plait.errors import FetchError
from plait.samples import run


def need_tools(package: str, otherwise: str) -> None:
    """Raises FetchError where apt-get or dpkg-deb is absent; `otherwise` is the way out, a sentence."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise FetchError(f"{package} comes through apt, and {tool} is not on this machine. {otherwise}")


def download(package: str, work: Path, log: Callable[[str], None]) -> Path:
    """The .deb, fetched into `work`. If that fails and we are root, the package index is refreshed once."""
    command = ["apt-get", "download", package]
    try:
        run(command, cwd=work)
    except FetchError as error:
        if os.geteuid() != 0:
            raise FetchError(f"{error} If the package index is missing, run `apt-get update` as root.") from None
        log(f"{package}: refreshing the package index with apt-get update")
        run(["apt-get", "update"], cwd=work)
        run(command, cwd=work)
    debs = sorted(work.glob(f"{package}_*.deb"))
    if len(debs) != 1:
        raise FetchError(f"`{' '.join(command)}` left {len(debs)} files, expected one .deb.")
    return debs[0]


def unpack(deb: Path, tree: Path) -> None:
    """The regular files of a package, written below `tree`. dpkg-deb writes to a pipe and so cannot outlive us."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        try:
            extract(process.stdout, tree)
            process.stdout.read()  # the padding behind the archive
        except tarfile.TarError as error:
            process.stdout.close()  # or it would wait for us to read on
            said = process.stderr.read().decode(errors="replace").partition("\n")[0]
            raise FetchError(f"{deb.name} cannot be unpacked ({error}): {said}") from None
    if process.returncode:
        raise FetchError(f"`{' '.join(command)}` failed ({process.returncode}).")


def extract(stream: IO[bytes], tree: Path) -> None:
    """The regular files of a tar stream, written below `tree`; links, devices and paths that lead outside are not."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or path.is_absolute() or ".." in path.parts:
                continue
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)


def source(deb: Path, copyright_text: str, made: str, *, tested: str, log: Callable[[str], None]) -> str:
    """What SOURCE.txt says: package, version, sha256, licence, what plait made of it, and the package's own copyright."""
    package = deb.name.partition("_")[0]
    version = run(["dpkg-deb", "--field", deb, "Version"], cwd=deb.parent).strip()
    if version != tested:
        log(f"{package} is {version}; the counts in the documentation are those of {tested}")
    with deb.open("rb") as file:
        sha256 = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            sha256.update(block)
    licences = sorted(set(re.findall(r"^License: *(\S.*)$", copyright_text, re.MULTILINE)))
    return (
        f"Package: {package} (Debian)\nVersion: {version}\nsha256 of the .deb: {sha256.hexdigest()}\n"
        f"Licence: {', '.join(licences)}\n\n"
        f"Fetched at run time by plait.samples with `apt-get download`; plait does not carry these files.\n{made}\n\n"
        f"The package's copyright file:\n\n{copyright_text}"
    )
