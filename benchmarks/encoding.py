"""How fast pretrained networks encode a column, beside the same networks run by hand, in one run, taking turns.

    python benchmarks/encoding.py --table DIR/stamps.csv

Over the same distinct cells of the stamps, in turns: plait from files to a shelf, from an empty cache, on all cores; by hand
the same work in a loop (read, decode, make ready, run) on one core; and the bare network alone, its inputs ready in memory, on
one core, and on all of them in two ways: torch's threads within each layer, and batches side by side, a thread each. By hand
and bare at the size of batch that is best for the bare network. Texts by hand go in order of their length, so that least is
padded; sounds go without Whisper's padding to 30 s. Wall and core seconds, medians over the rounds; the machine has to be idle.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.data.ledger import Ledger
from plait.data.store import Store
from plait.data.table import Table, read_table
from plait.encoders import ENCODERS
from plait.modalities import modality
from plait.nn import towers
from plait.preparation import prepare
from plait.progress import Progress

WEIGHTS = {"text": "all-MiniLM-L6-v2", "image": "efficientnet-lite0", "audio": "whisper-base"}
COLUMNS = {"text": "text_en", "image": "image", "audio": "speech_fr"}
SIZES = {"text": (8, 16, 32, 64), "image": (1, 4, 8, 16), "audio": (1,)}  # of batches; sounds differ in length
COUNTS = {"text": 900, "image": 96, "audio": 48}


def cells_of(table: Table, kind: str, count: int) -> list[Any]:
    """Distinct values of the column, at most so many, spread over the table."""
    values = list(dict.fromkeys(v for v in table.column(COLUMNS[kind]) if v))
    return values[:: max(1, len(values) // count)][:count]


def ready(kind: str, encoder: Any, cells: Sequence[Any], size: int) -> list[dict[str, torch.Tensor]]:
    """The inputs of the network in batches, as somebody who writes this by hand would make them."""
    if kind == "text":
        ids = sorted((encoder.texts.windows(c)[0] for c in cells), key=len)
        return [_padded(ids[i : i + size]) for i in range(0, len(ids), size)]
    if kind == "image":
        pixels = [encoder.pictures.pixels(c) for c in cells]
        return [{"pixel_values": torch.stack(pixels[i : i + size])} for i in range(0, len(pixels), size)]
    return [part.inputs for c in cells for part in encoder.sounds.parts([c])]


def _padded(ids: list[list[int]]) -> dict[str, torch.Tensor]:
    x = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    mask = torch.zeros_like(x)
    for row, one in enumerate(ids):
        x[row, : len(one)], mask[row, : len(one)] = torch.tensor(one), 1
    return {"input_ids": x, "attention_mask": mask}


@torch.inference_mode()
def bare(encoder: Any, batches: list[dict[str, torch.Tensor]]) -> None:
    net = encoder.pretrained.net.module()
    for batch in batches:
        towers.run(net, encoder.pretrained.config, batch)[-1].mean(1).half().numpy()


def side_by_side(encoder: Any, batches: list[dict[str, torch.Tensor]]) -> None:
    """The bare network, a batch in each of as many threads as there are cores, the next when one is done."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda batch: bare(encoder, [batch]), batches))


def by_hand(kind: str, encoder: Any, values: Sequence[Any], folder: Path, size: int) -> None:
    part = modality(kind)
    step = len(values) if kind == "text" else 8 * size
    for i in range(0, len(values), step):
        raws = [part.load(v, folder) for v in values[i : i + step]]
        bare(encoder, ready(kind, encoder, [part.read(raw, **encoder.reading) for raw in raws], size))


def ours(encoder: Any, values: Sequence[Any], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as cache:
        table, ledger = read_table([{"x": v} for v in values], base=folder), Ledger()
        prepare(table, {"x": encoder}, store=Store(Path(cache)), ledger=ledger, progress=Progress(quiet=True))
    assert not ledger.bad


def seconds(work: Callable[[], None], threads: int = 1) -> tuple[float, float]:
    """On the wall, and of all cores."""
    torch.set_num_threads(threads)
    wall, core = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - core


def measured(kind: str, table: Table, count: int, rounds: int) -> dict[str, Any]:
    values = cells_of(table, kind, count)
    encoder = ENCODERS.build(ENCODERS.complete({"name": f"{kind}_pretrained", "weights": WEIGHTS[kind]}, []))
    part, folder = modality(kind), Path(table.folder)
    cells = [part.read(part.load(v, folder), **encoder.reading) for v in values]
    batches = {size: ready(kind, encoder, cells, size) for size in SIZES[kind]}
    bare(encoder, batches[SIZES[kind][0]][:2])  # loads the network
    alone = {size: min(seconds(lambda b=b: bare(encoder, b))[0] for _ in range(2)) for size, b in batches.items()}  # type: ignore[misc]
    best = min(alone, key=lambda size: alone[size])
    every = os.cpu_count() or 1
    ways: dict[str, tuple[Callable[[], None], int]] = {
        "bare": (lambda: bare(encoder, batches[best]), 1),
        "bare_within": (lambda: bare(encoder, batches[best]), every),
        "bare_beside": (lambda: side_by_side(encoder, batches[best]), 1),
        "by_hand": (lambda: by_hand(kind, encoder, values, folder, best), 1),
        "plait": (lambda: ours(encoder, values, folder), 1),
    }
    turns = [{w: seconds(*work) for w, work in ways.items()} for _ in range(rounds + 1)][1:]  # the first warms up
    wall, core = ({w: np.array([t[w][k] for t in turns]) for w in ways} for k in (0, 1))
    return {
        "cells": len(values),
        "batch": best,
        "wall": {w: float(np.median(s)) for w, s in wall.items()},
        "core": {w: float(np.median(s)) for w, s in core.items()},
        "core_to_bare": float(np.median(core["plait"] / core["bare"])),
        "core_to_by_hand": float(np.median(core["plait"] / core["by_hand"])),
        "wall_to_bare": float(np.median(wall["plait"] / np.minimum(wall["bare_within"], wall["bare_beside"]))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path("plait-demo/stamps/stamps.csv"))
    parser.add_argument("--kinds", nargs="*", default=list(WEIGHTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    table, found = read_table(given.table), {}
    for kind in given.kinds:
        found[kind] = measured(kind, table, COUNTS[kind], given.rounds)
        f = found[kind]
        if not given.json:
            times = ", ".join(
                f"{w.replace('_', ' ')} {f['core'][w]:.2f} s core, {f['wall'][w]:.2f} wall" for w in f["wall"]
            )
            print(
                f"{kind}, {WEIGHTS[kind]}, {f['cells']} cells, batches of {f['batch']}: {times}. plait takes "
                f"{f['core_to_bare']:.2f} times the core seconds of the bare network, {f['core_to_by_hand']:.2f} of "
                f"that by hand; "
                f"{f['wall_to_bare']:.2f} times the wall of the bare network on all cores, the faster way; "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    if given.json:
        print(json.dumps({**found, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
