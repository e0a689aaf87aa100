"""plait weights: which pretrained weights there are, where they are, and fetching them beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from plait.cli.output import show

app = typer.Typer(no_args_is_help=True, help="Pretrained weights: list, get, where.")
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


@app.command("list")
def list_weights(as_json: JSON = False) -> None:
    """Show the weights that need no model hub, their size and licence, and whether they are on this machine."""
    from plait.weights.catalogue import CATALOGUE
    from plait.weights.find import find

    found: list[dict[str, Any]] = []
    for name, entry in CATALOGUE.items():
        here = find(name)
        found.append(
            {
                "name": name,
                "modality": entry.modality,
                "what": entry.what,
                "megabytes": entry.megabytes,
                "licence": entry.licence,
                "packages": [f"{p.name}=={p.version}" for p in entry.packages],
                "sha256": {p.name: p.sha256 for p in entry.packages},
                "encoder": entry.encoder,
                "folder": None if here is None else str(here.folder),
            }
        )
    lines = [
        f"{w['name']:18} {w['modality']:6} {w['megabytes']:4} MB  {'here' if w['folder'] else '-':4}  {w['what']}; {w['licence']}"
        for w in found
    ]
    show({"weights": found}, "\n".join(lines) + "\nOthers: OWNER/NAME of the hub, or a folder.", as_json)


@app.command("get")
def get_weights(
    names: Annotated[Optional[list[str]], typer.Argument(help="Names of plait weights list, or OWNER/NAME.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of plait weights list.")] = False,
    to: Annotated[
        Optional[Path], typer.Option(help="The folder to put them in, for a machine without a network.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Fetch weights, check their hashes, convert them once, and put them where fits look for them."""
    from plait.errors import PlaitError
    from plait.weights.catalogue import CATALOGUE
    from plait.weights.fetch import get
    from plait.weights.find import own_folder

    wanted = list(CATALOGUE) if all_ else list(names or [])
    if not wanted:
        raise PlaitError("Which weights? Give names of `plait weights list`, or --all.")
    root = to or own_folder()
    folders = {name: str(get(name, root, say=(lambda _: None) if as_json else print)) for name in wanted}
    more = f"\nOn the other machine: export PLAIT_WEIGHTS={root}" if to else ""
    show({"root": str(root), "folders": folders}, f"{len(folders)} in {root}{more}", as_json)


@app.command("where")
def where_weights(name: Annotated[str, typer.Argument(help="Weights.")], as_json: JSON = False) -> None:
    """Say where weights are on this machine, with their licence and hashes; the exit code is 2 where they are not."""
    from plait.weights.fetch import sha256
    from plait.weights.find import resolve

    found = resolve(name)
    hashes = {p.name: sha256(p) for p in found.tensors()}
    value = {"name": found.name, "folder": str(found.folder), "licence": found.licence, "sha256": hashes}
    lines = [f"{found.name}: {found.folder}", f"licence: {found.licence or 'not said'}"]
    show(value, "\n".join([*lines, *(f"{n} sha256 {h}" for n, h in hashes.items())]), as_json)
