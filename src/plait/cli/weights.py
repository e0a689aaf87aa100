"""plait weights: which pretrained weights there are, where they are, and fetching them beforehand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from plait.cli.output import show

app = typer.Typer(no_args_is_help=True, help="Pretrained weights: list, get, where.")
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
DIGITS = 12  # of a hash that a line shows


@app.command("list")
def list_weights(as_json: JSON = False) -> None:
    """Show the weights that need no model hub, their size, licence and hashes, and whether they are on this machine."""
    from plait.weights.catalogue import CATALOGUE
    from plait.weights.fetch import other_build
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
                "folder": str(here.folder) if here is not None and here.made else None,
                "installed": here is not None and not here.made,
                "other_build": None if here is not None else other_build(entry),
            }
        )
    show({"weights": found}, "\n".join([*map(_line, found), "Others: OWNER/NAME of the hub, or a folder."]), as_json)


def _line(about: dict[str, Any]) -> str:
    """Weights in one line."""
    state = "here" if about["folder"] else "pip" if about["installed"] else "-"
    first, more = next(iter(about["sha256"].values()))[:DIGITS], len(about["sha256"]) - 1
    size = f"{about['modality']:6} {about['megabytes']:4} MB"
    said = f"{about['name']:18} {size}  {state:4}  sha256 {first}… {f'+{more}' if more else '  '}  "
    notes = {
        "installed": "; in an installed package, to be converted when it is first used",
        "other_build": f"; the installed {about['other_build']} is another build than the one that is pinned, and is not used",
    }
    return f"{said}{about['what']}; {about['licence']}{''.join(text for key, text in notes.items() if about[key])}"


@app.command("get")
def get_weights(
    names: Annotated[Optional[list[str]], typer.Argument(help="Names of plait weights list, or OWNER/NAME.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of plait weights list.")] = False,
    to: Annotated[
        Optional[Path], typer.Option(help="The folder to put them in, for a machine without a network.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Fetch weights, check their hashes, convert them once, and put them where fits look for them. One that cannot be had does
    not keep the others; the exit code then is 2."""
    from plait.errors import FetchError, PlaitError
    from plait.weights.catalogue import CATALOGUE
    from plait.weights.fetch import get
    from plait.weights.find import own_folder

    wanted = list(CATALOGUE) if all_ else list(dict.fromkeys(names or []))
    if not wanted:
        raise PlaitError("Which weights? Give names of `plait weights list`, or --all.")
    root = to or own_folder()
    folders, failed = {}, {}
    for name in wanted:
        try:
            folders[name] = str(get(name, root, say=(lambda _: None) if as_json else print))
        except FetchError as error:
            if len(wanted) == 1:
                raise
            failed[name] = str(error)
    more = f"\nOn the other machine: export PLAIT_WEIGHTS={root}" if to else ""
    told = {"root": str(root), "folders": folders, "failed": failed}
    show(told, f"{len(folders)} of {len(wanted)} in {root}{more}", as_json)
    if failed:
        raise FetchError("Not fetched: " + "\n".join(f"{name}: {why}" for name, why in failed.items()))


@app.command("where")
def where_weights(name: Annotated[str, typer.Argument(help="Weights.")], as_json: JSON = False) -> None:
    """Say where weights are on this machine, with their size, licence and hashes; the exit code is 2 where they are not."""
    from plait.weights.fetch import about, sha256
    from plait.weights.find import resolve

    found = resolve(name, say=lambda line: print(line, file=sys.stderr))
    hashes = {p.name: sha256(p) for p in found.tensors()}
    size = sum(p.stat().st_size for p in found.folder.rglob("*") if p.is_file())
    revision = about(found.folder).get("revision")
    value = {"name": found.name, "folder": str(found.folder), "bytes": size, "licence": found.licence}
    lines = [f"{found.name}: {found.folder}, {size / 1e6:.0f} MB", f"licence: {found.licence or 'not said'}"]
    lines += [f"revision {revision}"] if revision else []
    lines += [f"{n} sha256 {h}" for n, h in hashes.items()]
    show({**value, "revision": revision, "sha256": hashes}, "\n".join(lines), as_json)
