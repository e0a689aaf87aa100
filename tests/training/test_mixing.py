"""Rows mixed with each other: pixels, tokens and losses against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.small import world

import plait
from plait.errors import PlaitError
from plait.nn.rows import drop
from plait.objectives.supervised import Supervised
from plait.training import mixing
from plait.training import step as steps
from plait.training.mixing import Mix
from plait.training.options import Options
from plait.training.prefetch import prefetch
from plait.types import Tokens


def batch_of(n: int = 23) -> tuple[Any, Any]:
    model, data = world()
    [([batch], _, _)] = list(prefetch(data, [np.arange(n)], size=n))
    keep = torch.arange(n) >= 3  # the first three rows have nothing
    return model.eval(), {**batch, "inputs": {c: drop(i, keep) for c, i in batch["inputs"].items()}}


def test_the_loss_of_mixed_rows_is_that_of_mixed_tokens_for_both_labels() -> None:
    """By hand: streams of the encoders, mixed in NumPy, through the same fusion; once with each label."""
    model, batch = batch_of()
    other, s = torch.randperm(23, generator=torch.Generator().manual_seed(1)), 0.7
    passed = steps.mixed(model, model, batch, Mix(other, s))
    streams, here = model.encode(batch["inputs"]), {}
    for column, (x, mask, position) in streams.items():
        here[column] = mask.any(1) & mask.any(1)[other]
        new = x.clone()
        for i in here[column].nonzero().flatten().tolist():
            for n in range(x.shape[1]):
                if mask[i, n] and mask[other[i], n]:
                    new[i, n] = s * x[i, n] + (1 - s) * x[other[i], n]
        streams[column] = Tokens(new, mask, position)
    outputs, first = model.top(streams, batch["targets"])
    _, second = model.top(streams, {t: y[other] for t, y in batch["targets"].items()})
    some = torch.stack(list(here.values())).any(0)
    assert 10 < int(some.sum()) < 23  # rows with nothing to be mixed stay as they are
    for target, y in batch["targets"].items():
        torch.testing.assert_close(passed.outputs[target], outputs[target])
        known = model.heads[target].known(y)
        share = torch.where(some & known & known[other], s, 1.0)
        torch.testing.assert_close(passed.losses[target], share * first[target] + (1 - share) * second[target])
    assert all(head.beside is None for _, head in model.heads.items())


def test_with_all_of_itself_a_row_is_as_without() -> None:
    model, batch = batch_of()
    passed, plain = steps.mixed(model, model, batch, Mix(torch.arange(23).flip(0), 1.0)), model(batch)
    for target in plain.losses:
        torch.testing.assert_close(passed.losses[target], plain.losses[target])


def test_pixels_are_added_up_or_cut() -> None:
    pixels = torch.zeros(3, 3, 10, 10)
    pixels[1], pixels[2] = 0.4, 1.0
    inputs = {"pixels": pixels, "present": torch.tensor([True, True, True])}
    other, rows = torch.tensor([1, 2, 0]), torch.tensor([True, True, False])
    mixed = mixing.mixed_pixels(inputs, rows, Mix(other, 0.75))["pixels"]
    assert mixed[:, 0, 0, 0].tolist() == pytest.approx([0.1, 0.55, 1.0])
    cut = mixing.mixed_pixels(inputs, rows, Mix(other, 0.8, (0.0, 0.4, 0.5, 1.0)))["pixels"]
    assert (cut[0, :, :4, 5:] == 0.4).all() and float(cut[0].sum()) == pytest.approx(3 * 20 * 0.4)
    assert (cut[1, 0, :4, 5:] == 1.0).all() and float(cut[1].mean()) == pytest.approx(0.8 * 0.4 + 0.2 * 1.0)
    assert (cut[2] == 1.0).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.96])
def test_a_box_leaves_the_share_that_was_drawn(share: float) -> None:
    top, bottom, left, right = mixing.boxed(share, 0.5, 0.5)
    assert 1 - (bottom - top) * (right - left) == pytest.approx(share)
    at_the_edge = mixing.boxed(share, 0.0, 1.0)
    assert (
        at_the_edge[0] == 0
        and at_the_edge[3] == 1
        and at_the_edge[1] - at_the_edge[0] == pytest.approx((1 - share) ** 0.5 / 2)
    )


def test_shares_are_drawn_from_beta() -> None:
    """Of alpha 0.4: around 1/2 with variance 1 / (4 (2 alpha + 1)), folded there."""
    _, batch = batch_of()
    torch.manual_seed(0)
    drawn = [mixing.drawn(Options(mixup=0.4), batch) for _ in range(2000)]
    shares = np.array([m.share for m in drawn if m is not None])
    assert len(shares) == 2000 and shares.min() >= 0.5
    assert np.mean((shares - 0.5) ** 2) == pytest.approx(1 / (4 * 1.8), rel=0.05)
    assert all(m is not None and sorted(m.other.tolist()) == list(range(23)) for m in drawn[:50])
    both = [mixing.drawn(Options(mixup=0.4, cutmix=1.0), batch) for _ in range(400)]
    assert 150 < sum(m is not None and m.box is not None for m in both) < 250
    for m in both:
        if m is not None and m.box is not None:
            assert m.share == pytest.approx(1 - (m.box[1] - m.box[0]) * (m.box[3] - m.box[2]))
    assert mixing.drawn(Options(), batch) is None


def test_gradients_of_mixed_rows_reach_everything() -> None:
    model, batch = batch_of()
    accelerator, _ = steps.accelerator_for("fp32")
    torch.manual_seed(3)
    steps.gradient(accelerator, model, model, Supervised(), [batch], options=Options(mixup=1.0))
    assert all(p.grad is not None for p in model.parameters())


def test_a_fit_with_pictures_mixes_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it learns is the colour, all the same."""
    generator = np.random.default_rng(0)
    kinds = [("red", "blue")[i % 2] for i in range(48)]
    shades = [np.full((24, 24, 3), (200, 30, 30) if k == "red" else (30, 30, 200)) for k in kinds]
    pictures = [np.uint8(np.clip(s + generator.normal(0, 20, s.shape), 0, 255)) for s in shades]
    rows = [{"picture": png(p), "kind": k} for p, k in zip(pictures, kinds)]
    seen: list[bool] = []
    plain = mixing.mixed_pixels

    def spy(inputs: Any, chosen: Any, mix: Mix) -> Any:
        seen.append(mix.box is not None)
        return plain(inputs, chosen, mix)

    monkeypatch.setattr(mixing, "mixed_pixels", spy)
    how: dict[str, Any] = {"encoders": {"picture": {"name": "image_resnet", "size": 32, "channels": 8}}, "epochs": 20}
    model = plait.fit(rows, "kind", training={"mixup": 0.2, "cutmix": 1.0, "batch_size": 8}, quiet=True, **how)
    assert {True, False} == set(seen)
    assert model.record["evaluation"]["targets"]["kind"]["metrics"]["accuracy"]["value"] == 1.0


def png(pixels: np.ndarray) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_boxes_without_pictures_are_refused() -> None:
    rows = [{"size": float(i % 2), "kind": "ab"[i % 2]} for i in range(40)]
    with pytest.raises(PlaitError, match="cutmix: no input is a picture"):
        plait.fit(rows, "kind", training={"cutmix": 1.0}, quiet=True)
