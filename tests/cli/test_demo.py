"""`plait demo` on its real data, shortened: fetch, fit, report, predictions with missing parts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import plait


def run(folder: Path, data: str, **environment: str) -> str:
    command = [sys.executable, "-c", "from plait.cli import main; main()", "demo", "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--data", data, "--epochs", "2"],
        capture_output=True,
        text=True,
        timeout=540,
        env=environment or None,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("apt-get") is None, reason="the stamps come as a Debian package, and apt-get is not here"
)
def test_demo_on_the_stamps(tmp_path: Path) -> None:
    said = run(tmp_path, "stamps")
    assert "724 stamps of 10 categories" in said and said.count("->") == 4
    model = plait.load(tmp_path / "stamps-model")
    assert model.inputs == {"text_en": "text", "image": "image", "speech_fr": "audio"}
    report = (tmp_path / "stamps-model" / "report.html").read_text("utf-8")
    assert "data:image" in report and "<audio" in report and len(report) < 1_500_000


@pytest.mark.slow
def test_demo_falls_back_to_countries_where_apt_is_absent(tmp_path: Path) -> None:
    said = run(tmp_path, "auto", PATH="/nowhere", PLAIT_CACHE=str(tmp_path / "cache"))
    assert "Falling back" in said and (tmp_path / "countries-model" / "report.html").exists()
    assert plait.load(tmp_path / "countries-model").inputs["flag"] == "image"
