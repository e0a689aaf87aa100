"""Encode each input column, adapt its width, fuse, answer each target; or let a learner answer. This is the whole
architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoder
from plait.fusion.base import Decision, Fusion
from plait.heads.base import Head
from plait.learners.base import Learner
from plait.nn import pooling
from plait.nn.linear import joined
from plait.nn.named import Named
from plait.types import Batch, Inputs, Pass, Tokens

Outputs = dict[str, Tensor]
PRIOR = 0.1  # how much the answer for nothing counts in the loss


class Model(nn.Module):
    """inputs {column: Inputs} -> outputs {target: (B, ...)}. `heads` makes a new set of heads: a decision-level fusion
    needs one for each stream. `temperature`: target -> what its logits are divided by in an answer where one column is
    present, and where all are; a power of each between."""

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        fusion: Fusion | Decision | Mapping[str, Learner],
        heads: Callable[[], dict[str, Head]],
        *,
        width: int,
        temperature: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        self.temperature = dict(temperature or {})
        self.encoders = Named(encoders)
        self.top: FeatureLevel | DecisionLevel | Learned
        if isinstance(fusion, Mapping):
            self.adapters: Named[nn.Module] = Named({c: nn.Identity() for c in encoders})
            self.top = Learned(fusion, heads)
            return
        self.adapters = Named({c: nn.Linear(e.width, width) for c, e in encoders.items()})
        kind = FeatureLevel if fusion.level == "feature" else DecisionLevel
        self.top = kind(fusion, heads, list(encoders), width=width)  # type: ignore[arg-type]

    def begin(self) -> None:
        """Takes up what encoders begin from, before anything is trained."""
        for _, encoder in self.encoders.items():
            encoder.begin()

    def encode(self, inputs: Mapping[str, Inputs]) -> dict[str, Tokens]:
        """{column: Tokens (B, N, width)}."""
        streams = {}
        for column, encoder in self.encoders.items():
            tokens = encoder(inputs[column])
            streams[column] = Tokens(self.adapters[column](tokens.x), tokens.mask, tokens.position)
        return streams

    def forward(self, batch: Batch) -> Pass:
        """One pass; losses too, where the batch holds targets."""
        streams = self.encode(batch["inputs"])
        outputs, losses = self.top(streams, batch.get("targets", {}))
        known = {t: self.heads[t].known(y) for t, y in batch.get("targets", {}).items()}
        return Pass(streams, outputs, losses, known)

    def answer(self, streams: dict[str, Tokens]) -> Outputs:
        """{target: answer} from encoded streams: what masking experiments call again and again."""
        outputs, _ = self.top(streams, {})
        for target, (alone, together) in self.temperature.items():
            some = torch.stack([s.mask.any(1) for s in streams.values()]).any(0)
            scale = torch.where(some, alone * (together / alone) ** share(streams), 1.0)  # the prior is what it is
            outputs[target] = outputs[target].float() / scale[:, None]
        return {t: self.heads[t].answer(o) for t, o in outputs.items()}

    @property
    def heads(self) -> Named[Head]:
        """The heads, for what they know: classes, decode, metrics."""
        return self.top.heads

    def weights(self) -> dict[str, float] | None:
        """How much each column counts, if the fusion learns such weights."""
        return self.top.weights()


def share(streams: Mapping[str, Tokens]) -> Tensor:
    """(B,) how many columns are present: 0 where it is one or none, 1 where it is all of several."""
    count = torch.stack([s.mask.any(1) for s in streams.values()]).sum(0)
    return (count - 1).clamp_min(0) / max(1, len(streams) - 1)


def nothing(null: Tensor, rows: int) -> Tokens:
    """A batch of null tokens: what heads see of rows with nothing present."""
    return Tokens(null.expand(rows, 1, -1), null.new_ones(rows, 1, dtype=torch.bool))


def vectors(streams: dict[str, Tokens]) -> dict[str, tuple[Tensor, Tensor]]:
    """Column -> (x (B, D), present (B,)): the mean of each stream's tokens, for learners."""
    return {c: (pooling.mean(s), s.mask.any(1)) for c, s in streams.items()}


class Learned(nn.Module):
    """A learner answers each target from one fixed vector a column. The heads only say what its outputs mean."""

    def __init__(self, learners: Mapping[str, Learner], heads: Callable[[], dict[str, Head]]) -> None:
        super().__init__()
        self.learners: Named[Learner] = Named(learners)
        self.heads = Named(heads())

    def weights(self) -> dict[str, float] | None:
        return next((learner.weights() for _, learner in self.learners.items()), None)

    def embedding(self, streams: dict[str, Tokens]) -> Tensor:
        """(B, sum of D): each stream at unit length, side by side."""
        return joined(vectors(streams), {c: 1.0 for c in streams}, [])

    def forward(self, streams: dict[str, Tokens], targets: dict[str, Tensor]) -> tuple[Outputs, Outputs]:
        found = vectors(streams)
        outputs = {t: learner(found) for t, learner in self.learners.items()}
        return outputs, {t: self.heads[t].loss(outputs[t], y) for t, y in targets.items()}


class FeatureLevel(nn.Module):
    """Streams are fused, then heads answer. A row with nothing present is one learned null token, which every row
    teaches the prior."""

    def __init__(self, fusion: Fusion, heads: Callable[[], dict[str, Head]], columns: list[str], *, width: int) -> None:
        super().__init__()
        self.fusion = fusion
        self.heads = Named(heads())
        self.null = nn.Parameter(torch.zeros(width))

    def weights(self) -> dict[str, float] | None:
        return self.fusion.weights()

    def fuse(self, streams: dict[str, Tokens]) -> Tokens:
        """(B, N, width); every row has a token."""
        x, mask, position = self.fusion(streams)
        some = mask.any(1)
        x = torch.where(some[:, None, None], x, self.null.to(x.dtype))
        first = torch.arange(mask.shape[1], device=mask.device) == 0
        return Tokens(x, mask | (~some[:, None] & first), position)

    def embedding(self, streams: dict[str, Tokens]) -> Tensor:
        """(B, width): the mean of the fused tokens."""
        return pooling.mean(self.fuse(streams))

    def forward(self, streams: dict[str, Tokens], targets: dict[str, Tensor]) -> tuple[Outputs, Outputs]:
        each = self._members(self.fuse(streams))
        outputs, losses = {}, {}
        for target, head in self.heads.items():
            own = [head(tokens) for tokens in each]
            share = own[0].new_full((len(own[0]),), 1 / len(own), dtype=torch.float32)
            outputs[target] = own[0] if len(own) == 1 else head.mix(own, [share] * len(own))
            if target in targets:
                y = targets[target]
                loss = torch.stack([head.loss_of_row(o, y) for o in own]).mean(0)
                losses[target] = loss + PRIOR * head.loss_of_row(head(nothing(self.null, len(y))), y)
        return outputs, losses

    def _members(self, fused: Tokens) -> list[Tokens]:
        """The tokens that heads answer: all at once, or each member of an ensemble by itself."""
        if self.fusion.members == 1:
            return [fused]
        return [Tokens(fused.x[:, k : k + 1], fused.mask.any(1, keepdim=True)) for k in range(fused.x.shape[1])]


class DecisionLevel(nn.Module):
    """Each stream has its own heads, trained on the rows where it is present; the fusion says how much each one's
    answer counts. Heads over a null token learn the prior, which answers for rows with nothing present."""

    def __init__(
        self, fusion: Decision, heads: Callable[[], dict[str, Head]], columns: list[str], *, width: int
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.each = Named({c: Named(heads()) for c in columns})
        self.heads = Named(heads())
        self.null = nn.Parameter(torch.zeros(width))
        self.learns = any(p.requires_grad for p in fusion.parameters())

    def weights(self) -> dict[str, float] | None:
        return self.fusion.weights()

    def embedding(self, streams: dict[str, Tokens]) -> Tensor:
        """(B, width): the mean of the streams' means, each counting as the fusion says."""
        weight = self.fusion({c: s.mask.any(1) for c, s in streams.items()})
        total = torch.stack(list(weight.values())).sum(0).clamp_min(1e-6)
        weight = {c: w / total for c, w in weight.items()}
        return torch.stack([pooling.mean(s) * weight[c][:, None] for c, s in streams.items()]).sum(0)

    def forward(self, streams: dict[str, Tokens], targets: dict[str, Tensor]) -> tuple[Outputs, Outputs]:
        present = {c: s.mask.any(1) for c, s in streams.items()}
        weight = self.fusion(present)
        outputs, losses = {}, {}
        some = torch.stack(list(present.values())).any(0)
        for target, prior in self.heads.items():
            own = {c: self.each[c][target](streams[c]) for c in self.each}
            default = prior(nothing(self.null, len(some)))
            joint = self._joint(prior, own, weight, default, some)
            outputs[target] = joint
            if target in targets:
                y = targets[target]
                losses[target] = prior.loss_of_row(default, y) + sum(
                    self.each[c][target].loss_of_row(own[c], y) * present[c] for c in own
                )
                if self.learns:
                    apart = {c: o.detach() for c, o in own.items()}
                    losses[target] = losses[target] + prior.loss_of_row(
                        self._joint(prior, apart, weight, default.detach(), some), y
                    )
        return outputs, losses

    def _joint(self, head: Head, own: Outputs, weight: dict[str, Tensor], default: Tensor, some: Tensor) -> Tensor:
        """The answer of all streams together, and of none where none is there."""
        if self.fusion.rule == "product":
            return head.multiply(list(own.values()), [weight[c] for c in own], default)
        return head.mix([*own.values(), default], [*(weight[c] for c in own), (~some).float()])
