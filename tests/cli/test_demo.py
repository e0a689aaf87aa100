"""`plait demo` on its real data, shortened: fetch, fit, report, predictions with missing parts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.online import online

import plait
from plait.samples import countries, stamps
from plait.weights.fetch import get
from plait.weights.find import own_folder


def run(folder: Path, data: str, *options: str, **environment: str) -> str:
    command = [sys.executable, "-c", "from plait.cli import main; main()", "demo", "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--data", data, *options],
        capture_output=True,
        text=True,
        timeout=540,
        env=environment or None,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_demo_on_the_stamps(tmp_path: Path) -> None:
    with online():
        stamps.build(tmp_path / "stamps", log=str)  # as the demo begins, too
    said = run(tmp_path, "stamps", "--epochs", "2")
    assert "724 stamps of 10 categories" in said and said.count("->") == 4
    model = plait.load(tmp_path / "stamps-model")
    assert model.inputs == {"text_en": "text", "image": "image", "speech_fr": "audio"}
    report = (tmp_path / "stamps-model" / "report.html").read_text("utf-8")
    assert "data:image" in report and "<audio" in report and len(report) < 1_500_000


@pytest.mark.slow
def test_demo_takes_pretrained_networks_by_itself(tmp_path: Path, real: Callable[..., Path]) -> None:
    for name in ("all-MiniLM-L6-v2", "whisper-base"):
        real(name)  # so that they are fetched once, not in each run
    with online():
        get("efficientnet-lite0", own_folder(), say=str)
        stamps.build(tmp_path / "stamps", log=str)
    said = run(tmp_path, "stamps")
    assert "Training from scratch" not in said and said.count("->") == 4
    model = plait.load(tmp_path / "stamps-model")
    assert model.spec["fusion"]["name"] == "logistic" and model.spec["inputs"]["speech_fr"]["weights"] == "whisper-base"
    assert (model.figures["category"]["accuracy"] or 0) > 0.65
    assert {p.name.split("-")[2] for p in (tmp_path / "stamps-model").glob("net-*")} == {
        f"{kind}.safetensors" for kind in ("text", "image", "audio")
    }


@pytest.mark.slow
def test_demo_falls_back_to_countries_where_apt_is_absent(tmp_path: Path) -> None:
    with online():
        countries.build(tmp_path / "countries", log=str)
    said = run(tmp_path, "auto", "--epochs", "2", PATH="/nowhere", PLAIT_CACHE=str(tmp_path / "cache"))
    assert "Falling back" in said and (tmp_path / "countries-model" / "report.html").exists()
    assert plait.load(tmp_path / "countries-model").inputs["flag"] == "image"
