"""Encoders for all columns by one word: from scratch, classic, pretrained, or what this machine has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from plait.encoders import DEFAULTS, ENCODERS
from plait.errors import unknown
from plait.nn import foreign
from plait.spec import Spec, loads
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
NAMED = 6  # columns that a line names
TRACKS = {"video": "audio"}  # modality whose cells have a track of another: encoders from scratch hear it by themselves
SETS = {"images": "image", "texts": "text"}
LIBRARIES = {
    "text_tfidf": ("sklearn", "scipy"),
    "image_sift": ("cv2", "sklearn"),
    "audio_mfcc": ("librosa",),
    "video_flow": ("cv2",),
    "series_statistics": (),
}  # classic encoder -> what has to be installed for it


BY_ITSELF = ("auto", "pretrained", "all")  # choices that depend on what this machine has


@dataclass(frozen=True)
class Choice:
    """What was taken for a column, why, and how a better one could be had."""

    column: str
    taken: str  # an encoder, or weights
    why: str
    better: str | None = None
    asked: bool = False  # somebody said which: there is nothing to tell
    others: tuple[Spec, ...] = ()  # that could be taken instead, each cheaper to run than the one before it

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "taken": self.taken, "why": self.why, "better": self.better}


def choose(kinds: Mapping[str, str], preset: str, *, fixed: bool) -> tuple[dict[str, Spec], list[Choice]]:
    """Column -> encoder, and what there is to say of each: why, what is missing here, and how it could be had. `kinds`: column
    -> modality. `fixed`: nothing may have to be trained, for a learner. Raises UnknownNameError."""
    if preset not in PRESETS:
        raise unknown("choice of encoders", preset, PRESETS)
    chosen: dict[str, Spec] = {}
    choices = []
    for column, kind in kinds.items():
        part, *others = steps(kind, preset, fixed=fixed)
        chosen[column] = part
        why, better = _why(SETS.get(kind, kind), preset, part)
        choices.append(Choice(column, title(part), why, better, preset not in BY_ITSELF, tuple(others)))
    return chosen, choices


def steps(kind: str, preset: str, *, fixed: bool) -> list[Spec]:
    """The encoders that could be taken for a column of this modality on this machine, the best first, each one cheaper to run
    than the one before it."""
    if kind in SETS:
        alone = "auto" if preset == "all" else preset
        return [{"name": DEFAULTS[kind], "encoder": part} for part in steps(SETS[kind], alone, fixed=fixed)]
    if kind in FIXED:
        return [FIXED[kind] if fixed else DEFAULTS[kind]]
    found: list[Spec] = []
    if preset == "all" and (together := side_by_side(kind)):
        found.append(together)
    if preset in BY_ITSELF and kind in WEIGHTS:
        found += [{"name": f"{kind}_pretrained", "weights": n} for n in BEST[WEIGHTS[kind]] if usable(n)]
    classic = kind in CLASSIC and (fixed or preset in ("classic", "pretrained") or (bool(found) and _libraries(kind)))
    found += [CLASSIC[kind]] * classic
    if kind in TRACKS:
        tracks = steps(TRACKS[kind], "auto" if preset == "all" else preset, fixed=True)
        sounds = [s for s in tracks if s != CLASSIC[TRACKS[kind]] or _libraries(TRACKS[kind])]
        last = [_heard(kind, found[-1], sounds[-1])] if classic and len(sounds) > 1 else []
        found = [_heard(kind, part, sounds[0]) if sounds else part for part in found] + last
    return found if classic else [*found, DEFAULTS[kind]]


def _heard(kind: str, part: Spec, sound: Spec) -> Spec:
    """An encoder of what a cell shows, with one of its sound track beside it."""
    return {"name": f"{kind}_union", "parts": [part, {"name": f"{kind}_sound", "encoder": sound}]}


def title(part: Spec) -> str:
    """What a person calls an encoder: its weights, where it has some."""
    options = part if isinstance(part, Mapping) else {"name": part}
    if "parts" in options:
        return " + ".join(map(title, options["parts"]))
    return title(options["encoder"]) if "encoder" in options else str(options.get("weights") or options.get("name"))


def networks(part: Spec) -> list[str]:
    """The names of the weights in an encoder, completed or not."""
    return [str(net["weights"]) for net in kept_networks(part)]


def kept_networks(part: Spec) -> list[dict[str, Any]]:
    """The pretrained networks in an encoder: their weights; of a completed one also their sha256 and licence."""
    options = part if isinstance(part, Mapping) else {}
    if isinstance(options.get("weights"), str):  # those of a mixture of Gaussians are numbers
        about = json.loads(options["config"]) if "config" in options else {}
        return [{"weights": options["weights"], "sha256": options.get("sha256"), "licence": about.get("plait_licence")}]
    inner = [*options.get("parts", ()), *([options["encoder"]] if "encoder" in options else ())]
    inner += [loads(options["inner"])] if "inner" in options else []
    return [net for each in inner for net in kept_networks(each)]


def account(choices: Iterable[Choice], inputs: Mapping[str, Spec]) -> dict[str, Any]:
    """What the record of a model keeps of its encoders. `inputs`: column -> completed spec."""
    nets = [{"column": column, **net} for column, part in inputs.items() for net in kept_networks(part)]
    return {"encoders": [choice.to_json() for choice in choices], "pretrained": nets}


def usable(name: str) -> bool:
    """Whether weights of the catalogue are on this machine, and what runs them."""
    return bool(find(name)) and (CATALOGUE[name].own or find_spec("transformers") is not None)


def fixed_here(kinds: Iterable[str]) -> bool:
    """Whether columns of these modalities can all be encoded with nothing to train, by what is installed on this machine."""
    for kind in {SETS.get(k, k) for k in kinds} - set(FIXED):
        weights = kind in WEIGHTS and any(map(usable, BEST[WEIGHTS[kind]]))
        if not weights and not _libraries(kind):
            return False
    return True


def side_by_side(kind: str) -> Spec | None:
    """Several networks that are here, side by side; None where there is one of them, or none."""
    here = [name for name in SIDE_BY_SIDE.get(kind, ()) if usable(name)]
    parts = [{"name": f"{kind}_pretrained", "weights": name} for name in here]
    return {"name": f"{kind}_union", "parts": parts} if len(parts) > 1 else None


def _libraries(kind: str) -> bool:
    """Whether what the classic encoder of a modality needs is installed."""
    return all(map(find_spec, LIBRARIES[CLASSIC[kind]]))


def _why(kind: str, preset: str, part: Spec) -> tuple[str, str | None]:
    """Why this encoder is taken, and how a better one could be had."""
    if preset not in BY_ITSELF:
        return f"as asked for, {preset}", None
    if kind not in WEIGHTS:
        return f"what plait takes for a {kind}", None
    if kind not in TRACKS or part == DEFAULTS[kind]:
        return _why_of(kind, preset, part)
    if not isinstance(part, Mapping) or "parts" not in part:
        why, better = _why_of(kind, preset, part)
        install = '`pip install "plait[classic]"`'
        return (
            f"{why}; its sound is not heard: librosa is not installed",
            f"{better} and {install}" if better else install,
        )
    shown, heard = part["parts"]
    (why, better), (of_sound, louder) = _why_of(kind, preset, shown), _why_of(TRACKS[kind], preset, heard)
    return f"{why}; of its sound: {of_sound}", " and ".join(filter(None, (better, louder))) or None


def _why_of(kind: str, preset: str, part: Spec) -> tuple[str, str | None]:
    """The same, of what one kind of weights is for."""
    names = list(BEST[WEIGHTS[kind]])
    if preset == "all":
        names = [*names[:1], *(n for n in SIDE_BY_SIDE.get(kind, ()) if n not in names), *names[1:]]
    taken = title(part).split(" + ")
    if not set(taken) & set(names):
        if (here := next(filter(find, names), None)) is not None:
            return f"{here} is on this machine, transformers is not", '`pip install "plait[pretrained]"`'
        return "no pretrained weights for it are on this machine", _get(names[0])
    last = max(names.index(name) for name in taken)
    absent = [name for name in names[: last + 1] if name not in taken]
    if preset == "all":
        absent += [name for name in SIDE_BY_SIDE.get(kind, ()) if name not in [*taken, *absent]]
    why = "its weights are on this machine" if len(taken) == 1 else "their weights are on this machine"
    return why, " and ".join(map(_get, absent)) or None


def _get(name: str) -> str:
    """The command that brings weights, and what that costs."""
    return f"`plait weights get {name}` ({CATALOGUE[name].megabytes} MB, {CATALOGUE[name].licence})"


def tell(choices: Iterable[Choice]) -> list[str]:
    """What was chosen in lines for a person, a line a column; columns of which the same is to be said share one."""
    lines: dict[str, list[str]] = {}
    for choice in choices:
        if not choice.asked:
            better = f". Better: {choice.better}" if choice.better else ""
            lines.setdefault(f"{choice.taken} ({choice.why}){better}", []).append(choice.column)
    return [f"{_listed(columns)}: {said}" for said, columns in lines.items()]


def _listed(columns: list[str]) -> str:
    more = len(columns) - NAMED
    return ", ".join(columns[:NAMED]) + (f" and {more} more" if more > 0 else "")


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
    if kind in WEIGHTS and _are_weights(name):
        return {**options, "name": f"{kind}_pretrained", "weights": name}
    pieces = name.split("+")
    if len(pieces) > 1 and len(options) == 1:
        return {"name": f"{kind}_union", "parts": [named(p, kind) for p in pieces]}
    raise unknown(f"encoder or weights for {kind}", name, _names(kind))


def _are_weights(name: str) -> bool:
    """Whether this is the name of weights: of the catalogue, OWNER/NAME of the hub, or a folder."""
    return bool(canonical(name)) or "/" in name or name.startswith((".", "~")) or Path(name, "config.json").is_file()


def _names(kind: str) -> list[str]:
    """What an encoder for a modality may be called: those of it first, then weights, then all else."""
    own = [name for name in ENCODERS if name.startswith(f"{kind}_")]
    weights = [n for n, e in CATALOGUE.items() if e.encoder and e.modality == WEIGHTS.get(kind)]
    short = [name.removeprefix(f"{kind}_") for name in own]
    return [*own, *weights, *short, *(name for name in ENCODERS if name not in own)]
