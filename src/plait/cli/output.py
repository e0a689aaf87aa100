"""What the commands write and show."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".jsonl", ".parquet")


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raises OutputError when a table could not be written there, before any work is done."""
    if path.suffix not in SUFFIXES:
        raise OutputError(f"{path}: found the ending {path.suffix!r}, expected one of {', '.join(SUFFIXES)}.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already. Choose another name, or allow it to be replaced with --overwrite.")
    if not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(f"{path.absolute().parent} is not a folder that can be written.")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Writes a table whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".parquet":
            frame.to_parquet(part, index=False)
        elif path.suffix == ".jsonl":
            frame.to_json(part, orient="records", lines=True, force_ascii=False)
        else:  # a set of labels as JSON: it is read back as one
            frame.map(lambda v: json.dumps(list(v), ensure_ascii=False) if isinstance(v, (list, tuple)) else v).to_csv(
                part, index=False
            )
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"Cannot write {path}: {error.strerror}.") from None


def show(value: Any, text: str, as_json: bool) -> None:
    """Prints a result: one JSON object for scripts, or text. Half a character, which no UTF-8 holds, is a "?"."""
    said = json.dumps(value, indent=1, ensure_ascii=False) if as_json else text
    print(said.encode("utf-8", "replace").decode("utf-8"))


def parts() -> dict[str, dict[str, Any]]:
    """Every part by kind and name: its first line, and its options with their defaults."""
    from plait.encoders import ENCODERS
    from plait.fusion import FUSIONS
    from plait.heads import HEADS
    from plait.learners import LEARNERS
    from plait.modalities import MODALITIES
    from plait.objectives import OBJECTIVES

    found: dict[str, dict[str, Any]] = {}
    for table in (MODALITIES, ENCODERS, FUSIONS, HEADS, LEARNERS, OBJECTIVES):
        found[table.kind] = {name: _part(table.load(name)) for name in table}
    return found


def _part(cls: Any) -> dict[str, Any]:
    options = dict(inspect.signature(cls.__init__).parameters)
    if hasattr(cls, "learn"):
        options.update(inspect.signature(cls.learn).parameters)
    shown = {
        k: p.default
        for k, p in options.items()
        if p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is not inspect.Parameter.empty
    }
    about = " ".join((inspect.getmodule(cls).__doc__ or "").split("\n")[0].split())
    return {"about": about, "options": shown}


def parts_text(found: dict[str, dict[str, Any]]) -> str:
    lines = []
    for kind, by_name in found.items():
        lines.append(f"{kind}:")
        for name, part in by_name.items():
            options = ", ".join(f"{k}={v}" for k, v in part["options"].items())
            lines += [f"  {name:<20} {part['about']}", *([f"  {'':<20} {options}"] if options else [])]
    return "\n".join(lines)
