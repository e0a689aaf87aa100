"""Hugging Face data sets, live and saved: the same rows, names for numbers of classes, and no cell decoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.data.table import Table, read_table
from plait.errors import TableError

CLASS = {"_type": "ClassLabel", "names": ["cat", "dog"]}
FEATURES = {
    "image": {"_type": "Image"},
    "label": CLASS,
    "tags": {"_type": "List", "feature": CLASS},
    "old": {"_type": "Sequence", "feature": {"kind": CLASS, "n": {"_type": "Value", "dtype": "int64"}}},
    "listed": [CLASS],
    "inner": {"kind": CLASS, "n": {"_type": "Value", "dtype": "int64"}},
    "emb": {"_type": "List", "feature": {"_type": "Value", "dtype": "float32"}},
    "n": {"_type": "Value", "dtype": "int64"},
}
CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
STORED = pa.table(
    {
        "image": pa.array([{"bytes": b"PNG", "path": "0.png"}, {"bytes": None, "path": "1.png"}, None], CELL),
        "label": pa.array([1, -1, None], pa.int64()),
        "tags": pa.array([[0, 1], [], None], pa.list_(pa.int64())),
        "old": [{"kind": [0, 1], "n": [0, 1]}, {"kind": [], "n": []}, None],
        "listed": pa.array([[1], None, [0, None]], pa.list_(pa.int64())),
        "inner": [{"kind": 0, "n": 0}, {"kind": None, "n": 1}, None],
        "emb": pa.array([[1.0, 2.0], None, [3.0]], pa.list_(pa.float32())),
        "n": pa.array([2**60 + 1, None, 3]),
    }
)
EXPECTED: dict[str, list[Any]] = {
    "image": [{"bytes": b"PNG", "path": "0.png"}, {"bytes": None, "path": "1.png"}, None],
    "label": ["dog", None, None],
    "tags": [["cat", "dog"], [], None],
    "old": [{"kind": ["cat", "dog"], "n": [0, 1]}, {"kind": [], "n": []}, None],
    "listed": [["dog"], None, ["cat", None]],
    "inner": [{"kind": "cat", "n": 0}, {"kind": None, "n": 1}, None],
    "emb": [[1.0, 2.0], None, [3.0]],
    "n": [2**60 + 1, None, 3],
}


def columns(table: Table) -> dict[str, list[Any]]:
    return {c: [v.tolist() if hasattr(v, "tolist") else v for v in table.column(c)] for c in table.frame.columns}


def save(folder: Path, table: pa.Table, files: int = 1, **state: Any) -> Path:
    """What save_to_disk writes, by pyarrow alone."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05}-of-{files:05}.arrow" for i in range(files)]
    size = -(-len(table) // files)
    for i, name in enumerate(names):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.slice(i * size, size))
    listed = {"_data_files": [{"filename": n} for n in names], "_fingerprint": "x", "_split": None, **state}
    (folder / "state.json").write_text(json.dumps(listed))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES, "license": ""}))
    return folder


@pytest.mark.parametrize("files", [1, 2])
def test_a_saved_data_set(files: int, tmp_path: Path) -> None:
    table = read_table(save(tmp_path / "set", STORED, files))
    assert columns(table) == EXPECTED
    assert (table.name, table.folder) == ("set", tmp_path / "set")


def test_saved_splits_are_a_column_and_whole_numbers_stay_whole(tmp_path: Path) -> None:
    save(tmp_path / "all" / "test", STORED.select(["label", "n"]).slice(2))
    save(tmp_path / "all" / "train", STORED.select(["n", "label"]))
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    table = read_table(tmp_path / "all")
    assert columns(table) == {
        "n": [2**60 + 1, None, 3, 3],
        "label": ["dog", None, None, None],
        "split": ["train", "train", "train", "test"],
    }


def test_names_of_classes_are_read_from_the_notes_of_a_file(tmp_path: Path) -> None:
    noted = STORED.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})
    pq.write_table(noted, tmp_path / "t.parquet")
    for source in (noted, tmp_path / "t.parquet"):
        assert columns(read_table(source)) == EXPECTED
    assert read_table(STORED).column("label") == [1, -1, None]


def damage(folder: Path, kind: str) -> None:
    data, state = folder / "data-00000-of-00001.arrow", folder / "state.json"
    if kind == "no data":
        data.unlink()
    elif kind == "cut":
        data.write_bytes(data.read_bytes()[:-300])
    elif kind == "empty":
        data.write_bytes(b"")
    elif kind == "no info":
        (folder / "dataset_info.json").unlink()
    elif kind == "not JSON":
        state.write_text("{")
    elif kind == "a list":
        state.write_text("[]")
    elif kind == "no files":
        state.write_text("{}")
    elif kind == "no name":
        state.write_text('{"_data_files": [{}]}')
    elif kind == "outside":
        state.write_text('{"_data_files": [{"filename": "../../x.arrow"}]}')


@pytest.mark.parametrize(
    "kind, said",
    [
        ("no data", r"No such file: .*data-00000-of-00001\.arrow, which .*state\.json lists"),
        ("cut", "Cannot read"),
        ("empty", "Cannot read"),
        ("no info", r"No such file: .*dataset_info\.json\. The folder is not whole"),
        ("not JSON", r"state\.json: not JSON"),
        ("a list", "found a list, expected an object"),
        ("no files", "lists no data file"),
        ("no name", "Cannot read"),
        ("outside", r"found '\.\./\.\./x\.arrow', expected the name of a file beside it"),
    ],
)
def test_a_damaged_folder_is_refused(kind: str, said: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "set", STORED)
    damage(folder, kind)
    with pytest.raises(TableError, match=said):
        read_table(folder)


def test_a_selection_saved_beside_its_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="flatten_indices"):
        read_table(save(tmp_path / "set", STORED, _indices_data_files=[{"filename": "indices.arrow"}]))


class Features:
    def to_dict(self) -> dict[str, Any]:
        return FEATURES


class Dataset:
    """What is used of datasets.Dataset, decoding cells unless asked for Arrow."""

    def __init__(self, table: pa.Table, form: str = "python") -> None:
        self.table, self.form, self.features = table, form, Features()

    def with_format(self, form: str) -> Dataset:
        return Dataset(self.table, form)

    def __getitem__(self, rows: slice) -> pa.Table:
        assert self.form == "arrow", "a cell would be decoded"
        return self.table[rows]


class DatasetDict(dict[str, Dataset]):
    """As datasets.DatasetDict."""


class IterableDataset:
    """As datasets.IterableDataset."""


for _like in (Dataset, DatasetDict, IterableDataset):
    _like.__module__ = "datasets.arrow_dataset"


def test_a_live_data_set_is_read_without_decoding() -> None:
    assert columns(read_table(Dataset(STORED))) == EXPECTED
    both = read_table(DatasetDict(train=Dataset(STORED), test=Dataset(STORED.slice(0, 1))))
    assert both.column("label") == [*EXPECTED["label"], "dog"]
    assert both.column("split") == ["train"] * 3 + ["test"]


def test_a_live_data_set_that_cannot_be_read_says_the_way_out() -> None:
    with pytest.raises(TableError, match=r"IterableDataset has no rows yet.*list\(dataset\.take"):
        read_table(IterableDataset())
    with pytest.raises(TableError, match=r"Split 'train'.* 'split' of its own.*rename_column"):
        read_table(DatasetDict(train=Dataset(STORED.append_column("split", pa.array(["a"] * 3)))))


def test_the_real_package_agrees(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the package of Hugging Face is no dependency of plait")
    names = ["n", "label", "tags"]
    features = datasets.Features(
        n=datasets.Value("int64"),
        label=datasets.ClassLabel(names=["cat", "dog"]),
        tags=datasets.Sequence(datasets.ClassLabel(names=["cat", "dog"])),
    )
    live = datasets.Dataset(STORED.select(names)).cast(features).select([2, 0])
    live.save_to_disk(str(tmp_path / "set"))
    for source in (live, tmp_path / "set"):
        assert columns(read_table(source)) == {c: [EXPECTED[c][2], EXPECTED[c][0]] for c in names}
