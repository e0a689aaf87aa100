"""The training loop against the same model in a bare PyTorch loop whose batches already lie in memory, in one run.

Prints the overhead of the loop and the share of a step that was spent waiting for data. The two take turns, epoch by
epoch, so that whatever else the machine does weighs on both. `make bench`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.data.ledger import Ledger
from plait.data.schema import infer
from plait.data.store import Store
from plait.data.table import read_table
from plait.encoders import DEFAULTS, ENCODERS
from plait.objectives.supervised import Supervised
from plait.predictor import assemble
from plait.preparation import Dataset, prepare, read_cells, read_labels
from plait.progress import Progress
from plait.training.loop import train
from plait.training.options import Options
from plait.training.schedule import order, rate
from plait.training.step import vary

COLUMNS = ["image", "text_en", "speech_fr"]


def dataset(table: Path, cache: Path) -> tuple[dict[str, Any], Dataset]:
    """The stamps, prepared, and the spec of the default model for them."""
    from plait.samples import stamps

    source = read_table(stamps.spine(table), base=table.parent)
    schema = infer(source, targets=["category"], inputs=COLUMNS)
    ledger = Ledger()
    labels = read_labels(source, "category", "category", ledger)
    encoders = {c: ENCODERS.complete(DEFAULTS[k], read_cells(source, c, k)) for c, k in schema.inputs.items()}
    outputs = {"category": {"name": "category", "classes": sorted(set(labels))}}
    spec = {"inputs": encoders, "fusion": {"name": "attention"}, "outputs": outputs, "width": 128}
    model = assemble(spec)
    parts = dict(model.encoders.items())
    columns = prepare(source, parts, store=Store(cache), ledger=ledger, progress=Progress())
    return spec, Dataset(columns, parts, {"category": model.heads["category"].collate(labels)}, len(source))


def bare(model: Any, optimizer: Any, batches: list[Any], options: Options, step: int, total: int) -> float:
    """An epoch as one would write it by hand."""
    objective, began = Supervised(), time.perf_counter()
    model.train()
    for batch in batches:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, total, peak=options.learning_rate, warmup=options.warmup)
        loss = sum(objective(model(vary(model, batch, options.modality_dropout))).values())
        loss.backward()  # type: ignore[union-attr]
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path("plait-demo/stamps/stamps.csv"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not given.table.exists():
        from plait.samples import stamps

        stamps.build(given.table.parent)
    rows = np.arange(512)
    with tempfile.TemporaryDirectory() as cache:
        spec, data = dataset(given.table, Path(cache))
        ours, theirs, waits = [], [], []
        for epoch in range(given.epochs + 1):
            torch.manual_seed(epoch)
            model = assemble(spec)
            data.encoders = dict(model.encoders.items())
            options = Options(epochs=1)
            state = train(
                model, Supervised(), data, train_rows=rows, valid_rows=rows[:0], options=options, seed=epoch,
                checkpoints=None, deadline=None, progress=Progress(quiet=True),
            )  # fmt: skip
            torch.manual_seed(epoch)
            model = assemble(spec)
            todo = np.array_split(order(rows, seed=epoch, epoch=0), 16)
            batches = [data.batch(r) for r in todo]
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
            seconds = bare(model, optimizer, batches, options, 0, 16)
            if epoch:  # the first warms up
                ours.append(state.speeds[0].seconds)
                waits.append(state.speeds[0].waited)
                theirs.append(seconds)
            print(f"epoch {epoch}: plait {state.speeds[0].seconds:.2f} s, bare {seconds:.2f} s", flush=True)
    found = {
        "plait_seconds": ours, "bare_seconds": theirs, "overhead": float(np.median(np.divide(ours, theirs)) - 1),
        "data_wait": sum(waits) / sum(ours), "threads": torch.get_num_threads(),
    }  # fmt: skip
    print(json.dumps(found) if given.json else f"loop overhead {found['overhead']:+.1%} (median of ratios), data wait "
          f"{found['data_wait']:.2%} of step time, {found['threads']} threads")  # fmt: skip


if __name__ == "__main__":
    main()
