"""Odd columns, labels and tables, 102 to 115 of the list: what a fit or a predict does with them."""

from __future__ import annotations

import datetime
import decimal
import io
import re
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import encoded, picture

import plait
from plait.data import split as splits
from plait.data.schema import infer
from plait.data.table import read_table
from plait.errors import PlaitError


def frame(n: int = 24, **columns: Any) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    plain = {"size": generator.normal(size=n), "y": np.array(["a", "b"] * n, object)[:n]}
    return pd.DataFrame({**plain, **columns})


def fit(table: Any, target: str = "y", **options: Any) -> Any:
    return plait.fit(table, target, **{"epochs": 1, "quiet": True, **options})


def column(table: pd.DataFrame, name: str) -> Any:
    return next(c for c in infer(read_table(table), targets=["y"]).columns if c.name == name)


def refused(table: Any, says: str, **options: Any) -> None:
    with pytest.raises(PlaitError, match=says):
        fit(table, **options)


def all_missing(folder: Path) -> None:
    found = column(frame(x=[None] * 24), "x")
    assert found.role == "skip" and "missing" in found.reason
    assert "x" not in fit(frame(x=[None] * 24)).inputs


def constant(folder: Path) -> None:
    assert column(frame(x=[3.0] * 24), "x").role == "skip"
    assert "x" in fit(frame(x=[3.0] * 24), inputs=["x", "size"]).inputs


def mixed(folder: Path) -> None:
    table = frame(x=[1, "2", None, True] * 6)
    assert column(table, "x").modality in ("number", "category")
    fit(table)


def commas(folder: Path) -> None:
    found = column(frame(x=[f"{i},{i % 10}5" for i in range(24)]), "x")
    assert found.modality == "number" and "decimal comma" in found.reason
    found = column(frame(x=[f"{i * 7 % 100}%" for i in range(24)]), "x")
    assert found.modality == "number" and "%" in found.reason


def codes(folder: Path) -> None:
    found = column(frame(x=[f"{i % 4:04d}" for i in range(24)]), "x")
    assert found.modality == "category"


def dates(folder: Path) -> None:
    found = column(frame(x=[f"2020-01-{i + 1:02d}T10:00:00+0{i % 3}:00" for i in range(24)]), "x")
    assert found.modality == "date"


def unseen_name(folder: Path) -> None:
    model = fit(frame(x=["p", "q", "r"] * 8), inputs={"x": "category", "size": "number"})
    found = model.predict([{"x": "never seen", "size": 0.0}, {"x": "p", "size": 0.0}])
    assert found["status"].tolist() == ["note x: 'never seen' is not among the names learned in training", "ok"]


def many_names(folder: Path) -> None:
    model = fit(frame(2000, x=[f"name {i}" for i in range(2000)]), inputs={"x": "category", "size": "number"})
    assert sum(p.numel() for p in model.model.parameters()) < 5_000_000


def odd_index(folder: Path) -> None:
    table = frame()
    table.index = pd.Index([7] * 24)
    model = fit(table)
    found = model.predict(table.drop(columns="y"))
    assert found.index.tolist() == [7] * 24


def duplicate_names(folder: Path) -> None:
    table = frame(x=range(24))
    table.columns = ["size", "y", "size"]
    refused(table, "more than one column named")


def numbered_columns(folder: Path) -> None:
    table = frame()
    table.columns = [0, "y"]
    assert list(fit(table).inputs) == ["0"]


def absent_column(folder: Path) -> None:
    model = fit(frame(x=np.arange(24)[::-1] * 1.5))
    with pytest.raises(PlaitError, match="'x'"):
        model.predict(frame().drop(columns="y"))
    assert len(model.predict(frame(x=[1.0] * 24, more=1))) == 24


def ragged(folder: Path) -> None:
    (folder / "t.csv").write_text("a,y\n1,p,3\n2,q\n")
    refused(folder / "t.csv", "line 2: found 3 cells, expected 2")


def sparse_and_complex(folder: Path) -> None:
    for given in (np.zeros(24, complex), [1j, *range(23)]):
        refused(frame(x=given), r"'x' holds complex numbers.*Read are text, whole numbers, floats, Decimal")
    arrow = pd.ArrowDtype
    for given, kind in (
        (pd.array([1, None, 3] * 8, dtype="Int64"), "number"),
        (pd.array([1.5, None, 3] * 8, dtype="Float64"), "number"),
        (pd.array([True, None, False] * 8, dtype="boolean"), "category"),
        (pd.array(["p", None, "q"] * 8, dtype="string"), "category"),
        (pd.Categorical(["p", "q"] * 12), "category"),
        (pd.array([1.5, None, 3] * 8, dtype=arrow(pa.float32())), "number"),
        (pd.array([1, None, 3] * 8, dtype=arrow(pa.int16())), "number"),
        (pd.array(["p", None, "q"] * 8, dtype=arrow(pa.large_string())), "category"),
        (pd.array([decimal.Decimal(i) / 4 for i in range(24)], dtype=arrow(pa.decimal128(9, 2))), "number"),
        (pd.array([datetime.date(2020, 1, 1 + i) for i in range(24)], dtype=arrow(pa.date32())), "date"),
        ([decimal.Decimal(i * 7 % 24) / 4 for i in range(24)], "number"),
        (pd.arrays.SparseArray(np.arange(24) * 1.5), "number"),
    ):
        table = frame(x=given)
        assert column(table, "x").modality == kind, given
        model = fit(table, inputs=["x", "size"])
        gone = model.predict(table)["status"].str.contains("missing x").tolist()
        assert gone == pd.isna(pd.Series(given)).tolist()


def missing_label(folder: Path) -> None:
    table = frame()
    table.loc[3, "y"] = None
    model = fit(table)
    assert sum(model.record["parts"]) == 23


def mixed_labels(folder: Path) -> None:
    refused(frame(y=[1, "1", True, 0] * 6), "holds 1 in row 0 and '1' in row 1 and True in row 2")


def infinite_label(folder: Path) -> None:
    refused(frame(y=[*np.arange(23.0) * 1.37, np.inf]), "row 23: found inf, expected a finite number")


def one_class(folder: Path) -> None:
    refused(frame(y=["a"] * 24), "one class only, 'a'; expected at least two")


def said_of_classes(table: pd.DataFrame, folder: Path, **options: Any) -> dict[str, set[str]]:
    """What a fit says, records and writes of classes, by the words it begins with: those that the table shows."""
    heard = io.StringIO()
    with redirect_stderr(heard):
        model = fit(table, out=folder / "m", quiet=False, **options)
    (sentence,) = model.record["thin_classes"]
    card, report = (model.extra[name].decode() for name in ("MODEL_CARD.md", "report.html"))
    assert sentence in heard.getvalue().splitlines() and sentence in card and escape(sentence) in report
    parts = pq.read_table(io.BytesIO(model.extra["splits.parquet"])).column("part").to_pylist()
    counts = {name: Counter(p for p, y in zip(parts, table["y"]) if y == name) for name in set(table["y"])}
    words = ["no training row of", "no validation row of", "no test row of"]
    expected = {w: {n for n, c in counts.items() if not c[p]} for w, p in zip(words, splits.PARTS)}
    expected["one training row only of"] = {n for n, c in counts.items() if c["train"] == 1}
    clauses = sentence.removeprefix("Classes of 'y': ").removesuffix(".").split("; ")
    shown = {c.partition(" '")[0]: set(re.findall(r"'(\w+)'", c)) for c in clauses}
    assert shown == {w: names for w, names in expected.items() if names} and len(shown) == len(clauses)
    return shown


def lonely_class(folder: Path) -> None:
    table = frame(y=["a", "b"] * 11 + ["b", "c"])
    assert said_of_classes(table, folder)["one training row only of"] == {"c"}
    assert "y: c" in plait.load(folder / "m").predict_proba(table).columns
    assert fit(frame(48)).record["thin_classes"] == []


def class_left_out(folder: Path) -> None:
    table = frame(y=["a", "b", "c", "d"] * 6, g=[*"uvwx"] * 6)
    said = said_of_classes(table, folder, split={"group": "g", "stratify": False}, inputs=["size"])
    assert len(said["no training row of"]) == 2 and len(said["no test row of"]) == 3


def many_thin_classes(folder: Path) -> None:
    table = frame(200, y=[f"{'n' * 60} {i}" for i in range(100)] * 2)
    (said,) = fit(table, inputs=["size"]).record["thin_classes"]
    assert len(said) < 1500 and re.search(r"one training row only of .*, \d+ more\.$", said)


def empty(folder: Path) -> None:
    refused(frame().iloc[:0], "no rows")
    (folder / "t.csv").write_text("")
    refused(folder / "t.csv", "empty")


def one_row(folder: Path) -> None:
    refused(frame().iloc[:1], "one class only, 'a'; expected at least two", inputs=["size"])


def all_media_gone(folder: Path) -> None:
    refused(frame(p=[f"{i}.png" for i in range(24)]), "no such file", base=folder)


def relative(folder: Path) -> None:
    (folder / "sub").mkdir()
    for i in range(12):
        (folder / "sub" / f"{i}.png").write_bytes(encoded(picture(8, 8, i)))
    frame(12, p=[f"{i}.png" for i in range(12)]).to_csv(folder / "sub" / "t.csv", index=False)
    tiny = {"p": {"name": "image_resnet", "size": 16, "channels": 4, "width": 16}}
    model = fit(folder / "sub" / "t.csv", encoders=tiny, inputs=["p"])
    found = model.predict([{"p": "3.png"}], base=folder / "sub")
    assert found["status"].tolist() == ["ok"] and str(folder) not in str(model.record) + str(model.schema)


def urls(folder: Path) -> None:
    refused(frame(p=[f"https://example.org/{i}.png" for i in range(24)]), "is a URL", base=folder)


TABLES: list[tuple[int, str, Callable[[Path], None], str]] = [
    (102, "a column of nothing", all_missing, "left out, with the reason"),
    (103, "a column of one value", constant, "left out, with the reason; used when it is named"),
    (104, '[1, "2", None, True]', mixed, "read as one modality; the reason is printed"),
    (105, '"1,5" or "5%" throughout', commas, "numbers; how they are read is printed"),
    (106, "0008", codes, "a name, never the number 8"),
    (107, "times with zones that differ", dates, "dates"),
    (
        108,
        "a name never seen in training",
        unseen_name,
        "an unknown name, said in the status; a prediction all the same",
    ),
    (109, "a column of 2,000 names", many_names, "bounded: rare names share a place"),
    (110, "an index that repeats", odd_index, "rows go by their place; predictions carry the index"),
    (110, "two columns of one name", duplicate_names, "refused, naming them"),
    (110, "a column named 0", numbered_columns, "named “0”"),
    (
        111,
        "a column absent from predict, and one more",
        absent_column,
        "refused, naming it; what is more is not looked at",
    ),
    (112, "a line longer than the header", ragged, "refused, with the line"),
    (
        113,
        "complex numbers; nullable, Categorical, sparse, Arrow and Decimal columns",
        sparse_and_complex,
        "refused, with what is read; read",
    ),
    (114, "a row without a label", missing_label, "takes no part in fit, and is counted"),
    (114, '1, "1" and True as labels', mixed_labels, "refused"),
    (114, "an infinite label", infinite_label, "refused, with its row"),
    (114, "one class only", one_class, "refused"),
    (114, "a class with one row", lonely_class, "trains, and is named in output, record, card and report"),
    (
        114,
        "groups that leave a class out of a part",
        class_left_out,
        "fitted; the classes are named, by the part that lacks them",
    ),
    (114, "a hundred such classes", many_thin_classes, "eight are named, the others counted"),
    (115, "no rows", empty, "refused"),
    (115, "one row", one_row, "refused"),
    (115, "all files gone", all_media_gone, "stops before training, with the first five and the folder"),
    (115, "paths beside the table", relative, "taken from its folder; the model holds none of them"),
    (115, "a column of URLs", urls, "stops before training: is a URL"),
]
