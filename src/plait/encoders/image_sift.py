"""Pictures by their local shapes: SIFT descriptors gathered in a Fisher vector or a bag of visual words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from plait.encoders.base import Encoder
from plait.errors import PlaitError
from plait.nn import fisher, fixed, sift
from plait.spec import array_digest
from plait.types import Inputs, Prepared, Tokens

PICTURES, DESCRIPTORS = 1500, 30_000  # learned from
AXES = 64  # principal components of descriptors (Perronnin, Sanchez & Mensink 2010)
ENCODES = {"fisher": 16, "bag": 256}  # how descriptors are gathered -> Gaussians or words


class ImageSift(Encoder):
    """features (B, D), computed once a cell -> one token (B, 1, D): SIFT (Lowe 2004) of the picture with `size` pixels on
    its longer side, as RootSIFT (Arandjelovic & Zisserman 2012) of 64 principal components; `encode`: "fisher", Fisher
    vectors (Sanchez, Perronnin, Mensink & Verbeek 2013), or "bag", a bag of visual words (Csurka et al. 2004); then principal
    components. `dense`: descriptors on a grid where there is something to see, as small pictures and drawings have few
    keypoints; else those of the keypoints, which a turned picture has too. A picture without any gives zeros."""

    modality: ClassVar[str] = "image"
    stored: ClassVar[bool] = True

    def __init__(
        self,
        *,
        axes: np.ndarray,
        weights: np.ndarray,
        means: np.ndarray,
        variances: np.ndarray,
        components: np.ndarray,
        mean: np.ndarray,
        size: int = 128,
        dense: bool = True,
        encode: str = "fisher",
    ) -> None:
        super().__init__()
        _check(size, encode)
        arrays = {"axes": axes, "weights": weights, "means": means, "variances": variances}
        self.describer = _describer(size, dense)
        self.width, self.reading = len(components), self.describer.reading
        self.mean, self.components = mean, components
        self.encode, self.arrays = encode, arrays
        digests = {k: array_digest(v) for k, v in {**arrays, "components": components, "mean": mean}.items()}
        self.preparation = {
            "kind": "sift",
            "version": 1,
            "size": size,
            "dense": dense,
            "encode": encode,
            **digests,
        }

    @classmethod
    def learn(
        cls,
        cells: Iterable[np.ndarray | None],
        *,
        width: int = 512,
        size: int = 128,
        dense: bool = True,
        encode: str = "fisher",
        k: int | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """From a sample of 1500 pictures and 30,000 of their descriptors. `k`: Gaussians (16) or visual words (256).
        `width`: at most so many principal components of what is gathered."""
        _check(size, encode)
        k = ENCODES[encode] if k is None else k
        if min(width, k) < 1:
            raise PlaitError(f"width is {width} and k is {k}; expected at least 1.")
        found = fixed.described(cells, _describer(size, dense), PICTURES, seed)
        described = [d for d in map(_real, found) if len(d)]
        every = np.concatenate([np.zeros((0, sift.SIZE), np.uint8), *described])
        chosen = np.sort(np.random.default_rng(seed).permutation(len(every))[:DESCRIPTORS])
        some = sift.rooted(every[chosen])
        arrays = {"axes": fixed.learn_pca(some, AXES)["components"]}
        if len(some):
            learn = fisher.learn_mixture if encode == "fisher" else fisher.learn_words
            arrays |= learn(_turned(some, arrays), k, seed)
        else:
            one = np.ones((1, 1), np.float32)
            arrays |= {"weights": one[0], "means": 0 * one, "variances": one}
        gathered = [_gather(d, encode, arrays) for d in described]
        size_of = len(_gather(np.ones((1, sift.SIZE), np.uint8), encode, arrays))
        return {**arrays, **fixed.learn_pca(np.array(gathered).reshape(-1, size_of), width)}

    def prepare(self, cells: Sequence[np.ndarray]) -> list[Prepared]:
        return [self.finish(found) for found in self.describer.prepare(cells)]

    def finish(self, found: Prepared) -> Prepared:
        real = _real(found["features"])
        if not len(real):
            return {"features": np.zeros(self.width, np.float32)}
        return {"features": fixed.project(_gather(real, self.encode, self.arrays), self.mean, self.components)}

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        return fixed.collate(cells, self.width)

    def augment(self, inputs: Inputs) -> Inputs:
        return inputs

    def forward(self, inputs: Inputs) -> Tokens:
        return fixed.tokens(inputs)


def _check(size: int, encode: str) -> None:
    if size < 1 or encode not in ENCODES:
        raise PlaitError(f"size {size}, encode {encode!r}: expected at least 1, and one of {tuple(ENCODES)}.")


def _describer(size: int, dense: bool) -> fixed.Describer:
    """A picture -> its descriptors uint8 (n, 128), one of zeros where there is none."""

    def make(picture: np.ndarray) -> np.ndarray:
        found = sift.describe(sift.shrink(picture, size), dense=dense)
        return found if len(found) else np.zeros((1, sift.SIZE), np.uint8)

    preparation = {"kind": "descriptors", "version": 1, "size": size, "dense": dense}
    return fixed.Describer("image", preparation, {"enough": size}, make)


def _real(descriptors: np.ndarray) -> np.ndarray:
    """Those that were found."""
    return descriptors[descriptors.any(1)]


def _turned(x: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Descriptors (n, 128) -> their principal components (n, k), not centred: what follows does not look at where 0 is."""
    return np.einsum("nf,kf->nk", x, arrays["axes"], optimize=False)  # type: ignore[no-any-return]


def _gather(descriptors: np.ndarray, encode: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """uint8 (n, 128), n at least 1 -> one vector of length 1."""
    x, means = _turned(sift.rooted(descriptors), arrays), arrays["means"]
    if encode == "bag":
        return fisher.powered(fisher.bag(x, means))
    return fisher.powered(fisher.fisher_vector(x, arrays["weights"], means, arrays["variances"]))
