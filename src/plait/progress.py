"""What a person sees while work goes on: lines and progress bars, on standard error, so standard output stays clean."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """One running progress bar."""

    def advance(self, steps: int = 1, note: str = "") -> None: ...


class _Silent:
    def advance(self, steps: int = 1, note: str = "") -> None:
        return None


class _Drawn:
    def __init__(self, progress: object, task: object) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._progress.update(self._task, advance=steps, note=note)  # type: ignore[attr-defined]


class Progress:
    """Lines and bars for one piece of work. With `quiet`, nothing; without a terminal, lines but no bars."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = not quiet and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """One line for the reader."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, title: str, total: int, *, unit: str = "cells", start: int = 0) -> Iterator[Bar]:
        """A bar over `total` steps with rate, time gone and time left; gone once the work is done."""
        if not self.terminal:
            yield _Silent()
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Rich(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(title, total=total, completed=start, note="", unit=unit)
            yield _Drawn(progress, task)

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Says how long a block took."""
        began = time.perf_counter()
        yield
        self.say(f"{title} ({time.perf_counter() - began:.1f} s)")
