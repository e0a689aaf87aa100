"""SIFT descriptors of a picture, by OpenCV."""

from __future__ import annotations

import numpy as np

from plait.optional import need

STEP = 8  # pixels between the points of the grid
PATCHES = (16, 32)  # pixels a side that a descriptor of the grid covers
CONTRAST = 16  # of 255: a point of the grid around which there is less is left out
MOST = 500  # found keypoints, the strongest
SIZE = 128  # numbers of a descriptor


def shrink(pixels: np.ndarray, size: int) -> np.ndarray:
    """RGB uint8 (H, W, 3) -> grey uint8, its longer side `size`, its shape kept as far as one pixel allows."""
    from PIL import Image

    picture = Image.fromarray(pixels).convert("L")
    scale = size / max(picture.size)
    width, height = (max(1, round(s * scale)) for s in picture.size)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def describe(grey: np.ndarray, *, dense: bool) -> np.ndarray:
    """Grey uint8 (H, W) -> descriptors uint8 (n, 128) (Lowe 2004): upright ones of two sizes on a grid, where there is
    something to see; or those of the keypoints that are found. One thread, so that equal pictures give equal ones."""
    cv2 = need("cv2", "classic")
    cv2.setNumThreads(1)
    if dense:
        points = _grid(cv2, grey)
        found = cv2.SIFT_create().compute(grey, points)[1] if points else None
    else:
        found = cv2.SIFT_create(nfeatures=MOST).detectAndCompute(grey, None)[1]
    kept = np.zeros((0, SIZE), np.uint8) if found is None else found.astype(np.uint8)
    return kept[kept.any(1)]


def _grid(cv2: object, grey: np.ndarray) -> list[object]:
    """Keypoints in rows and columns, in the middle of the picture, for each size of patch those with enough contrast.
    OpenCV's descriptors cover six times what it calls the size of a keypoint: four cells of 1.5 times it."""
    down, across = (np.arange((side - 1) % STEP // 2, side, STEP) for side in grey.shape)
    points = []
    for patch in PATCHES:
        around = np.ones((patch, patch), np.uint8)
        spread = cv2.dilate(grey, around) - cv2.erode(grey, around)  # type: ignore[attr-defined]
        points += [
            cv2.KeyPoint(float(x), float(y), patch / 6, 0)  # type: ignore[attr-defined]
            for y in down.tolist()
            for x in across.tolist()
            if spread[y, x] >= CONTRAST
        ]
    return points


def rooted(descriptors: np.ndarray) -> np.ndarray:
    """Square roots of descriptors that sum to 1, float32 (RootSIFT; Arandjelovic & Zisserman 2012)."""
    x = descriptors.astype(np.float32)
    return np.sqrt(x / np.maximum(x.sum(1, keepdims=True), 1))  # type: ignore[no-any-return]
