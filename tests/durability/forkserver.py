"""A process that has everything imported and forks for each job: a job starts in milliseconds, not in seconds.

Orders come as lines of JSON on standard input, answers go to standard output. A job is a function of `jobs.py`, or
`file.function`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
import traceback
from typing import Any


def warm(folder: str) -> None:
    """Imports what a fit imports, as a child that has run one tells. Nothing is computed here, so that no thread lives."""
    from tests.durability import jobs

    listed = os.path.join(folder, "modules.json")
    child = start({"job": "warm_up", "with": {"folder": folder, "listed": listed}, "errors": f"{listed}.err"})
    if wait(child, 300.0) != 0:
        with open(f"{listed}.err") as file:
            raise RuntimeError(file.read())
    with open(listed) as file:
        for name in json.load(file):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    assert jobs


def start(order: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        errors = os.open(order["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, place in ((nothing, 0), (errors, 1), (errors, 2)):
            os.dup2(number, place)
        os.environ.update(order.get("environment", {}))
        module, _, name = order["job"].rpartition(".")
        getattr(importlib.import_module(f"tests.durability.{module or 'jobs'}"), name)(**order["with"])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(child: int, seconds: float) -> int | None:
    """The exit code, -n after signal n, or None when it still runs."""
    until = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.002)


def main() -> None:
    os.environ["PLAIT_CACHE"] = os.path.join(sys.argv[1], "cache")
    import torch

    torch.set_num_threads(1)
    warm(sys.argv[1])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer = start(order) if "job" in order else wait(order["wait"], order["seconds"])
        print(json.dumps(answer), flush=True)
    os._exit(0)  # nothing of what was imported has to be tidied up


if __name__ == "__main__":
    main()
