"""The two fusion interfaces: of tokens (feature level), and of what each stream's own head says (decision level)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from plait.types import Tokens


class Fusion(nn.Module, ABC):
    """Named tokens of one width -> tokens. The constructor takes `columns` (their names) and `width`, keyword-only.
    The order of the columns does not matter: parameters belong to names."""

    level: ClassVar[str] = "feature"
    members: int = (
        1  # K: each of the K tokens it gives is a model of its own; heads answer each, and their answers are averaged
    )

    @abstractmethod
    def forward(self, streams: dict[str, Tokens]) -> Tokens:
        """{column: (B, N_i, D)} -> (B, N, D). A stream absent from a row (mask all False) has no influence on it. In a
        row with nothing present the mask is all False; its values are finite."""

    @abstractmethod
    def weights(self) -> dict[str, float] | None:
        """How much each column counts, summing to 1, if the fusion learns such weights."""


class Decision(nn.Module, ABC):
    """How much each stream's own answer counts in each row. Takes `columns`, keyword-only."""

    level: ClassVar[str] = "decision"
    rule: ClassVar[str] = "sum"  # answers are averaged ("sum"), or multiplied as independent evidence ("product")

    @abstractmethod
    def forward(self, present: dict[str, Tensor]) -> dict[str, Tensor]:
        """{column: (B,) bool} -> {column: (B,) weight}, zero where absent. Under the rule "sum" they sum to 1 where anything is
        present. Trained by the loss of the joint answer, through which nothing reaches the streams."""

    @abstractmethod
    def weights(self) -> dict[str, float] | None:
        """How much each column counts with all present."""


def row_present(streams: dict[str, Tokens]) -> Tensor:
    """(B,) bool: whether a row has anything at all."""
    masks = [s.mask.any(1) for s in streams.values()]
    out = masks[0]
    for m in masks[1:]:
        out = out | m
    return out
