"""Folders of media as tables: by class, by split, by metadata; nothing is left out without a word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import encoded, picture

from plait.data.schema import infer
from plait.data.table import Table, read_table
from plait.errors import TableError
from plait.modalities import modality

Write = Callable[..., Path]


def columns(table: Table) -> dict[str, list[Any]]:
    return {c: table.column(c) for c in table.frame.columns}


def plant(write: Write, files: Iterable[str]) -> Path:
    """Files of one byte below a folder called root."""
    for name in files:
        path = write(f"root/{name}", b"x")
    return path.parents[name.count("/")]


def test_a_folder_for_each_class(write: Write) -> None:
    root = plant(
        write, ["tomato/2.PNG", "tomato/10.png", "apple/1.jpg", "apple/.hidden.png", ".git/x.png", "__MACOSX/1.png"]
    )
    table = read_table(root)
    assert columns(table) == {
        "image": ["apple/1.jpg", "tomato/10.png", "tomato/2.PNG"],
        "label": ["apple", "tomato", "tomato"],
    }
    assert (table.folder, table.name, table.notices) == (root, "root", ())
    assert all((table.folder / path).is_file() for path in table.column("image"))


@pytest.mark.parametrize(
    "word, split", [("train", "train"), ("Val", "validation"), ("dev", "validation"), ("eval", "test")]
)
def test_folders_of_splits(word: str, split: str, write: Write) -> None:
    table = read_table(plant(write, [f"{word}/b/1.wav", f"{word}/a/1.wav", "test/a/2.wav"]))
    rows = sorted([(f"{word}/a/1.wav", "a", split), (f"{word}/b/1.wav", "b", split), ("test/a/2.wav", "a", "test")])
    assert list(zip(*columns(table).values())) == rows
    assert list(table.frame.columns) == ["audio", "label", "split"]


def test_a_class_called_train_is_a_class_among_others(write: Write) -> None:
    assert columns(read_table(plant(write, ["train/1.png", "car/1.png"]))) == {
        "image": ["car/1.png", "train/1.png"],
        "label": ["car", "train"],
    }


def test_a_flat_folder_has_no_labels(write: Write) -> None:
    assert columns(read_table(plant(write, ["b.mp4", "a.mp4"]))) == {"video": ["a.mp4", "b.mp4"]}
    assert columns(read_table(plant(write, ["x/train/b.png"]).joinpath("x"))) == {
        "image": ["train/b.png"],
        "split": ["train"],
    }


def test_two_kinds_of_media_are_two_columns(write: Write) -> None:
    assert columns(read_table(plant(write, ["a/1.png", "a/1.wav", "b/2.png"]))) == {
        "image": ["a/1.png", None, "b/2.png"],
        "audio": [None, "a/1.wav", None],
        "label": ["a", "a", "b"],
    }


def test_texts_are_read_not_named(write: Write) -> None:
    write("root/pos/1.txt", "good, 好".encode())
    write("root/neg/2.txt", "schön".encode("cp1252"))
    table = read_table(write("root/neg/1.txt", "\ufeffbad").parents[1])
    assert columns(table) == {"text": ["bad", "schön", "good, 好"], "label": ["neg", "neg", "pos"]}
    assert len(table.notices) == 1 and "neg/2.txt" in table.notices[0] and "Windows-1252" in table.notices[0]


def test_what_is_odd_is_said(write: Write) -> None:
    table = read_table(plant(write, ["a/1.png", "a/b/2.png", "3.png", "a/notes.md", "a/1.txt", "Makefile"]))
    assert columns(table) == {"image": ["3.png", "a/1.png", "a/b/2.png"], "label": [None, "a", "a"]}
    said = " ".join(table.notices)
    assert "3 files that are no image" in said and "1 .md" in said and "1 .txt" in said and "1 without a suffix" in said
    assert "1 files lie deeper than root/class/file, such as a/b/2.png" in said
    assert "1 files lie in no class folder, such as 3.png" in said


def test_links_that_go_round_end_and_broken_ones_stay_cells(write: Write) -> None:
    root = plant(write, ["a/1.png", "z/2.png"])
    os.symlink(root, root / "a" / "up")
    os.symlink(root / "z", root / "b")  # reached by its own name first
    os.symlink(root / "self", root / "self")
    os.symlink(root / "nowhere", root / "a" / "gone.png")
    table = read_table(root)
    assert table.column("image") == ["a/1.png", "a/gone.png", "z/2.png"]
    assert "2 links to folders that are read already" in table.notices[0]
    assert "the first is self" in table.notices[1]


def test_a_linked_folder_is_followed(write: Write, tmp_path: Path) -> None:
    root = plant(write, ["a/1.png"])
    write("elsewhere/2.png", b"x")
    os.symlink(tmp_path / "elsewhere", root / "b")
    assert columns(read_table(root)) == {"image": ["a/1.png", "b/2.png"], "label": ["a", "b"]}


@pytest.mark.parametrize(
    "files, said",
    [
        (["a.docx", "b/c.docx"], r"without media; found 2 \.docx\. Expected a folder for each class"),
        (["stamps.csv", "x/more.parquet"], r"Tables in it: stamps\.csv, x/more\.parquet\. Give the path of one"),
        ([".hidden/1.png"], "found nothing"),
    ],
)
def test_a_folder_without_media_is_refused(files: list[str], said: str, write: Write) -> None:
    with pytest.raises(TableError, match=said):
        read_table(plant(write, files))


def metadata(root: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """The same rows as .csv, .jsonl or .parquet."""
    import json

    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        path.write_text("\n".join(",".join(map(str, r)) for r in [list(rows[0]), *(r.values() for r in rows)]) + "\n")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_media_beside_metadata(suffix: str, write: Write) -> None:
    root = plant(write, ["sub/1.png", "2.png", "mask/1.png", "left.png", "README.md"])
    rows = [
        {"file_name": "2.png", "mask_file_name": "mask/1.png", "text": "two"},
        {"file_name": "sub/1.png", "mask_file_name": "mask/gone.png", "text": "one"},
    ]
    metadata(root, f"metadata.{suffix}", rows)
    table = read_table(root)
    assert columns(table) == {
        "image": ["2.png", "sub/1.png"],
        "mask": ["mask/1.png", "mask/gone.png"],
        "text": ["two", "one"],
    }
    assert table.folder == root
    assert [n for n in table.notices if "media files" in n] == [
        "root: 1 media files that no metadata names were left out, such as left.png."
    ]
    assert "The metadata's column 'file_name' is called 'image'." in table.notices


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_metadata_may_name_lists_of_files(suffix: str, write: Write) -> None:
    root = plant(
        write, ["train/1.png", "train/deep/2.png", "train/m.png", "test/3.png", "train/left.png", "train/4.png"]
    )
    if suffix == "csv":  # lists as JSON text
        write(
            "root/train/metadata.csv", 'file_names,mask_file_names,n\n"[""1.png"", ""deep/2.png""]",m.png,7\n4.png,,8\n'
        )
        write("root/test/metadata.csv", 'file_names,n\n"[""3.png""]",9\n')
    else:
        rows = [{"file_names": ["1.png", "deep/2.png"], "mask_file_names": ["m.png"], "n": "7"}]
        metadata(
            root, f"train/metadata.{suffix}", [*rows, {"file_names": ["4.png"], "mask_file_names": None, "n": "8"}]
        )
        metadata(root, f"test/metadata.{suffix}", [{"file_names": ["3.png"], "n": "9"}])
    table = read_table(root)
    found = columns(table)
    lone = suffix == "csv"  # what is no list there stays one path
    assert [*map(list, found["images"][:2])] == [["test/3.png"], ["train/1.png", "train/deep/2.png"]]
    assert found["images"][2] == ("train/4.png" if lone else ["train/4.png"])
    assert found["mask"] == [None, "train/m.png" if lone else ["train/m.png"], None]
    assert found["n"] == ["9", "7", "8"] and found["split"] == ["test", "train", "train"]
    assert [n for n in table.notices if "media files" in n] == [
        "root: 1 media files that no metadata names were left out, such as train/left.png."
    ]
    assert "The metadata's column 'file_names' is called 'images'." in table.notices


def test_lists_of_files_are_read_as_such(write: Write, tmp_path: Path) -> None:
    rows = [{"file_names": [f"{i}.png", f"{i + 1}.png"], "y": "ab"[i % 2]} for i in range(12)]
    for i in range(13):
        write(f"root/train/{i}.png", encoded(picture(seed=i)))
    metadata(tmp_path / "root", "train/metadata.jsonl", rows)
    table = read_table(tmp_path / "root")
    assert infer(table, targets=["y"], inputs=["images"]).inputs == {"images": "images"}
    part = modality("images")
    (first, second) = part.read(part.load(table.column("images")[3], table.folder))  # type: ignore[misc]
    assert (first == picture(seed=3)).all() and (second == picture(seed=4)).all()


def test_metadata_of_the_root_that_names_lists_in_splits(write: Write) -> None:
    root = plant(write, ["train/1.png", "train/2.png", "valid/1.png"])
    rows = [{"file_names": ["train/1.png", "train/2.png"]}, {"file_names": ["valid/1.png"]}]
    metadata(root, "metadata.jsonl", rows)
    assert read_table(root).column("split") == ["train", "validation"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_metadata_in_each_split(suffix: str, write: Write) -> None:
    root = plant(write, ["train/1.wav", "test/deep/1.wav"])
    metadata(root, f"train/metadata.{suffix}", [{"file_name": "1.wav", "n": "7"}])
    metadata(root, f"test/metadata.{suffix}", [{"file_name": "deep\\1.wav", "only": "x"}])
    table = read_table(root)
    assert columns(table) == {
        "audio": ["test/deep\\1.wav", "train/1.wav"],
        "only": ["x", None],
        "n": [None, "7"],
        "split": ["test", "train"],
    }
    assert not [n for n in table.notices if "media files" in n]


def test_metadata_of_the_root_that_names_files_in_splits(write: Write) -> None:
    root = plant(write, ["train/1.png", "valid/1.png"])
    metadata(root, "metadata.csv", [{"file_name": "train/1.png"}, {"file_name": "valid/1.png"}])
    assert read_table(root).column("split") == ["train", "validation"]


@pytest.mark.parametrize("cell", ["/abs/1.png", "https://x.org/1.png", "~/1.png", "C:\\1.png"])
def test_paths_that_are_whole_stay(cell: str, write: Write) -> None:
    root = plant(write, ["train/1.png"])
    metadata(root, "train/metadata.jsonl", [{"file_name": cell}, {"file_name": None}, {"file_name": "1.png"}])
    assert read_table(root).column("image") == [cell, None, "train/1.png"]


def test_a_column_that_is_there_keeps_its_name(write: Write) -> None:
    root = plant(write, ["1.png"])
    metadata(root, "metadata.csv", [{"file_name": "1.png", "image": "a stamp", "split": "mine"}])
    table = read_table(root)
    assert columns(table) == {"file_name": ["1.png"], "image": ["a stamp"], "split": ["mine"]} and table.notices == ()


def test_metadata_that_cannot_be_used_is_refused(write: Write) -> None:
    root = plant(write, ["1.png"])
    metadata(root, "metadata.csv", [{"name": "1.png", "text": "x"}])
    with pytest.raises(TableError, match=r"metadata\.csv has no column 'file_name'.*found name, text"):
        read_table(root)
    metadata(root, "metadata.jsonl", [{"file_name": "1.png"}])
    with pytest.raises(TableError, match=r"holds metadata\.csv and metadata\.jsonl\. Keep one"):
        read_table(root)
