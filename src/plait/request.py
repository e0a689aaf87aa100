"""What a fit is asked for, checked by name and option before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plait.data.schema import Schema, infer
from plait.data.split import names_parts
from plait.data.table import Table
from plait.encoders import DEFAULTS, ENCODERS
from plait.errors import PlaitError, unknown
from plait.fusion import FUSIONS, default
from plait.heads import DEFAULTS as HEAD_OF
from plait.heads import HEADS
from plait.learners import LEARNERS
from plait.presets import SETS, Choice, choose, named, networks, tell, title
from plait.progress import Progress
from plait.spec import Spec
from plait.weights.find import unmade

PRESET = "auto"  # the encoders of columns for which none is named
OWN = "split"  # the column that folders of train, validation and test, and published data sets have
SPLIT = {"valid": 0.15, "test": 0.15, "stratify": True, "group": None, "time": None, "column": None}


def split_options(split: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of the split, all of them."""
    if split is not None and not isinstance(split, (str, Mapping)):
        raise PlaitError(
            f"split is {split!r}; expected a column's name, or a dict such as {{'valid': 0.15, 'test': 0.15}}."
        )
    given = {"column": split} if isinstance(split, str) else dict(split or {})
    for key in given:
        if key not in SPLIT:
            raise unknown("split option", key, SPLIT)
    ways = [k for k in ("column", "group", "time") if given.get(k)]
    if len(ways) > 1 and ways != ["column", "group"]:  # a group tells learners which rows belong together in training
        raise PlaitError(f"A split is by one of column, group and time; found {' and '.join(ways)}. Choose one.")
    for key in ("valid", "test"):
        if not isinstance(given.get(key, 0.0), (int, float)):
            raise PlaitError(f"split: {key} is {given[key]!r}; expected a share of the rows, such as 0.15.")
    return {**SPLIT, **given}


def with_own_split(table: Table, how: dict[str, Any], targets: Any, inputs: Any) -> dict[str, Any]:
    """The options of the split; where none says how, a column called "split" that names parts does, as in folders and
    published data sets."""
    named = {*_target_names(targets), *([inputs] if isinstance(inputs, str) else inputs or ())}
    if any(how[k] is not None for k in ("column", "group", "time")) or OWN in named or OWN not in table.frame.columns:
        return how
    return {**how, "column": OWN} if names_parts(table.column(OWN)) else how


def _target_names(targets: Any) -> list[str]:
    if isinstance(targets, str):
        return [targets]
    if not isinstance(targets, Iterable):
        raise PlaitError(f"targets is {targets!r}; expected the name of a column, or a list of names.")
    return [str(t) for t in targets]


def read_schema(
    table: Table,
    targets: Any,
    inputs: str | Sequence[str] | Mapping[str, str | None] | None,
    modalities: Mapping[str, str] | None,
    how: dict[str, Any],
) -> Schema:
    """What each column is, and what it is there for."""
    return infer(
        table,
        targets=_target_names(targets),
        inputs=[inputs] if isinstance(inputs, str) else inputs,
        modalities=modalities,
        keys={"group": how["group"], "time": how["time"], "split": how["column"]},
    )


def taken(
    schema: Schema, encoders: str | Mapping[str, Spec] | None, *, fixed: bool
) -> tuple[dict[str, Spec], list[Choice]]:
    """Input column -> its encoder, as asked for or as this machine has it; and why, for each. `fixed`: nothing may have to be
    trained. Raises UnknownNameError."""
    given = dict(encoders) if isinstance(encoders, Mapping) else {"*": encoders}
    rest_by = given.pop("*", None) or PRESET
    for column in given:
        if column not in schema.inputs:
            raise unknown("input column", column, schema.inputs)
    parts: dict[str, Spec] = {c: named(part, schema.inputs[c]) for c, part in given.items()}
    presets, choices = choose({c: k for c, k in schema.inputs.items() if c not in given}, rest_by, fixed=fixed)
    asked = [Choice(c, title(part), "as asked for", asked=True) for c, part in parts.items()]
    every = {choice.column: choice for choice in [*asked, *choices]}
    parts |= presets
    return {c: parts[c] for c in schema.inputs}, [every[c] for c in schema.inputs]


def read_specs(
    schema: Schema,
    encoders: str | Mapping[str, Spec] | None,
    fusion: Spec | None,
    heads: Mapping[str, Spec],
    learner: Spec | None,
    progress: Progress,
) -> dict[str, Any]:
    """The specs of all parts, checked by name, option and modality before any work is done. What is missing for better
    encoders is said."""
    parts, choices = taken(schema, encoders, fixed=learner is not None)
    if lines := tell(choices):
        progress.say("\n".join(lines))
    for target in heads:
        if target not in schema.targets:
            raise unknown("target", target, schema.targets)
    chosen = {c: ENCODERS.normal(part) for c, part in parts.items()}
    for name in unmade(n for part in chosen.values() for n in networks(part)):
        progress.say(
            f"{name}: in an installed package; it is converted when it is first used, once, which takes a while."
        )
    for column, part in chosen.items():
        reads = ENCODERS.load(part["name"], outside=True).modality
        if reads != schema.inputs[column]:
            fitting = [n for n in ENCODERS if ENCODERS.load(n).modality == schema.inputs[column]]
            raise PlaitError(
                f"Column {column!r} is {schema.inputs[column]} ({_reason(schema, column)}), but encoder "
                f"{part['name']!r} reads {reads}. Choose one of {', '.join(fitting)}, or give the column "
                f"another modality."
            )
    for target, kind in schema.targets.items():
        if kind not in HEAD_OF:
            raise no_target(schema, target)
    tops = {t: HEADS.normal(heads.get(t, HEAD_OF[kind])) for t, kind in schema.targets.items()}
    for target, part in tops.items():
        wants = HEADS.load(part["name"], outside=True).modality
        if wants != schema.targets[target]:
            raise PlaitError(
                f"Target {target!r} is {schema.targets[target]} ({_reason(schema, target)}), but head "
                f"{part['name']!r} answers {wants}. Give the target another modality, or no head."
            )
    if learner is None:
        top = fusion or default(len(chosen), scratch=any(map(_scratch, chosen.values())))
        return {"inputs": chosen, "fusion": FUSIONS.normal(top), "outputs": tops}
    top = LEARNERS.normal(learner)
    return {
        "inputs": chosen,
        "fusion": {"name": top["name"]},
        "outputs": tops,
        "learner": {t: {"wanted": top} for t in tops},
    }


def no_target(schema: Schema, target: str) -> PlaitError:
    """What is said of a target that no head answers."""
    return PlaitError(
        f"Target {target!r} is {schema.targets[target]} ({_reason(schema, target)}); it can be an input, not yet a "
        f"target. Expected a target of {', '.join(HEAD_OF)}; give its modality if it is one."
    )


def _scratch(part: Spec) -> bool:
    """Whether an encoder, or one that it is made of, is a deep network that knows nothing yet."""
    spec = ENCODERS.normal(part)
    kind = ENCODERS.load(spec["name"], outside=True)
    own = [spec["encoder"]] if "encoder" in spec else spec.get("parts", ())
    inner = own or ([DEFAULTS[SETS[kind.modality]]] if kind.modality in SETS else ())
    return kind.scratch or any(map(_scratch, inner))


def check_metric(metric: str | None, outputs: dict[str, Any]) -> None:
    """Raises PlaitError when early stopping cannot look at this metric."""
    if metric in (None, "loss"):
        return
    if len(outputs) > 1:
        raise PlaitError(
            f"metric is {metric!r}, but there are {len(outputs)} targets: what is watched then is the loss."
        )
    part = next(iter(outputs.values()))
    known = HEADS.load(part["name"], outside=True).metrics
    if metric not in known:
        raise unknown("metric", metric, [*known, "loss"])


def _reason(schema: Schema, column: str) -> str:
    return next(c.reason for c in schema.columns if c.name == column)
