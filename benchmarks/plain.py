"""What a good engineer writes in an afternoon, without plait: a small network a column, what they say joined.

Called by benchmarks/side_by_side.py; pictures through a small CNN at 64 pixels, sounds as log-mel bands through another, words
hashed into an embedding bag, numbers standardised, names embedded. AdamW, one-cycle rate, 30 epochs, the last weights.
"""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS, WIDTH, EPOCHS, BATCH = 20_000, 128, 30, 32


def pictures(paths: pd.Series, base: Path) -> Tensor:
    from PIL import Image

    found = np.zeros((len(paths), 3, 64, 64), np.float32)
    for i, path in enumerate(paths):
        if isinstance(path, str):
            image = Image.open(base / path).convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            white.alpha_composite(image)
            found[i] = np.asarray(white.convert("RGB").resize((64, 64)), np.float32).transpose(2, 0, 1) / 127.5 - 1
    return torch.from_numpy(found)


def sounds(paths: pd.Series, base: Path) -> Tensor:
    import librosa

    found = np.zeros((len(paths), 1, 40, 200), np.float32)
    for i, path in enumerate(paths):
        if isinstance(path, str):
            wave, rate = librosa.load(base / path, sr=16_000, duration=5.0)
            bands = librosa.power_to_db(librosa.feature.melspectrogram(y=wave, sr=rate, n_mels=40, hop_length=400))
            found[i, 0, :, : bands.shape[1]] = bands[:, :200] / 40 + 1
    return torch.from_numpy(found)


def words(texts: pd.Series) -> Tensor:
    rows = [[1 + zlib.crc32(w.encode()) % (WORDS - 1) for w in str(t).lower().split()[:64]] for t in texts.fillna("")]
    found = torch.zeros(len(rows), 64, dtype=torch.long)
    for i, row in enumerate(rows):
        found[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return found


def inputs(frame: pd.DataFrame, kinds: dict[str, str], base: Path, train: np.ndarray) -> dict[str, Tensor]:
    found = {}
    for column, kind in kinds.items():
        if kind == "image":
            found[column] = pictures(frame[column], base)
        elif kind == "audio":
            found[column] = sounds(frame[column], base)
        elif kind == "text":
            found[column] = words(frame[column])
        elif kind == "number":
            x = pd.to_numeric(frame[column]).to_numpy(np.float32)
            x = (x - np.nanmean(x[train])) / (np.nanstd(x[train]) + 1e-6)
            found[column] = torch.from_numpy(np.nan_to_num(x))[:, None]
        else:
            known = {v: i + 1 for i, v in enumerate(sorted(set(frame[column].iloc[train].dropna())))}
            found[column] = torch.tensor([known.get(v, 0) for v in frame[column]])[:, None]
    return found


def convolution(channels: int) -> nn.Module:
    sizes = [channels, 16, 32, 64]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, WIDTH))


class Network(nn.Module):
    def __init__(self, kinds: dict[str, str], outs: int) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {}
        for column, kind in kinds.items():
            if kind in ("image", "audio"):
                parts[column] = convolution(3 if kind == "image" else 1)
            elif kind == "number":
                parts[column] = nn.Sequential(nn.Linear(1, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
            else:
                parts[column] = nn.EmbeddingBag(WORDS, WIDTH, padding_idx=0)
        self.names = list(parts)
        self.parts = nn.ModuleList(parts.values())
        self.top = nn.Sequential(nn.Linear(WIDTH * len(parts), 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, outs))

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        return self.top(torch.cat([part(x[name]) for name, part in zip(self.names, self.parts)], 1))  # type: ignore[no-any-return]


def run(frame: pd.DataFrame, target: str, kinds: dict[str, str], base: Path, train: Any, test: Any) -> tuple[Any, Any]:
    """(answers for the test rows, a function that answers them again)."""
    torch.manual_seed(0)
    classes = sorted(frame[target].iloc[train].unique())
    y = torch.tensor([classes.index(v) if v in classes else 0 for v in frame[target]])
    x = inputs(frame, kinds, base, train)
    network = Network(kinds, len(classes))
    steps = -(-len(train) // BATCH)
    solver = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    plan = torch.optim.lr_scheduler.OneCycleLR(solver, 2e-3, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        network.train()
        for rows in torch.from_numpy(train)[torch.randperm(len(train))].split(BATCH):
            if len(rows) > 1:
                loss = F.cross_entropy(network({c: v[rows] for c, v in x.items()}), y[rows])
                solver.zero_grad()
                loss.backward()
                solver.step()
            plan.step()

    def answer() -> Any:
        with torch.no_grad():
            held = inputs(frame.iloc[test].reset_index(drop=True), kinds, base, np.arange(len(test)))
            held |= {c: x[c][test] for c, k in kinds.items() if k not in ("image", "audio", "text")}
            return np.array(classes)[network.eval()(held).argmax(1).numpy()]

    return answer(), answer
