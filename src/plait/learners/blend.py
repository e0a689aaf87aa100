"""Several learners made into one, by what they say of rows they have not learned from: late fusion, stacking, selection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from plait.errors import PlaitError, unknown
from plait.learners import LEARNERS
from plait.learners.base import Learner
from plait.learners.board import AUTO, Heard, by_itself, chosen
from plait.learners.search import Found, Tell, kinds_for, search, signed
from plait.nn import linear, opinions
from plait.nn.linear import Folds, Stream, Task
from plait.spec import Spec

PLACES = ("each", "all", "both")
KERNEL, SVM, KNN = 5_000, 20_000, 20_000  # rows up to which these are tried
MANY = 100  # classes from which only what has a closed form is tried
TREES = 600  # numbers a row up to which trees are tried


class Blend(Learner):
    """Each of `members`, a learner, learns from every column alone (`on` "each": decision level), from all columns ("all"), or
    both. Their answers over the folds, each from a model that has not seen the row, teach the `rule`: "mean" of
    probabilities; "weights", a mean with learned weights (Stone 1961); "best", the best one that is present; "product" of
    experts, the prior divided out, with learned powers (Kittler et al. 1998; Genest & Zidek 1986); "stack", a logistic
    regression on all answers (Wolpert 1992). All but the stack and the product are then brought to the temperature that fits
    those answers best (Guo et al. 2017).

    `rule` "auto": what has the least loss, within one standard error, on rows that neither members nor coefficients have
    learned from, of every member by itself and of rules over all of them, over those of all columns, or of one column each; so
    it is not surely worse there than the best column or the best member. `members` "auto": those that the number of
    rows and columns lets learn in seconds. `search`: so many trials of their hyperparameters, and of networks', by Optuna; the
    best of them become members too (search.py). `study`: a file that a search goes on from. `board` tells how each fared, what
    it cost, and why the first was taken. `seconds`: after so many no further member is tried. `tell` is told of every trial."""

    def __init__(
        self,
        *,
        kind: str,
        experts: list[dict[str, Any]],
        places: list[list[str]],
        joint: str,
        coefficients: list[np.ndarray],
        prior: np.ndarray,
        board: list[dict[str, Any]],
    ) -> None:
        super().__init__()
        self.kind, self.joint, self.places, self.board = kind, joint, places, board
        self.experts = torch.nn.ModuleList(LEARNERS.build(e) for e in experts)
        self.coefficients = [torch.from_numpy(c) for c in coefficients]
        self.prior: Tensor
        self.register_buffer("prior", torch.from_numpy(prior), persistent=False)

    @classmethod
    def learn(
        cls,
        streams: Mapping[str, Stream],
        y: np.ndarray,
        *,
        task: Task,
        folds: Folds,
        seed: int,
        members: str | Sequence[Spec] = ("logistic",),
        on: str = "each",
        rule: str = "stack",
        seconds: float | None = None,
        search: int = 0,
        study: str | None = None,
        tell: Tell | None = None,
    ) -> dict[str, Any]:
        if rule not in (*opinions.RULES, AUTO):
            raise unknown("rule of learner 'blend'", rule, [*opinions.RULES, AUTO])
        if on not in PLACES:
            raise unknown("value of 'on' of learner 'blend'", on, PLACES)
        if not folds and len(y) > 1:  # one group: its rows are all there is to choose by
            folds = cut(len(y), seed)
        if not folds:
            raise PlaitError("The blend learner needs rows to choose by: give at least two training rows.")
        plan = _plan(members, on, streams, len(y), task.classes)
        until = None if seconds is None else time.monotonic() + seconds
        cells = Cells(streams, y, task, folds, seed)
        made = _tried(plan, cells, members, until)
        told = np.unique(np.concatenate([held for _, held in folds]))
        for found in _searched(plan, cells, told, search, until, study, tell):
            made.append(_made(found.spec, found.columns, cells, out=found.out, seconds=found.seconds))
        here = np.stack([np.logical_or.reduce([streams[c].present for c in m.columns]) for m in made], 1)
        heard = Heard(
            torch.stack([m.out for m in made], 1)[told],
            torch.from_numpy(here)[told],
            torch.from_numpy(y[told]),
            task,
            prior_of(y, task),
            linear.subset(folds, told) if len(folds) > 1 else cut(len(told), seed),
        )
        board: list[dict[str, Any]] = []
        used = list(range(len(made)))
        if rule == AUTO:
            learned = [(m.wanted, m.columns) for m in made]
            rule, used, board = chosen(heard, learned, [m.seconds for m in made], until)
            for entry in board:
                entry.update(by_itself(entry, learned, members, search))
        return {
            "kind": task.kind,
            "experts": [made[i].spec for i in used],
            "places": [made[i].columns for i in used],
            "joint": rule,
            "coefficients": heard.learned(rule, used),
            "prior": heard.prior.numpy(),
            "board": board,
        }

    def forward(self, streams: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        outs, here = [], []
        for member, columns in zip(self.experts, self.places):
            outs.append(_wide(member({c: streams[c] for c in columns})))
            here.append(torch.stack([streams[c][1] for c in columns]).any(0))
        found = opinions.joint(
            torch.stack(outs, 1), torch.stack(here, 1), self.kind, self.joint, self.coefficients, self.prior
        )
        return found[:, 0] if self.kind == "number" else found

    def weights(self) -> dict[str, float] | None:
        """By column, the sum of what its members count, where the rule gives each a weight."""
        if self.joint not in ("weights", "product"):
            return None
        found = dict.fromkeys(sorted({c for columns in self.places for c in columns}), 0.0)
        for expert, columns, weight in zip(self.experts, self.places, self.coefficients[0].tolist()):
            assert isinstance(expert, Learner)
            own = expert.weights() or dict.fromkeys(columns, 1.0)
            for column in columns:
                found[column] += weight * own[column] / (sum(own.values()) or 1.0)
        most = max(found.values()) or 1.0
        return {c: w / most for c, w in found.items()}


class Made(NamedTuple):
    """A member that has learned."""

    wanted: Spec
    columns: list[str]
    spec: dict[str, Any]
    out: Tensor  # (n, K) of the rows held out
    seconds: float


class Cells(NamedTuple):
    """What is learned from."""

    streams: Mapping[str, Stream]
    y: np.ndarray
    task: Task
    folds: Folds
    seed: int


def _made(wanted: Spec, columns: list[str], cells: Cells, *, out: Tensor | None = None, seconds: float = 0.0) -> Made:
    """`out` and `seconds`: of what has been tried before."""
    began = time.perf_counter()
    streams, y, task, folds, seed = cells
    own = {c: streams[c] for c in columns}
    spec, out = held_out(wanted, own, y, task=task, folds=folds, seed=seed, out=out)
    return Made(wanted, columns, spec, out, seconds + time.perf_counter() - began)


def _tried(
    plan: Sequence[tuple[Spec, list[str]]], cells: Cells, members: str | Sequence[Spec], until: float | None
) -> list[Made]:
    """The members of a plan, as many as there is time for, the first in any case."""
    made: list[Made] = []
    for wanted, columns in plan:
        if until is not None and made and time.monotonic() > until:
            break
        try:
            made.append(_made(wanted, columns, cells))
        except Exception:  # whatever a library raises of too few rows: there are other candidates
            if members != AUTO or not made:
                raise
    return made


def _plan(
    members: str | Sequence[Spec], on: str, streams: Mapping[str, Stream], rows: int, classes: int
) -> list[tuple[Spec, list[str]]]:
    """Which learner learns from which columns."""
    every = sorted(streams)
    single = [[c] for c in every] if on != "all" else []
    joint = [every] if on == "all" or (on == "both" and len(every) > 1) else []
    if isinstance(members, str) and members != AUTO:
        members = [members]
    if members != AUTO:
        return [(m, columns) for columns in [*single, *joint] for m in members]
    width = sum(s.x.shape[1] for s in streams.values())
    if classes > MANY:
        return [(m, columns) for columns in joint or single for m in ("ridge", "prototypes", *["knn"] * (rows <= KNN))]
    several: list[Spec] = ["kernel"] if rows <= KERNEL else []
    several += ["svm"] if rows <= SVM else []
    several += ["knn"] if rows <= KNN else []
    several += ["trees"] if width <= TREES and find_spec("lightgbm") else []
    plan: list[tuple[Spec, list[str]]] = [("logistic", columns) for columns in [*joint, *single]]
    return [*plan, *((m, columns) for columns in joint or single for m in several)]  # cheapest first


def cut(rows: int, seed: int) -> Folds:
    """Up to five folds of so many rows, drawn at random."""
    fold = np.random.default_rng(seed).permutation(rows) % min(5, rows)
    pairs = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(min(5, rows))]
    return [(a, b) for a, b in pairs if len(a) and len(b)]


def held_out(
    member: Spec,
    streams: Mapping[str, Stream],
    y: np.ndarray,
    *,
    task: Task,
    folds: Folds,
    seed: int,
    out: Tensor | None = None,
) -> tuple[dict[str, Any], Tensor]:
    """A learner completed on all rows, and its outputs (n, K) over the rows held out of each fold, by models that learned from
    the other rows of that fold, with the hyperparameters that were chosen over all folds. `out`: these, where they are known."""
    whole = LEARNERS.complete(member, streams, y, task=task, folds=folds, seed=seed)
    if out is not None:
        return whole, out
    chosen = {**LEARNERS.normal(member), **LEARNERS.hyperparameters(whole)}
    return whole, _outside(chosen, streams, y, task=task, folds=folds, seed=seed)


def _outside(
    chosen: Spec, streams: Mapping[str, Stream], y: np.ndarray, *, task: Task, folds: Folds, seed: int
) -> Tensor:
    """(n, K) what models of the other rows of a fold say of the rows held out of it."""
    out = torch.zeros(len(y), 1 if task.kind == "number" else task.classes)
    for train, held in folds:
        inner = linear.subset(folds, train) or cut(len(train), seed)
        own = {c: Stream(s.x[train], s.present[train]) for c, s in streams.items()}
        spec = LEARNERS.complete(chosen, own, y[train], task=task, folds=inner, seed=seed)
        other = {c: Stream(s.x[held], s.present[held]) for c, s in streams.items()}
        with torch.no_grad():
            out[held] = _wide(LEARNERS.build(spec)(linear.tensors(other)))
    return out


def _searched(
    plan: Sequence[tuple[Spec, list[str]]],
    cells: Cells,
    told: np.ndarray,
    trials: int,
    until: float | None,
    study: str | None,
    tell: Tell | None,
) -> list[Found]:
    """The best of so many trials, of all columns or all but one."""
    if not trials:
        return []
    streams, y, task, folds, seed = cells

    def judge(spec: Spec, columns: list[str]) -> Tensor:
        return _outside(spec, {c: streams[c] for c in columns}, y, task=task, folds=folds, seed=seed)

    def loss(out: Tensor) -> float:
        return opinions.least(out[told], torch.from_numpy(y[told]), task)

    names = {str(m["name"] if isinstance(m, Mapping) else m) for m, _ in plan}
    sign = signed(streams, y, folds, task, seed)
    return search(
        kinds_for(names, len(y)),
        sorted(streams),
        judge,
        loss,
        trials=trials,
        until=until,
        seed=seed,
        study=study,
        sign=sign,
        tell=tell,
    )


def prior_of(y: np.ndarray, task: Task) -> Tensor:
    """(K,) the output of knowing nothing: log shares of the classes, log odds of the labels, or the mean; each counted once more
    than it was seen."""
    if task.kind == "category":
        count = torch.from_numpy(np.bincount(y, minlength=task.classes) + 1.0)
        return (count / count.sum()).log().float()
    if task.kind == "labels":
        share = torch.from_numpy((y.sum(0) + 1.0) / (len(y) + 2.0))
        return share.logit().float()
    return torch.tensor([float(y.mean())])


def _wide(out: Tensor) -> Tensor:
    """(B, K), of numbers too."""
    return out[:, None] if out.ndim == 1 else out
