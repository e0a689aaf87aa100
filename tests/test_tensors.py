"""Tensors written in pieces are the file that safetensors writes, and take no copy of them all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from plait.files import MANIFEST, read_set, write_set
from plait.tensors import packed


def tensors(*kinds: torch.dtype) -> dict[str, torch.Tensor]:
    """Of every shape and layout, with names of any sort."""
    found: dict[str, torch.Tensor] = {}
    generator = torch.Generator().manual_seed(0)
    for place, kind in enumerate(kinds):
        wide = torch.randint(0, 2, (3, 4, 5, 6), generator=generator).to(kind)
        found |= {
            f"{place}.wide": wide.contiguous(memory_format=torch.channels_last),
            f"{place}.turned": wide[0, 0].t(),
            f'{place} ü"番茄\\': wide[0, 0, 0],
            f"z{place}|one": wide[0, 0, 0, 0],
            f"a{place}": wide[:, :0],
            f"part{place}": wide[1:, 1:, ::2],
        }
    return found


ALL = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8,
       torch.uint8, torch.bool]  # fmt: skip


@pytest.mark.parametrize("kinds", [*([k] for k in ALL), ALL, []], ids=str)
def test_the_file_is_that_of_safetensors(kinds: list[torch.dtype]) -> None:
    given = tensors(*kinds)
    content = packed(given)
    written = b"".join(content.pieces())
    assert written == safetensors.torch.save({k: v.clone().contiguous() for k, v in given.items()})
    assert len(content) == len(written) and b"".join(content.pieces()) == written, "it can be written again"
    assert all(torch.equal(v, given[k]) for k, v in safetensors.torch.load(written).items())


def test_a_set_of_pieces_is_read_as_what_they_are(tmp_path: Path) -> None:
    given = {"w": torch.randn(7, 3, requires_grad=True)}
    write_set(tmp_path / "a", {"w.safetensors": packed(given), "x": b"x"})
    write_set(tmp_path / "b", {"x": b"x", "w.safetensors": safetensors.torch.save({"w": given["w"].detach()})})
    assert read_set(tmp_path / "a") == read_set(tmp_path / "b")
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()
    raw = (tmp_path / "a" / "w.safetensors").read_bytes()
    assert hashlib.sha256(raw).hexdigest() in (tmp_path / "a" / MANIFEST).read_text()


def test_a_piece_is_a_view_of_its_tensor() -> None:
    tensor = torch.zeros(1000)
    _, piece = packed({"w": tensor}).pieces()
    tensor[0] = 1.0
    assert np.frombuffer(piece, np.float32)[0] == 1.0
