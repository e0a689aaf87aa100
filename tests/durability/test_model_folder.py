"""A model folder holds data and nothing else; what has been changed or is hostile is refused quickly, and runs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests import tiny, toy
from tests.clips import numbered, video
from tests.conftest import encoded, picture
from tests.durability.conftest import ROOT, Forks

import plait
from plait.encoders import DEFAULTS, ENCODERS
from plait.errors import ModelFormatError
from plait.fusion import FUSIONS
from plait.heads import HEADS
from plait.learners import LEARNERS
from plait.modalities import MODALITIES
from plait.presets import CLASSIC, FIXED


@pytest.fixture(scope="module")
def saved(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with everything a fit writes, of text and numbers."""
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAIT_CACHE", str(folder / "cache"))
        toy.fit(small, out=folder / "m", inputs=["note", "size"], epochs=1)
    return folder / "m"


KINDS = {"image": "picture", "audio": "sound", "text": "note", "number": "size", "category": "house", "labels": "tags"}
LONG = {
    "video": "clip",
    "series": "series",
    "date": "day",
    "images": "album",
    "texts": "notes",
}  # in turns of their own
TINY: dict[str, Any] = {f"{kind}_pretrained": make for kind, make in
        (("text", tiny.bert), ("image", tiny.vit), ("audio", tiny.wav2vec2), ("video", tiny.vit))}  # fmt: skip
TURNS, LONG_TURNS = 19, 7  # as many as there are fusions, and as encoders of a kind
WORDS = ("red", "blue")
MAGIC = [b"PK\x03\x04", *(b"\x80" + bytes([v]) for v in range(2, 6)), b"\x93NUMPY"]


@pytest.mark.slow
@pytest.mark.parametrize("place", range(TURNS))
def test_every_kind_of_model_is_data(small: Path, tmp_path: Path, place: int) -> None:
    fusion = list(FUSIONS)[place % len(FUSIONS)]
    frame = pd.read_csv(small).iloc[:30]
    frame["tags"] = [[k, "thing"] for k in frame["kind"]]
    by_kind = encoders_by_kind(KINDS)
    assert max(len(FUSIONS), *map(len, by_kind.values())) <= TURNS, "every part has its turn"
    encoders = {KINDS[kind]: spec_of(kind, names[place % len(names)], tmp_path) for kind, names in by_kind.items()}
    targets = {"kind": "category", "value": "number", "tags": "labels"}
    assert {HEADS.load(h).modality for h in HEADS} == set(targets.values())
    plait.fit(
        frame,
        ["kind", "value"] if place % 2 else ["kind", "value", "tags"],
        inputs=[c for c in encoders if c != "tags" or place % 2],
        modalities={"house": "category", **{t: m for t, m in targets.items() if t != "tags"}, "tags": "labels"},
        encoders={c: e for c, e in encoders.items() if c != "tags" or place % 2},
        fusion=fusion,
        split="part",
        epochs=1,
        base=small.parent,
        out=tmp_path / "m",
        quiet=True,
    )
    check_data_only(tmp_path / "m")
    outside = [e["path"] for e in encoders.values() if "path" in e]
    assert plait.load(tmp_path / "m", outside=outside).inputs.keys() == {
        c for c in encoders if c != "tags" or place % 2
    }


@pytest.mark.slow
@pytest.mark.parametrize("place", range(LONG_TURNS))
def test_every_kind_of_model_of_long_cells_is_data(place: int, tmp_path: Path) -> None:
    """Of videos, series, dates, and lists of pictures and of texts."""
    by_kind = encoders_by_kind(LONG)
    assert max(map(len, by_kind.values())) <= LONG_TURNS and {*KINDS, *LONG} == set(MODALITIES)
    encoders = {LONG[kind]: spec_of(kind, names[place % len(names)], tmp_path) for kind, names in by_kind.items()}
    for i in range(3):
        (tmp_path / f"{i}.mp4").write_bytes(video(numbered(4, 32, 32, i), codec="mpeg4"))
        (tmp_path / f"{i}.png").write_bytes(encoded(picture(20, 20, i)))
    rows = [
        {
            "clip": f"{i % 3}.mp4",
            "series": np.sin(np.arange(20 + i % 4) * (1 + i % 2) / 3).tolist(),
            "day": f"2020-{1 + i % 12:02d}-{1 + i:02d}",
            "album": [f"{i % 3}.png", f"{(i + 1) % 3}.png"],
            "notes": [f"the {WORDS[i % 2]} thing number {i}", "another one"],
            "kind": WORDS[i % 2],
        }
        for i in range(20)
    ]
    kinds = {column: kind for kind, column in LONG.items()}
    options: dict[str, Any] = {"encoders": encoders, "epochs": 1, "base": tmp_path, "quiet": True}
    made = plait.fit(rows, "kind", inputs=kinds, out=tmp_path / "m", **options)
    check_data_only(tmp_path / "m")
    loaded = plait.load(tmp_path / "m", outside=[e["path"] for e in encoders.values() if "path" in e])
    assert loaded.predict_proba(rows, base=tmp_path).equals(made.predict_proba(rows, base=tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_every_kind_of_learner_is_data(name: str, small: Path, tmp_path: Path) -> None:
    encoders = {"note": "text_tfidf", "size": "number_scaled", "picture": "image_colour"}
    targets = ["kind"] if name in ("prototypes", "mlp", "fused") else ["kind", "value"]  # no numbers, or long to train
    learner = {"name": name, **({"hidden": 16} if name == "mlp" else {})}
    options: dict[str, Any] = {"encoders": encoders, "split": "part", "quiet": True}
    made = plait.fit(small, targets, inputs=list(encoders), learner=learner, out=tmp_path / "m", **options)
    check_data_only(tmp_path / "m")
    pd.testing.assert_frame_equal(plait.load(tmp_path / "m").predict_proba(small), made.predict_proba(small))


def encoders_by_kind(kinds: Collection[str]) -> dict[str, list[str]]:
    """Modality -> the names of all its encoders."""
    return {kind: [name for name in ENCODERS if ENCODERS.load(name).modality == kind] for kind in kinds}


def spec_of(kind: str, name: str, folder: Path) -> Any:
    """An encoder by name, with what it needs."""
    if name.endswith("_pretrained"):
        (folder / name).mkdir()
        return {"name": name, "weights": str(TINY[name](folder / name))}
    if name.endswith("_union"):
        return {"name": name, "parts": [{**CLASSIC, **FIXED}[kind], DEFAULTS[kind]]}
    if name.endswith("_module"):
        return {"name": name, "path": f"tests.nets:{name.removesuffix('_module').title()}"}
    return name


def check_data_only(folder: Path) -> None:
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} <= {".safetensors", ".json", ".parquet", ".html", ".md"}
    for path in files:
        content = path.read_bytes()
        assert not any(content.startswith(m) for m in MAGIC) and b"PK\x03\x04" not in content, path
        assert not (path.stat().st_mode & 0o111)


@pytest.mark.slow
def test_what_is_hostile_is_refused_quickly_and_runs_nothing(forks: Forks, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "hostile").mkdir()
    trap = Path("/tmp/plait-was-here")
    trap.unlink(missing_ok=True)
    forks.run("hostile.load_all", good=saved, folder=tmp_path / "hostile", found=tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) >= 60
    assert [n for n, f in found.items() if not f["error"]] == [], "loaded"
    assert {n: f["error"] for n, f in found.items() if f["error"].startswith("NOT TYPED")} == {}
    assert {n: f["events"] for n, f in found.items() if f["events"]} == {}
    assert {n: f["seconds"] for n, f in found.items() if f["seconds"] > 1} == {}
    assert {n: f["bytes"] for n, f in found.items() if f["bytes"] > 200e6} == {}
    assert not trap.exists()


def test_every_change_of_a_byte_is_noticed(saved: Path, tmp_path: Path) -> None:
    """500 flipped bits, 200 cuts, 200 insertions."""
    import shutil

    place = shutil.copytree(saved, tmp_path / "m")
    files = sorted(p for p in place.iterdir() if p.is_file())
    contents, generator = {p: p.read_bytes() for p in files}, np.random.default_rng(0)
    loaded = []
    for trial in range(900):
        path = files[trial % len(files)]
        whole = contents[path]
        at = int(generator.integers(len(whole)))
        if trial < 500:
            changed = whole[:at] + bytes([whole[at] ^ (1 << int(generator.integers(8)))]) + whole[at + 1 :]
        elif trial < 700:
            changed = whole[:at]
        else:
            changed = whole[:at] + generator.bytes(1 + trial % 3) + whole[at:]
        path.write_bytes(changed)
        try:
            plait.load(place)
            loaded.append((path.name, trial, at))
        except ModelFormatError:
            pass
        path.write_bytes(whole)
    assert loaded == []
    assert plait.load(place).targets == {"kind": "category"}


LOCALES = ["C", "tr_TR.UTF-8"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCALES)
def test_a_fresh_process_elsewhere_without_a_network_predicts_the_same(
    saved: Path, small: Path, tmp_path: Path, name: str
) -> None:
    there = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.lower()
    if name != "C" and name.lower().replace("-", "") not in there:
        pytest.skip(f"the locale {name} is not installed")
    script = """
import locale, sys
calls = []
sys.addaudithook(lambda event, _: calls.append(event) if event.startswith("socket.") else None)
locale.setlocale(locale.LC_ALL, "")
import plait
plait.load(sys.argv[1]).predict_proba(sys.argv[2]).to_parquet(sys.argv[3])
assert not calls, calls
"""
    environment = {**os.environ, "LC_ALL": name, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", script, saved, small, tmp_path / "p.parquet"], cwd="/", env=environment, check=False
    )
    assert done.returncode == 0
    here = plait.load(saved).predict_proba(small)
    assert torch.get_num_threads() == 1
    assert pd.read_parquet(tmp_path / "p.parquet").equals(here)


def test_a_loaded_model_is_saved_with_all_its_files(saved: Path, tmp_path: Path) -> None:
    plait.load(saved).save(tmp_path / "again")
    for path in saved.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    assert {"report.html", "MODEL_CARD.md", "splits.parquet"} <= {p.name for p in (tmp_path / "again").iterdir()}
