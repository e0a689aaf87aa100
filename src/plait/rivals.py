"""A network trained on beside learners of fixed features, where both are tried and the validation rows say which is better."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from plait import metrics
from plait.choosing import FAST
from plait.data.ledger import Ledger
from plait.data.schema import Schema
from plait.inference import answers
from plait.model import Model
from plait.preparation import Dataset
from plait.progress import Progress
from plait.request import read_specs
from plait.training.checkpoint import Checkpoints
from plait.training.identity import Identity
from plait.training.state import State
from plait.work import Work, begun, learned, prepared, tuned_epochs

FOLDER = "tuned"  # of the rival's checkpoints, in that of the run
FEWEST = 40  # validation rows with a label, to tell the two apart
SHARE = 0.7  # of the time that is left, for training; the rest is for judging


def tuned_specs(schema: Schema) -> dict[str, Any] | None:
    """The parts of a model whose pretrained networks are corrected with LoRA; None where there is none here."""
    specs = read_specs(schema, "auto", None, {}, None, Progress(quiet=True))
    inputs = {c: _tuned(part) for c, part in specs["inputs"].items()}
    return {**specs, "inputs": inputs} if inputs != specs["inputs"] else None


def _tuned(part: dict[str, Any]) -> dict[str, Any]:
    names = ("text_pretrained", "image_pretrained", "audio_pretrained")
    return {**part, "tune": "lora"} if part["name"] in names else part


@dataclass
class Rival:
    """What is needed to try it."""

    schema: Schema
    labels: dict[str, list[Any]]
    run: Path | None
    stop: Any


def better(work: Work, state: State, rival: Rival, *, deadline: float | None) -> tuple[Work, State, dict[str, Any]]:
    """The work whose model is taken, and what there is to say of it. The rival is taken where its loss on the validation rows,
    which stop its training, is below that of the learners', who then have learned from the training rows only, by more than one
    standard error (paired bootstrap). Nothing is tried without weights, without enough validation rows, with several
    processes, or when time is up."""
    specs = tuned_specs(rival.schema)
    valid = np.flatnonzero(work.parts == 1)
    known = min(int(work.model.heads[t].known(y[valid]).sum()) for t, y in work.data.targets.items())
    late = deadline is not None and time.monotonic() > deadline
    if specs is None or known < FEWEST or work.team.several or late:
        return work, state, {}
    other, its = _trained(work, specs, rival, deadline)
    plain = _plain(work, deadline)
    mine, theirs = (
        _losses(plain.model, plain.data, valid, work.seed),
        _losses(other.model, other.data, valid, work.seed),
    )
    gap = mine - theirs
    chance = gap[1:].std(ddof=1)
    taken = bool(gap[0] > chance)
    told = {"learners": float(mine[0]), "fine-tuned": float(theirs[0]), "taken": "fine-tuned" if taken else "learners"}
    work.progress.say(
        f"Loss on {len(valid)} validation rows: {told['learners']:.3f} by learners of fixed features, "
        f"{told['fine-tuned']:.3f} by fine-tuned networks (LoRA), {gap[0]:+.3f} ± {chance:.3f}: {told['taken']} taken."
    )
    return (other, its, {"rivals": told}) if taken else (work, state, {"rivals": told})


def _trained(work: Work, specs: dict[str, Any], rival: Rival, deadline: float | None) -> tuple[Work, State]:
    source, parts, seed = work.table, work.parts, work.seed
    rows = np.flatnonzero(parts == 0)
    options = replace(work.options, epochs=tuned_epochs(len(rows), work.options.batch_size))
    spec = learned(source, rival.schema, rival.labels, specs, rows)
    model = begun(spec, seed, work.team)
    data = prepared(source, rival.schema, model, rival.labels, Ledger(), 1.0, work.progress)
    identity = Identity.of(source, data, declared=specs, spec=spec, parts=parts, options=options, seed=seed)
    checkpoints = None if rival.run is None else Checkpoints(rival.run / FOLDER, identity, allow_data_change=True)
    own = Work(spec, model, data, source, parts, work.how, options, seed, work.progress)
    left = None if deadline is None else time.monotonic() + SHARE * (deadline - time.monotonic())
    state = own.train(checkpoints, left, rival.stop)
    return own, state


def _plain(work: Work, deadline: float | None) -> Work:
    """Learners of fixed features by the training rows only, without any search."""
    own = copy(work)
    own.parts = np.where(work.parts == 1, -1, work.parts)
    own.progress = Progress(quiet=True)
    own.spec = {**work.spec, "learner": {t: {"wanted": FAST} for t in work.spec["learner"]}}
    own.learn(deadline)
    return own


def _losses(model: Model, data: Dataset, rows: np.ndarray, seed: int) -> np.ndarray:
    """(1 + R,): the loss without units, summed over targets, over these rows and over R resamples, the same for any model."""
    found = next(iter(answers(model, data, rows).values()))
    total: np.ndarray = np.zeros(1)
    for target, answer in found.items():
        head, y = model.heads[target], data.targets[target][rows].cpu()
        known = head.known(y).numpy()
        weight = metrics.resamples(int(known.sum()), seed=seed)
        weight = np.concatenate([np.ones((1, weight.shape[1])), weight])
        name = next(m for m in ("log_loss", "rmse") if m in head.metrics)
        values = head.judge(answer[known], y.numpy()[known], weight, only=name)[name]
        total = total + np.array([head.share({name: float(v)}) for v in values])
    return total
