"""The command line: light to start, JSON for scripts, one message and exit code 2 on bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests import toy

import plait
from plait.cli.output import write_frame
from plait.data.table import read_table
from plait.modalities import modality

NOTHING: dict[str, Any] = {"bad_cells": [], "drift": {}, "unseen_names": {}}  # to tell of 45 rows
PLAIT = [sys.executable, "-c", "from plait.cli import main; main()"]


def call(*arguments: object, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PLAIT, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=dict(os.environ), timeout=120
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


HELPED = (
    "import sys\nsys.argv = ['plait', '--help']\nfrom plait.cli import main\n"
    "try: main()\nexcept SystemExit: pass\nassert not {'torch', 'pandas', 'numpy'} & set(sys.modules), 'heavy'"
)


def test_import_and_help_load_nothing_heavy() -> None:
    script = "import sys, plait; assert not {'torch', 'pandas', 'numpy', 'sklearn'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert "fit" in subprocess.run([sys.executable, "-c", HELPED], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow  # so that no other test runs beside it
def test_import_and_help_take_under_a_third_of_a_second() -> None:
    best = min(_seconds(["-c", "import plait"]) for _ in range(5))
    shown = min(_seconds(["-c", HELPED]) for _ in range(5))
    nothing = min(_seconds(["-c", "pass"]) for _ in range(5))
    assert best - nothing < 0.3 and shown - nothing < 0.3


def _seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


@pytest.mark.slow
def test_fit_predict_evaluate_summary(tmp_path: Path) -> None:
    table = toy.make(tmp_path, 45)
    small = [
        f"{c}={o['name']}:" + ",".join(f"{k}={v}" for k, v in o.items() if k != "name") for c, o in toy.TINY.items()
    ]
    arguments = [x for s in small for x in ("--encoder", s)] + [x for c in toy.INPUTS for x in ("--input", c)]
    done = call(
        "fit",
        table,
        "--target",
        "kind",
        *arguments,
        "--fusion",
        "concat:dropout=0.1",
        "--split-column",
        "part",
        "--epochs",
        2,
        "--seed",
        3,
        "--train",
        "batch_size=8",
        "--out",
        tmp_path / "m",
        "--json",
    )
    figures = json.loads(done.stdout)
    assert figures["model"] == str(tmp_path / "m") and figures["targets"]["kind"]["rows"] == 9
    assert "Split: 27 train, 9 valid, 9 test" in done.stderr and "given as the split column" in done.stderr
    assert (tmp_path / "m" / "report.html").exists()

    counts = json.loads(call("predict", tmp_path / "m", table, "--out", tmp_path / "p.csv", "--json").stdout)
    assert counts == {"out": str(tmp_path / "p.csv"), "rows": 45, "ok": 45, "flagged": 0, **NOTHING}
    assert list(pd.read_csv(tmp_path / "p.csv").columns) == ["kind", "status"]
    assert "exists already" in call("predict", tmp_path / "m", table, "--out", tmp_path / "p.csv", code=2).stderr

    judged = json.loads(call("evaluate", tmp_path / "m", table, "--json").stdout)
    assert judged["rows"] == 45 and len(judged["targets"]["kind"]["subsets"]) == 16
    assert "step by step" in call("summary", tmp_path / "m", table).stdout


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_sets_of_labels_are_read_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    sets = [["a", "b, c"], [], ['"quoted"', "中文"]]
    frame = pd.DataFrame({"tags": pd.Series(sets, dtype=object), "status": ["ok"] * 3})
    write_frame(frame, tmp_path / f"out{suffix}")
    table = read_table(tmp_path / f"out{suffix}")
    cells = [modality("labels").load(v, tmp_path) for v in table.column("tags")]
    assert cells == [tuple(sorted(s)) for s in sets]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "nowhere.csv", "--target", "kind"], "No such file"),
        (["fit", "toy.csv", "--target", "knd"], "Did you mean 'kind'"),
        (["fit", "toy.csv", "--target", "kind", "--encoder", "image_vit"], "expected COLUMN=NAME"),
        (["fit", "toy.csv", "--target", "kind", "--encoder", "picture=image_vit:size"], "option=value"),
        (["fit", "toy.csv", "--target", "kind", "--fusion", "glue"], "Unknown fusion"),
        (["fit", "toy.csv", "--target", "kind", "--input", "size=number:decimals=1"], "Did you mean 'decimal'"),
        (["fit", "toy.csv", "--target", "kind", "--input", "size=number:decimal=x"], 'expected one of ".", ","'),
        (["fit", "toy.csv", "--target", "kind", "--input", "size=date:day_first=no"], "expected one of true, false"),
        (["predict", "nomodel", "toy.csv", "--out", "p.csv"], "nomodel"),
        (["predict", "nomodel", "toy.csv", "--out", "p.xlsx"], "expected one of .csv"),
        (["fit", "toy.csv"], "--target"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_bad_input_is_one_message_and_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    toy.make(tmp_path, 12)
    before = sorted(tmp_path.iterdir())
    done = call(*arguments, code=2, cwd=tmp_path)
    assert words in done.stderr and "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_options_of_a_modality_are_those_of_python(tmp_path: Path) -> None:
    """How cells are written, said on the command line, for inputs and targets: as in Python, kept with the model."""
    rows = [{"day": f"0{1 + i % 9}/0{1 + i % 8}/2020", "price": f"{i},5", "y": f"{i % 7},{i % 10}"} for i in range(40)]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    given = ["day=date:day_first=true", 'price=number:decimal=","']
    call(
        "fit",
        tmp_path / "t.csv",
        "--target",
        'y=number:decimal=","',
        *(x for item in given for x in ("--input", item)),
        *("--epochs", 1, "--seed", 1, "--out", tmp_path / "m", "--quiet"),
    )
    found = plait.load(tmp_path / "m")
    kinds = {"day": {"name": "date", "day_first": True}, "price": {"name": "number", "decimal": ","}}
    target = {"y": {"name": "number", "decimal": ","}}
    same = plait.fit(tmp_path / "t.csv", "y", inputs=kinds, modalities=target, epochs=1, seed=1, quiet=True)
    assert found.schema == same.schema
    assert found.schema.options == {"day": {"day_first": True}, "price": {"decimal": ","}, "y": {"decimal": ","}}
    new = [{"day": "03/04/2021", "price": "1,5"}, {"day": "2021-04-03", "price": 1.5}]
    assert found.predict(new)["y"].nunique() == 1 and (found.predict(new)["status"] == "ok").all()
    assert found.predict(new)["y"].tolist() == same.predict(new)["y"].tolist()


def test_list_and_cache_speak_json() -> None:
    parts = json.loads(call("list", "--json").stdout)
    assert parts["encoder"]["image_resnet"]["options"]["size"] == 64
    shown = json.loads(call("cache", "--json").stdout)
    assert shown["folder"] == os.environ["PLAIT_CACHE"] and shown["bytes"] == 0


def test_weights_are_listed_located_and_asked_for() -> None:
    found = json.loads(call("weights", "list", "--json").stdout)["weights"]
    assert {w["name"] for w in found} >= {"all-MiniLM-L6-v2", "efficientnet-lite0", "whisper-base"}
    assert all(w["megabytes"] > 0 and w["licence"] and w["sha256"] for w in found)
    absent = call("weights", "where", "whisper-base", code=2)
    assert "plait weights get whisper-base" in absent.stderr and "133 MB" in absent.stderr
    assert "Did you mean 'whisper-base'" in call("weights", "get", "wisper-base", code=2).stderr
    assert "--all" in call("weights", "get", code=2).stderr
