"""Arrays in cells: packed as the bytes of an .npy file, which tell their content, and unpacked without pickle."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from plait.errors import MediaError
from plait.reading.mapped import MAX_FILE_BYTES

MAGIC = b"\x93NUMPY"
KINDS = "buif"  # truth values, whole numbers, floats


def is_array(value: Any) -> bool:
    """Whether a value is an array of NumPy, PyTorch or the like, with at least one axis."""
    return hasattr(value, "__array__") and getattr(value, "ndim", 0) > 0


def packed(value: Any, expected: str) -> bytes:
    """An array as the bytes of an .npy file. Raises MediaError that ends in what was expected."""
    try:
        array = np.asarray(value)
    except Exception:  # a tensor on another device, or one that needs its gradient
        raise MediaError(f"found a {type(value).__name__} that is no plain array, expected {expected}") from None
    if array.dtype.kind not in KINDS:
        raise MediaError(f"found an array of {array.dtype}, expected {expected}")
    if array.nbytes > MAX_FILE_BYTES:
        raise MediaError(f"is larger than {MAX_FILE_BYTES >> 20} MB")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def unpacked(raw: bytes) -> np.ndarray:
    """The array, a view of these bytes. Raises MediaError."""
    buffer = io.BytesIO(raw[: len(MAGIC) + 4 + 2**16])
    try:
        major, _ = np.lib.format.read_magic(buffer)
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(buffer)
    except Exception:
        raise MediaError("a damaged NumPy array") from None
    count, offset = math.prod(shape), buffer.tell()
    if dtype.kind not in KINDS or count * dtype.itemsize > len(raw) - offset:
        raise MediaError("a NumPy array that is damaged or holds no plain numbers")
    return np.frombuffer(raw, dtype, count, offset).reshape(shape, order="F" if fortran else "C")
