"""Which of several candidates is taken, by what they said of rows they had not learned from; how each fared, and why one won."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from plait.nn import linear, opinions
from plait.nn.linear import Folds, Task
from plait.spec import Spec

AUTO = "auto"
ROW = 1.0  # nat
NUMBERS = 5_000_000  # answers of all members, in numbers, from which they are not blended
STACKED = 2000  # rows from which a stack is tried: with fewer it was far below the others


class Heard(NamedTuple):
    """What members said of rows they had not learned from."""

    out: Tensor  # (n, M, K)
    here: Tensor  # (n, M) bool
    y: Tensor
    task: Task
    prior: Tensor  # (K,)
    folds: Folds

    def learned(self, rule: str, used: Sequence[int], rows: np.ndarray | None = None) -> list[np.ndarray]:
        """The coefficients of a rule over some of the members, from all rows or these."""
        every = np.arange(len(self.y)) if rows is None else rows
        return opinions.learn(
            self.out[every][:, used],
            self.here[every][:, used],
            self.y[every],
            task=self.task,
            rule=rule,
            prior=self.prior,
            folds=linear.subset(self.folds, every),
        )

    def losses(self, rule: str, used: Sequence[int]) -> np.ndarray:
        """(folds,) summed over the rows held out of each, which the coefficients have not learned from either."""
        sums = []
        for train, held in self.folds:
            coefficients = [torch.from_numpy(c) for c in self.learned(rule, used, train)]
            out = opinions.joint(
                self.out[held][:, used], self.here[held][:, used], self.task.kind, rule, coefficients, self.prior
            )
            sums.append(float(linear.loss(out, self.y[held], self.task, "log")))
        return np.array(sums)


def chosen(
    heard: Heard, learned: Sequence[tuple[Spec, list[str]]], costs: Sequence[float], until: float | None
) -> tuple[str, list[int], list[dict[str, Any]]]:
    """The rule and the members it uses, and how each choice fared: the one taken, then the others by their loss. Taken is a
    blend of those of all columns, or of all, where it is within one standard error of the least loss (over the folds; Breiman
    et al. 1984), since members vary more from table to table than their blend; else the least."""
    places, names = [columns for _, columns in learned], [titled(member) for member, _ in learned]
    most = max(map(len, places))
    wide = [i for i, columns in enumerate(places) if len(columns) == most]
    narrow = [i for i, columns in enumerate(places) if len(columns) == 1]
    rules = ("product", "weights", "stack") if len(heard.y) >= STACKED else ("product", "weights")
    tried: dict[tuple[str, tuple[int, ...]], str] = {}  # blends of many first: these are preferred
    small = heard.out.numel() <= NUMBERS
    groups = (
        {}
        if not small
        else {"all columns": wide, "every member": list(range(len(places))), "each column alone": narrow}
    )
    for title, used in groups.items():
        for rule in rules if len(used) > 1 else ():
            tried.setdefault((rule, tuple(used)), f"{rule} over {title}")
    for i, columns in enumerate(places):
        where = ", ".join(columns) if len(columns) < most or most == 1 else "all columns"
        tried["product", (i,)] = f"{names[i]} of {where}"
    tried[opinions.NOTHING, (0,)] = "knowing nothing"
    losses: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}
    for key in sorted(tried, key=lambda k: len(k[1])):  # the quickest first
        if not losses or until is None or time.monotonic() < until:
            losses[key] = heard.losses(*key)
    losses = {key: losses[key] for key in tried if key in losses}
    least = min(losses.values(), key=np.sum)
    nothing = losses.get((opinions.NOTHING, (0,)), np.array([np.inf])).sum()
    first = [key for key in losses if len(key[1]) > 1 and key[1] != tuple(narrow)]
    near = [k for k in first if losses[k].sum() <= min(nothing, least.sum() + _chance(losses[k] - least))]
    lowest = min(losses, key=lambda key: float(losses[key].sum()))
    best = near[0] if near else lowest
    board: list[dict[str, Any]] = [
        {
            "name": tried[rule, used],
            "rule": rule,
            "members": list(used),
            "loss": float(own.sum()) / len(heard.y),
            "seconds": 0.0 if rule == opinions.NOTHING else round(sum(costs[i] for i in used), 3),
        }
        for (rule, used), own in losses.items()
    ]
    board.sort(key=lambda entry: (entry["name"] != tried[best], entry["loss"]))
    if best == lowest:
        why = "it has the least loss"
    else:
        chance = _chance(losses[best] - least) / len(heard.y)
        why = (
            f"it blends several, and its loss is within one standard error ({chance:.3f}) of the least, that of {tried[lowest]}: "
            + (
                "one learner alone varies more from table to table"
                if len(lowest[1]) == 1
                else "the first of such blends"
            )
        )
    board[0]["why"] = why
    return best[0], list(best[1]), board


def by_itself(
    entry: Mapping[str, Any], learned: Sequence[tuple[Spec, list[str]]], members: str | Sequence[Spec], search: int
) -> dict[str, Any]:
    """The inputs and the learner that make a candidate a model of its own: what plait.fit takes."""
    if entry["rule"] == opinions.NOTHING:
        return {}
    own = [learned[i] for i in entry["members"]]
    columns = sorted({c for _, places in own for c in places})
    if len(own) == 1:
        return {"inputs": columns, "learner": own[0][0]}
    each = all(len(places) == 1 for _, places in own)
    whole = all(len(places) == len(columns) for _, places in own)
    wanted = ["logistic"] if members == AUTO and each and len(columns) > 1 else members
    learner = {
        "name": "blend",
        "members": wanted,
        "on": "each" if each else "all" if whole else "both",
        "rule": entry["rule"],
    }
    return {"inputs": columns, "learner": {**learner, **({"search": search} if search and members == AUTO else {})}}


def titled(member: Spec) -> str:
    """A learner, with what was set of it."""
    if not isinstance(member, Mapping):
        return str(member)
    options = (f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in member.items() if k != "name")
    return " ".join([str(member["name"]), *options])


def _chance(gaps: np.ndarray) -> float:
    """One standard error of the sum of these, one a fold; and never less than what one row in doubt costs."""
    return max(ROW, float(np.sqrt(len(gaps)) * gaps.std(ddof=1)) if len(gaps) > 1 else 0.0)
