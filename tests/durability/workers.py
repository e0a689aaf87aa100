"""Jobs whose helpers are slow, so that they can be killed among them."""

from __future__ import annotations

import os
import time
from typing import Any

from tests import toy


def slow_to_prepare(table: str, out: str, cache: str, seconds: float = 0.0) -> None:
    """A fit on pictures and sounds with a cache of its own; each picture takes so many seconds, and what is prepared is kept
    at once."""
    from tests.durability import jobs

    from plait import preparation
    from plait.modalities.image import Image

    os.environ["PLAIT_CACHE"] = cache
    jobs.no_report()
    preparation.CHUNK, preparation.PACK_CELLS = 2, 4
    if seconds:
        jobs.around(Image, "read", before=lambda *_, **__: time.sleep(seconds))
    toy.fit(table, inputs=["picture", "sound"], epochs=1, out=out)


def children(process: int) -> list[int]:
    """The processes that a process has started and that live."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/children") as file:
            found += map(int, file.read().split())
    return found


def pipes(table: str, out: str, found: str) -> None:
    """A fit on a table some of whose media are pipes that nobody writes to; and on a table that is one itself."""
    from pathlib import Path

    import pandas as pd
    from tests.durability import jobs

    import plait
    from plait.errors import TableError

    frame, folder = pd.read_csv(table), Path(out).parent
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.csv")
    for column in ("picture", "sound"):
        frame[column] = [str(Path(table).parent / name) for name in frame[column]]
        frame.loc[[3, 40], column] = str(folder / "pipe")
    frame["clip"], frame["series"] = str(folder / "pipe"), str(folder / "pipe")
    kinds: dict[str, Any] = {
        "picture": "image",
        "sound": "audio",
        "clip": "video",
        "series": "series",
        "size": "number",
    }
    encoders = {"picture": toy.TINY["picture"], "sound": toy.TINY["sound"]}
    began = time.monotonic()
    model = plait.fit(frame, "kind", inputs=kinds, encoders=encoders, epochs=1, max_bad=1.0, quiet=True)
    status = model.predict(frame)["status"].tolist()
    try:
        plait.fit(folder / "pipe.csv", "kind", quiet=True)
        refused: str = ""
    except TableError as error:
        refused = str(error)
    bad = model.record["bad_cells"]
    about: Any = {"bad": bad, "status": status, "refused": refused, "seconds": time.monotonic() - began}
    jobs.write_json(found, {**about, "children": children(os.getpid())})
