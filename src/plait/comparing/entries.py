"""What takes part in a comparison of fusions: every input alone, every fusion, every learner, on the same streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plait.choosing import FAST
from plait.encoders.base import Encoder
from plait.errors import PlaitError, unknown
from plait.fusion import EACH, FUSIONS
from plait.learners import LEARNERS
from plait.nn.opinions import RULES
from plait.spec import Spec

ALONE, FEATURE, DECISION, LEARNER = KINDS = ("alone", "feature", "decision", "learner")
PLAIN = "logistic"  # the learner of one input alone, and the one that others are measured by
SLOW = {"mlp": 0, "trees": 600}  # learner -> numbers a row, of all inputs together, up to which it is tried by itself
LEFT_OUT = "left out for its time: it would take minutes on {width} numbers a row; ask for it by name"


@dataclass(frozen=True)
class Entry:
    """One way from prepared streams to answers."""

    name: str
    kind: str  # one of KINDS
    columns: tuple[str, ...]
    fusion: Spec = None
    learner: Spec = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "columns": list(self.columns),
            "fusion": self.fusion,
            "learner": self.learner,
        }


def entries(
    asked: str | Sequence[Spec], columns: Sequence[str], *, fixed: bool, width: int
) -> tuple[list[Entry], dict]:
    """The entries, those of one input first, and what was left out: name -> why. `asked`: "all", or names and specs of fusions
    and learners. `fixed`: no encoder has anything to train, so that learners can take part. `width`: numbers a row."""
    every = tuple(sorted(columns))
    found, left = _alone(every, fixed), {}
    if asked == "all":
        found += [Entry(name, FUSIONS.load(name).level, every, fusion=name) for name in FUSIONS]
        for name in LEARNERS if fixed else ():
            if name == "blend":
                found += [_blend(rule, every) for rule in RULES] if len(every) > 1 else []
                found.append(Entry("preset fast", LEARNER, every, learner=FAST))
            elif name == "fused":
                left[name] = "it is the fusions again, on one token a column"
            elif width > SLOW.get(name, width):
                left[name] = LEFT_OUT.format(width=width)
            else:
                found.append(Entry(name, LEARNER, every, learner=name))
        if not fixed:
            left["learners"] = "they take fixed features, and an encoder here has to be trained"
        return found, left
    names = [asked] if isinstance(asked, str) else list(asked)
    found += [_asked(part, every, fixed) for part in names]
    twice = {e.name for e in found if sum(o.name == e.name for o in found) > 1}
    if twice:
        raise PlaitError(f"Asked for twice: {', '.join(sorted(twice))}. Give each once.")
    return found, left


def _alone(columns: Sequence[str], fixed: bool) -> list[Entry]:
    """Each input alone: by a learner where that can be, and by the loop."""
    found = []
    for column in columns:
        if fixed:
            found.append(Entry(f"{column} alone, {PLAIN}", ALONE, (column,), learner=PLAIN))
        found.append(Entry(f"{column} alone, {EACH}", ALONE, (column,), fusion=EACH))
    return found


def _blend(rule: str, columns: tuple[str, ...]) -> Entry:
    return Entry(f"blend, {rule}", DECISION, columns, learner={"name": "blend", "rule": rule})


def _asked(part: Spec, columns: tuple[str, ...], fixed: bool) -> Entry:
    """A fusion or a learner by name or spec."""
    name = part["name"] if isinstance(part, Mapping) else part
    options = ", ".join(f"{k}={v}" for k, v in part.items() if k != "name") if isinstance(part, Mapping) else ""
    title = f"{name}, {options}" if options else str(name)
    if name in FUSIONS or ":" in str(name):
        FUSIONS.normal(part)
        return Entry(title, FUSIONS.load(str(name), outside=True).level, columns, fusion=part)
    if name not in LEARNERS:
        raise unknown("fusion or learner", str(name), [*FUSIONS, *LEARNERS])
    if not fixed:
        raise PlaitError(
            f"Learner {name!r} takes fixed features, but an encoder has to be trained. Choose other encoders."
        )
    LEARNERS.normal(part)
    return Entry(title, DECISION if name == "blend" else LEARNER, columns, learner=part)


def trainable(encoders: Mapping[str, Encoder]) -> bool:
    """Whether any encoder has something to train."""
    return any(next(e.parameters(), None) is not None for e in encoders.values())
