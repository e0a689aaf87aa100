"""Jobs that tell what it costs to save and to go on for long: memory, time, files held open."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tests import toy


def resident(field: str = "VmRSS") -> float:
    """Megabytes of this process: now, or (VmHWM) at most since `forget_peak`."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def save_large(folder: str, found: str, megabytes: float, layout: str, first: bool) -> None:
    """Saves a checkpoint whose weights are so large, laid out as those of `linear` or `convolution` layers; the first one of
    a run, which holds no best weights yet, or a later one."""
    import torch
    from tests.durability import jobs

    from plait.training.checkpoint import Checkpoints

    sides = (1024, 256) if layout == "linear" else (256, 256, 2, 2)
    each = 1024 * 256 * 4 / 2**20
    count = round(megabytes / each)

    def weights() -> dict[str, Any]:
        made = {f"w{i}": torch.full(sides, 0.5) for i in range(count)}
        if layout == "convolution":
            made = {k: v.contiguous(memory_format=torch.channels_last) for k, v in made.items()}
        return made

    tensors = {"model": weights(), "optimizer": {f"{k}|{m}": v for m in "ab" for k, v in weights().items()}}
    if not first:
        tensors["best"] = weights()
    checkpoints = object.__new__(Checkpoints)
    checkpoints.folder, checkpoints.data = Path(folder), ""
    forget_peak()
    before, began = resident(), time.perf_counter()
    checkpoints.save(7, tensors, {"step": 7})
    seconds = time.perf_counter() - began
    size = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()) / 2**20
    about = {"extra": resident("VmHWM") - before, "size": size, "seconds": seconds}
    jobs.write_json(found, about)


def soak(table: str, out: str, found: str, epochs: int, batch: int, repeat: int = 1) -> None:
    """A fit that judges and saves after every epoch; at each save: the step, megabytes resident, files held open, and the
    seconds since the beginning and those of all saves so far."""
    import pandas as pd
    from tests.durability import jobs

    from plait.training.checkpoint import Checkpoints
    from plait.training.loop import _Run

    jobs.no_report()
    marks: list[list[float]] = []
    clock, saving = [0.0], [0.0]

    def start(*_: Any) -> None:
        clock[0] = clock[0] or time.perf_counter()

    def before(*_: Any) -> None:
        saving.append(time.perf_counter())

    def after(_: Any, step: int, *__: Any) -> None:
        now = time.perf_counter()
        saving[0] += now - saving.pop()
        marks.append([step, resident(), len(os.listdir("/proc/self/fd")), now - clock[0], saving[0]])

    jobs.around(_Run, "advance", before=start)
    jobs.around(Checkpoints, "save", before=before, after=after)
    rows = pd.concat([pd.read_csv(table)] * repeat, ignore_index=True)
    training = {"batch_size": batch, "patience": epochs, "modality_dropout": 0.3}
    kinds = {"note": "text"}
    toy.fit(rows, inputs=["note", "size"], modalities=kinds, epochs=epochs, training=training, out=out)
    jobs.write_json(found, marks)
