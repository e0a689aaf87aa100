"""GGUF, the file of llama.cpp: what it says of a network, and its tensors as numbers again. No library is needed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.errors import FetchError

KINDS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9  # kinds of values besides
CONTROL, OWN = 3, 4  # kinds of tokens: that steer, and that are never cut


@dataclass(frozen=True)
class Stored:
    """A tensor as it lies in the file."""

    kind: int
    shape: tuple[int, ...]
    raw: memoryview

    def numbers(self) -> np.ndarray:
        """float32 of this shape. Raises FetchError on a kind of numbers that is not read here."""
        if self.kind not in BLOCKS:
            raise FetchError(f"A tensor has numbers of kind {self.kind}, which is not read. Expected {sorted(BLOCKS)}.")
        size, read = BLOCKS[self.kind]
        return read(np.frombuffer(self.raw, np.uint8).reshape(-1, size)).reshape(self.shape)  # type: ignore[no-any-return]


def read(raw: bytes) -> tuple[dict[str, Any], dict[str, Stored]]:
    """What is said, by key; and the tensors, by name. Raises FetchError where it is no such file, or not whole."""
    try:
        return _read(raw)
    except (struct.error, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise FetchError(f"The GGUF file is not whole: {error}.") from None


def _read(raw: bytes) -> tuple[dict[str, Any], dict[str, Stored]]:
    at = 0

    def take(form: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from("<" + form, raw, at)
        at += struct.calcsize("<" + form)
        return values

    def text() -> str:
        return str(take(f"{take('Q')[0]}s")[0].decode())

    def value(kind: int) -> Any:
        if kind == ARRAY:
            inner, count = take("IQ")
            return [value(inner) for _ in range(count)] if inner == STRING else list(take(f"{count}{KINDS[inner]}"))
        return text() if kind == STRING else take(KINDS[kind])[0]

    mark, version, count, keys = take("4sIQQ")
    if mark != b"GGUF" or version not in (2, 3):
        raise FetchError(f"It begins with {mark!r}, version {version}; expected GGUF, version 2 or 3.")
    about: dict[str, Any] = {}
    for _ in range(keys):
        key = text()
        about[key] = value(take("I")[0])
    found = []
    for _ in range(count):
        name, rank = text(), take("I")[0]
        shape = take(f"{rank}Q")[::-1]  # the file counts axes from the innermost
        found.append((name, shape, *take("IQ")))
    step = int(about.get("general.alignment", 32))
    begin, tensors = -(-at // step) * step, {}
    for name, shape, kind, offset in found:
        size = _bytes(kind, shape)
        tensors[name] = Stored(kind, shape, memoryview(raw)[begin + offset : begin + offset + size])
        if len(tensors[name].raw) != size:
            raise FetchError(f"The GGUF file is not whole: {name} is cut.")
    return about, tensors


def _bytes(kind: int, shape: tuple[int, ...]) -> int:
    """How long a tensor is in the file."""
    size = BLOCKS[kind][0] if kind in BLOCKS else 0
    return int(np.prod(shape, dtype=np.int64)) // VALUES.get(kind, 1) * size


def _half(block: np.ndarray, at: int) -> np.ndarray:
    """The number of 16 bits at a place of each block: (n, 1) float32."""
    return np.ascontiguousarray(block[:, at : at + 2]).view(np.float16).astype(np.float32)


def _plain(kind: type) -> Any:
    return lambda block: block.view(kind).astype(np.float32)


def _q8_0(block: np.ndarray) -> np.ndarray:
    """32 numbers of 8 bits and their scale."""
    return _half(block, 0) * block[:, 2:].view(np.int8)


def _q5_0(block: np.ndarray) -> np.ndarray:
    """32 numbers of 5 bits: the highest bits of all, then four of numbers i and i + 16 in each byte."""
    high = np.unpackbits(block[:, 2:6], axis=1, bitorder="little") << 4
    low = np.concatenate([block[:, 6:] & 15, block[:, 6:] >> 4], axis=1)
    return _half(block, 0) * ((low | high).astype(np.int8) - 16)  # type: ignore[no-any-return]


def _q4_k(block: np.ndarray) -> np.ndarray:
    """256 numbers of 4 bits in eight groups, a scale and a least value of 6 bits for each."""
    packed = block[:, 4:16]
    first, second, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scale = np.concatenate([first & 63, (rest & 15) | (first >> 6 << 4)], axis=1)
    least = np.concatenate([second & 63, (rest >> 4) | (second >> 6 << 4)], axis=1)
    bytes_ = block[:, 16:].reshape(-1, 4, 1, 32)
    values = np.concatenate([bytes_ & 15, bytes_ >> 4], axis=2).reshape(-1, 8, 32)
    return (_half(block, 0) * scale)[..., None] * values - (_half(block, 2) * least)[..., None]  # type: ignore[no-any-return]


def _q6_k(block: np.ndarray) -> np.ndarray:
    """256 numbers of 6 bits in sixteen groups, a scale of 8 bits for each: four bits, then two in each byte."""
    low = block[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    high = block[:, 128:192].reshape(-1, 2, 1, 32) >> np.arange(0, 8, 2, dtype=np.uint8)[:, None] & 3
    values = (low | high << 4).astype(np.int8).reshape(-1, 16, 16) - 32
    return (_half(block, 208) * block[:, 192:208].view(np.int8))[..., None] * values  # type: ignore[no-any-return]


BLOCKS = {  # kind of numbers -> bytes of a block, and what reads blocks
    0: (4, _plain(np.float32)),
    1: (2, _plain(np.float16)),
    6: (22, _q5_0),
    8: (34, _q8_0),
    12: (144, _q4_k),
    14: (210, _q6_k),
}
VALUES = {6: 32, 8: 32, 12: 256, 14: 256}  # numbers in a block, where there is more than one
