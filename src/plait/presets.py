"""Encoders for all columns by one word: from scratch, classic, pretrained, or what this machine has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from torch import nn

from plait.encoders import DEFAULTS, ENCODERS
from plait.errors import unknown
from plait.nn import foreign
from plait.spec import Spec
from plait.weights.catalogue import BEST, CATALOGUE, SIDE_BY_SIDE, canonical
from plait.weights.find import find

PRESETS = ("auto", "pretrained", "all", "classic", "scratch")
CLASSIC = {
    "text": "text_tfidf",
    "image": "image_sift",
    "audio": "audio_mfcc",
    "video": "video_flow",
    "series": "series_statistics",
}
FIXED = {
    "number": "number_scaled",
    "category": "category_onehot",
    "labels": "labels_multihot",
    "date": "date_features",
}  # of plain cells, with nothing to train
WEIGHTS = {"text": "text", "image": "image", "audio": "audio", "video": "image"}  # modality -> that of its weights
SETS = {"images": "image", "texts": "text"}
LIBRARIES = {
    "text_tfidf": ("sklearn", "scipy"),
    "image_sift": ("cv2", "sklearn"),
    "audio_mfcc": ("librosa",),
    "video_flow": ("cv2",),
    "series_statistics": (),
}  # classic encoder -> what has to be installed for it


def choose(kinds: Mapping[str, str], preset: str, *, fixed: bool) -> tuple[dict[str, Spec], list[str]]:
    """Column -> encoder, and what there is to say: what is missing here, and what is used instead. `kinds`: column ->
    modality. `fixed`: nothing may have to be trained, for a learner. Raises UnknownNameError."""
    if preset not in PRESETS:
        raise unknown("choice of encoders", preset, PRESETS)
    chosen: dict[str, Spec] = {}
    notices: dict[str, None] = {}
    for column, kind in kinds.items():
        inner = SETS.get(kind, kind)
        together = side_by_side(inner) if preset == "all" and kind not in SETS else None
        part, said = (together, []) if together else _one(inner, "auto" if preset == "all" else preset, fixed)
        notices.update({line: None for line in said})
        chosen[column] = {"name": DEFAULTS[kind], "encoder": part} if kind in SETS else part
    return chosen, list(notices)


def fixed_here(kinds: Iterable[str]) -> bool:
    """Whether columns of these modalities can all be encoded with nothing to train, by what is installed on this machine."""
    for kind in {SETS.get(k, k) for k in kinds} - set(FIXED):
        weights = kind in WEIGHTS and any(find(name) for name in BEST[WEIGHTS[kind]])
        if not (weights and find_spec("transformers")) and not all(map(find_spec, LIBRARIES[CLASSIC[kind]])):
            return False
    return True


def side_by_side(kind: str) -> Spec | None:
    """Several networks that are here, side by side; None where there is one of them, or none."""
    here = [name for name in SIDE_BY_SIDE.get(kind, ()) if find(name)]
    parts = [{"name": f"{kind}_pretrained", "weights": name} for name in here]
    return {"name": f"{kind}_union", "parts": parts} if len(parts) > 1 else None


def _one(kind: str, preset: str, fixed: bool) -> tuple[Spec, list[str]]:
    if kind in FIXED:
        return (FIXED[kind] if fixed else DEFAULTS[kind]), []
    said = []
    if preset in ("auto", "pretrained") and kind in WEIGHTS:
        names = BEST[WEIGHTS[kind]]
        here = next((name for name in names if find(name)), None)
        if here is not None:
            return {"name": f"{kind}_pretrained", "weights": here}, []
        instead = CLASSIC[kind] if fixed or preset == "pretrained" else DEFAULTS[kind]
        entry = CATALOGUE[names[0]]
        said = [
            f"{kind}: no pretrained weights on this machine, {instead} is used instead. Better: "
            f"`plait weights get {names[0]}` ({entry.megabytes} MB, {entry.licence})."
        ]
        return instead, said
    if (preset == "classic" or fixed) and kind in CLASSIC:
        return CLASSIC[kind], []
    return DEFAULTS[kind], []


def named(part: Any, kind: str) -> Spec:
    """A spec, where `part` may also be the name of weights (of the catalogue, OWNER/NAME, or a folder); an encoder without its
    modality, "tfidf"; several of these, in a list or "tfidf+pretrained"; a module of torch."""
    if isinstance(part, nn.Module):
        return {"name": f"{kind}_module", **foreign.told(part)}
    if isinstance(part, (list, tuple)):
        return {"name": f"{kind}_union", "parts": [named(p, kind) for p in part]}
    options = dict(part) if isinstance(part, Mapping) else {"name": part}
    name, parts = options.get("name"), options.get("parts")
    if parts is not None:
        each = parts.strip("[]").split(",") if isinstance(parts, str) else parts
        options["parts"] = [named(p, kind) for p in each]
    if isinstance(module := options.get("module"), nn.Module):
        options.update(foreign.told(module))
        del options["module"]
    if not isinstance(name, str) or name in ENCODERS or ":" in name:
        return options if isinstance(part, Mapping) else part
    if (own := f"{kind}_{name}") in ENCODERS:
        return {**options, "name": own}
    if kind in WEIGHTS and (canonical(name) or "/" in name or name.startswith((".", "~"))):
        return {**options, "name": f"{kind}_pretrained", "weights": name}
    pieces = name.split("+")
    if len(pieces) > 1 and len(options) == 1:
        return {"name": f"{kind}_union", "parts": [named(p, kind) for p in pieces]}
    return part
