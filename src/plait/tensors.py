"""Tensors as a safetensors file in pieces, one a tensor: saving them takes no second copy of them all in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from plait.files import Pieces

_KINDS = {  # torch's type -> its name in the file, in the order of the file: the widest first, so that all are aligned
    **{torch.uint64: "U64", torch.int64: "I64", torch.float64: "F64", torch.complex64: "C64", torch.float32: "F32"},
    **{torch.uint32: "U32", torch.int32: "I32", torch.bfloat16: "BF16", torch.float16: "F16", torch.uint16: "U16"},
    **{torch.int16: "I16", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2"},
    **{torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"},
}


def packed(tensors: Mapping[str, Tensor]) -> Pieces:
    """The file that `safetensors.torch.save` gives of these tensors, byte for byte, whatever device and layout they have."""
    order = list(_KINDS)
    names = sorted(tensors, key=lambda n: (order.index(tensors[n].dtype), n))
    about, place = {}, 0
    for name in names:
        tensor, start = tensors[name], place
        place += tensor.numel() * tensor.element_size()
        about[name] = {"dtype": _KINDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, place]}
    header = json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)

    def pieces() -> Iterator[bytes | memoryview]:
        yield len(header).to_bytes(8, "little") + header
        for name in names:
            if tensors[name].numel():
                yield tensors[name].detach().cpu().reshape(-1).view(torch.uint8).numpy().data

    return Pieces(8 + len(header) + place, pieces)
