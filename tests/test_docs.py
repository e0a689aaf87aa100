"""The documentation is followed to the letter, on a copy of plait."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_an_encoder_is_added_as_the_page_says(tmp_path: Path) -> None:
    file, line = re.findall(r"```python\n(.*?)```", (ROOT / "docs/add-an-encoder.md").read_text("utf-8"), re.S)
    copy = tmp_path / "plait"
    shutil.copytree(ROOT / "src/plait", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "encoders/text_shape.py").write_text(file, "utf-8")
    table = copy / "encoders/__init__.py"
    before = table.read_text("utf-8")
    after = before.replace('    "encoder",\n    {\n', '    "encoder",\n    {\n' + line)
    assert after != before
    table.write_text(after, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_contracts.py",
        "-k",
        "text_shape",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and re.search(r"1\d passed", done.stdout), done.stdout[-3000:]
    rows = "\n".join(f"{'LOUD 123!' if i % 2 else 'a quiet word'} {i},{'ab'[i % 2]}" for i in range(60))
    (tmp_path / "table.csv").write_text(f"note,kind\n{rows}\n", "utf-8")
    code = "from plait.cli import main; main()"
    fit = [
        "fit",
        "table.csv",
        "--target",
        "kind",
        "--input",
        "note",
        "--encoder",
        "note=text_shape",
        "--learner",
        "logistic",
    ]
    fitted = subprocess.run(
        [sys.executable, "-c", code, *fit, "--json", "-q"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert fitted.returncode == 0, fitted.stderr
    assert '"value": 1.0' in fitted.stdout and (tmp_path / "table.plait/plait.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["sklearn.md", "few-examples.md", "choosing.md"])
def test_the_examples_of_a_page_run_and_print_what_it_shows(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    (code,), shown = re.findall(r"```python\n(.*?)```", text, re.S), re.findall(r"```text\n(.*?)```", text, re.S)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if shown:
        number = re.compile(r"\d\.\d+")
        assert number.sub("#", done.stdout) == number.sub("#", shown[0])
        for found, said in zip(number.findall(done.stdout), number.findall(shown[0]), strict=True):
            assert float(found) == pytest.approx(float(said), abs=0.05)
    assert page != "few-examples.md" or (tmp_path / "shots.html").stat().st_size > 10_000


def test_the_page_of_own_encoders_tells_every_option_of_pretrained_ones() -> None:
    import inspect

    from plait.encoders import ENCODERS

    text = (ROOT / "docs/own-encoders.md").read_text("utf-8")
    told = {
        name: (of, default) for name, of, default in re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|", text, re.M)
    }
    kinds = ("text", "image", "audio", "video")
    found: dict[str, dict[str, object]] = {}
    for kind in kinds:
        part = ENCODERS.load(f"{kind}_pretrained")
        for function in (part.__init__, part.learn):
            for p in inspect.signature(function).parameters.values():
                if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name not in ("sha256", "config", "processing"):
                    found.setdefault(p.name, {})[kind] = p.default
    assert told.keys() == found.keys()
    for name, by_kind in found.items():
        of, default = told[name]
        assert of == ("all" if len(by_kind) == len(kinds) else ", ".join(by_kind)), name
        values = set(by_kind.values())
        if len(values) > 1:
            assert all(f"{value} (" in default for value in values), name
        elif values != {None}:
            value = values.pop()
            assert default == (f"{value:g}" if isinstance(value, float) else str(value).lower()), name


def test_the_page_of_few_examples_tells_every_option_of_prototypes() -> None:
    import inspect

    from plait.learners import LEARNERS

    text = (ROOT / "docs/few-examples.md").read_text("utf-8")
    own = {"task", "folds", "seed"}
    parameters = inspect.signature(LEARNERS.load("prototypes").learn).parameters.values()
    options = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY} - own
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == options
