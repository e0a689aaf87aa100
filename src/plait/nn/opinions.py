"""Several answers made into one: rules, and how their coefficients are learned from answers over held-out rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from plait.nn import linear
from plait.nn.linear import Folds, Task

NOTHING = "nothing"  # the rule that answers the prior whatever the members say
RULES = ("mean", "weights", "best", "product", "stack")
GRID = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # of C, for the rule "stack"
TINY = 1e-9
LEAST = -1e30  # the rank of a member that was never there: finite, as a model folder wants it
SPREAD = 0.5  # standard deviation of a logarithmic temperature or power before any row is seen


def log_shares(out: Tensor, kind: str) -> Tensor:
    """Outputs (..., K) as what rules add up: log probabilities of a category, log odds of labels, numbers as they are."""
    return out.log_softmax(-1) if kind == "category" else out


def joint(out: Tensor, here: Tensor, kind: str, rule: str, coefficients: Sequence[Tensor], prior: Tensor) -> Tensor:
    """(B, K) from outputs (B, M, K) of M members, present or not (B, M); `prior` (K,), the output of knowing nothing, where
    none is present. Coefficients by rule: mean [temperature], weights and best [(M,), temperature], product [(M,)], stack
    [(F, K), (K,)]."""
    if rule == NOTHING:
        return prior.expand(len(out), -1)
    own = log_shares(out, kind)
    some = here.any(1, keepdim=True)
    if rule == "product":
        weight = coefficients[0] * here
        if kind == "number":  # normal densities of one prior: weight w leaves 1 / (1 + w) of its variance
            moved = (((1 + weight)[..., None] * own - prior) * here[..., None]).sum(1)
            return (prior + moved) / (1 + weight.sum(1, keepdim=True))
        return prior + (weight[..., None] * (own - prior)).sum(1)
    if rule == "stack":
        return torch.where(some, features(out, here, kind, prior) @ coefficients[0] + coefficients[1], prior)
    if rule == "mean":
        weight = here.to(out.dtype)
    elif rule == "weights":
        weight = coefficients[0] * here
    else:  # the best of those present
        order = coefficients[0].masked_fill(~here, -torch.inf)
        weight = F.one_hot(order.argmax(1), here.shape[1]).to(out.dtype) * here
    weight = weight / weight.sum(1, keepdim=True).clamp_min(TINY)
    mixed = mixture(own, weight, kind)
    return torch.where(some, mixed if kind == "number" else mixed / coefficients[-1], prior)


def mixture(own: Tensor, weight: Tensor, kind: str) -> Tensor:
    """(B, K): the mean of answers (B, M, K), each with its weight (B, M); of probabilities as log probabilities or log odds."""
    if kind == "category":
        return torch.logsumexp(own + weight.clamp_min(TINY).log()[..., None], 1)
    if kind == "labels":
        return (own.sigmoid() * weight[..., None]).sum(1).clamp(1e-6, 1 - 1e-6).logit()
    return (own * weight[..., None]).sum(1)


def features(out: Tensor, here: Tensor, kind: str, prior: Tensor) -> Tensor:
    """(B, M K + M): how far each member moves the prior, zero where it is absent, and whether it is absent."""
    moved = (log_shares(out, kind) - prior).clamp(-20, 20) * here[..., None]
    return torch.cat([moved.flatten(1), (~here).to(out.dtype)], 1)


def learn(
    out: Tensor, here: Tensor, y: Tensor, *, task: Task, rule: str, prior: Tensor, folds: Folds
) -> list[np.ndarray]:
    """The coefficients of a rule, from answers (n, M, K) over rows that their members have not learned from."""
    kind, count = task.kind, out.shape[1]
    if rule == NOTHING:
        return []
    if rule == "stack":
        x = features(out, here, kind, prior)
        c = linear.choose(x, y, task, "log", folds, GRID)
        weight, bias = linear.fit(x, y, task, "log", c)
        return [weight.numpy(), bias.numpy()]

    def loss(coefficients: Sequence[Tensor]) -> Tensor:
        return linear.loss(joint(out, here, kind, rule, coefficients, prior), y, task, "log") / len(y)

    if rule == "product":
        start = torch.full((count,), math.log(math.expm1(1 / count)))  # softplus of it is 1 / count
        return [_descended(start, lambda raw: [F.softplus(raw)], loss, len(y), F.softplus)[0]]
    one = torch.ones(1)
    if rule == "weights":
        found = _descended(torch.zeros(count), lambda raw: [raw.softmax(0), one], loss, len(y))[:1]
    elif rule == "best":
        each = [_alone(out[here[:, m], m], y[here[:, m]], task) for m in range(count)]
        found = [np.array([max(-v, LEAST) for v in each], np.float32)]
    else:
        found = []
    if kind == "number":
        return [*found, one.numpy()]
    fixed = [torch.from_numpy(f) for f in found]
    return [*found, _descended(torch.zeros(1), lambda raw: [*fixed, raw.exp()], loss, len(y))[-1]]


def _alone(out: Tensor, y: Tensor, task: Task) -> float:
    """The mean loss of one member, at its best temperature."""
    return least(out, y, task) / len(y) if len(y) else float("inf")


def least(out: Tensor, y: Tensor, task: Task) -> float:
    """The summed loss of outputs (n, K), n > 0, at their best temperature."""
    return float(linear.loss(out if task.kind == "number" else out / temperature(out, y, task), y, task, "log"))


def temperature(out: Tensor, y: Tensor, task: Task) -> float:
    """What outputs (n, K), logits, are best divided by: the least loss on rows that they have not been learned from (Guo et al.
    2017), drawn towards 1 where there are few."""
    loss = lambda c: linear.loss(out / c[0], y, task, "log") / len(y)  # noqa: E731
    return float(_descended(torch.zeros(1), lambda raw: [raw.exp()], loss, len(y))[0][0])


def temperatures(out: Tensor, share: Tensor, y: Tensor, task: Task) -> tuple[float, float]:
    """As `temperature`, of rows at one end and at the other of `share` (n,), 0 to 1; its logarithm is linear in between."""
    loss = lambda c: linear.loss(out / (c[0] ** (1 - share) * c[1] ** share)[:, None], y, task, "log") / len(y)  # noqa: E731
    found = _descended(torch.zeros(2), lambda raw: [raw[:1].exp(), raw[1:].exp()], loss, len(y))
    return float(found[0][0]), float(found[1][0])


def _descended(
    start: Tensor,
    made: Callable[[Tensor], list[Tensor]],
    loss: Callable[[Sequence[Tensor]], Tensor],
    rows: int,
    measure: Callable[[Tensor], Tensor] = torch.clone,
) -> list[np.ndarray]:
    """What `made` gives of the raw numbers that have the least loss (L-BFGS); `measure` of them is normal about that of `start`
    beforehand: with few rows, all of them right, nothing becomes surer than these can tell."""
    with torch.enable_grad():
        raw = start.clone().requires_grad_(True)
        solver = torch.optim.LBFGS([raw], max_iter=100, line_search_fn="strong_wolfe", tolerance_change=1e-9)

        def step() -> Tensor:
            solver.zero_grad()
            value = loss(made(raw)) + (measure(raw) - measure(start)).square().sum() / (2 * SPREAD**2 * max(rows, 1))
            value.backward()
            return value

        solver.step(step)
    return [c.detach().numpy().astype(np.float32) for c in made(raw.detach())]
