"""Accuracy on real stamps: every subset of picture, English text and French speech, beside TF-IDF on the text.

Task: the category (10 of them) of 724 stamps that have a PNG and French speech. Two protocols: `grouped` (3 folds by the
stamp's folder, seeds 0 1 2: near-duplicates sit in one folder, so this is the honest one) and `random` (5 folds, seed 0).
A fold's model is early-stopped on a part of its training rows, drawn by folder too where the protocol is grouped.

    python benchmarks/stamps.py --protocol grouped --table DIR/stamps.csv --out grouped.json
    python benchmarks/stamps.py --encoders pretrained --learner logistic    # frozen networks, minutes instead of hours
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

COLUMNS = ("image", "text_en", "speech_fr")


def folds(frame: Any, protocol: str, seeds: list[int]) -> list[tuple[int, int, Any]]:
    """(seed, fold, rows of the test fold) of a protocol."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    found = []
    for seed in seeds:
        if protocol == "grouped":
            parts = StratifiedGroupKFold(3, shuffle=True, random_state=seed).split(frame, frame.category, frame.folder)
        else:
            parts = StratifiedKFold(5, shuffle=True, random_state=seed).split(frame, frame.category)
        found += [(seed, fold, test) for fold, (_, test) in enumerate(parts)]
    return found


def split_column(frame: Any, test: Any, protocol: str, seed: int) -> list[str]:
    """train, valid or test for each row; valid is a tenth of the training rows."""
    import numpy as np

    from plait.data.split import by_chance

    train = np.setdiff1d(np.arange(len(frame)), test)
    groups = frame.folder.iloc[train].tolist() if protocol == "grouped" else None
    parts = by_chance(
        len(train), fractions=(0.1, 0.0), seed=seed, strata=frame.category.iloc[train].tolist(), groups=groups
    )
    column = np.full(len(frame), "test", dtype=object)
    column[train] = np.where(parts == 1, "valid", "train")
    return column.tolist()  # type: ignore[no-any-return]


def scores(truth: Any, guess: Any) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    return {"accuracy": float(accuracy_score(truth, guess)), "f1_macro": float(f1_score(truth, guess, average="macro"))}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One model on one fold, in a process of its own, on one core."""
    import torch

    import plait
    from plait.samples import stamps

    torch.set_num_threads(1)
    table = Path(job["table"])
    frame = stamps.spine(table).reset_index(drop=True)
    test = folds(frame, job["protocol"], [job["seed"]])[job["fold"]][2]
    frame["part"] = split_column(frame, test, job["protocol"], job["seed"])
    began = time.perf_counter()
    model = plait.fit(
        frame,
        "category",
        inputs=list(job["columns"]),
        split={"column": "part", "group": "folder"} if job["protocol"] == "grouped" else "part",
        seed=job["seed"],
        base=table.parent,
        quiet=True,
        encoders=job["encoders"],
        learner=job["learner"],
        fusion=job["fusion"],
        training=job["training"],
    )
    held = frame.iloc[test]
    guess = model.predict(held, base=table.parent)["category"]
    masked = {
        " + ".join(s["columns"]): {m: s["metrics"][m]["value"] for m in ("accuracy", "f1_macro")}
        for s in model.record["evaluation"]["targets"]["category"]["subsets"]
    }
    return {
        **{k: job[k] for k in ("columns", "seed", "fold")},
        **scores(held.category, guess),
        "masked": masked,
        "epochs": len(model.record["history"]),
        "seconds": time.perf_counter() - began,
    }


def tfidf(frame: Any, protocol: str, seeds: list[int]) -> list[dict[str, Any]]:
    """TF-IDF of words and pairs + logistic regression on the English text: the baseline that could embarrass us."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    results = []
    for seed, fold, test in folds(frame, protocol, seeds):
        train = np.setdiff1d(np.arange(len(frame)), test)
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=30, max_iter=1000)
        )
        model.fit(frame.text_en.iloc[train], frame.category.iloc[train])
        results.append(
            {
                "columns": ["tfidf"],
                "seed": seed,
                "fold": fold,
                **scores(frame.category.iloc[test], model.predict(frame.text_en.iloc[test])),
            }
        )
    return results


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over folds and the paired difference of all three to each subset, learned alone or shown to the model of all three."""
    import numpy as np

    by: dict[str, dict[tuple[int, int], dict[str, Any]]] = {}
    for r in results:
        by.setdefault(" + ".join(r["columns"]), {})[r["seed"], r["fold"]] = r
    full = by.get(" + ".join(COLUMNS), {})
    for place, run in full.items():
        for name, found in run["masked"].items():
            if name.count(" + ") < len(COLUMNS) - 1:
                by.setdefault(f"all, shown {name or 'nothing'}", {})[place] = found
    table = {}
    for name, runs in by.items():
        shared = [k for k in runs if k in full]
        gaps = np.array([full[k]["accuracy"] - runs[k]["accuracy"] for k in shared])
        table[name] = {
            "folds": len(runs),
            **{m: float(np.mean([r[m] for r in runs.values()])) for m in ("accuracy", "f1_macro")},
            "sd": float(np.std([r["accuracy"] for r in runs.values()])),
            "all_minus_this": float(gaps.mean()) if len(gaps) else None,
            "standard_error": float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else None,
        }
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path("plait-demo/stamps/stamps.csv"))
    parser.add_argument("--protocol", choices=("grouped", "random"), default="grouped")
    parser.add_argument("--seeds", type=int, nargs="*")
    parser.add_argument("--only", nargs="*", help="subsets, as column+column")
    parser.add_argument("--encoders", default="scratch", help="scratch, classic, pretrained, or JSON by column")
    parser.add_argument("--learner", help="in place of fusion and heads: NAME:option=value,…")
    parser.add_argument("--fusion", help="else what plait.fit takes by itself")
    parser.add_argument("--training", type=json.loads, default={})
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()

    from plait.samples import stamps
    from plait.spec import parse

    if not given.table.exists():
        stamps.build(given.table.parent)
    frame = stamps.spine(given.table).reset_index(drop=True)
    seeds = given.seeds or ([0, 1, 2] if given.protocol == "grouped" else [0])
    subsets = (
        [s.split("+") for s in given.only]
        if given.only
        else [list(s) for k in (1, 2, 3) for s in itertools.combinations(COLUMNS, k)]
    )
    jobs = [
        {
            "table": str(given.table),
            "protocol": given.protocol,
            "columns": s,
            "seed": seed,
            "fold": fold,
            "encoders": json.loads(given.encoders) if given.encoders.startswith("{") else given.encoders,
            "learner": parse(given.learner) if given.learner else None,
            "fusion": given.fusion,
            "training": given.training,
        }
        for seed, fold, _ in folds(frame, given.protocol, seeds)
        for s in subsets
    ]
    results = [r for r in _done(given.out) if r["columns"] != ["tfidf"]] + tfidf(frame, given.protocol, seeds)
    done = {(tuple(r["columns"]), r["seed"], r["fold"]) for r in results}
    todo = [j for j in jobs if (tuple(j["columns"]), j["seed"], j["fold"]) not in done]
    with ProcessPoolExecutor(given.jobs) as pool:
        for future in as_completed([pool.submit(run, job) for job in todo]):
            results.append(r := future.result())
            _write(given.out, given.protocol, results)
            print(
                f"{' + '.join(r['columns'])} seed {r['seed']} fold {r['fold']}: {r['accuracy']:.3f} "
                f"({r['epochs']} epochs, {r['seconds']:.0f} s)",
                file=sys.stderr,
                flush=True,
            )
    table = summarise(results)
    for name, row in table.items():
        gap = "" if row["all_minus_this"] is None else f"  all - this {row['all_minus_this']:+.3f}"
        error = "" if row["standard_error"] is None else f" ± {row['standard_error']:.3f}"
        print(
            f"{name:<38} accuracy {row['accuracy']:.3f} (sd {row['sd']:.3f})  macro-F1 {row['f1_macro']:.3f}{gap}{error}"
        )
    _write(given.out, given.protocol, results)


def _done(path: Path | None) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["runs"] if path and path.exists() else []  # type: ignore[no-any-return]


def _write(path: Path | None, protocol: str, results: list[dict[str, Any]]) -> None:
    """What has been run so far; called again with the same --out, the benchmark goes on from there."""
    if path:
        path.write_text(json.dumps({"protocol": protocol, "summary": summarise(results), "runs": results}, indent=1))


if __name__ == "__main__":
    main()
