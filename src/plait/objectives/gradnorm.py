"""GradNorm: learned weights of the targets, so that all learn at a like rate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.errors import PlaitError
from plait.objectives.base import Objective, mean_loss
from plait.types import Pass

ALPHA = 1.5  # of the paper's larger experiments
RATE = 10.0  # of the weights: numbers of the size of 1, where weights of a network are much smaller
TINY = 1e-12
BALANCE = "(gradnorm)_loss"


class GradNorm(Objective):
    """sum_t w_t * mean loss of t, where the weights w are learned so that the norms G_t of the gradients of w_t L_t become
    mean(G) r_t^alpha: a target that has fallen less than the others, r_t = (L_t / L_t at first) / the mean of that, gets a
    larger gradient (Chen et al. 2018, eq. 1 and 2). The weights minimise sum_t |G_t - mean(G) r_t^alpha|, the model the
    weighted losses; neither sees the other's gradient.

    The gradients are those with respect to the encoded streams, what all targets share, not to the last shared layer's
    weights (as in MGDA-UB, Sener & Koltun 2018): one more backward pass a target, through fusion and heads only. The
    weights are T softmax(v), T being the number of targets: always positive and of sum T, which the paper reaches by
    dividing after each step. G is linear in w, so no second derivative is taken. The sum is divided by mean(G), so that the
    size of the losses does not say how far the weights step; the minimum is the same. Targets without a label in a batch take
    no part in its balance. Where a step has several batches (accumulate), each is balanced by itself and counts by its rows;
    the losses at first are those of the very first batch with a label.

    `targets`: those weighed so; others count as they are. `rate`: factor of the learning rate for v. Raises PlaitError."""

    inner = True
    first: Tensor
    seen: Tensor

    def __init__(self, *, targets: list[str] | None = None, alpha: float = ALPHA, rate: float = RATE) -> None:
        super().__init__()
        if not alpha >= 0 or not rate > 0:
            raise PlaitError(
                f"Objective 'gradnorm': found alpha={alpha!r}, rate={rate!r}; expected an alpha from 0, such as {ALPHA:g}, and a "
                f"rate above 0, such as {RATE:g}."
            )
        self.targets, self.alpha = sorted(targets or []), float(alpha)
        self.logits = nn.Parameter(torch.zeros(len(self.targets)))
        self.register_buffer("first", torch.ones(len(self.targets)))  # the loss when it was first seen
        self.register_buffer("seen", torch.zeros(len(self.targets), dtype=torch.bool))
        self.rates = {"logits": float(rate)}

    def weights(self) -> Tensor:
        """(T,), of sum T."""
        return len(self.targets) * self.logits.softmax(0)

    def forward(self, passed: Pass) -> dict[str, Tensor]:
        means = {t: mean_loss(passed, t) for t in passed.losses}
        weights = self.weights()
        fixed = dict(zip(self.targets, weights.detach()))
        found = {f"{t}_loss": fixed[t] * loss if t in fixed else loss for t, loss in means.items()}
        if self.training and torch.is_grad_enabled() and self.targets:
            balance = self._balance(passed, means, weights)
            found[BALANCE] = balance - balance.detach()  # a gradient, and nothing in the loss that is logged
        return found

    def _balance(self, passed: Pass, means: dict[str, Tensor], weights: Tensor) -> Tensor:
        """sum_t |G_t - mean(G) r_t^alpha| / mean(G), over the targets labelled in the batch; to be differentiated by the
        weights."""
        shared = [s.x for s in passed.streams.values() if s.x.requires_grad]
        here = [
            i
            for i, t in enumerate(self.targets)
            if t in means and means[t].requires_grad and bool(passed.known[t].any())
        ]
        for i in here:
            if not self.seen[i]:
                self.first[i], self.seen[i] = means[self.targets[i]].detach().clamp_min(TINY), True
        if len(here) < 2 or not shared:
            return 0.0 * weights.sum()
        norms = torch.stack([self._norm(means[self.targets[i]], shared) for i in here])
        now = torch.stack([means[self.targets[i]].detach().float() for i in here])
        each = weights[here] * norms
        fallen = now / self.first[here]
        mean = each.detach().mean().clamp_min(TINY)
        wanted = mean * (fallen / fallen.mean().clamp_min(TINY)) ** self.alpha
        return (each - wanted).abs().sum() / mean

    def _norm(self, loss: Tensor, shared: list[Tensor]) -> Tensor:
        """The norm of the gradient of a loss with respect to all streams."""
        found = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
        squares = [g.detach().float().square().sum() for g in found if g is not None]
        return torch.stack(squares).sum().sqrt() if squares else loss.new_zeros(())

    def shares(self) -> dict[str, float] | None:
        return dict(zip(self.targets, self.weights().detach().tolist())) or None
