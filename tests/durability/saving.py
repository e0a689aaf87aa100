"""Jobs that save models under one name, again and again, slowly, and in one step or in two."""

from __future__ import annotations

import os
import time
from pathlib import Path


def again_and_again(models: list[str], place: str, exchange: bool, ready: str) -> None:
    """Replaces the model in `place` by one of these after the other until it is killed."""
    from tests.durability import jobs

    import plait
    from plait import files, moves

    if not exchange:
        moves._exchange = lambda *_: False
    loaded = [plait.load(model) for model in models]
    jobs.around(files, "_write", before=lambda *_: time.sleep(0.002))
    jobs.around(moves, "put", before=lambda *_, **__: time.sleep(0.01), after=lambda *_, **__: time.sleep(0.01))
    jobs.around(os, "rename", after=lambda *_: time.sleep(0.04))
    Path(ready).touch()
    while True:
        for model in loaded:
            model.save(place, overwrite=True)


def once(model: str, place: str, overwrite: bool, exchange: bool, go: str) -> None:
    """Saves a model when it is told to; exit code 3 when the name is taken."""
    from tests.durability import jobs

    import plait
    from plait import moves
    from plait.errors import OutputError

    if not exchange:
        moves._exchange = lambda *_: False
    jobs.around(os, "rename", before=lambda *_: time.sleep(0.02), after=lambda *_: time.sleep(0.02))
    loaded = plait.load(model)
    while not Path(go).exists():
        time.sleep(0.001)
    try:
        for _ in range(4 if overwrite else 1):
            loaded.save(place, overwrite=overwrite)
    except OutputError as error:
        assert "exists already" in str(error)
        raise SystemExit(3) from None
