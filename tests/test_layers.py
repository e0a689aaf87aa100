"""The shape of the source tree: who may import whom, and the house rules that a syntax tree can tell."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "plait"

LAYERS: dict[str, float] = {  # "folder.*" is the folder and whatever of it has no line of its own
    "errors": 0,
    "optional": 0.5,
    "types": 1,
    "spec": 1,
    "progress": 1,
    "moves": 1,
    "files": 1.5,
    "tensors": 1.6,
    "reading": 1.1,
    "reading.mapped": 1.15,
    "reading.magic": 1.2,
    "reading.paths": 1.2,
    "reading.mp3": 1.2,
    "reading.wav": 1.2,
    "reading.speakers": 1.2,
    "reading.encoded": 1.3,
    "reading.arrays": 1.3,
    "reading.pixels": 1.3,
    "modalities.containers": 1.4,
    "modalities.tape": 1.6,
    "modalities.steps": 1.6,
    "modalities.several": 1.6,
    "modalities.*": 2,
    "sources.values": 2.1,
    "sources.encoding": 2.1,
    "sources.rows": 2.1,
    "sources.arrow": 2.2,
    "sources.delimited": 2.2,
    "sources.objects": 2.2,
    "sources.frames": 2.3,
    "sources.hub": 2.4,
    "sources.tablefile": 2.4,
    "sources.folders": 2.5,
    "sources": 2.1,
    "data.table": 3,
    "nn.rows": 3,
    "nn.skip": 3.1,
    "nn.numbers": 3.2,
    "nn.pooling": 3.2,
    "nn.words": 3.2,
    "metrics": 3,
    "samples": 2.8,
    "samples.debian": 2.9,
    "samples.*": 3,
    "samples.motion": 3.1,
    "data.*": 3.5,
    "nn.*": 3.5,
    "nn.hearing": 3.6,
    "nn.video": 3.7,
    "nn.towers": 3.7,
    "nn.planes": 3.6,
    "nn.foreign": 3.6,
    "nn.opinions": 3.6,
    "nn.processing": 3.7,
    "nn.pretrained": 3.8,
    "nn.lora": 3.6,
    "nn.precision": 3.9,
    "nn.tuned": 3.9,
    "weights": 3.55,
    "weights.catalogue": 3.55,
    "weights.gguf": 3.52,
    "weights.convert": 3.55,
    "weights.fetch": 3.6,
    "weights.find": 3.65,
    "encoders.*": 4,
    "fusion.*": 4,
    "learners.base": 4,
    "learners.search": 4.2,
    "learners.board": 4.2,
    "learners.*": 4.5,
    "heads.*": 4,
    "objectives.*": 5,
    "model": 6,
    "columncells": 5.5,
    "preparation": 6,
    "inference": 7,
    "drift": 7,
    "training": 8,
    "training.parallel": 7.4,
    "training.options": 7.5,
    "training.schedule": 7.8,
    "training.initial": 8,
    "training.curriculum": 8,
    "training.averages": 8,
    "training.validation": 8,
    "training.mixing": 8.25,
    "training.depth": 8.25,
    "training.step": 8.3,
    "training.balance": 7.9,
    "training.blending": 7.95,
    "training.lion": 8,
    "training.optimizers": 8.1,
    "training.signals": 8,
    "training.state": 8,
    "training.finite": 8,
    "training.lines": 8,
    "training.tracking": 8.1,
    "training.sharding": 8.15,
    "training.prefetch": 8,
    "training.identity": 8,
    "training.lock": 8,
    "training.checkpoint": 8.2,
    "robustness": 7.5,
    "calibration": 7.5,
    "evaluation": 8,
    "training.loop": 8.5,
    "training.range_test": 8.5,
    "modelfile": 8,
    "facts": 8,
    "predictor": 9,
    "report.*": 10,
    "presets": 9.5,
    "learning": 10,
    "choosing": 10,
    "request": 10,
    "pace": 10,
    "division": 10,
    "work": 10.5,
    "rivals": 10.7,
    "fitting": 11,
    "inspection.*": 11.5,
    "comparing.*": 11.5,
    "comparison": 12,
    "fewshot": 12,
    "sklearn": 12,
    "cli.*": 13,
    "__main__": 14,
}
FREE_WITHIN = {"report", "cli", "inspection", "comparing"}  # their files may import each other, without a cycle
PARTS = {"encoders", "fusion", "heads", "modalities"}
LINES, FUNCTION_LINES, ARGUMENTS = 400, 60, 10
NEVER = {"torchvision", "torchaudio"}


def modules(root: Path) -> dict[str, Path]:
    """Module name below plait -> file; "" is plait itself, a folder is its __init__."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def layer(module: str) -> float | None:
    return LAYERS.get(module, LAYERS.get(f"{module}.*", LAYERS.get(f"{module.split('.')[0]}.*")))


def imports(tree: ast.AST, module: str, is_folder: bool) -> Iterator[tuple[int, str, str]]:
    """(line, full module name, name taken from it or "") of every import, wherever it stands."""
    home = ["plait", *filter(None, module.split("."))][: None if is_folder else -1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            yield from ((node.lineno, source, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value, ""


def arrow_problems(root: Path) -> list[str]:
    """Every import within plait that does not point to a strictly smaller layer, and every file without a layer."""
    tree, problems = modules(root), []
    within: dict[str, set[str]] = {m: set() for m in tree}
    for module, path in tree.items():
        here = f"{path.relative_to(root)}"
        if module == "":
            problems += _root_problems(path)
            continue
        own = layer(module)
        if own is None:
            problems.append(f"{here} has no layer: add a line to LAYERS in tests/test_layers.py")
            continue
        for line, source, name in imports(ast.parse(path.read_text("utf-8")), module, path.name == "__init__.py"):
            if source.split(".")[0] != "plait":
                continue
            target = source.removeprefix("plait").removeprefix(".")
            if name and f"{target}.{name}".lstrip(".") in tree:
                target = f"{target}.{name}".lstrip(".")
            if target == "":
                if not name.startswith("__"):
                    problems.append(f"{here}:{line} imports {name or 'plait'!r} from the package: name its module")
                continue
            folder = module.split(".")[0]
            if target.split(".")[0] == folder and "." in module + target and target in tree:
                within[module].add(target)
                if folder in FREE_WITHIN or target in (f"{folder}.base", folder):
                    continue
            other = layer(target)
            if other is None or other >= own:
                problems.append(f"{here}:{line} (layer {own:g}) imports plait.{target} (layer {other}), not below it")
    return problems + _cycles(within)


def _root_problems(path: Path) -> list[str]:
    """plait/__init__.py imports nothing but typing when it runs."""
    tree = ast.parse(path.read_text("utf-8"))
    run = [
        n
        for n in tree.body
        if not (
            (isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING") or isinstance(n, ast.FunctionDef)
        )
    ]
    return [
        f"__init__.py:{line} imports {source} when plait is imported"
        for n in run
        for line, source, _ in imports(n, "", True)
        if source not in ("typing", "__future__")
    ]


def _cycles(arrows: dict[str, set[str]]) -> list[str]:
    """Import cycles among the files of one folder."""
    left = {m: set(t) for m, t in arrows.items()}
    while free := [m for m, targets in left.items() if not targets & left.keys()]:
        for m in free:
            del left[m]
    return [f"plait.{m} is part of an import cycle with {', '.join(sorted(t & left.keys()))}" for m, t in left.items()]


def rule_problems(root: Path) -> list[str]:
    """Breaches of the house rules about docstrings, lengths, constructors and packages never imported."""
    problems = []
    for module, path in modules(root).items():
        here, text = path.relative_to(root), path.read_text("utf-8")
        tree = ast.parse(text)
        if not ast.get_docstring(tree):
            problems.append(f"{here} does not start with a docstring")
        if len(text.splitlines()) > LINES:
            problems.append(f"{here} has more than {LINES} lines")
        problems += [
            f"{here}:{line} imports {source}"
            for line, source, _ in imports(tree, module, False)
            if source.split(".")[0] in NEVER
        ]
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[1:] if ast.get_docstring(node) else node.body  # without signature and docstring
                if body and (node.end_lineno or 0) - body[0].lineno >= FUNCTION_LINES:
                    problems.append(f"{here}:{node.lineno} {node.name} has more than {FUNCTION_LINES} lines")
                if node.name == "__init__" and module.split(".")[0] in PARTS:
                    problems += [f"{here}:{node.lineno} constructor {why}" for why in _constructor(node.args)]
    return problems


def _constructor(args: ast.arguments) -> list[str]:
    return [
        why
        for why, wrong in {
            f"takes more than {ARGUMENTS} arguments": len(args.kwonlyargs) > ARGUMENTS,
            "takes **kwargs": args.kwarg is not None,
            "takes arguments by position": len(args.posonlyargs + args.args) > 1 or args.vararg is not None,
        }.items()
        if wrong
    ]


def test_every_arrow_points_down() -> None:
    assert arrow_problems(SOURCE) == []


def test_house_rules_hold() -> None:
    assert rule_problems(SOURCE) == []


def test_importing_plait_loads_no_heavy_package() -> None:
    code = "import sys, plait; print([m for m in ('torch', 'numpy', 'pandas', 'sklearn', 'PIL') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def plant(root: Path, **files: str) -> Path:
    """A small tree; __ stands for a slash: nn__rows is nn/rows.py, nn__ is nn/__init__.py."""
    for name, text in {"__init__": '"""plait."""', **files}.items():
        path = root / f"{name if name == '__init__' else name.replace('__', '/')}.py"
        path = path.with_name("__init__.py") if path.name == ".py" else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


BAD_ARROWS = {
    "up": ({"errors": "import plait.metrics", "metrics": ""}, "errors.py:1 (layer 0) imports plait.metrics"),
    "same layer": ({"spec": "from plait.types import Tokens", "types": ""}, "spec.py:1 (layer 1) imports plait.types"),
    "from the package": ({"spec": "from plait import model", "model": ""}, "imports plait.model (layer 6)"),
    "inside a function": ({"spec": "def f():\n    from plait import model", "model": ""}, "spec.py:2"),
    "for type checkers": (
        {"types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from plait import model", "model": ""},
        "types.py:3",
    ),
    "relative": ({"nn__rows": "from ..model import Model", "model": ""}, "imports plait.model"),
    "relative sibling": ({"nn__a": "from . import b", "nn__b": ""}, "imports plait.nn.b"),
    "by import_module": ({"spec": "import_module('plait.model')", "model": ""}, "imports plait.model"),
    "siblings": (
        {"fusion__a": "from plait.fusion.b import B", "fusion__b": ""},
        "a.py:1 (layer 4) imports plait.fusion.b",
    ),
    "layers of one folder": (
        {"nn__rows": "import plait.nn.pooling", "nn__pooling": ""},
        "(layer 3) imports plait.nn.pooling",
    ),
    "a public name": ({"report__page": "from plait import fit"}, "imports 'fit' from the package"),
    "the package": ({"spec": "import plait"}, "imports 'plait' from the package"),
    "no layer": ({"stuff": ""}, "stuff.py has no layer"),
    "no layer in training": ({"training__new": ""}, "training/new.py has no layer"),
    "a cycle": ({"report__a": "from plait.report import b", "report__b": "from plait.report import a"}, "import cycle"),
    "base and table": (
        {"fusion__": "from plait.fusion.base import F", "fusion__base": "from plait.fusion import FUSIONS"},
        "import cycle",
    ),
    "eager": ({"__init__": "import plait.errors", "errors": ""}, "__init__.py:1 imports plait.errors"),
}


@pytest.mark.parametrize("case", BAD_ARROWS)
def test_a_planted_bad_arrow_is_found(case: str, tmp_path: Path) -> None:
    files, expected = BAD_ARROWS[case]
    found = arrow_problems(plant(tmp_path, **files))
    assert any(expected in problem for problem in found), found


def test_planted_good_arrows_pass(tmp_path: Path) -> None:
    good = plant(
        tmp_path,
        errors="",
        types="from plait.errors import E",
        fusion__="from plait.spec import Table",
        spec="",
        fusion__base="from plait.nn import rows",
        nn__="",
        nn__rows="from plait import types",
        fusion__a="from plait.fusion.base import F\nfrom plait.fusion import FUSIONS",
        report__="from plait.report.page import x",
        report__page="from plait.report import figures\nimport plait.errors",
        report__figures="from plait import __version__",
    )
    assert arrow_problems(good) == []


LONG = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES + 1)
MANY = ", ".join(f"a{i}=0" for i in range(ARGUMENTS + 1))
BAD_FILES = {
    "no docstring": ({"errors": "x = 1"}, "does not start with a docstring"),
    "long file": ({"errors": '"""Long."""\n' + "x = 1\n" * LINES}, f"more than {LINES} lines"),
    "long function": ({"errors": f'"""Long."""\n{LONG}'}, f"f has more than {FUNCTION_LINES} lines"),
    "many arguments": (
        {"heads__a": f'"""A."""\nclass A:\n    def __init__(self, *, {MANY}): pass'},
        "more than 10 arguments",
    ),
    "kwargs": ({"fusion__a": '"""A."""\nclass A:\n    def __init__(self, **k): pass'}, "takes **kwargs"),
    "by position": ({"encoders__a": '"""A."""\nclass A:\n    def __init__(self, width): pass'}, "by position"),
    "torchvision": ({"model": '"""A."""\ndef f():\n    from torchvision.io import x'}, "imports torchvision"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_planted_breach_of_a_house_rule_is_found(case: str, tmp_path: Path) -> None:
    files, expected = BAD_FILES[case]
    found = rule_problems(plant(tmp_path, **files))
    assert [problem for problem in found if expected in problem], found
    assert len(found) == 1
