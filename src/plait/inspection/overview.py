"""plait.inspect: read every cell once, look for what would spoil a model, and say it in plain sentences."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from plait.data import split as splits
from plait.data.ledger import BadCell, Ledger
from plait.data.table import Table, read_table
from plait.division import draw_split
from plait.errors import OutputError, TableError
from plait.inspection.columns import Roles, roles_of
from plait.inspection.described import Facts, described, duplicates
from plait.inspection.findings import SERIOUS, Finding, plural, sorted_findings
from plait.inspection.giveaway import MOST as RULED
from plait.inspection.giveaway import giveaway_findings, giveaways, useless_findings
from plait.inspection.labels import balance, label_findings
from plait.inspection.leakage import group_findings, leak_findings, leaks, shared, suggested
from plait.inspection.look import Look
from plait.inspection.missingness import broken_findings, gap_findings, patterns
from plait.inspection.scan import Scanned, is_filed, scan
from plait.inspection.shifts import SAMPLE, shift, shift_findings
from plait.inspection.twins import clusters, twins
from plait.progress import Progress
from plait.report.content import plain
from plait.request import no_target, split_options, with_own_split


@dataclass
class Inspection:
    """What was found in a table. `facts` is plain JSON; `findings` are the warnings, the gravest first."""

    table: Table
    facts: Facts
    findings: list[Finding]
    bad_cells: list[dict[str, Any]]  # {"row", "column", "path", "reason"}, rows from 0
    groups: np.ndarray  # (rows,) rows that share a picture, a sound or a text share the number

    def to_json(self) -> Facts:
        """Everything as one JSON-able object. "row_groups": the rows of each group that holds more than one, the largest
        first; a row in none of them shares nothing."""
        more = {"bad_cells": self.bad_cells, "row_groups": clusters(self.groups)}
        everything: Facts = plain({**self.facts, "findings": [f.to_json() for f in self.findings], **more})
        return everything

    def save_html(self, path: str | Path) -> Path:
        """Writes the page, one file that needs nothing else. Raises OutputError."""
        from plait.inspection.page import inspection_page

        path = Path(path).expanduser()
        part = path.with_name(f".{path.name}.part")
        text = inspection_page(self.table, plain(self.facts), self.findings, self.bad_cells)
        try:
            part.write_text(text, encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from None
        return path

    def __str__(self) -> str:
        lines = [
            f"{self.facts['table']}: {plural(self.facts['rows'], 'row')}, {plural(len(self.facts['columns']), 'column')}"
        ]
        for c in self.facts["columns"]:
            counts = [f"{c['distinct']:,} distinct"] if "distinct" in c else []
            counts += [f"{c[k]:,} {k}" for k in ("missing", "broken") if c.get(k)]
            lines.append(
                f"  {c['name']:<16} {c['role']:<6} {c['modality'] or '-':<8} {', '.join(counts) or c['reason']}"
            )
        lines.append(f"{plural(len(self.findings), 'finding')}:" if self.findings else "Nothing to warn of.")
        for f in self.findings:
            lines.append(f"  [{f.severity}] {f.text}" + (f"\n      {f.way_out}" if f.way_out else ""))
        return "\n".join(lines)


def inspect(
    table: Any,
    targets: str | Sequence[str] | None = None,
    *,
    inputs: str | Sequence[str] | Mapping[str, str | None] | None = None,
    modalities: Mapping[str, str] | None = None,
    split_column: str | None = None,
    group: str | None = None,
    split: str | Mapping[str, Any] | None = None,
    seed: int = 0,
    against: Any = None,
    base: str | Path | None = None,
    quiet: bool = False,
) -> Inspection:
    """Reads every cell of a table once and says what is in it and what would spoil a model, before any training.

    table, targets, inputs, modalities, base: as in plait.fit; without targets, what depends on them is left out.
    split, seed: as in plait.fit: the split that is looked at is the one it would make, by a column called "split" where there
        is one and nothing else is said. split_column: the same as split={"column": …}. group: rows with the same value
        belong together: the split is drawn so, or, with a split column, both sides are checked for it.
    against: a second table (or its path) of the same columns: what both hold, and how its cells differ. `base` is its own
        too, unless it is a file and the first table is in memory.

    Nothing is written. Raises PlaitError when the table or an argument cannot be used.
    """
    progress, ledger = Progress(quiet=quiet), Ledger()
    source = read_table(table, base=base)
    elsewhere = isinstance(against, (str, Path)) and not isinstance(table, (str, Path))  # it has a folder of its own
    other = None if against is None else read_table(against, base=None if elsewhere else base)
    names = [targets] if isinstance(targets, str) else [str(t) for t in targets or ()]
    inputs = [inputs] if isinstance(inputs, str) else inputs
    said = {k: v for k, v in {"column": split_column, "group": group}.items() if v is not None}
    how = with_own_split(source, split_options({**split_options(split), **said}), names, inputs)
    keys = {"split": how["column"], "time": how["time"], "group": how["group"]}
    roles = roles_of(source, targets=names, inputs=inputs, modalities=modalities, keys=keys)
    for target, kind in roles.schema.targets.items():
        if is_filed(kind):
            raise no_target(roles.schema, target)
    both = [source] if other is None else [source, _with_columns(other, roles)]
    with progress.timed(f"Read {plural(sum(map(len, both)), 'row')}"):
        scanned = scan(both, roles.read, ledger, progress)
    n = len(source)
    own = scanned if other is None else {c: s.part(0, n) for c, s in scanned.items()}
    theirs = [[replace(b, row=b.row - n) for b in cells if b.row >= n] for cells in (ledger.bad, ledger.odd)]
    ledger.bad, ledger.odd = ([b for b in cells if b.row < n] for cells in (ledger.bad, ledger.odd))
    look = Look(source, roles, own, ledger, _parts(source, roles, own, how, seed), _way(how), keys["group"])
    with progress.timed("Looked for duplicates, leaks and drift"):
        return _inspection(look, scanned, other, *theirs)


def _way(how: Mapping[str, Any]) -> str:
    return next((k for k in ("column", "group", "time") if how[k]), "chance")


def _with_columns(other: Table, roles: Roles) -> Table:
    """The second table, with an empty column where it lacks one."""
    absent = [c for c in roles.read if c not in other.frame.columns]
    if len(absent) == len(roles.read):
        raise TableError(f"{other.name} has none of the columns {', '.join(roles.read)}: nothing can be compared.")
    return Table(other.frame.assign(**{c: None for c in absent}), other.folder, other.name, other.index)


def _parts(table: Table, roles: Roles, scanned: dict[str, Scanned], how: dict[str, Any], seed: int) -> np.ndarray:
    """(rows,) who trains and who tests, as plait.fit would have it; too few rows are not split."""
    labels = {
        t: [s.cells[p] if p >= 0 else None for p in s.places] for t in roles.named("target") for s in [scanned[t]]
    }
    labels = labels or {"": [""] * len(table)}
    try:
        return draw_split(table, roles.schema, labels, how, seed)
    except TableError:
        if how["column"]:  # no row for training has a label
            return splits.by_column(table.column(how["column"]), name=how["column"])
        if how["time"] or how["group"]:
            raise
        return np.zeros(len(table), dtype=np.int8)


def _inspection(
    look: Look, scanned: dict[str, Scanned], other: Table | None, bad: list[BadCell], odd: list[BadCell]
) -> Inspection:
    leaked, told = leaks(look), giveaways(look)
    train, held = look.parts == 0, look.parts > 0
    moved = {c: s for c in look.inputs + look.targets if (s := shift(look.scanned[c], train, held))}
    findings = [*gap_findings(look), *label_findings(look), *giveaway_findings(told), *useless_findings(look)]
    findings += [*leak_findings(look, leaked), *group_findings(look)]
    findings += shift_findings(moved, "training and held-out rows", split=True)
    against: Facts | None = None
    if other is not None:
        against, more = _against(look, scanned, other, bad, odd)
        findings += more
    if max(train.sum(), held.sum()) > SAMPLE:
        look.sampled.append(
            f"Differences between parts and tables are measured on at most {SAMPLE:,} rows of each side."
        )
    if len(look.table) > RULED:
        look.sampled.append(f"Rules that give a target away are sought in {RULED:,} rows.")
    facts: Facts = {
        "table": look.table.name,
        "rows": len(look.table),
        "columns": [described(look, column) for column in look.roles.all],
        "targets": {t: balance(look, t) for t in look.targets},
        "split": {
            "by": look.how,
            "rows": {name: int((look.parts == p).sum()) for p, name in enumerate(splits.PARTS)},
        },
        "duplicates": duplicates(look),
        "leaks": {c or "all inputs": {k: v for k, v in leak.items() if k != "all_rows"} for c, leak in leaked.items()},
        "gives_away": told,
        "groups": suggested(look),
        "missing": patterns(look),
        "drift": {"split": moved, "against": against},
        "odd_cells": [vars(cell) for cell in look.ledger.odd],
        "sampled": look.sampled,
    }
    return Inspection(look.table, facts, sorted_findings(findings), look.ledger.to_json(), look.groups)


def _against(
    look: Look, scanned: dict[str, Scanned], other: Table, bad: list[BadCell], odd: list[BadCell]
) -> tuple[Facts, list[Finding]]:
    """What a second table shares with the first, how it differs, and which of its cells are bad, or used with a remark."""
    left = np.arange(len(look.table) + len(other)) < len(look.table)
    columns = [c for c in look.inputs + look.targets if c in other.frame.columns]
    moved = {c: s for c in columns if (s := shift(scanned[c], left, ~left))}
    findings = shift_findings(moved, f"{look.table.name} and {other.name}", split=False)
    n = len(look.table)
    theirs = {c: s.part(n, n + len(other)) for c, s in scanned.items()}
    findings += [f for f in broken_findings(theirs, bad, other.name) if f.severity == SERIOUS]
    common = {}
    for column in columns:
        if column in look.targets or not scanned[column].content:
            continue
        things, rows = shared(twins(scanned[column]).alike, left, ~left)
        if len(rows):
            common[column] = {"things": things, "rows": len(rows)}
            text = (
                f"{plural(len(rows), 'row')} of {other.name} ({100 * len(rows) / len(other):.0f} %) hold a content of "
                f"{column!r} that {look.table.name} holds too."
            )
            way_out = "If one of the tables is to judge a model trained on the other, leave these rows out of it."
            figures = {**common[column], "other_rows": (rows - n)[:20].tolist()}
            findings.append(Finding("shared_content", "warning", text, way_out, (column,), figures))
    told = {"columns": moved, "shared": common, "bad_cells": [asdict(b) for b in bad]}
    told["odd_cells"] = [asdict(b) for b in odd]
    return {"table": other.name, "rows": len(other), **told}, findings
