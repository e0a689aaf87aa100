"""Accuracy on time series with published splits: plait's encoders beside ROCKET + ridge regression.

Sets of the UCR and UEA archives, the published training and test cases, every training case trained on, defaults
throughout. ROCKET (Dempster et al. 2020) is written here a second time, kernel by kernel as in the paper, with 10,000
kernels and scikit-learn's RidgeClassifierCV: once with each case by its own mean and standard deviation, as its authors
do, once with each channel by those of the training cases.

    python benchmarks/series.py --folder DIR --out series.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from plait.samples import series

ENCODERS = ("series_rocket", "series_conv", "series_recurrent", "series_patch")
BASELINES = {"ROCKET + ridge, cases normalised": True, "ROCKET + ridge, channels normalised": False}
KERNELS = 10_000


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One model on one set, in a process of its own, on one core."""
    import torch

    torch.set_num_threads(1)
    began = time.perf_counter()
    if job["model"] in BASELINES:
        accuracy = rocket(Path(job["table"]), BASELINES[job["model"]], job["seed"])
    else:
        accuracy = plait_accuracy(Path(job["table"]), job["model"], job["seed"])
    return {
        **{k: job[k] for k in ("set", "model", "seed")},
        "accuracy": accuracy,
        "seconds": time.perf_counter() - began,
    }


def plait_accuracy(table: Path, encoder: str, seed: int) -> float:
    import pandas as pd

    import plait

    frame = pd.read_csv(table, dtype=str)
    model = plait.fit(
        frame,
        "label",
        inputs=["series"],
        encoders={"series": encoder},
        split="split",
        base=table.parent,
        seed=seed,
        quiet=True,
    )
    held = frame[frame["split"] == "test"]
    guess = model.predict(held, base=table.parent)["label"]
    return float((guess.astype(str).to_numpy() == held["label"].to_numpy()).mean())


def rocket(table: Path, each: bool, seed: int) -> float:
    """Accuracy of ROCKET + ridge. `each`: every case by its own mean and standard deviation."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = pd.read_csv(table, dtype=str)
    cases = [np.load(table.parent / path).astype(np.float64) for path in frame["series"]]
    train = (frame["split"] == "train").to_numpy()
    every = np.concatenate([c for c, here in zip(cases, train) if here])
    scales = [(c.mean(0), c.std(0) + 1e-8) if each else (every.mean(0), every.std(0) + 1e-8) for c in cases]
    lengths = np.array([len(c) for c in cases])
    x = np.zeros((len(cases), cases[0].shape[1], lengths.max()), dtype=np.float32)
    for i, (case, (mean, std)) in enumerate(zip(cases, scales)):
        x[i, :, : len(case)] = ((case - mean) / std).T
    features = answers(x, lengths, int(lengths[train].max()), np.random.default_rng(seed))
    labels = frame["label"].to_numpy()
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    model.fit(features[train], labels[train])
    return float((model.predict(features[~train]) == labels[~train]).mean())


def answers(x: Any, lengths: Any, longest: int, random: Any) -> Any:
    """(cases, 2 x kernels): share of positive values and maximum of each kernel over x (cases, channels, steps)."""
    import numpy as np
    import torch

    data, found = torch.from_numpy(x), np.zeros((len(x), 2 * KERNELS), dtype=np.float32)
    place, length_of = torch.arange(x.shape[2]), torch.from_numpy(lengths)
    for k in range(KERNELS):
        length = int(random.choice([7, 9, 11]))
        dilation = int(2 ** random.uniform(0, max(0.0, np.log2((longest - 1) / (length - 1)))))
        channels = random.choice(
            x.shape[1], int(2 ** random.uniform(0, np.log2(min(x.shape[1], length) + 1))), replace=False
        )
        weight = random.normal(size=(1, len(channels), length))
        weight -= weight.mean(2, keepdims=True)
        bias, span = random.uniform(-1, 1), (length - 1) * dilation
        pad = span // 2 if random.integers(2) else 0
        if pad == 0 and x.shape[2] <= span:
            continue
        out = torch.conv1d(
            data[:, torch.from_numpy(channels)],
            torch.from_numpy(weight).float(),
            torch.tensor([bias], dtype=torch.float32),
            padding=pad,
            dilation=dilation,
        )[:, 0]
        ends = length_of - (0 if pad else span)
        real = place[: out.shape[1]] < ends[:, None]
        found[:, 2 * k] = ((out > 0) & real).sum(1) / ends.clamp_min(1)
        found[:, 2 * k + 1] = torch.where(ends > 0, out.masked_fill(~real, -torch.inf).amax(1), torch.tensor(0.0))
    return found


def summarise(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """set -> model -> mean accuracy over seeds, and how far it lies below the better ROCKET."""
    import numpy as np

    table: dict[str, dict[str, Any]] = {}
    for r in results:
        table.setdefault(r["set"], {}).setdefault(r["model"], []).append(r["accuracy"])
    for models in table.values():
        means = {m: float(np.mean(a)) for m, a in models.items()}
        best = max((means[m] for m in BASELINES if m in means), default=float("nan"))
        for m, found in models.items():
            sd = float(np.std(found))
            models[m] = {"seeds": len(found), "accuracy": means[m], "sd": sd, "below_rocket": best - means[m]}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("plait-demo/series"))
    parser.add_argument("--sets", nargs="*", default=list(series.SETS))
    parser.add_argument("--models", nargs="*", default=[*BASELINES, *ENCODERS])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="called again with the same file, the benchmark goes on from there")
    given = parser.parse_args()

    tables = {name: str(series.build(given.folder, name)) for name in given.sets}
    results = json.loads(given.out.read_text())["runs"] if given.out and given.out.exists() else []
    done = {(r["set"], r["model"], r["seed"]) for r in results}
    jobs = [
        {"set": name, "table": tables[name], "model": model, "seed": seed}
        for seed in given.seeds
        for name in given.sets
        for model in given.models
        if (name, model, seed) not in done
    ]
    with ProcessPoolExecutor(given.jobs) as pool:
        for future in as_completed([pool.submit(run, job) for job in jobs]):
            results.append(r := future.result())
            if given.out:
                given.out.write_text(json.dumps({"summary": summarise(results), "runs": results}, indent=1))
            said = f"{r['set']} {r['model']} seed {r['seed']}: {r['accuracy']:.3f} ({r['seconds']:.0f} s)"
            print(said, file=sys.stderr, flush=True)
    for name, models in summarise(results).items():
        for model, row in models.items():
            print(
                f"{name:<22} {model:<36} accuracy {row['accuracy']:.3f} (sd {row['sd']:.3f}, {row['seeds']} seeds)  "
                f"below ROCKET {row['below_rocket']:+.3f}"
            )


if __name__ == "__main__":
    main()
