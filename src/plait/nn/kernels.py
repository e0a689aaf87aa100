"""Random convolution kernels over time series, never trained: how often and how strongly each one answers (ROCKET)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LENGTHS = (7, 9, 11)
TOGETHER = 16  # kernels that look at the same channels, with one dilation
SCALES = 12  # dilations tried between 1 and the widest that fits


class Block(NamedTuple):
    """Kernels of one length and dilation over the same channels."""

    weight: np.ndarray  # (K, c x length) float32; each kernel sums to 0 over each channel
    bias: np.ndarray  # (K,) float32
    channels: np.ndarray  # (c,)
    length: int
    dilation: int
    padded: bool  # with zeros, so that there are as many answers as steps


def draw(count: int, *, channels: int, longest: int, seed: int) -> list[Block]:
    """`count` kernels as Dempster et al. (2020) draw them: lengths 7, 9 or 11, weights normal with their mean taken off,
    bias uniform in -1..1, dilation log-uniform up to the longest series, padding or none, a log-uniform number of
    channels. Other than there, 16 kernels share all but weights and bias, so that they are one matrix product. The
    stream of numpy's RandomState is frozen: the same seed gives the same kernels in every version."""
    random = np.random.RandomState(seed)
    blocks = []
    for start in range(0, count, TOGETHER):
        size = min(TOGETHER, count - start)
        length = LENGTHS[random.randint(len(LENGTHS))]
        widest = np.log2(max(1.0, (longest - 1) / (length - 1)))
        dilation = int(2 ** (widest * random.randint(SCALES) / (SCALES - 1)))
        few = int(2 ** (np.log2(min(channels, length) + 1) * random.random_sample()))
        chosen = np.sort(random.permutation(channels)[:few])
        weight = random.standard_normal((size, few, length))
        weight -= weight.mean(2, keepdims=True)
        bias = random.random_sample(size) * 2 - 1
        padded = bool(random.randint(2))
        blocks.append(
            Block(
                weight.reshape(size, -1).astype(np.float32), bias.astype(np.float32), chosen, length, dilation, padded
            )
        )
    return blocks


def respond(values: np.ndarray, blocks: list[Block]) -> np.ndarray:
    """(T, C) without gaps -> (2 K,) float32: the share of steps at which each kernel's answer is above 0, then the
    highest answer of each."""
    shares, peaks = [], []
    for block in blocks:
        answers = _answers(values, block)
        shares.append((answers > 0).mean(1, dtype=np.float32))
        peaks.append(answers.max(1))
    return np.concatenate([*shares, *peaks]).astype(np.float32)


def _answers(values: np.ndarray, block: Block) -> np.ndarray:
    """(K, T'): the convolution at every place where the kernel fits; a series too short for it is padded."""
    span = (block.length - 1) * block.dilation
    x = values[:, block.channels].T.astype(np.float32)
    if block.padded or x.shape[1] <= span:
        x = np.pad(x, ((0, 0), (span // 2, span // 2)))
    steps = x.shape[1] - span
    windows = np.stack([x[:, i * block.dilation : i * block.dilation + steps] for i in range(block.length)], 1)
    answers: np.ndarray = block.weight @ windows.reshape(-1, steps) + block.bias[:, None]
    return answers
