"""Whisper's encoder without its padding to 30 s: how much faster, and how near its tokens are to the padded ones.

    python benchmarks/whisper.py --table DIR/stamps.csv

One thread, Whisper-base, real French speech of 2.5 to 6 s; half a second of silence follows each sound in ours.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path("plait-demo/stamps/stamps.csv"))
    parser.add_argument("--sounds", type=int, default=12)
    given = parser.parse_args()

    import torch

    from plait.encoders import ENCODERS
    from plait.modalities import modality
    from plait.nn import towers
    from plait.samples import stamps
    from plait.weights.fetch import get
    from plait.weights.find import find, own_folder

    torch.set_num_threads(1)
    if not given.table.exists():
        stamps.build(given.table.parent)
    if not find("whisper-base"):
        get("whisper-base", own_folder())
    part = modality("audio")
    paths = stamps.spine(given.table).speech_fr.drop_duplicates()
    waves = (part.read(part.load(path, given.table.parent)) for path in paths)
    chosen = [w for w, _ in zip((w for w in waves if 2.5 < len(w.samples) / w.rate < 6), range(given.sounds))]
    encoder = ENCODERS.build(ENCODERS.complete({"name": "audio_pretrained", "weights": "whisper-base"}, []))
    net, config, sounds = encoder.pretrained.net.module(), encoder.pretrained.config, encoder.sounds
    ratios, means, lowest = [], [], 1.0
    with torch.inference_mode():
        for wave in chosen:
            samples = sounds.samples(wave)
            own = next(iter(sounds.parts([wave])))
            padded = sounds._extractor(samples, sampling_rate=sounds.rate, return_tensors="pt")["input_features"]
            times, found = [], []
            for mel in (padded, own.inputs["input_features"]):
                began = time.perf_counter()
                found.append(towers.run(net, config, {"input_features": mel})[-1][0])
                times.append(time.perf_counter() - began)
            assert own.counts is not None
            near = torch.cosine_similarity(found[0][: own.counts[0]], found[1][: own.counts[0]], dim=1)
            ratios.append(times[0] / times[1])
            means.append(float(near.mean()))
            lowest = min(lowest, float(near.min()))
    ratios.sort()
    median, mean = ratios[len(ratios) // 2], sum(means) / len(means)
    seconds = sum(len(w.samples) / w.rate for w in chosen) / len(chosen)
    print(
        f"{len(chosen)} sounds of {seconds:.1f} s: {ratios[0]:.1f} to {ratios[-1]:.1f} times as fast, median {median:.1f}"
    )
    print(f"cosine of tokens to those with padding: mean {mean:.3f}, lowest {lowest:.2f}")


if __name__ == "__main__":
    main()
