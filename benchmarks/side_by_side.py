"""plait's presets beside what else one would try first, on real and planted tables, in one run.

    python benchmarks/side_by_side.py                       # four tables, five ways; the stamps and flags are fetched once
    python benchmarks/side_by_side.py --tables countries xor --ways fast plain

Every way gets the same rows to learn from and the same to be judged on, in a process of its own with nothing prepared: the
seconds hold reading, encoding and choosing. Ways: "fast" and "balanced", plait's presets; "classic", TF-IDF, HOG, MFCC, one-hot
and standardised numbers + logistic regression, by scikit-learn; "frozen", the frozen encoders plait would take + one plain
logistic regression; "plain", benchmarks/plain.py. Score: accuracy. CPU seconds of the process, its largest resident memory, and
rows a second when the judged rows are predicted again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WAYS = ("fast", "balanced", "classic", "frozen", "plain")


def table(name: str, folder: Path) -> dict[str, Any]:
    """{"frame", "base", "target", "kinds", "train", "test", "group"}."""
    if name == "stamps":
        from sklearn.model_selection import StratifiedGroupKFold

        from plait.samples import stamps

        path = folder / "stamps" / "stamps.csv"
        if not path.exists():
            stamps.build(path.parent)
        frame = stamps.spine(path).reset_index(drop=True)
        folds = StratifiedGroupKFold(3, shuffle=True, random_state=0).split(frame, frame.category, frame.folder)
        train, test = next(iter(folds))
        kinds = {"image": "image", "text_en": "text", "speech_fr": "audio"}
        return _of(frame, path.parent, "category", kinds, train, test, "folder")
    if name == "countries":
        from plait.samples import countries

        path = folder / "countries" / "countries.csv"
        if not path.exists():
            countries.build(path.parent)
        frame = pd.read_csv(path)
        frame = frame[frame.region.notna()].reset_index(drop=True)
        kinds = {
            "flag": "image",
            "text": "text",
            "languages": "text",
            **dict.fromkeys(("area", "population", "borders"), "number"),
        }
        order = np.random.default_rng(0).permutation(len(frame))
        return _of(frame, path.parent, "region", kinds, np.sort(order[60:]), np.sort(order[:60]), None)
    rng = np.random.default_rng(0)
    n = 1200
    if name == "xor":  # only both columns together tell: a word and the sign of a number, and noise
        sign, word = rng.integers(0, 2, n), rng.integers(0, 2, n)
        frame = pd.DataFrame(
            {
                "note": [f"{rng.choice(['we', 'they', 'you'])} said {['yes', 'no'][w]} then" for w in word],
                "size": np.where(sign, 1.0, -1.0) + 0.5 * rng.normal(size=n),
                "noise": rng.normal(size=n),
                "kind": np.where(sign == word, "same", "other"),
            }
        )
        kinds = {"note": "text", "size": "number", "noise": "number"}
    elif name == "redundant":  # three columns, each right in seven of ten rows; half of the cells are missing
        kind = rng.integers(0, 3, n)
        said = [np.where(rng.random(n) < 0.7, kind, rng.integers(0, 3, n)) for _ in range(2)]
        frame = pd.DataFrame(
            {
                "note": [f"a {['red', 'green', 'blue'][k]} one {rng.choice(['here', 'there'])}" for k in said[0]],
                "shade": [["x", "y", "z"][k] for k in said[1]],
                "size": 1.6 * kind + rng.normal(size=n),
            }
        )
        frame = frame.where(rng.random(frame.shape) < 0.5).assign(kind=[f"k{k}" for k in kind])
        kinds = {"note": "text", "shade": "category", "size": "number"}
    else:
        raise SystemExit(f"No table {name!r}; there are stamps, countries, xor, redundant.")
    return _of(frame, folder, "kind", kinds, np.arange(800), np.arange(800, n), None)


def _of(
    frame: Any, base: Path, target: str, kinds: dict[str, str], train: Any, test: Any, group: Any
) -> dict[str, Any]:
    return {
        "frame": frame,
        "base": base,
        "target": target,
        "kinds": kinds,
        "train": train,
        "test": test,
        "group": group,
    }


def by_plait(given: dict[str, Any], way: str) -> tuple[Any, Any]:
    import plait

    frame, train, test = given["frame"], given["train"], given["test"]
    how: dict[str, Any] = {"fast": {"preset": "fast"}, "balanced": {"preset": "balanced"}}.get(
        way, {"learner": "logistic"}
    )
    part = np.full(len(frame), "test", dtype=object)
    part[train] = "train"
    if given["group"]:
        split: dict[str, Any] = {"column": "part", "group": given["group"]}
    else:
        split = {"column": "part"}
    model = plait.fit(
        frame.assign(part=part),
        given["target"],
        inputs=list(given["kinds"]),
        modalities=given["kinds"],
        split=split,
        base=given["base"],
        quiet=True,
        **how,
    )
    held = frame.iloc[test]

    def answer() -> Any:
        return model.predict(held, base=given["base"])[given["target"]].to_numpy()

    return answer(), answer


def by_hand(given: dict[str, Any]) -> tuple[Any, Any]:
    """Classic features and logistic regression, by scikit-learn."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, Normalizer, OneHotEncoder, StandardScaler

    frame, base = given["frame"].copy(), given["base"]
    steps = []
    for column, kind in given["kinds"].items():
        if kind == "text":
            frame[column] = frame[column].fillna("")
            steps.append((column, TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), column))
        elif kind in ("image", "audio"):
            made = FunctionTransformer(_features, kw_args={"kind": kind, "base": str(base)})
            steps.append((column, make_pipeline(made, StandardScaler(), Normalizer()), column))  # as long as a text's
        elif kind == "number":
            steps.append((column, make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), [column]))
        else:
            steps.append((column, OneHotEncoder(handle_unknown="ignore"), [column]))
    model = make_pipeline(ColumnTransformer(steps), LogisticRegression(C=3, max_iter=2000))
    model.fit(frame.iloc[given["train"]], frame[given["target"]].iloc[given["train"]])
    held = frame.iloc[given["test"]]
    return model.predict(held), lambda: model.predict(held)


def _features(paths: Any, kind: str, base: str) -> Any:
    import cv2
    import librosa

    from plait.nn.gradients import hog  # OpenCV 5 has none

    rows = []
    for path in paths:
        if kind == "image":
            found = cv2.imread(str(Path(base) / path)) if isinstance(path, str) else np.full((64, 64, 3), 255, np.uint8)
            rows.append(hog(cv2.resize(found, (64, 64)), cell=8, bins=9))
        else:
            wave, rate = (
                librosa.load(Path(base) / path, sr=16_000) if isinstance(path, str) else (np.zeros(4000), 16_000)
            )
            bands = librosa.feature.mfcc(y=wave, sr=rate, n_mfcc=20)
            rows.append(np.concatenate([bands.mean(1), bands.std(1)]))
    return np.array(rows)


def one(name: str, way: str, folder: Path) -> dict[str, Any]:
    """A way on a table, in this process."""
    given = table(name, folder)
    began, cpu = time.perf_counter(), time.process_time()
    if way == "plain":
        sys.path.insert(0, str(Path(__file__).parent))
        import plain

        got, again = plain.run(*(given[k] for k in ("frame", "target", "kinds", "base", "train", "test")))
    elif way == "classic":
        got, again = by_hand(given)
    else:
        got, again = by_plait(given, way)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    began = time.perf_counter()
    again()
    truth = given["frame"][given["target"]].iloc[given["test"]].to_numpy()
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1e6
    return {
        "table": name,
        "way": way,
        "rows": [len(given["train"]), len(given["test"])],
        "accuracy": float((got == truth).mean()),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_gb": peak,
        "rows_per_second": len(truth) / (time.perf_counter() - began),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", default=["stamps", "countries", "xor", "redundant"])
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--folder", type=Path, default=Path("plait-demo"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(*given.one, given.folder)))
        return
    from plait.weights.find import own_folder

    weights = os.environ.get("PLAIT_WEIGHTS") or str(own_folder())
    results = []
    print(f"{'table':<11}{'way':<10}{'accuracy':>9}{'seconds':>9}{'CPU s':>8}{'peak GB':>9}{'rows/s':>8}")
    for name in given.tables:
        table(name, given.folder)  # fetched before anything is timed
        for way in given.ways:
            with tempfile.TemporaryDirectory() as cache:
                done = subprocess.run(
                    [sys.executable, __file__, "--one", name, way, "--folder", str(given.folder)],
                    env={**os.environ, "PLAIT_WEIGHTS": weights, "PLAIT_CACHE": cache},
                    stdout=subprocess.PIPE,
                    text=True,
                )
            if done.returncode:
                print(f"{name:<11}{way:<10}  failed")
                continue
            r = json.loads(done.stdout.strip().splitlines()[-1])
            results.append(r)
            print(
                f"{name:<11}{way:<10}{r['accuracy']:>9.3f}{r['seconds']:>9.1f}{r['cpu_seconds']:>8.1f}{r['peak_gb']:>9.2f}"
                f"{r['rows_per_second']:>8.0f}",
                flush=True,
            )
    if given.out:
        given.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
