"""What SIGTERM and Ctrl-C do to a run: noted while something has to be finished, acted on as soon as it is.

SIGTERM ends a fit at once with exit code 143, and no model: the loop writes a checkpoint first. The first Ctrl-C in
training stops the loop after its step: the model so far is judged and written. The second one is as usual.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TERMINATED = 128 + signal.SIGTERM


class Stop:
    """Which signals have come."""

    def __init__(self, *, together: bool = False) -> None:
        """`together`: torchrun has started several processes, and passes on each Ctrl-C that they get anyway."""
        self.together = together
        self.interrupted = False
        self.terminated = False
        self._held = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that SIGTERM does not break. Raises SystemExit at its end when one has come."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self.terminated and not self._held:
            raise SystemExit(TERMINATED)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """In this block the first Ctrl-C is only noted; of several processes together, all are, from here on."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(*_: Any) -> None:
            self.interrupted = True
            if not self.together:
                signal.signal(signal.SIGINT, before)

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            if not (self.together and self.interrupted):
                signal.signal(signal.SIGINT, before)

    def _terminate(self, *_: Any) -> None:
        first, self.terminated = not self.terminated, True
        if first and not self._held:
            raise SystemExit(TERMINATED)


@contextmanager
def heeded(*, together: bool = False) -> Iterator[Stop]:
    """In this block SIGTERM raises SystemExit, or waits for what is held. A handler of the user's own is left alone."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield Stop()
        return
    stop, before = Stop(together=together), signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGTERM, stop._terminate)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if together:
            signal.signal(signal.SIGINT, before)
