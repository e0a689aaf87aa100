"""The README tells the truth: its quickstart runs as printed, its two languages agree, what it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from plait.samples import countries
from tests.online import online

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
NUMBER = re.compile(r"-?\d+\.\d+")


def blocks(path: Path, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", path.read_text("utf-8"), re.S)


def shape(text: str) -> list[str]:
    """Lines without what may differ between machines: decimals, and which region was guessed."""
    text = NUMBER.sub("#", text)
    return [re.sub(r"\b(Africa|Americas|Asia|Europe|Oceania)\b", "REGION", line) for line in text.split("\n")]


@pytest.mark.slow
def test_the_quickstart_prints_what_the_readme_shows(tmp_path: Path) -> None:
    with online():
        countries.build(tmp_path / "countries", log=str)  # as the first line of the quickstart does
    code, shown = blocks(READMES[0], "python")[0], blocks(READMES[0], "text")[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    squeezed = [[" ".join(line.split()) for line in shape(t.strip())] for t in (done.stdout, shown)]
    assert squeezed[0] == squeezed[1]
    for found, said in zip(NUMBER.findall(done.stdout), NUMBER.findall(shown), strict=True):
        assert float(found) == pytest.approx(float(said), abs=0.15)
    assert (tmp_path / "countries.plait" / "plait.json").exists()


def test_both_languages_show_the_same_code_and_figures() -> None:
    first, second = (path.read_text("utf-8") for path in READMES)
    plain = [[re.sub(r"\s*#.*", "", b) for b in blocks(path, "python")] for path in READMES]
    assert plain[0] == plain[1] and blocks(READMES[0], "text") == blocks(READMES[1], "text")
    rows = [re.findall(r"^\|.*\d.*\|$", text, re.M) for text in (first, second)]
    assert [NUMBER.findall(r) for r in rows[0]] == [NUMBER.findall(r) for r in rows[1]] != []


@pytest.mark.parametrize("path", READMES, ids=lambda p: p.name)
def test_what_the_tree_and_links_name_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    for name in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / name).exists(), name
    tree = text.split("src/plait/\n")[1].split("\n\n")[0]
    for name in re.findall(r"\b([a-z_]+\.py)\b", tree):
        assert list(ROOT.glob(f"src/plait/{name}")) or list(ROOT.glob(f"benchmarks/{name}")), name
    for name in re.findall(r"\b([a-z]+)/", tree):
        assert (ROOT / "src/plait" / name).is_dir() or (ROOT / name).is_dir() or name in ("src", "plait"), name
    there = {
        p.name for p in (ROOT / "src/plait").iterdir() if p.name != "__pycache__" and not p.name.startswith("__init__")
    }
    assert all(n in tree for n in there - {"py.typed"}), [n for n in there if n not in tree]
