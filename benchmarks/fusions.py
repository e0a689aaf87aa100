"""Every fusion and learner on real stamps, side by side: picture, English text and French speech, encoded by frozen networks.

The 724 stamps of benchmarks/stamps.py, split by folder, five times. A fusion is trained by the loop, a learner over folds; all
of them on the same prepared streams. `--keep` goes on where it was stopped.

    python benchmarks/fusions.py --table DIR/stamps.csv --keep trials --page fusions.html --out fusions.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path("plait-demo/stamps/stamps.csv"))
    parser.add_argument("--fusions", nargs="*", help="names; all of them when none is given")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()

    import plait
    from plait.samples import stamps

    if not given.table.exists():
        stamps.build(given.table.parent)
    began = time.perf_counter()
    found = plait.compare(
        stamps.spine(given.table),
        "category",
        inputs=["image", "text_en", "speech_fr"],
        fusions=given.fusions or "all",
        split={"group": "folder"},
        seeds=given.seeds,
        keep=given.keep,
        base=given.table.parent,
    )
    print(found)
    print(f"{time.perf_counter() - began:.0f} s in all")
    if given.page:
        found.save_html(given.page)
    if given.out:
        given.out.write_text(json.dumps(found.to_json(), indent=1))


if __name__ == "__main__":
    main()
