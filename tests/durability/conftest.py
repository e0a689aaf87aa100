"""Jobs in processes of their own, which a test may kill, and the tables they fit."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import toy

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds that a job may take on a busy machine


class Job:
    """One process."""

    def __init__(self, forks: Forks, process: int, errors: Path) -> None:
        self._forks, self.process, self._errors = forks, process, errors
        self.code: int | None = None

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code; -n after signal n."""
        if self.code is None:
            self.code = self._forks.ask({"wait": self.process, "seconds": seconds})
        assert self.code is not None, f"still running after {seconds:g} s\n{self.errors}"
        return self.code

    def running(self) -> bool:
        if self.code is None:
            self.code = self._forks.ask({"wait": self.process, "seconds": 0.0})
        return self.code is None

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.process, number)  # not waited for yet, so its number is not another's

    def until(self, there: Callable[[], Any], seconds: float = PATIENCE) -> bool:
        """Waits until something is so; False when the process has ended before."""
        end = time.monotonic() + seconds
        while not there():
            if not self.running():
                return False
            assert time.monotonic() < end, f"nothing happened in {seconds:g} s\n{self.errors}"
            time.sleep(0.002)
        return True

    @property
    def errors(self) -> str:
        return self._errors.read_text("utf-8", "replace")


class Forks:
    """The client of forkserver.py."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._jobs = folder, 0
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.forkserver", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "passive"},
        )
        self._answer()

    def _answer(self) -> Any:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the fork server has ended"
        return json.loads(line)

    def ask(self, order: dict[str, Any]) -> Any:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def start(self, job: str, **options: Any) -> Job:
        self._jobs += 1
        errors = self._folder / f"{self._jobs}.err"
        errors.touch()
        given = {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}
        return Job(self, self.ask({"job": job, "with": given, "errors": str(errors)}), errors)

    def run(self, job: str, code: int = 0, seconds: float = PATIENCE, **options: Any) -> Job:
        """A job that must end with this code."""
        started = self.start(job, **options)
        assert started.wait(seconds) == code, started.errors
        return started

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    server = Forks(tmp_path_factory.mktemp("forks"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """256 rows of pictures, sounds, text and numbers: 154 of them train."""
    return toy.make(tmp_path_factory.mktemp("big"), 256)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 rows: 36 of them train."""
    return toy.make(tmp_path_factory.mktemp("small"), 60)


def weights(out: Path) -> str:
    return hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest()


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def leftovers(folder: Path) -> list[str]:
    """Whatever is hidden below a folder: what killed or failed processes left."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob(".*"))


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log of JSON."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
