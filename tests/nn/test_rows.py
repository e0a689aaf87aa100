"""Batches of one column with missing cells, and computing on the rows that are there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from plait.nn import rows


def test_stack_puts_blanks_where_cells_are_missing() -> None:
    cells = [
        {"x": np.array([1, 2], np.int64), "y": np.array([0.5], np.float32)},
        None,
        {"x": np.array([3, 4]), "y": np.array([1.5], np.float32)},
    ]
    found = rows.stack(cells, x=np.array([7, 7]), y=np.zeros(1, np.float32))
    assert found["x"].tolist() == [[1, 2], [7, 7], [3, 4]] and found["y"].tolist() == [[0.5], [0.0], [1.5]]
    assert found["present"].tolist() == [True, False, True] and found["x"].dtype == torch.int64


def test_pad_fills_and_tells_lengths() -> None:
    cells = [{"x": np.array([[1, 2]])}, None, {"x": np.array([[3, 4], [5, 6]])}, {"x": np.zeros((0, 2))}]
    found = rows.pad(cells, "x", fill=-1, shape=(2,), dtype=np.float32)
    assert found["x"].tolist() == [[[1, 2], [-1, -1]], [[-1, -1], [-1, -1]], [[3, 4], [5, 6]], [[-1, -1], [-1, -1]]]
    assert found["lengths"].tolist() == [1, 0, 2, 0]
    for nothing in ([], [None], [None, None]):
        assert rows.pad(nothing, "x", fill=0)["x"].shape == (len(nothing), 1)


def test_batches_do_not_share_memory_with_their_cells() -> None:
    cell = {"x": np.array([1.0], np.float32)}
    found = rows.stack([cell], x=np.zeros(1, np.float32))
    found["x"] += 1
    assert cell["x"] == 1


def test_dropped_rows_are_missing_and_the_rest_stays() -> None:
    keep = torch.tensor([True, False, True])
    found = rows.drop(
        {"x": torch.arange(3), "lengths": torch.tensor([4, 5, 0]), "present": torch.tensor([True, True, False])}, keep
    )
    assert found["lengths"].tolist() == [4, 0, 0] and found["present"].tolist() == [True, False, False]
    assert found["x"].tolist() == [0, 1, 2]


def test_length_mask() -> None:
    assert rows.length_mask(torch.tensor([0, 1, 3]), 3).tolist() == [[False] * 3, [True, False, False], [True] * 3]


class Net(nn.Module):
    """A batch norm and a part that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.frozen = nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)
        self.frozen.eval()

    def run(self, x: Tensor) -> Tensor:
        return self.norm(self.layer(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize("here", [[1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 1]])
def test_only_present_rows_are_computed(here: list[int]) -> None:
    present, x = torch.tensor(here, dtype=torch.bool), torch.randn(4, 2)
    net, twin = Net(), Net()
    twin.load_state_dict(net.state_dict())
    out = rows.over_present(net, net.run, present, x)
    assert torch.allclose(out[present], twin.run(x[present])) and not out[~present].any()
    assert all(torch.allclose(v, twin.state_dict()[k]) for k, v in net.state_dict().items())


def test_with_no_row_present_nothing_is_learned_and_gradients_are_zero() -> None:
    net, x = Net(), torch.randn(4, 2)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    out = rows.over_present(net, net.run, torch.zeros(4, dtype=torch.bool), x)
    out.sum().backward()
    assert out.shape == (4, 3) and not out.any()
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert (net.training, net.norm.training, net.frozen.training) == (True, True, False)
