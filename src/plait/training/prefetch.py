"""Batches put together ahead of time, in a thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from plait.preparation import Dataset
from plait.training.parallel import ALONE, Team
from plait.types import Batch


def prefetch(
    data: Dataset, todo: list[np.ndarray], *, size: int, team: Team = ALONE
) -> Iterator[tuple[list[Batch], np.ndarray, float]]:
    """For the rows of each step its batches, of at most `size` rows, the next ones being put together in a thread; with the
    seconds each step was waited for. Of several processes each gets its own batches."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for rows in todo:
                put(([data.batch(part) for part in team.parts(rows, size)], rows))
            put(None)
        except BaseException as error:  # handed over to the loop
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            began = time.perf_counter()
            item = ready.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield *item, time.perf_counter() - began
    finally:
        stop.set()
        thread.join()
