"""docs/training.md tells the truth: its code runs, its options and defaults are those of the code."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from plait.heads import HEADS
from plait.objectives import OBJECTIVES
from plait.training.options import OPTIMIZERS, Options

PAGE = (Path(__file__).parents[2] / "docs/training.md").read_text("utf-8")
LOOP, REST = PAGE.split("## The heads")
PLAIN = {"accumulate", "alone_first", "alternate", "balance", "balance_alpha", "batch_size", "clip", "curriculum", "decay",
         "ema", "init", "l1", "modality_dropout", "nesterov", "optimizer", "precision", "schedule",
         "shard", "soup"}  # fmt: skip  # one default, whatever else is asked for


def test_every_option_of_the_loop_is_there_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", LOOP, re.M))
    assert set(rows) == {f.name for f in fields(Options)}
    for name in PLAIN:
        said = rows[name].strip("`")
        value = getattr(Options(), name)
        assert (said if isinstance(value, str) else json.loads(said)) == value, name


def test_every_objective_is_there_with_its_options() -> None:
    [section] = re.findall(r"^## Several targets$(.*?)^## ", PAGE, re.M | re.S)
    for name in OBJECTIVES:
        [line] = re.findall(rf"^- `{name}`.*?(?=^- |^$)", section, re.M | re.S)
        for option, parameter in inspect.signature(OBJECTIVES.load(name).__init__).parameters.items():
            if isinstance(parameter.default, float):
                assert f"`{option}` ({parameter.default:g})" in line, (name, option)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_goes_with_each_optimizer_is_there(optimizer: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", LOOP, re.M))
    for name in ("learning_rate", "weight_decay"):
        [said] = [p for p in rows[name].split(";") if re.search(rf"\b{optimizer}\b", p)]
        assert float(said.split()[-1]) == getattr(Options(optimizer=optimizer), name), (name, said)


def test_every_option_of_the_heads_is_there_with_its_default() -> None:
    learned = {"width", "classes", "weights", "values", "mean", "std", "cells", "self"}
    said, head = {}, ""
    for name, option, default in re.findall(r"^\| (`\w+`|) ?\| `(\w+)` \| (\S+) \|", REST, re.M):
        head = name.strip("`") or head
        said[head, option] = default.strip("`")
    found = {}
    for name in HEADS:
        part = HEADS.load(name)
        for function in (part.__init__, part.learn):
            for option, parameter in inspect.signature(function).parameters.items():
                if option not in learned:
                    found[name, option] = parameter.default
    assert said.keys() == found.keys()
    assert all((said[k] if isinstance(v, str) else json.loads(said[k])) == v for k, v in found.items())


def test_the_example_runs_as_printed(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rate, soup = done.stdout.strip().split("\n")
    assert rate == re.search(r"went with the optimizer: (\S+)", code)[1]  # type: ignore[index]
    assert "'epochs': [" in soup and "'kept': " in soup


def test_the_commands_are_understood(tmp_path: Path) -> None:
    import shlex

    from plait.cli.given import specs, specs_flat

    lines = re.findall(r"^    plait fit (.*)$", PAGE, re.M)
    given = [shlex.split(line) for line in lines]
    options = [specs_flat([b for a, b in pairwise(words) if a == "--train"]) for words in given]
    assert Options.of(options[0]).ema == 0.99 and Options.of(options[0]).optimizer == "lion"
    heads = [specs([b for a, b in pairwise(words) if a == "--head"]) for words in given]
    assert heads[1] == {"price": {"name": "number", "loss": "huber", "delta": 0.5}}
    for spec in (heads[1]["price"], heads[2]["kind"]):
        HEADS.normal(spec)
    assert Options.of(specs_flat(["betas=[0.9,0.98]"])).betas == (0.9, 0.98)
    assert Options.of(options[3]).balance == "ogm-ge" and Options.of(options[3]).modality_dropout == (0.0, 0.5)
    [objective] = [b for a, b in pairwise(given[3]) if a == "--objective"]
    assert OBJECTIVES.normal(specs([f"objective={objective}"])["objective"]) == {"name": "gradnorm", "alpha": 1}
