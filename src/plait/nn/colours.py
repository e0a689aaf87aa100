"""Histograms of the colours of a picture in CIE L*a*b*."""

from __future__ import annotations

import numpy as np

_LINEAR = np.arange(256) / 255
_LINEAR = np.where(_LINEAR <= 0.04045, _LINEAR / 12.92, ((_LINEAR + 0.055) / 1.055) ** 2.4)
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _XYZ.sum(1)  # D65
LOWEST, HIGHEST = np.array([0.0, -80.0, -80.0]), np.array([100.0, 80.0, 80.0])  # what lies outside counts as the end


def lab(pixels: np.ndarray) -> np.ndarray:
    """sRGB uint8 (..., 3) -> L* in 0..100, a* and b* about -110..110, float64 (IEC 61966-2-1; CIE 15)."""
    linear = _LINEAR[pixels]
    x, y, z = (sum(linear[..., c] * _XYZ[i, c] for c in range(3)) / _WHITE[i] for i in range(3))
    f = [np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29) for t in (x, y, z)]
    return np.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])], -1)


def histograms(colours: np.ndarray, nodes: tuple[int, int, int], part: np.ndarray, parts: int) -> np.ndarray:
    """L*a*b* (n, 3), and to which part each belongs (n,) -> sums (parts, nodes[0] * nodes[1] * nodes[2]) float64. Each
    colour is shared between the eight nodes of a lattice around it."""
    last, total = np.array(nodes) - 1, parts * int(np.prod(nodes))
    place = (np.clip(colours, LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST) * last
    low = np.minimum(place.astype(np.int64), last - 1)
    high = place - low
    sums = np.zeros(total)
    first = np.ravel_multi_index((part, *low.T), (parts, *nodes))
    for corner in np.ndindex(2, 2, 2):
        step = np.ravel_multi_index((0, *corner), (parts, *nodes))
        a, b, c = (high[:, i] if there else 1 - high[:, i] for i, there in enumerate(corner))
        sums += np.bincount(first + step, a * b * c, total)
    return sums.reshape(parts, -1)
