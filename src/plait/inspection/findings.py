"""What a report warns of: one sentence, how grave it is, the way out, and the rows it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SERIOUS, WARNING, NOTE = "serious", "warning", "note"
SEVERITIES = (SERIOUS, WARNING, NOTE)
SHOWN = 6  # groups of rows, and rows of a group, that a finding carries


@dataclass(frozen=True)
class Finding:
    """One thing about a table that a reader should know."""

    kind: str  # for programs: "split_leak", "conflict", …
    severity: str  # one of SEVERITIES
    text: str  # for people
    way_out: str = ""
    columns: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    examples: tuple[tuple[int, ...], ...] = ()  # groups of rows that belong together, from 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sorted_findings(found: Sequence[Finding]) -> list[Finding]:
    """The gravest first."""
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def plural(n: int, noun: str) -> str:
    """1 row, 1,234 rows, 2 classes"""
    return f"{n:,} {noun}{'' if n == 1 else 'es' if noun.endswith('s') else 's'}"


def amount(value: float) -> str:
    """1,840 · 12 · 0.74"""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(n: float, of: float) -> str:
    """12 %; of few, with a decimal"""
    part = 100 * n / max(of, 1)
    return f"{part:.1f} %" if 0 < part < 10 else f"{part:.0f} %"
