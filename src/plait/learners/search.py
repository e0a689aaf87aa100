"""Hyperparameters of several learners searched over the folds, by Optuna; a search that was cut short goes on from its file."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from plait.errors import PlaitError
from plait.fusion import FUSIONS
from plait.nn.linear import Folds, Stream, Task
from plait.optional import need
from plait.spec import Spec

KEPT, ALIKE = 8, 3  # trials that go into the blend, and of one learner
BEHIND = 1.25  # a learner whose best loss is this many times the best of all is given up after TRIES
TRIES = 3
PATIENCE, GAIN = 60, 0.002  # a search ends when so many trials have not lowered the best loss by this share of it
START = 8  # trials of a learner that are drawn at random, before what has been tried tells where to look
FUSED = 20_000  # rows up to which fusions are trained in a search
MOST_COLUMNS = 8  # up to so many, leaving one out is tried

Judge = Callable[[Spec, list[str]], Tensor]  # learner, its columns -> answers over the rows held out
Tell = Callable[[int, str], None]  # how many more are done, and what there is to say of it
Space = Callable[[Any], dict[str, Any]]  # Optuna's trial -> options


class Found(NamedTuple):
    """A trial worth keeping."""

    spec: dict[str, Any]
    columns: list[str]
    loss: float  # summed over the rows held out
    out: Tensor | None  # None: tried by an earlier process; only its loss is known
    seconds: float = 0.0  # that it took


def _logistic(t: Any) -> dict[str, Any]:
    return {"c": t.suggest_float("c", 0.3, 300, log=True), "power": t.suggest_float("power", 0, 4)}


def _kernel(t: Any) -> dict[str, Any]:
    return {
        "ridge": t.suggest_float("ridge", 1e-3, 1, log=True),
        "width": t.suggest_float("width", 0.1, 4, log=True),
        "power": t.suggest_float("power", 0, 4),
    }


def _svm(t: Any) -> dict[str, Any]:
    return {"c": t.suggest_float("c", 0.03, 30, log=True), "power": t.suggest_float("power", 0, 4)}


def _knn(t: Any) -> dict[str, Any]:
    return {"k": t.suggest_int("k", 1, 64, log=True), "power": t.suggest_float("power", 0, 4)}


def _trees(t: Any) -> dict[str, Any]:
    return {
        "leaves": t.suggest_int("leaves", 4, 63, log=True),
        "rate": t.suggest_float("rate", 0.02, 0.2, log=True),
    }


def _fused(t: Any) -> dict[str, Any]:
    names = [n for n in FUSIONS if FUSIONS.load(n).level == "feature"]
    return {
        "fusion": t.suggest_categorical("fusion", names),
        "rate": t.suggest_float("rate", 3e-4, 5e-3, log=True),
        "decay": t.suggest_float("decay", 1e-3, 0.3, log=True),
        "dropout": t.suggest_float("dropout", 0.0, 0.5),
    }


SPACES: dict[str, Space] = {
    "logistic": _logistic,
    "kernel": _kernel,
    "svm": _svm,
    "knn": _knn,
    "trees": _trees,
    "fused": _fused,
}
TURNS = {"logistic": 3, "kernel": 3, "svm": 2, "knn": 1, "trees": 1, "fused": 1}  # of each in a round


def search(
    kinds: Sequence[str],
    columns: list[str],
    judge: Judge,
    loss: Callable[[Tensor], float],
    *,
    trials: int,
    until: float | None,
    seed: int,
    study: str | None = None,
    sign: str = "",
    tell: Tell | None = None,
) -> list[Found]:
    """The best of `trials` trials of learners of these kinds, at most KEPT, the best first. `judge` and `loss` tell what one is
    worth on rows it has not learned from. Each kind has its own study (tree-structured Parzen estimator, Bergstra et al. 2011;
    Watanabe 2023), and they take turns, those far behind the best no longer. `until`: a time.monotonic() after which none is
    begun; nor when PATIENCE trials in a row have gained nothing worth their seconds. `study`: a file where every trial is noted
    at once: a search with the same `sign` goes on from it, and several processes may share it. The seed and the trials so far
    decide the next one, whether in one process or several one after another."""
    optuna = need("optuna", "tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if study is not None:
        _mend(Path(study))
    studies = {kind: _study(optuna, kind, study, f"{kind} {sign}") for kind in kinds}
    outs: dict[tuple[str, int], Tensor] = {}  # of the trials of this process
    began = datetime.now()
    for kind in _turns(studies, trials, began):
        if until is not None and time.monotonic() > until:
            break
        own = studies[kind]
        number = len(_begun(own, began))
        own.sampler = optuna.samplers.TPESampler(
            seed=_drawn(seed, kind, number), n_startup_trials=START, constant_liar=False
        )
        trial = own.ask()
        spec, seen = {"name": kind, **SPACES[kind](trial)}, _seen(trial, columns)
        trial.set_user_attr("spec", spec)
        trial.set_user_attr("columns", seen)
        try:
            out = judge(spec, seen)
        except Exception:  # whatever a library raises of these options: there are other trials
            own.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        value = loss(out)
        if not np.isfinite(value):
            own.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        own.tell(trial, value)
        outs[kind, trial.number] = out
        if tell:
            least = min(f.loss for f in _over(studies, {}))
            tell(1, f"{kind} {value / len(out):.3f}, best {least / len(out):.3f}")
    return _best(_over(studies, outs))


def _over(studies: Mapping[str, Any], outs: Mapping[tuple[str, int], Tensor]) -> list[Found]:
    """The trials that are over, of this process and of others."""
    return [
        Found(t.user_attrs["spec"], t.user_attrs["columns"], t.value, outs.get((kind, t.number)), _took(t))
        for kind, study in studies.items()
        for t in study.get_trials(deepcopy=False)
        if t.value is not None
    ]


def _took(trial: Any) -> float:
    return float(trial.duration.total_seconds()) if trial.duration is not None else 0.0


def signed(streams: Mapping[str, Stream], y: np.ndarray, folds: Folds, task: Task, seed: int) -> str:
    """What tells one search from another: its data, its folds, its seed."""
    digest = hashlib.sha256(f"{task} {seed}".encode())
    for part in [y, *(a for s in streams.values() for a in s), *(a for pair in folds for a in pair)]:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def kinds_for(names: Collection[str], rows: int) -> list[str]:
    """The learners to search over: of these the ones that have something to choose, and fusions, up to so many rows."""
    return [n for n in SPACES if n in names or (n == "fused" and rows <= FUSED)]


def _mend(path: Path) -> None:
    """Takes a last line away that a crash has cut: what is noted after it would be a part of it. Raises PlaitError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not (raw := path.read_bytes()).endswith(b"\n"):
            os.truncate(path, raw.rfind(b"\n") + 1)
    except OSError as error:
        raise PlaitError(f"The search cannot be noted in {path}: {error.strerror}. Give another file.") from None


def _study(optuna: Any, kind: str, path: str | None, name: str) -> Any:
    storage = None
    try:
        if path is not None:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says of features that are new in it
            return optuna.create_study(study_name=name, storage=storage, direction="minimize", load_if_exists=True)
    except (OSError, ValueError) as error:  # a line that was cut is no JSON
        raise PlaitError(
            f"The search cannot go on from {path}: {error}. Delete it, and the search begins anew."
        ) from None


def _begun(study: Any, since: datetime) -> list[Any]:
    """The trials that are over, and those that others have begun since; one that a dead process left behind is none."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() or t.datetime_start >= since]


def _turns(studies: Mapping[str, Any], trials: int, since: datetime) -> Iterator[str]:
    """Whose turn it is, until there are so many trials: each as often as TURNS says, without those far behind."""
    while sum(len(_begun(s, since)) for s in studies.values()) < trials and _gains(studies):
        count = {k: len(_begun(s, since)) for k, s in studies.items()}
        values = {k: [t.value for t in _begun(s, since) if t.value is not None] for k, s in studies.items()}
        least = min((min(v) for v in values.values() if v), default=np.inf)
        able = [k for k, v in values.items() if count[k] < TRIES or (v and min(v) <= BEHIND * least)]
        yield min(able or list(studies), key=lambda k: (count[k] + 1) / TURNS[k])


def _gains(studies: Mapping[str, Any]) -> bool:
    """Whether the last PATIENCE trials have lowered the best loss by enough."""
    over = [t for s in studies.values() for t in s.get_trials(deepcopy=False) if t.value is not None]
    over.sort(key=lambda t: t.datetime_complete)
    best, last = np.inf, 0
    for place, trial in enumerate(over):
        if not place or trial.value < best - GAIN * abs(best):
            best, last = trial.value, place
    return len(over) - last <= PATIENCE


def _drawn(seed: int, kind: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {kind} {number}".encode()).digest()[:4], "big")


def _seen(trial: Any, columns: list[str]) -> list[str]:
    """All columns, or all but one."""
    if not 2 < len(columns) <= MOST_COLUMNS:
        return columns
    without = trial.suggest_categorical("without", ["", *columns])
    return [c for c in columns if c != without]


def _best(found: Sequence[Found]) -> list[Found]:
    """The trials with the least loss, not too many of one learner, none twice."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: f.loss):
        alike = [f for f in kept if f.spec["name"] == one.spec["name"]]
        again = any(f.spec == one.spec and f.columns == one.columns for f in kept)
        if len(alike) < ALIKE and not again and len(kept) < KEPT and np.isfinite(one.loss):
            kept.append(one)
    return kept
