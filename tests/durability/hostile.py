"""Loading what is hostile, in a process that listens to what the interpreter does."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NEVER = ("pickle.find_class", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect", "os.exec", "os.fork",
         "os.posix_spawn", "marshal.loads", "ctypes.dlopen", "os.rename", "os.remove", "os.mkdir", "os.link",
         "os.symlink", "os.truncate", "os.chmod", "shutil.rmtree")  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/plait-was-here",)


def model(folder: Path, contents: dict[str, bytes]) -> Path:
    """A model folder whose manifest is right, whatever it holds."""
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    sign(folder, contents)
    return folder


def sign(folder: Path, contents: dict[str, bytes]) -> None:
    hashes = {n: hashlib.sha256(c).hexdigest() for n, c in sorted(contents.items())}
    text = json.dumps({"sha256": hashes}, indent=1, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")


def tensors(header: Any, data: bytes = b"") -> bytes:
    """A safetensors file with this header, as text or as an object."""
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def npy() -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def zipped(size: int = 50_000_000) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights", bytes(size))
    return buffer.getvalue()


def contents_of(good: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Artefacts that are wrong in a file's content or name; every hash is right."""
    import safetensors.torch
    import torch

    about, weights = json.loads(good["plait.json"]), safetensors.torch.load(good["weights.safetensors"])
    first = max(weights, key=lambda n: weights[n].numel())
    column = next(iter(about["spec"]["inputs"]))
    evil, deep = pickle.dumps(Evil()), b"[" * 10_000 + b"]" * 10_000
    size = struct.unpack("<Q", good["weights.safetensors"][:8])[0]
    header, data = good["weights.safetensors"][8 : 8 + size].decode(), good["weights.safetensors"][8 + size :]

    def saved(**changed: Any) -> bytes:
        return safetensors.torch.save({**weights, **changed})

    def told(**changed: Any) -> dict[str, bytes]:
        return {**good, "plait.json": json.dumps({**about, **changed}).encode()}

    def part(**options: Any) -> dict[str, bytes]:
        inputs = {**about["spec"]["inputs"], column: {**about["spec"]["inputs"][column], **options}}
        return told(spec={**about["spec"], "inputs": inputs})

    less = {n: t for n, t in weights.items() if n != first}
    short = {n: c for n, c in good.items() if n != "weights.safetensors"}
    twice = good["plait.json"].replace(b'{\n "format"', b'{\n "format": 1,\n "format"', 1)
    assert twice != good["plait.json"]
    entry = json.dumps(json.loads(header)[first])
    wide = {**about["spec"], "width": 30_000}
    return {
        "pickle as weights": {**good, "weights.safetensors": evil},
        "pickle as json": {**good, "plait.json": evil},
        "pickle in another format": {**short, "weights.pt": evil},
        "pickle beside": {**good, "more.pkl": evil},
        "objects as array": {**short, "weights.npy": npy()},
        "objects as weights": {**good, "weights.safetensors": npy()},
        "code beside": {**good, "model.py": b"raise SystemExit"},
        "auto_map": part(auto_map={"AutoModel": "evil.Model"}),
        "trust_remote_code": part(trust_remote_code=True),
        "_target_": part(_target_="os.system", args=["touch /tmp/plait-was-here"]),
        "class by name": part(name="os:system"),
        "class of a package": part(name="torch.nn:Linear"),
        "__reduce__": told(spec={"__reduce__": ["os.system", ["touch /tmp/plait-was-here"]]}),
        "fact outside": part(names={"file": "../../../../etc/passwd"}),
        "zip as weights": {**good, "weights.safetensors": zipped()},
        "header longer than the file": {**good, "weights.safetensors": struct.pack("<Q", 2**62) + b"{}"},
        "header of 90 MB": {**good, "weights.safetensors": struct.pack("<Q", 90 * 10**6) + bytes(1000)},
        "claims 40 GB": {**good, "weights.safetensors": tensors({first: {"dtype": "F32", "shape": [10**5, 10**5],
                                                                  "data_offsets": [0, 4 * 10**10]}})},
        "negative shape": {**good, "weights.safetensors": tensors({first: {"dtype": "F32", "shape": [-1],
                                                                    "data_offsets": [0, 4]}}, bytes(4))},
        "deep config": {**good, "plait.json": deep},
        "deep spec": {**good, "plait.json": good["plait.json"].replace(b'"spec": {', b'"x": ' + deep + b', "spec": {', 1)},
        "deep header": {**good, "weights.safetensors": tensors(deep.decode())},
        "NaN weights": {**good, "weights.safetensors": saved(**{first: torch.full_like(weights[first], torch.nan)})},
        "infinite weights": {**good, "weights.safetensors": saved(**{first: weights[first] / 0})},
        "other type": {**good, "weights.safetensors": saved(**{first: weights[first].double()})},
        "whole numbers": {**good, "weights.safetensors": saved(**{first: weights[first].int()})},
        "other shape": {**good, "weights.safetensors": saved(**{first: weights[first][:-1].clone()})},
        "turned shape": {**good, "weights.safetensors": saved(**{first: weights[first].reshape(-1)})},
        "less weights": {**good, "weights.safetensors": safetensors.torch.save(less)},
        "more weights": {**good, "weights.safetensors": saved(more=torch.zeros(3))},
        "same key twice in json": {**good, "plait.json": twice},
        "same key twice in weights": {**good, "weights.safetensors": tensors("{" + json.dumps(first) + ": " + entry + ", "
                                                                      + header.strip()[1:], data)},
        "NaN in json": told(record={**about["record"], "seed": float("nan")}),
        "confusable name": {**short, "weights.s\u0430fetensors": good["weights.safetensors"]},
        "confusable beside": {**good, "pl\u0430it.json": b"{}"},
        "newer format": told(format=99),
        "format of text": told(format="1"),
        "wide": told(spec=wide),
        "very deep model": part(depth=10**9),
        "negative width": told(spec={**about["spec"], "width": -3}),
        "list for a spec": told(spec=[1, 2]),
        "empty json": {**good, "plait.json": b""},
        "broken text": {**good, "plait.json": b"\xff\xfe{"},
    }  # fmt: skip


def linked(good: dict[str, bytes]) -> dict[str, Callable[[Path], None]]:
    """What is done to a good folder so that it is not what it seems."""

    def swap(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
        def act(folder: Path) -> None:
            (folder / name).rename(folder / "elsewhere")
            make(folder / name)

        return act

    def away(path: Path) -> None:
        os.symlink("/etc/passwd", path)

    def named(name: str) -> Callable[[Path], None]:
        def act(folder: Path) -> None:
            (folder / "manifest.json").unlink()
            sign(folder, {**good, name: b"x"})

        return act

    names = [
        "../../x",
        "/etc/passwd",
        "..",
        "a/../../x",
        "C:\\x.json",
        "\\\\host\\x.json",
        "a//b.json",
        "a\0.json",
        ".json",
    ]
    return {
        "weights are a link out": swap("weights.safetensors", away),
        "weights are a link in": swap("weights.safetensors", lambda p: os.symlink("elsewhere", p)),
        "manifest is a link": swap("manifest.json", lambda p: os.symlink("elsewhere", p)),
        "a loop of links": swap("plait.json", lambda p: os.symlink(p.name, p)),
        "hard link": swap("weights.safetensors", lambda p: os.link(p.parent / "elsewhere", p)),
        "pipe": swap("plait.json", lambda p: os.mkfifo(p)),
        "manifest is a pipe": swap("manifest.json", lambda p: os.mkfifo(p)),
        "device": swap("plait.json", lambda p: os.symlink("/dev/zero", p)),
        "folder": swap("plait.json", lambda p: p.mkdir()),
        **{f"manifest names {n!a}": named(n) for n in names},
    }


def resident() -> int:
    """The most memory this process has held since `forget`, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def load_all(good: str, folder: str, found: str) -> None:
    """Makes every artefact, loads it, and tells error, seconds, memory, and events that must not be."""
    from tests.durability.jobs import write_json

    import plait
    from plait import files
    from plait.errors import ModelFormatError

    contents = files.read_set(Path(good))
    made = {name: model(Path(folder) / f"c{i}", c) for i, (name, c) in enumerate(contents_of(contents).items())}
    for i, (name, act) in enumerate(linked(contents).items()):
        made[name] = model(Path(folder) / f"l{i}", contents)
        act(made[name])
    assert plait.load(model(Path(folder) / "good", contents)).targets == {"kind": "category"}
    events: list[str] = []
    listening = [False]

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if not listening[0]:
            return
        if event in NEVER or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            events.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(hear)
    results = {}
    for name, place in made.items():
        events.clear()
        Path("/proc/self/clear_refs").write_text("5")
        before, began, error = resident(), time.perf_counter(), ""
        listening[0] = True
        try:
            plait.load(place)
        except ModelFormatError as refusal:
            error = str(refusal)
        except Exception as other:
            error = f"NOT TYPED {other!r}"
        listening[0] = False
        results[name] = {"error": error, "seconds": time.perf_counter() - began, "bytes": resident() - before,
                         "events": list(events)}  # fmt: skip
    write_json(found, results)
