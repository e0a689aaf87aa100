"""Which rungs a column's ladder has by itself: from scratch, every classic encoder, every set of weights of the catalogue that
is on this machine, those that go well together side by side, and the best of them trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from plait.encoders import DEFAULTS
from plait.presets import FIXED, SETS, WEIGHTS, side_by_side, usable
from plait.spec import Spec
from plait.weights.catalogue import BEST, CATALOGUE

LEARNED, CLASS, FROZEN, TUNED = KINDS = ("scratch", "classic", "pretrained", "tuned")
TRAINED = (LEARNED, TUNED)  # that the loop trains; others stay as they are, and a learner judges them
CLASSIC = {
    "text": ("text_tfidf", "text_word2vec"),
    "image": ("image_colour", "image_hog", "image_sift"),
    "audio": ("audio_mfcc", "audio_chroma", "audio_spectral"),
    "video": ("video_flow", "video_sound"),
    "series": ("series_statistics",),
    **{kind: (name,) for kind, name in FIXED.items()},
}  # modality -> encoders with nothing to train


@dataclass
class Rung:
    """One way of encoding a column, or with several columns one for each of them."""

    name: str
    kind: str  # one of KINDS
    encoders: dict[str, Spec]  # column -> encoder
    through: bool = False  # training goes through a pretrained network, which takes minutes
    error: str | None = None  # why it could not be tried


@dataclass
class Ladder:
    """The rungs of one column, from the plainest up, and the weights of the catalogue that are not on this machine."""

    column: str
    modality: str
    rungs: list[Rung] = field(default_factory=list)
    absent: list[dict[str, Any]] = field(default_factory=list)


def ladder(column: str, modality: str) -> Ladder:
    """The ladder that a column has by itself."""
    inner = SETS.get(modality, modality)
    found = Ladder(column, modality)

    def add(name: str, kind: str, part: Spec) -> None:
        whole = {"name": DEFAULTS[modality], "encoder": part} if modality in SETS else part
        found.rungs.append(Rung(name, kind, {column: whole}, through=kind == TUNED))

    add(f"{DEFAULTS[inner]}, from scratch", LEARNED, DEFAULTS[inner])
    for name in CLASSIC.get(inner, ()):
        add(name, CLASS, name)
    for name, entry in CATALOGUE.items():
        if not entry.encoder or entry.modality != WEIGHTS.get(inner):
            continue
        if usable(name):
            add(name, FROZEN, {"name": f"{inner}_pretrained", "weights": name})
        else:
            found.absent.append(
                {
                    "name": name,
                    "megabytes": entry.megabytes,
                    "licence": entry.licence,
                    "get": f"plait weights get {name}",
                }
            )
    both = side_by_side(inner)
    if both is not None:
        add(" + ".join(part["weights"] for part in both["parts"]), FROZEN, both)
    best = next((name for name in BEST.get(WEIGHTS.get(inner, ""), ()) if usable(name)), None)
    if best is not None:  # the one alone: training through a network costs minutes
        add(f"{best}, LoRA", TUNED, {"name": f"{inner}_pretrained", "weights": best, "tune": "lora"})
    return found
