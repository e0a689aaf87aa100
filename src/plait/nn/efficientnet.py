"""EfficientNet-Lite0: the EfficientNet of small devices, without squeeze-and-excitation, with relu6 (Tan & Le 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

# repeats, kernel, stride, expansion, channels: table 1 of the paper
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
STEM, HEAD = 32, 1280


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow pads: to ceil(size / stride), the odd pixel at the end."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size, kernel, stride in zip(reversed(x.shape[-2:]), reversed(self.kernel_size), reversed(self.stride)):
            need = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            pads += [need // 2, need - need // 2]
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, 0, 1, self.groups)


def unit(
    channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, active: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, relu6."""
    parts: list[nn.Module] = [
        Same(channels, out, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
    ]
    return nn.Sequential(*parts, *([nn.ReLU6()] if active else []))


class Block(nn.Module):
    """An inverted bottleneck (Sandler et al. 2018)."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = unit(channels, inner) if expansion > 1 else nn.Identity()
        self.depthwise = unit(inner, inner, kernel, stride, groups=inner)
        self.project = unit(inner, out, active=False)
        self.skip = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + out if self.skip else out


class EfficientNetLite(nn.Module):
    """Pictures (B, 3, H, W) -> features (B, 1280, H / 32, W / 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = unit(3, STEM, 3, 2)
        blocks, channels = [], STEM
        for repeats, kernel, stride, expansion, out in STAGES:
            for i in range(repeats):
                blocks.append(Block(channels, out, kernel, stride if i == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = unit(channels, HEAD)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.blocks(self.stem(x)))
        return out
