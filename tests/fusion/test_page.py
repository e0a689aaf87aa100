"""docs/fusion.md: every feature-level fusion is on it, its costs are what is built, and its example keeps the contracts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from plait.fusion import FUSIONS
from plait.fusion.base import Fusion

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/fusion.md").read_text("utf-8")
COSTS: dict[str, Callable[[int, int], float]] = {  # parameters by M and D, as the page says
    "concat": lambda m, d: 2 * m * d**2 + 2 * d**2,
    "weighted": lambda m, d: 2 * m * d**2,
    "product": lambda m, d: m * d**2 + 4 * d**2,
    "gated": lambda m, d: 3 * m * d**2,
    "experts": lambda m, d: 4 * (m * d**2 + d**2),
    "ensemble": lambda m, d: 2 * m * d**2 + 2 * d**2 + 16 * (m + 8) * d,
    "tensor": lambda m, d: 4096 * d + d**2 + 15 * m * d,
    "lowrank": lambda m, d: 4 * m * d**2,
    "bilinear": lambda m, d: 2 * 5 * 32 * (m - 1) * d + 32 * (m**2 + 3 * m) * d / 2,
    "progressive": lambda m, d: 2 * m * d**2 + 3 * d**2,
    "attention": lambda m, d: 8 * d**2,
    "cross": lambda m, d: (6 * m + 2) * d**2 + (2 * m + 10) * d**2,
    "bottleneck": lambda m, d: 8 * 2 * m * d**2,
    "perceiver": lambda m, d: 16 * 2 * d**2,
    "graph": lambda m, d: 2 * 3 * d**2,
    "temporal": lambda m, d: m * d**2 + 8.5 * d**2,
}


def test_every_fusion_of_features_is_on_the_page() -> None:
    features = {f for f in FUSIONS if issubclass(FUSIONS.load(f), Fusion)}
    assert set(re.findall(r"^\*\*(\w+)\*\*", PAGE, re.M)) >= features == set(COSTS)


@pytest.mark.parametrize("m", [3, 10])
@pytest.mark.parametrize("name", COSTS)
def test_a_fusion_has_as_many_parameters_as_the_page_says(name: str, m: int) -> None:
    width = 1024
    with torch.device("meta"):
        fusion = FUSIONS.build({"name": name}, columns=[f"c{i}" for i in range(m)], width=width)
    found, few = sum(p.numel() for p in fusion.parameters()), (30 * m + 100) * width  # biases, norms, pools, positions
    if name == "tensor":
        assert 0.8 * COSTS[name](m, width) - few < found < COSTS[name](m, width) + few
    else:
        assert found == pytest.approx(COSTS[name](m, width), abs=few)


@pytest.mark.slow
def test_a_fusion_is_added_as_the_page_says(tmp_path: Path) -> None:
    file, line = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    copy = tmp_path / "plait"
    shutil.copytree(ROOT / "src/plait", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "fusion/maximum.py").write_text(file, "utf-8")
    table = copy / "fusion/__init__.py"
    before = table.read_text("utf-8")
    after = before.replace('    "fusion",\n    {\n', '    "fusion",\n    {\n' + line)
    assert after != before
    table.write_text(after, "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_contracts.py",
        "-k",
        "maximum",
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and re.search(r"8 passed", done.stdout), done.stdout[-3000:]
