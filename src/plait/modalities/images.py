"""Lists of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from plait.modalities import modality
from plait.modalities.base import Claim
from plait.modalities.several import Several, present

LOOKED_AT = 1000  # items


class Images(Several):
    """Several pictures in one cell: tuple of uint8 RGB (H, W, 3)."""

    each: ClassVar[str] = "image"

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        lists = [items for v in values if (items := present(v)) is not None]
        items = [item for several in lists for item in several][:LOOKED_AT]
        if len(lists) < 0.9 * len(values) or not items:
            return None
        claim = modality(self.each).claim(items, target=target)
        return claim and Claim(claim.strength, f"{len(lists)} of {len(values)} are lists, in which {claim.reason}")
