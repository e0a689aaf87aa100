"""Learned facts of a spec as files of a model folder: long texts (a tokenizer) one file each, arrays in one safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from plait.errors import ModelFormatError

ARRAYS = "facts.safetensors"
GROUPS = ("inputs", "learner")  # of the parts of a spec that learn facts
LONG = 2000  # characters of a text that is given a file of its own


def outsource(spec: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    """The spec with its long facts moved to `files`."""
    moved: dict[str, Any] = dict(spec)
    arrays: dict[str, np.ndarray] = {}

    def kept(value: Any, place: str) -> Any:
        if isinstance(value, str) and len(value) > LONG:
            files[f"{place}.json"] = value.encode("utf-8")
            return {"file": f"{place}.json"}
        if isinstance(value, np.ndarray):
            arrays[place] = np.ascontiguousarray(value)
            return {"array": place}
        if isinstance(value, dict):
            return {k: kept(v, f"{k}-{place}") for k, v in value.items()}
        if isinstance(value, list):
            return [kept(v, f"{i}-{place}") for i, v in enumerate(value)]
        return value

    parts = [(g, n) for g in GROUPS for n in sorted(spec.get(g, {}))]
    for number, (group, name) in enumerate(parts):
        part = {key: kept(value, f"{key}-{number}") for key, value in spec[group][name].items()}
        moved[group] = {**(moved[group] if moved[group] is not spec[group] else {}), name: part}
    if arrays:
        files[ARRAYS] = safetensors.numpy.save(arrays)
    return moved


def insource(spec: dict[str, Any], contents: Mapping[str, bytes], names: set[str]) -> dict[str, Any]:
    """The spec with its long facts back in it; `names` takes the names of the files they came from. Raises
    ModelFormatError on arrays with numbers that are not finite."""
    arrays = safetensors.numpy.load(contents[ARRAYS]) if ARRAYS in contents else {}
    names.update({ARRAYS} & contents.keys())

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(v) for v in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"file"} and isinstance(value["file"], str):  # a column may be called "file"
            names.add(value["file"])
            return contents[value["file"]].decode("utf-8")
        if set(value) == {"array"} and isinstance(value["array"], str):
            found = arrays[value["array"]]
            if not np.isfinite(found).all():
                raise ModelFormatError(f"{ARRAYS} holds values that are not finite, in {value['array']}.")
            return found
        return {k: whole(v) for k, v in value.items()}

    return {**spec, **{g: {n: whole(p) for n, p in spec[g].items()} for g in GROUPS if g in spec}}
