"""The schema of a table: targets, keys, overrides and refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plait.data.schema import Schema, infer
from plait.data.table import Table, read_table
from plait.errors import PlaitError, TableError, UnknownNameError

N = 60
SHUFFLED = np.random.default_rng(0).permutation(N).tolist()
IDS = [f"x{i * 7919:08x}" for i in range(N)]


def table(columns: dict[str, Any]) -> Table:
    return read_table(
        pd.DataFrame(
            {
                k: pd.Series(v if hasattr(v, "dtype") else list(v), dtype=None if hasattr(v, "dtype") else object)
                for k, v in columns.items()
            }
        )
    )


TARGET = {"y": ["a", "b"] * 30, "x": [i * 0.7 for i in range(N)]}


@pytest.mark.parametrize(
    "values, expected",
    [
        (["a", "b"] * 30, "category"),
        ([i % 3 for i in range(N)], "category"),
        ([i % 3 * 1.0 for i in range(N)], "category"),
        (["0", "1"] * 30, "category"),
        ([True, False] * 30, "category"),
        ([i * 0.37 for i in range(N)], "number"),
        (SHUFFLED, "number"),
        ([["a"], []] * 30, "labels"),
        (["same"] * N, "category"),
        ([f"{i % 15:03d}" for i in range(N)], "category"),
    ],
    ids=str,
)
def test_a_target_is_what_a_person_would_say(values: list[Any], expected: str) -> None:
    assert infer(table({"x": TARGET["x"], "it": values}), targets=["it"]).targets == {"it": expected}


def test_pandas_dtypes_are_understood() -> None:
    columns = {
        "cat": pd.Series(pd.Categorical(list("abc") * 20)),
        "whole": pd.Series([1, None, 3] * 20, dtype="Int64"),
        "string": pd.Series(["some words", None, "other words"] * 20, dtype="string"),
        "flag": pd.Series([True, None, False] * 20, dtype="boolean"),
        "f32": pd.Series(np.linspace(0, 1, N, dtype=np.float32)),
    }
    assert infer(table({**TARGET, **columns}), targets=["y"]).inputs == {
        "x": "number",
        "cat": "category",
        "whole": "number",
        "string": "category",
        "flag": "category",
        "f32": "number",
    }


def test_only_the_named_inputs_are_inputs() -> None:
    schema = infer(table({**TARGET, "id": IDS, "z": SHUFFLED}), targets=["y"], inputs=["id", "x"])
    assert schema.inputs == {"x": "number", "id": "text"}
    assert schema.columns[3].role == "skip" and "not among" in schema.columns[3].reason


def test_a_given_modality_wins() -> None:
    source = table({**TARGET, "z": [i % 3 for i in range(N)], "nothing": [None] * N})
    by_input = infer(source, targets=["y"], inputs={"z": "category", "x": None, "nothing": "text"})
    assert by_input.inputs == {"x": "number", "z": "category", "nothing": "text"}
    by_modality = infer(source, targets=["z"], modalities={"z": "number", "x": "text"})
    assert by_modality.targets == {"z": "number"} and by_modality.inputs == {"y": "category", "x": "text"}


def test_key_columns_are_no_inputs() -> None:
    source = table({**TARGET, "who": list("abcd") * 15, "when": SHUFFLED, "part": ["train", "test"] * 30})
    schema = infer(source, targets=["y"], keys={"group": "who", "time": "when", "split": "part"})
    assert schema.inputs == {"x": "number"}
    assert [c.role for c in schema.columns] == ["target", "input", "group", "time", "split"]


def test_several_targets_and_json() -> None:
    schema = infer(table({**TARGET, "z": SHUFFLED}), targets=["y", "z"])
    assert schema.targets == {"y": "category", "z": "number"} and schema.inputs == {"x": "number"}
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


@pytest.mark.parametrize(
    "options, said",
    [
        ({"targets": ["yy"]}, "Unknown column.*'yy'.*Did you mean 'y'"),
        ({"targets": ["y"], "inputs": ["X"]}, "Did you mean 'x'"),
        ({"targets": ["y"], "keys": {"group": "wo"}}, "Unknown column"),
        ({"targets": ["y"], "modalities": {"q": "text"}}, "Unknown column"),
        ({"targets": ["y"], "modalities": {"x": "txt"}}, "Unknown modality 'txt'. Did you mean 'text'"),
        ({"targets": []}, "No target given"),
        ({"targets": ["y"], "inputs": ["y", "x"]}, "both as a target and as an input"),
        ({"targets": ["y", "x"]}, "No input column is left"),
        ({"targets": ["gone"]}, "all 60 labels are missing"),
        ({"targets": ["odd"]}, "cannot tell what values like"),
    ],
    ids=str,
)
def test_refusals_say_the_way_out(options: dict[str, Any], said: str) -> None:
    source = table({**TARGET, "gone": [None] * N, "odd": [{"a": 1}] * N})
    with pytest.raises(PlaitError, match=said):
        infer(source, **options)


def test_unknown_names_are_their_own_kind_of_error() -> None:
    with pytest.raises(UnknownNameError):
        infer(table(TARGET), targets=["z"])
    with pytest.raises(TableError, match="has no rows"):
        infer(read_table(pd.DataFrame({"x": [], "y": []})), targets=["y"])


def test_what_is_seen_of_a_long_column_is_spread_over_all_of_it() -> None:
    rows = 3000
    source = table(
        {
            "y": ["a", "b"] * (rows // 2),
            "x": np.linspace(0, 1, rows),
            "late": ["word"] * (rows // 2) + [f"now these are sentences {i}" for i in range(rows // 2)],
        }
    )
    assert infer(source, targets=["y"]).inputs["late"] == "text"
