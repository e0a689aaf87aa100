"""What a model folder may hold, and nothing else: plain names, JSON without surprises, weights that fit their model."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from plait.errors import ModelFormatError

ENDINGS = ("json", "safetensors", "txt", "parquet", "arrow", "html", "md")  # data, and pages for readers
NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]*\.({'|'.join(ENDINGS)})", re.ASCII)
SLACK = 1000  # tensors, and numbers in each, that a model may make for itself beyond those that are saved


def check_names(names: Iterable[str]) -> None:
    """Raises ModelFormatError on a name that no model of ours has."""
    for name in names:
        if not NAME.fullmatch(name):
            raise ModelFormatError(
                f"{name!r} is not a file of a plait model: expected Latin letters, digits, '.', '-' and '_', and an ending "
                f"of {', '.join(ENDINGS)}."
            )


def parse(raw: bytes) -> Any:
    """JSON in which no key comes twice and every number is finite. Raises ModelFormatError, ValueError, RecursionError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ModelFormatError("an object holds the same key twice.")
        return found

    def never(text: str) -> Any:
        raise ModelFormatError(f"{text} is not a number of JSON.")

    return json.loads(raw, object_pairs_hook=once, parse_constant=never)


class Weights:
    """The weights in a safetensors file, its header read before anything is made from them."""

    def __init__(self, raw: bytes) -> None:
        """Raises ModelFormatError, ValueError, RecursionError."""
        size = int.from_bytes(raw[:8], "little")
        if len(raw) < 8 or size > len(raw) - 8:
            raise ModelFormatError("weights.safetensors says that its header is longer than the file.")
        header = parse(raw[8 : 8 + size])
        self._raw = raw
        self._sizes = [math.prod(about["shape"]) for name, about in header.items() if name != "__metadata__"]

    @contextmanager
    def bound(self) -> Iterator[None]:
        """In this block no model can be built that is much larger than these weights: a few bytes of JSON must not take
        the memory of the machine. Raises ModelFormatError."""
        here, tensors, numbers = threading.get_ident(), 2 * len(self._sizes) + SLACK, 2 * sum(self._sizes) + SLACK**2

        def count(_: nn.Module, name: str, parameter: Tensor | None) -> None:
            nonlocal tensors, numbers
            if threading.get_ident() == here and parameter is not None:
                tensors, numbers = tensors - 1, numbers - parameter.numel()
                if min(tensors, numbers) < 0:
                    raise ModelFormatError(f"plait.json describes a model far larger than its weights ({name}).")

        handle = register_module_parameter_registration_hook(count)
        try:
            yield
        finally:
            handle.remove()

    def load_into(self, model: nn.Module) -> None:
        """Raises ModelFormatError unless names, shapes and types are those of the model, and every number is finite."""
        found, expected = safetensors.torch.load(self._raw), model.state_dict()
        if wrong := _misfit(found, expected):
            raise ModelFormatError(f"weights.safetensors does not fit plait.json: {wrong}.")
        for name, tensor in found.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ModelFormatError(f"weights.safetensors holds values that are not finite, in {name}.")
        model.load_state_dict(found)


def _misfit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    for name in [*expected, *found]:
        if name not in found or name not in expected:
            return f"{name} is {'missing' if name not in found else 'not expected'}"
        one, other = found[name], expected[name]
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"{name} is {one.dtype} {tuple(one.shape)}, expected {other.dtype} {tuple(other.shape)}"
    return None
