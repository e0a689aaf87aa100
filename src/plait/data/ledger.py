"""Every bad cell by row, column, path and reason. A bad cell counts as missing; nothing about it is silent. Cells that
are used all the same, though something about them is odd, are entered with a remark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from plait.errors import TooManyBadCellsError

NAME, MOST = 40, 20  # characters of a name that are shown, and names that are counted one by one


def writable(text: str) -> str:
    """The text as a file can hold it: halves of characters (lone surrogates) as Python writes them, \\ud800."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(value: Any) -> str:
    """A cell's value in a few words: a path or text as it is, anything else by its kind and size."""
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        value = value["path"]
    if isinstance(value, (str, int, float, Path)):
        return writable(str(value)[:200])
    size = getattr(value, "shape", None) or (len(value) if isinstance(value, (bytes, list, tuple, dict)) else "")
    return f"{type(value).__name__} {size}".strip()


@dataclass(frozen=True)
class BadCell:
    """One cell that could not be read, or was read with a remark. Rows are counted from 0."""

    row: int
    column: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}, {self.path}: {self.reason}"


@dataclass
class Ledger:
    """The bad cells of one table, those with a remark, and how many cells each column holds."""

    bad: list[BadCell] = field(default_factory=list)
    odd: list[BadCell] = field(default_factory=list)  # used, with a remark
    filled: dict[str, int] = field(default_factory=dict)  # column -> cells that are not missing
    unseen: dict[str, dict[str, list[int]]] = field(
        default_factory=dict
    )  # column -> name training did not teach -> rows

    def note(self, column: str, value: Any, rows: list[int], reason: str) -> None:
        """Enters one bad value and the rows that hold it."""
        self.bad += [BadCell(row, column, shown(value), writable(reason)) for row in rows]

    def remark(self, column: str, value: Any, rows: Sequence[int], remarks: Sequence[str]) -> None:
        """Enters what is odd about one value that is used, and the rows that hold it."""
        self.odd += [BadCell(row, column, shown(value), writable("; ".join(remarks))) for row in rows if remarks]

    def __len__(self) -> int:
        return len(self.bad)

    def __iter__(self) -> Iterator[BadCell]:
        return iter(sorted(self.bad, key=lambda b: (b.row, b.column)))

    def by_row(self, *, odd: bool = False) -> dict[int, list[BadCell]]:
        """Row -> its bad cells, or those with a remark."""
        rows: dict[int, list[BadCell]] = {}
        for cell in sorted(self.odd, key=lambda b: (b.row, b.column)) if odd else self:
            rows.setdefault(cell.row, []).append(cell)
        return rows

    def unseen_by_row(self) -> dict[int, list[BadCell]]:
        """Row -> its names that training did not teach, as remarks."""
        rows: dict[int, list[BadCell]] = {}
        for column, names in self.unseen.items():
            for name, here in names.items():
                cell = BadCell(-1, column, name, f"{name[:NAME]!r} is not among the names learned in training")
                for row in here:
                    rows.setdefault(row, []).append(cell)
        return rows

    def unseen_counts(self) -> dict[str, dict[str, Any]]:
        """Column -> {"names": how many training did not teach, "rows": how many hold one, "most": the most frequent ->
        rows}."""
        found = {}
        for column, names in self.unseen.items():
            often = sorted(names, key=lambda n: (-len(names[n]), n))[:MOST]
            rows = {row for here in names.values() for row in here}
            found[column] = {"names": len(names), "rows": len(rows), "most": {n: len(names[n]) for n in often}}
        return found

    def unseen_text(self) -> str:
        """The same in words, a line a column; nothing where training taught all names."""
        lines = []
        for column, about in self.unseen_counts().items():
            shown = [f"{n[:NAME]!r} x {times}" for n, times in list(about["most"].items())[:5]]
            more = ["…"] if about["names"] > len(shown) else []
            lines.append(
                f"{column}: {about['rows']} rows with names that training did not teach ({about['names']} such names), taken "
                f"for unknown: {', '.join(shown + more)}"
            )
        return "\n".join(lines)

    def check(self, *, max_bad: float) -> None:
        """Raises TooManyBadCellsError when more than the share `max_bad` of a column's cells is bad."""
        for column, count in Counter(b.column for b in self.bad).items():
            filled = max(self.filled.get(column, 0), 1)
            if count / filled > max_bad:
                raise TooManyBadCellsError(
                    f"Column {column!r}: {count} of {filled} cells cannot be read ({count / filled:.0%}, allowed "
                    f"{max_bad:.0%}).\n{self.first(column=column)}\n"
                    f"Repair them, or allow it with max_bad={min(1.0, count / filled + 0.01):.2f}"
                    f" (--max-bad): bad cells then count as missing."
                )

    def first(self, *, column: str | None = None, limit: int = 5, odd: bool = False) -> str:
        """The first bad cells, or those with a remark, a line each."""
        cells = [b for b in (self.odd if odd else self) if column is None or b.column == column]
        more = [f"  … and {len(cells) - limit} more"] if len(cells) > limit else []
        return "\n".join([f"  {b}" for b in cells[:limit]] + more)

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(b) for b in self]
