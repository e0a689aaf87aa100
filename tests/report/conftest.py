"""One small fit with targets of every kind, hostile and Chinese names, and a picture; judged on its whole table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import plait
from plait.data.table import Table, read_table
from plait.evaluation import Evaluation, missing_cells
from plait.predictor import Predictor
from plait.progress import Progress

HOSTILE = "<script>alert(1)</script>"
CLASSES = ["动物", "植物与花", f"{HOSTILE} \" & '"]
INPUTS = ["说明 `code`", "size", f"colour {HOSTILE}", "picture"]


@dataclass
class Made:
    """What a report is made from."""

    predictor: Predictor
    table: Table
    evaluation: Evaluation
    frame: pd.DataFrame
    folder: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("report")
    draw, n = np.random.default_rng(3), 72
    kind = draw.integers(0, 3, n)
    size = draw.normal(10 + 5 * kind, 3)
    pictures = []
    for row, k in enumerate(kind):
        pixels = draw.integers(0, 90, (20, 24, 3), dtype=np.uint8)
        pixels[..., k] += 120
        Image.fromarray(pixels).save(folder / f"{row}.png")
        pictures.append(f"{row}.png")
    said = [f"{HOSTILE} {' '.join(draw.choice(['狗 猫', 'tree rose', 'x < y && z'], 3))}" for _ in kind]
    frame = pd.DataFrame(
        {
            INPUTS[0]: said,
            INPUTS[1]: np.where(draw.random(n) < 0.1, np.nan, size),
            INPUTS[2]: draw.choice(["red", HOSTILE, "绿"], n),
            INPUTS[3]: pictures,
            "类别": [CLASSES[k] for k in kind],
            "price": 3 * size + draw.normal(0, 1, n),
            "tags": [[CLASSES[k]] + (["big"] if s > 15 else []) for k, s in zip(kind, size)],
        }
    )
    small = {"name": "image_resnet", "size": 16, "channels": 4, "width": 16}
    predictor = plait.fit(
        frame,
        ["类别", "price", "tags"],
        inputs=INPUTS,
        base=folder,
        epochs=2,
        fusion="weighted",
        encoders={"picture": small},
        quiet=True,
    )
    table = read_table(frame, base=folder)
    evaluation = predictor.evaluate(frame, base=folder)
    data, _ = predictor._dataset(table, Progress(quiet=True), allow_missing=False, labelled=True)
    evaluation.missing = missing_cells(predictor.model, data, np.arange(len(table)), columns=evaluation.columns)
    return Made(predictor, table, evaluation, frame, folder)
