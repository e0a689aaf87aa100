"""The main job on real data, end to end, for someone who has just installed plait."""

from __future__ import annotations

import importlib.util
import shutil
import time
from pathlib import Path
from typing import Any

from plait.errors import FetchError, unknown
from plait.fitting import fit
from plait.predictor import Predictor, load
from plait.samples import countries, stamps
from plait.weights.catalogue import BEST
from plait.weights.fetch import get
from plait.weights.find import find, own_folder

DATA = ("auto", "stamps", "countries")
EPOCHS = 30  # keeps the demo well under four minutes on two cores


def run(folder: Path, data: str, epochs: int | None) -> Predictor:
    """Fetches a real table, fits, reports, predicts three rows with missing parts, and says where everything is."""
    if data not in DATA:
        raise unknown("demo data", data, DATA)
    began = time.monotonic()
    if data == "stamps" or (data == "auto" and shutil.which("apt-get")):
        try:
            return _stamps(folder, epochs, began)
        except FetchError as error:
            if data == "stamps":
                raise
            print(f"The stamps cannot be fetched here: {error}")
    print("Falling back to flags and facts of countries, which pip alone carries. There is no sound in it.")
    return _countries(folder, epochs, began)


def _stamps(folder: Path, epochs: int | None, began: float) -> Predictor:
    table = stamps.build(folder / "stamps", log=print)
    spine = table.with_name("demo.csv")
    frame = stamps.spine(table)
    frame.to_csv(spine, index=False)
    print(
        f"\n{len(frame)} stamps of {frame.category.nunique()} categories, each a picture, an English text and French speech."
        f"\nplait fit {spine} --target category --input image --input text_en --input speech_fr --group folder\n"
    )
    out = folder / "stamps-model"
    how: dict[str, Any] = {"encoders": "pretrained", "learner": "logistic"}
    if epochs is not None or not _weights():
        how = {"encoders": "scratch", "epochs": epochs or EPOCHS}
    fit(
        spine,
        "category",
        inputs=["image", "text_en", "speech_fr"],
        split={"group": "folder"},
        out=out,
        overwrite=out.exists(),
        **how,
    )
    first, second, third = (frame.iloc[i] for i in (40, 300, 600))
    return _show(
        out,
        spine,
        [
            {"text_en": "A ripe red tomato."},
            {"image": first.image, "speech_fr": first.speech_fr},
            {"speech_fr": second.speech_fr},
            {"image": third.image, "text_en": third.text_en},
        ],
        began,
    )


def _weights() -> bool:
    """Whether pretrained networks for text, pictures and speech are on this machine, fetched if they were not."""
    if importlib.util.find_spec("transformers") is None:
        print(
            'No pretrained networks: they need transformers (pip install "plait[pretrained]"). Training from scratch.'
        )
        return False
    try:
        for names in BEST.values():
            if not any(find(name) for name in names):
                get(names[0], own_folder())
    except FetchError as error:
        print(f"No pretrained networks: {error}\nTraining from scratch.")
        return False
    return True


def _countries(folder: Path, epochs: int | None, began: float) -> Predictor:
    table = countries.build(folder / "countries", log=print)
    print(f"\nplait fit {table} --target region --input flag --input text --input area --input population\n")
    out = folder / "countries-model"
    fit(table, "region", inputs=["flag", "text", "area", "population"], epochs=epochs, out=out, overwrite=out.exists())
    return _show(
        out,
        table,
        [
            {"text": "The capital is Suva. People speak English and Fijian.", "area": 18272.0},
            {"flag": "flags/jp.gif"},
            {"population": 80_000_000.0},
        ],
        began,
    )


def _show(out: Path, table: Path, rows: list[dict[str, Any]], began: float) -> Predictor:
    model = load(out)
    predictions = model.predict(rows, base=table.parent)
    print("\nThree rows and more, each with parts missing:")
    for row, (_, found) in zip(rows, predictions.iterrows()):
        print(
            "  "
            + ", ".join(f"{k}={str(v)!r}" for k, v in row.items())
            + f"\n    -> {found.iloc[0]}   ({found.iloc[-1]})"
        )
    print(
        f"\nTable:  {table}\nModel:  {out}\nReport: {out / 'report.html'}   (open it in a browser)\n"
        f"In {time.monotonic() - began:.0f} s."
    )
    return model
