"""A model folder holds data and nothing else; what has been changed or is hostile is refused quickly, and runs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests import tiny, toy
from tests.durability.conftest import ROOT, Forks

import plait
from plait.encoders import DEFAULTS, ENCODERS
from plait.errors import ModelFormatError
from plait.fusion import FUSIONS
from plait.heads import HEADS
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
TINY = {"text_pretrained": tiny.bert, "image_pretrained": tiny.vit, "audio_pretrained": tiny.wav2vec2}
TURNS = 19  # as many as there are fusions, and more than encoders of a kind
MAGIC = [b"PK\x03\x04", *(b"\x80" + bytes([v]) for v in range(2, 6)), b"\x93NUMPY"]


@pytest.mark.slow
@pytest.mark.parametrize("place", range(TURNS))
def test_every_kind_of_model_is_data(small: Path, tmp_path: Path, place: int) -> None:
    fusion = list(FUSIONS)[place % len(FUSIONS)]
    frame = pd.read_csv(small).iloc[:30]
    frame["tags"] = [[k, "thing"] for k in frame["kind"]]
    by_kind: dict[str, list[str]] = {}
    for name in ENCODERS:
        if (kind := ENCODERS.load(name).modality) in KINDS:
            by_kind.setdefault(kind, []).append(name)
    assert max(len(FUSIONS), *map(len, by_kind.values())) <= TURNS, "every part has its turn"
    encoders: dict[str, Any] = {KINDS[kind]: names[place % len(names)] for kind, names in by_kind.items()}
    for column, name in encoders.items():
        if name.endswith("_pretrained"):
            (folder := tmp_path / name).mkdir()
            encoders[column] = {"name": name, "weights": str(TINY[name](folder))}
        if name.endswith("_union"):
            kind = name.removesuffix("_union")
            encoders[column] = {"name": name, "parts": [{**CLASSIC, **FIXED}[kind], DEFAULTS[kind]]}
        if name.endswith("_module"):
            encoders[column] = {"name": name, "path": f"tests.nets:{name.removesuffix('_module').title()}"}
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
    files = [p for p in (tmp_path / "m").rglob("*") if p.is_file()]
    assert {p.suffix for p in files} <= {".safetensors", ".json", ".parquet", ".html", ".md"}
    for path in files:
        content = path.read_bytes()
        assert not any(content.startswith(m) for m in MAGIC) and b"PK\x03\x04" not in content, path
        assert not (path.stat().st_mode & 0o111)
    outside = [e["path"] for e in encoders.values() if "path" in e]
    assert plait.load(tmp_path / "m", outside=outside).inputs.keys() == {
        c for c in encoders if c != "tags" or place % 2
    }


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
