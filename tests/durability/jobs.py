"""What the processes of these tests do: fit with a log and with hooks, save, load what is hostile."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import toy

LIVELY: dict[str, Any] = {**toy.TINY, "picture": {**toy.TINY["picture"], "flip": 0.5}}
LIGHT = ["note", "size"]
LATER = 20.0  # seconds in a phase after the first: whoever waits for its mark breaks it, however busy the machine is
STOPPED, REACHED = 77, 99  # exit codes of jobs that end themselves


def write_json(path: str, value: Any) -> None:
    part = f"{path}.part"
    with open(part, "w") as file:
        json.dump(value, file)
    os.rename(part, path)


def warm_up(folder: str, listed: str) -> None:
    """One fit with everything, to learn what is imported on the way."""
    import plait

    table = toy.make(Path(folder) / "warm", 30)
    toy.fit(table, epochs=1, out=Path(folder) / "warm.plait")
    plait.load(Path(folder) / "warm.plait").predict(table).to_parquet(Path(folder) / "warm.parquet")
    write_json(listed, sorted(sys.modules))


def around(owner: Any, name: str, before: Callable[..., None] | None = None, after: Any = None) -> None:
    """Has functions called before and after one of the library's, with the same arguments."""
    real = getattr(owner, name)

    def both(*arguments: Any, **options: Any) -> Any:
        if before is not None:
            before(*arguments, **options)
        result = real(*arguments, **options)
        if after is not None:
            after(*arguments, **options)
        return result

    setattr(owner, name, both)


def no_report() -> None:
    """Leaves out the pages beside the model: these jobs are about its bytes."""
    import plait.fitting

    plait.fitting._extra = lambda *_: {}  # type: ignore[assignment]


def save_every(steps: int) -> None:
    """Checkpoints at steps that can be counted on: every so many, and at the end of each epoch as always."""
    from plait.training.loop import _Run

    real = _Run.save

    def save(self: Any, state: Any, *, every: float) -> None:
        if every == 0 or state.step % steps == 0:
            real(self, state, every=0)

    _Run.save = save  # type: ignore[method-assign]


def log_steps(log: str) -> None:
    """A line for every step, and one for what the run ends with."""
    from plait.training.checkpoint import optimizer_tensors
    from plait.training.loop import _Run

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(value: dict[str, Any]) -> None:
        os.write(file, (json.dumps(value) + "\n").encode())

    def step(run: Any, state: Any, batch: Any, rows: Any) -> None:
        rate = run.optimizer.param_groups[0]["lr"].hex()
        note({"step": state.step, "loss": state.losses[-1].hex(), "rows": rows.tolist(), "rate": rate})

    def end(run: Any) -> None:
        held = {"weights": run.model.state_dict(), "optimizer": optimizer_tensors(run.optimizer, run.names)}
        found = {}
        for name, tensors in held.items():
            mark = hashlib.sha256()
            for key, value in sorted(tensors.items()):
                mark.update(key.encode() + value.contiguous().numpy().tobytes())
            found[name] = mark.hexdigest()
        note({"end": found})

    around(_Run, "advance", after=step)
    around(_Run, "keep_best", before=end)


def fit(
    table: str,
    out: str,
    *,
    threads: int = 1,
    every: int = 7,
    log: str | None = None,
    stop_after: int | None = None,
    slow: float = 0.0,
    only_train: bool = False,
    **options: Any,
) -> None:
    """A fit. `stop_after`: the step after whose checkpoint the process ends itself. `slow`: seconds that each file of a
    checkpoint takes. `only_train`: it ends when all is trained, before the model is judged."""
    import torch

    import plait.work
    from plait import files
    from plait.training.checkpoint import Checkpoints

    torch.set_num_threads(threads)
    no_report()
    save_every(every)
    if log:
        log_steps(log)
    if slow:
        around(files, "_write", before=lambda *_: time.sleep(slow))
    if stop_after is not None:
        around(Checkpoints, "save", after=lambda _, step, *__: os._exit(STOPPED) if step == stop_after else None)
    if only_train:
        around(plait.work, "train", after=lambda *_, **__: os._exit(0))
    toy.fit(table, out=out, **options)


def command(
    table: str,
    out: str,
    *,
    epochs: int,
    columns: list[str],
    phase: str = "",
    marks: str = "",
    stay: float = 3.0,
    more: Sequence[str] = (),
) -> None:
    """`plait fit`. In each of the phases (joined by +) it leaves a mark once, and stays there, in the first for so many
    seconds."""
    import plait.cli
    import plait.fitting
    from plait import files
    from plait.training import loop

    places: dict[str, tuple[Any, str, Callable[..., bool]]] = {
        "step": (loop._Run, "advance", lambda run, state, *_: state.step == 7),
        "save": (files, "_write", lambda path, *_: "step-000000010" in str(path)),
        "validation": (loop, "validate", lambda *_: (Path(out).parent / "m.run/step-000000009").exists()),
        "judging": (plait.fitting, "evaluate", lambda *_, **__: True),
    }
    for place, name in enumerate(filter(None, phase.split("+"))):
        owner, function, now = places[name]
        here = stay if not place else LATER
        around(
            owner,
            function,
            before=lambda *a, n=name, w=now, s=here, **k: _stay(f"{marks}.{n}", s) if w(*a, **k) else None,
        )
    no_report()
    save_every(1)
    parts = [f"{c}={toy.TINY[c]['name']}:" + ",".join(f"{k}={v}" for k, v in toy.TINY[c].items() if k != "name")
             for c in columns]  # fmt: skip
    arguments = [x for part in parts for x in ("--encoder", part)] + [x for c in columns for x in ("--input", c)]
    sys.argv = ["plait", "fit", table, "--target", "kind", *arguments, "--split-column", "part", "--epochs", str(epochs),
                "--train", "batch_size=8", "--out", out, *more]  # fmt: skip
    plait.cli.main()


def _stay(mark: str, seconds: float) -> None:
    if not Path(mark).exists():
        Path(mark).touch()
        time.sleep(seconds)


def refused_at_once(table: str, out: str, **options: Any) -> None:
    """A fit that must be refused within two seconds; says how."""
    from plait.errors import OutputError

    began = time.monotonic()
    try:
        toy.fit(table, out=out, **options)
        raise AssertionError("the fit was not refused")
    except OutputError as error:
        assert time.monotonic() - began <= 2.0
        print(type(error).__name__, error)
