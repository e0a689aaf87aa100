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
    moved: dict[str, Any] = {**spec, **{group: {} for group in GROUPS if group in spec}}
    arrays = {}
    parts = [(g, n) for g in GROUPS for n in sorted(spec.get(g, {}))]
    for number, (group, name) in enumerate(parts):
        kept = moved[group][name] = dict(spec[group][name])
        for key, value in spec[group][name].items():
            if isinstance(value, str) and len(value) > LONG:
                kept[key] = {"file": f"{key}-{number}.json"}
                files[f"{key}-{number}.json"] = value.encode("utf-8")
            elif isinstance(value, np.ndarray):
                arrays[f"{key}-{number}"] = np.ascontiguousarray(value)
                kept[key] = {"array": f"{key}-{number}"}
    if arrays:
        files[ARRAYS] = safetensors.numpy.save(arrays)
    return moved


def insource(spec: dict[str, Any], contents: Mapping[str, bytes], names: set[str]) -> dict[str, Any]:
    """The spec with its long facts back in it; `names` takes the names of the files they came from. Raises
    ModelFormatError on arrays with numbers that are not finite."""
    whole: dict[str, Any] = {**spec, **{group: {} for group in GROUPS if group in spec}}
    arrays = safetensors.numpy.load(contents[ARRAYS]) if ARRAYS in contents else {}
    names.update({ARRAYS} & contents.keys())
    for group, name in [(g, n) for g in GROUPS for n in spec.get(g, {})]:
        kept = whole[group][name] = dict(spec[group][name])
        for key, value in spec[group][name].items():
            if isinstance(value, dict) and set(value) == {"file"}:
                names.add(value["file"])
                kept[key] = contents[value["file"]].decode("utf-8")
            elif isinstance(value, dict) and set(value) == {"array"}:
                kept[key] = arrays[value["array"]]
                if not np.isfinite(kept[key]).all():
                    raise ModelFormatError(f"{ARRAYS} holds values that are not finite, in {value['array']}.")
    return whole
