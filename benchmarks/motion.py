"""Video on stamps in motion: which of eight motions, and what the sound adds to what kind of thing it is.

Task: clips of 201 stamps, 8 motions each (plait.samples.motion), split by stamp: no stamp of the test rows was seen in
training. Targets: the motion, and the category of the stamp. Each encoder runs with the sound track and without; the
category is judged on the clips that have a sound, where most are animals: the share of the most frequent is printed too.
Four fits, about 6 minutes of one core each.

    python benchmarks/motion.py --table DIR/motion.csv --out motion.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

SECONDS_OF_SOUND = 2.0


def judge(model: Any, frame: Any, base: Path) -> dict[str, Any]:
    """Accuracy on test rows: of the motion; of the category, also as the mean over categories, where there is a sound."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    guess = model.predict(frame[["clip"]], base=base)
    loud = (frame["sounds"] == "yes").to_numpy()
    truth, said = frame["category"][loud].to_numpy(), guess["category"].to_numpy()[loud]
    return {
        "motion": float(accuracy_score(frame["motion"], guess["motion"].to_numpy())),
        "category": float(accuracy_score(truth, said)),
        "category_balanced": float(balanced_accuracy_score(truth, said)),
        "most_frequent": float(frame["category"][loud].value_counts(normalize=True).iloc[0]),
        "clips": len(frame),
        "loud_clips": int(loud.sum()),
    }


def run(table: Path, name: str, sound: float, epochs: int, seed: int) -> dict[str, Any]:
    """One fit and its figures on the test rows."""
    import pandas as pd

    import plait
    from plait.data.split import by_chance

    frame = pd.read_csv(table, keep_default_na=False)
    loud = (frame["sounds"] + frame["category"]).tolist()
    part = by_chance(len(frame), fractions=(0.1, 0.3), seed=seed, strata=loud, groups=frame["stamp"].tolist())
    frame["part"] = [("train", "valid", "test")[p] for p in part]
    began = time.perf_counter()
    model = plait.fit(
        frame,
        ["motion", "category"],
        inputs={"clip": "video"},
        encoders={"clip": {"name": name, "sound": sound}},
        split={"column": "part"},
        base=table.parent,
        epochs=epochs,
        seed=seed,
        quiet=True,
    )
    took = time.perf_counter() - began
    test = frame[frame["part"] == "test"].reset_index(drop=True)
    figures = judge(model, test, table.parent)
    return {"encoder": name, "sound": sound, "seed": seed, "seconds": round(took), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path("plait-demo/motion/motion.csv"), help="built if not there")
    parser.add_argument("--encoders", nargs="+", default=["video_recurrent", "video_cnn3d"])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    from plait.samples import motion

    motion.build(args.table.parent)
    results = []
    for name in args.encoders:
        for sound in (SECONDS_OF_SOUND, 0.0):
            results.append(run(args.table, name, sound, args.epochs, args.seed))
            print(json.dumps(results[-1]), flush=True)
            if args.out is not None:
                args.out.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
