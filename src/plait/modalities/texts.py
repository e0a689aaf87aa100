"""Lists of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from plait.modalities.base import Claim
from plait.modalities.several import Several, present

WORDS, LETTERS = 4, 40  # from which on an item is a text and not a name
FEW, DIFFERENT = 40, 0.8  # of so many items of several words so large a share differs: names would come again


class Texts(Several):
    """Several texts in one cell: tuple of str, each as in a column of texts."""

    each: ClassVar[str] = "text"

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        lists = [items for v in values if (items := present(v)) is not None]
        items = [item for several in lists for item in several]
        if len(lists) < 0.9 * len(values) or not items or not all(isinstance(i, str) for i in items):
            return None
        long = sum(len(i) >= LETTERS or i.count(" ") >= WORDS - 1 for i in items)
        if 2 * long >= len(items):
            return Claim(
                0.93, f"{len(lists)} of {len(values)} are lists of texts, {long} of {len(items)} texts are long"
            )
        several = sum(" " in i.strip() for i in items)
        if len(items) < FEW or len(set(items)) < DIFFERENT * len(items) or 2 * several < len(items):
            return None
        return Claim(
            0.93,
            f"{len(lists)} of {len(values)} are lists of texts, {len(set(items))} of {len(items)} are different, {several} of "
            f"several words",
        )
