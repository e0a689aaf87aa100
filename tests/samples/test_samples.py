"""The sample tables: their parts on made-up trees, and (slow) the real builds with their published counts."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.online import online

from plait.errors import FetchError, OutputError
from plait.modalities import modality
from plait.samples import countries, debian, prompts, run, staged, stamps

PENGUIN = """A penguin: "brr".
ca@valencia.utf8=Un pingüí.
fr.utf8=\tUn manchot.
zh_CN.utf8=企鹅。
zh_TW.utf8=x
es.utf8=
"""


def silent(line: str) -> None:
    return None


def read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tree_of_stamps(root: Path) -> Path:
    """Two stamps with everything and next to nothing, and files that belong to no column."""
    birds = root / "animals" / "birds"
    birds.mkdir(parents=True)
    (birds / "pen.guin.txt").write_text(PENGUIN, encoding="utf-8")
    Image.new("RGBA", (7, 5)).save(birds / "pen.guin.png")
    for ending in ("_desc_fr.ogg", "_desc_ru.wav", "_desc.ogg", ".ogg", "_desc_da.ogg", "_fr.ogg", "_mirror.png"):
        (birds / f"pen.guin{ending}").write_bytes(ending.encode())
    (root / "animals" / "ant.txt").write_text("An ant.", encoding="utf-8")
    (root / "animals" / "ant.svg").write_text("<svg/>")
    return root


def test_a_txt_gives_the_english_line_and_the_translations_by_locale(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(PENGUIN, encoding="utf-8")
    english, translations = stamps.read_text(path)
    assert english == 'A penguin: "brr".'
    assert translations == {"ca@valencia": "Un pingüí.", "fr": "Un manchot.", "zh_CN": "企鹅。", "zh_TW": "x", "es": ""}


def test_rows_name_what_a_stamp_has_and_leave_the_rest_empty(tmp_path: Path) -> None:
    stamps.assemble(tree_of_stamps(tmp_path / "tree"), tmp_path / "out")
    ant, penguin = read(tmp_path / "out" / "stamps.csv")
    here = "media/animals/birds/pen.guin"
    assert penguin == {
        "id": "animals/birds/pen.guin",
        "category": "animals",
        "folder": "animals/birds",
        "text_en": 'A penguin: "brr".',
        "text_fr": "Un manchot.",
        "text_zh": "企鹅。",
        "text_ru": "",
        "text_es": "",
        "image": f"{here}.png",
        "speech_fr": f"{here}_desc_fr.ogg",
        "speech_es": "",
        "speech_ru": f"{here}_desc_ru.wav",
        "speech_en": f"{here}_desc.ogg",
        "sound": f"{here}.ogg",
        "width": "7",
        "height": "5",
    }
    assert {c for c, cell in ant.items() if cell} == {"id", "category", "folder", "text_en"}  # no SVG


def test_only_the_files_that_the_table_names_are_kept_and_unchanged(tmp_path: Path) -> None:
    tree = tree_of_stamps(tmp_path / "tree")
    before = {p.relative_to(tree): p.read_bytes() for p in tree.rglob("*") if p.is_file()}
    rows = stamps.assemble(tree, tmp_path / "out")
    media = tmp_path / "out" / "media"
    kept = {p.relative_to(media): p.read_bytes() for p in media.rglob("*") if p.is_file()}
    named = {Path(row[c]).relative_to("media") for row in rows for c in ("image", *stamps.SOUNDS) if row[c]}
    assert set(kept) == named and len(kept) == 5
    assert all(before[path] == content for path, content in kept.items())


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        stamps.assemble(tree_of_stamps(tmp_path / f"tree_{name}"), tmp_path / name)
    assert (tmp_path / "a" / "stamps.csv").read_bytes() == (tmp_path / "b" / "stamps.csv").read_bytes()


def test_missing_cells_are_unquoted_so_that_readers_see_them_as_missing(tmp_path: Path) -> None:
    stamps.assemble(tree_of_stamps(tmp_path / "tree"), tmp_path / "out")
    assert (tmp_path / "out" / "stamps.csv").read_text(encoding="utf-8").splitlines()[
        1
    ] == "animals/ant,animals,animals,An ant.," + "," * 11


def test_a_picture_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"GIF89a")
    with pytest.raises(FetchError, match=r"a\.png .* not a PNG"):
        stamps.png_size(tmp_path / "a.png")
    with pytest.raises(FetchError, match="no stamps"):
        stamps.assemble(tmp_path, tmp_path / "out")


def test_the_spine_keeps_large_categories_of_whole_rows(tmp_path: Path) -> None:
    rows = [{"category": "food", "image": "a.png", "speech_fr": "a.ogg"}] * 15
    rows += [{"category": "toys", "image": "a.png", "speech_fr": "a.ogg"}] * 14
    rows += [{"category": "toys", "image": "", "speech_fr": "a.ogg"}]
    rows += [{"category": "food", "image": "a.png", "speech_fr": ""}]
    full = [
        {c: "" for c in stamps.COLUMNS} | row | {"id": f"{i}", "text_en": "NA", "width": "2", "height": "3"}
        for i, row in enumerate(rows)
    ]
    pd.DataFrame(full).to_csv(tmp_path / "stamps.csv", index=False)
    spine = stamps.spine(tmp_path / "stamps.csv")
    assert list(spine.columns) == list(stamps.COLUMNS) and list(spine.index) == list(range(15))
    assert set(spine["category"]) == {"food"} and set(spine["text_en"]) == {"NA"} and spine["text_ru"].isna().all()
    assert spine["width"].dtype == int


def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with pytest.raises(KeyboardInterrupt), staged(folder) as part:
        (part / "stamps.csv").write_text("half")
        raise KeyboardInterrupt
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_killed_build_is_cleared_away_and_the_next_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "stale").write_text("")
    (tmp_path / "out").mkdir()
    with staged(tmp_path / "out") as part:
        (part / "new").write_text("")
        assert list((tmp_path / "out").iterdir()) == []
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["out", "out/new"]


def test_what_stands_in_the_way_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine.txt", tmp_path / "mine.txt" / "below"):
        with pytest.raises(OutputError, match=r"is there already|Cannot build"), staged(folder):
            pytest.fail("the block ran")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"] and (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "module, runs, name",
    [(stamps, debian, "stamps.csv"), (prompts, debian, "prompts.csv"), (countries, countries, "countries.csv")],
)
def test_a_table_that_is_there_is_returned_and_one_that_breaks_is_not(module, runs, name, tmp_path, monkeypatch):
    def broken(command, *, cwd):
        raise FetchError("no network")

    monkeypatch.setattr(runs, "run", broken)
    monkeypatch.setattr(shutil, "which", lambda tool: tool)
    with pytest.raises(FetchError, match="no network"):
        module.build(tmp_path / "out", log=silent)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("id\n")
    assert module.build(tmp_path / "out", log=silent) == tmp_path / "out" / name


def test_without_apt_the_error_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    with pytest.raises(FetchError, match=r"apt-get is not on this machine.*plait\.samples\.countries"):
        stamps.build(tmp_path / "out", log=silent)


@pytest.mark.parametrize("user, commands", [(0, ["download", "update", "download"]), (1000, ["download"])])
def test_root_refreshes_a_missing_index_once(user, commands, tmp_path, monkeypatch) -> None:
    said = []

    def apt(command, *, cwd):
        said.append(command[1])
        if "update" not in said:
            raise FetchError("Unable to locate package.")
        if command[1] == "download":
            (cwd / f"{stamps.PACKAGE}_1_all.deb").touch()

    monkeypatch.setattr(debian, "run", apt)
    monkeypatch.setattr(debian.os, "geteuid", lambda: user)
    if user:
        with pytest.raises(FetchError, match="`apt-get update` as root"):
            debian.download(stamps.PACKAGE, tmp_path, silent)
    else:
        assert debian.download(stamps.PACKAGE, tmp_path, silent) == tmp_path / f"{stamps.PACKAGE}_1_all.deb"
    assert said == commands


def test_only_regular_files_inside_are_taken_from_the_archive(tmp_path: Path) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in ("./usr/a b.txt", "../out.txt", "./usr/../../out.txt", str(tmp_path / "out.txt")):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        for kind, name in ((tarfile.SYMTYPE, "./usr/link"), (tarfile.FIFOTYPE, "./usr/pipe")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a b.txt"
            archive.addfile(member)
    held.seek(0)
    debian.extract(held, tmp_path / "in" / "tree")
    assert [p for p in tmp_path.rglob("*") if not p.is_dir()] == [tmp_path / "in" / "tree" / "usr" / "a b.txt"]
    assert (tmp_path / "in" / "tree" / "usr" / "a b.txt").read_bytes() == b"abc"


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")
def test_a_package_is_unpacked_and_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "made" / "DEBIAN").mkdir(parents=True)
    (tmp_path / "made" / "DEBIAN" / "control").write_text(
        "Package: made\nVersion: 7\nArchitecture: all\nMaintainer: a <a@b>\nDescription: made up\n"
    )
    (tmp_path / "made" / "file").write_text("content")
    run(["dpkg-deb", "--build", "made", "made.deb"], cwd=tmp_path)
    debian.unpack(tmp_path / "made.deb", tmp_path / "tree")
    assert [p.name for p in (tmp_path / "tree").iterdir()] == ["file"]
    assert "Version: 7\n" in debian.source(
        tmp_path / "made.deb", "License: GPL-2\n", "Made: all", tested="7", log=silent
    )
    whole = (tmp_path / "made.deb").read_bytes()
    for bad in (b"<html>not found</html>", whole[: -len(whole) // 8]):
        (tmp_path / "bad.deb").write_bytes(bad)
        with pytest.raises(FetchError, match=r"bad\.deb cannot be unpacked .*: dpkg-deb.* unexpected end of file"):
            debian.unpack(tmp_path / "bad.deb", tmp_path / "tree")


def test_a_failing_command_is_quoted_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"failed \(3\): second\.$"):
        run([sys.executable, "-c", "import sys; print('first\\nsecond', file=sys.stderr); sys.exit(3)"], cwd=tmp_path)
    with pytest.raises(FetchError, match="'no-such-program' is not on this machine"):
        run(["no-such-program"], cwd=tmp_path)
    assert run([sys.executable, "-c", "print('é')"], cwd=tmp_path) == "é\n"


def wheel(files: dict[str, bytes]) -> zipfile.ZipFile:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return zipfile.ZipFile(held)


def test_countries_join_flags_and_facts_and_take_the_fuller_of_two(tmp_path: Path) -> None:
    flag = "django_countries/static/flags/{}.gif".format
    thin = {"ISO": {"alpha2": "NA"}, "name": "Thin", "region": "Africa"}
    full = thin | {
        "name": "Namibia",
        "capital": ["Windhoek"],
        "demonym": "Namibian",
        "languages": ["en", "af", "pa", "de"],
        "area": 825615,
        "population": 0,
        "borders": ["AGO", "BWA"],
        "latlng": [-22, 17],
    }
    bare = {"ISO": {"alpha2": "AQ"}, "name": "Antarctica", "region": "", "capital": None, "area": None}
    flagless = thin | {"ISO": {"alpha2": "XX"}}
    facts = {
        "data/a": thin,
        "data/b": full,
        "data/c": full | {"name": "Later"},
        "data/d": bare,
        "data/e": flagless,
        "data_no_iso/f": {"name": "Wales"},
    }
    flags = {flag(code): f"GIF-{code}".encode() for code in ("na", "aq", "eu")}
    packed = {f"countryinfo/{name}.json": json.dumps(fact).encode() for name, fact in facts.items()}
    rows = countries.assemble(wheel(flags), wheel(packed), tmp_path)
    assert rows == read(tmp_path / "countries.csv")
    assert rows[0] == dict.fromkeys(countries.COLUMNS, "") | {"id": "AQ", "name": "Antarctica", "flag": "flags/aq.gif"}
    assert rows[1] == {
        "id": "NA",
        "name": "Namibia",
        "flag": "flags/na.gif",
        "area": "825615",
        "population": "0",
        "borders": "2",
        "text": "The capital is Windhoek. The people are called Namibian. They speak English, Afrikaans and German.",
        "languages": "en af pa de",
        "region": "Africa",
    }
    kept = {p.name: p.read_bytes() for p in (tmp_path / "flags").iterdir()}
    assert kept == {"aq.gif": b"GIF-aq", "na.gif": b"GIF-na"}


def test_a_fact_that_names_a_region_is_left_out() -> None:
    assert (
        countries.sentence({"capital": "Pretoria", "demonym": "South African", "languages": ["zu"]})
        == "The capital is Pretoria. They speak Zulu."
    )
    assert (
        countries.sentence({"capital": "", "demonym": "Antiguan,Barbudan"})
        == "The people are called Antiguan or Barbudan."
    )


def test_a_wheel_with_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(command, *, cwd):
        (cwd / "countryinfo-1.0.1-py3-none-any.whl").write_text("x")

    monkeypatch.setattr(countries, "run", pip)
    with pytest.raises(FetchError, match=f"sha256 {hashlib.sha256(b'x').hexdigest()}, expected"):
        countries.download(countries.FACTS, tmp_path)


def test_importing_the_samples_loads_no_heavy_package() -> None:
    code = (
        "import sys; before = set(sys.modules); import plait.samples.stamps, plait.samples.countries;"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["plait"]


def test_the_words_of_prompts_leave_out_what_is_no_speech() -> None:
    text = (
        "; by X\n\na: One.\nb: [a tone]\nc/d: Two [beep] three: four.\nsilence/1: (1 second of silence)\nnot a line\n"
    )
    assert prompts.read_words(text) == {"a": "One.", "c/d": "Two three: four."}


@pytest.mark.slow
def test_the_real_prompts_are_sound_and_have_their_words(tmp_path: Path) -> None:
    with online():
        rows = read(prompts.build(tmp_path / "prompts", log=silent))
    assert len(rows) == 568 and sum(bool(r["text"]) for r in rows) == 553
    assert {r["kind"] for r in rows if not r["text"]} == {"prompt", "silence"}
    heard = {r["id"]: modality("audio").read((tmp_path / "prompts" / r["sound"]).read_bytes()) for r in rows}
    assert {wave.rate for wave in heard.values()} == {8000}
    assert np.abs(heard["silence/1"].samples).max() < 1e-3 < np.abs(heard["vm-from"].samples).max()
    assert prompts.build(tmp_path / "prompts", log=silent) == tmp_path / "prompts" / "prompts.csv"


@pytest.fixture(scope="module")
def real_stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with online():
        return stamps.build(tmp_path_factory.mktemp("real") / "stamps", log=silent)


@pytest.mark.slow
def test_the_real_stamps_have_the_published_counts(real_stamps: Path) -> None:
    source = (real_stamps.parent / "SOURCE.txt").read_text()
    assert f"Version: {stamps.TESTED}\n" in source, "another version of the package has other counts"
    frame = pd.read_csv(real_stamps, keep_default_na=False, na_values=[""])
    assert frame["id"].is_monotonic_increasing and frame["id"].is_unique
    counts = frame.notna().sum()
    assert counts[["id", "text_en", *stamps.TEXTS]].tolist() == [952, 952, 952, 775, 951, 951]
    assert counts[["image", *stamps.SOUNDS]].tolist() == [785, 927, 890, 920, 65, 135]
    assert (frame["image"].notna() & frame["speech_fr"].notna()).sum() == 767


@pytest.mark.slow
def test_the_real_spine_is_the_published_one(real_stamps: Path) -> None:
    spine = stamps.spine(real_stamps)
    assert len(spine) == 724 and spine["category"].nunique() == 10 and spine["folder"].nunique() == 103
    assert round(spine["category"].value_counts(normalize=True).max(), 3) == 0.341


@pytest.mark.slow
def test_the_real_media_are_those_in_the_table_with_sizes_as_pillow_sees_them(real_stamps: Path) -> None:
    folder, rows = real_stamps.parent, read(real_stamps)
    named = {row[c] for row in rows for c in ("image", *stamps.SOUNDS) if row[c]}
    assert named == {p.relative_to(folder).as_posix() for p in (folder / "media").rglob("*") if p.is_file()}
    assert sorted(p.name for p in folder.iterdir()) == ["SOURCE.txt", "media", "stamps.csv"]
    for row in rows:
        if row["image"]:
            with Image.open(folder / row["image"]) as picture:
                assert (row["width"], row["height"]) == tuple(map(str, picture.size)), row["id"]
    assert "Licence: GPL-2\n" in (folder / "SOURCE.txt").read_text()


@pytest.mark.slow
def test_the_real_countries(tmp_path: Path) -> None:
    with online():
        table = countries.build(tmp_path / "countries", log=silent)
    rows = read(table)
    assert len(rows) == len({row["id"] for row in rows}) == 249
    regions = pd.Series([row["region"] for row in rows]).value_counts().to_dict()
    assert regions == {"Africa": 60, "Americas": 57, "Asia": 51, "Europe": 51, "Oceania": 28, "": 2}
    assert not [row for row in rows if any(stem in row["text"].lower() for stem in countries.REGION_STEMS)]
    for row in rows:
        with Image.open(table.parent / row["flag"]) as picture:
            assert picture.size[1] == 11
    assert (table.parent / "SOURCE.txt").read_text().count("Licence: MIT\n") == 2
