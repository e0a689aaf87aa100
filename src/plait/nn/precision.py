"""Whether a frozen network is run in bfloat16: where the chip computes in it, that is faster, and the network says the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.errors import unknown
from plait.nn import towers
from plait.nn.pretrained import Net
from plait.nn.processing import Part, Pictures, Sounds, Texts
from plait.types import Wave

PRECISIONS = ("auto", "fp32", "bf16")
NEAR = 0.999  # least cosine of a token to the same one in 32 bits
FASTER = 1.25  # times, from which on it is worth it
TURNS = 3
TEXTS = ("A ripe red tomato on a wooden table.", "Quarter note.", "The bridge was closed in 1994 after the flood.")


def chip_can() -> bool:
    """Whether this chip computes in bfloat16, instead of imitating it."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def told(facts: dict[str, Any], modality: str, precision: str, tune: str) -> dict[str, Any]:
    """The facts of weights (pretrained.facts), with the precision that the network is run in where it is frozen. "auto":
    bf16 where the chip computes in it, every token of a few made-up cells keeps a cosine of NEAR to that in 32 bits, a cell
    says the same alone and among others, and it takes less time by FASTER; else fp32. Raises UnknownNameError."""
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if tune != "frozen" or precision == "fp32" or (precision == "auto" and not (chip_can() and _good(facts, modality))):
        return facts
    about = {**json.loads(facts["config"]), "plait_precision": "bf16"}
    return {**facts, "config": json.dumps(about, sort_keys=True)}


def _good(facts: dict[str, Any], modality: str) -> bool:
    """Whether bf16 is near enough, the same in any batch, and faster, by one thread, as cells are prepared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _compared(facts, modality)
    finally:
        torch.set_num_threads(before)


def _compared(facts: dict[str, Any], modality: str) -> bool:
    config = json.loads(facts["config"])
    net = Net(weights=facts["weights"], sha256=facts["sha256"], config=config, modality=modality)
    parts = PROBES[modality](json.loads(facts["processing"]))
    last: Callable[[Part, bool], Tensor] = lambda part, half: _last(net, part, half)  # noqa: E731
    for part in parts:
        alone = last(part, True)
        if float(torch.cosine_similarity(alone, last(part, False), dim=-1).min()) < NEAR:
            return False
        twice = Part(part.owners * 2, {name: torch.cat([x, x]) for name, x in part.inputs.items()})
        if not torch.equal(last(twice, True)[: len(alone)], alone):
            return False
    whole, half = (min(_seconds(lambda h=h: [last(p, h) for p in parts]) for _ in range(TURNS)) for h in (False, True))  # type: ignore[misc]
    return whole >= FASTER * half


@torch.inference_mode()
def _last(net: Net, part: Part, half: bool) -> Tensor:
    """The states (B, N, D) of the last layer."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        return towers.run(net.module(), net.config, part.inputs)[-1].float()


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _texts(processing: dict[str, Any]) -> list[Part]:
    return list(Texts(processing).parts(TEXTS))


def _pictures(processing: dict[str, Any]) -> list[Part]:
    """One that is smooth, and one of noise."""
    ramp = np.linspace(0, 255, 224).astype(np.uint8)
    smooth = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(128)), -1)
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    return list(Pictures(processing).parts([np.ascontiguousarray(smooth), noise]))


def _sounds(processing: dict[str, Any]) -> list[Part]:
    """A tone that rises, in noise."""
    seconds = np.arange(2 * 16_000) / 16_000
    noise = np.random.default_rng(0).standard_normal(len(seconds))
    samples = 0.3 * np.sin(2 * np.pi * (200 + 400 * seconds) * seconds) + 0.01 * noise
    own = {k: v for k, v in processing.items() if not k.startswith("plait_")}
    return list(Sounds(own, seconds=30.0).parts([Wave(samples.astype(np.float32), 16_000)]))


PROBES: dict[str, Callable[[dict[str, Any]], list[Part]]] = {"text": _texts, "image": _pictures, "audio": _sounds}
