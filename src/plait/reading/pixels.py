"""From a picture of any mode, or an array, to RGB as a person sees it: colours right, transparency laid on white."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from plait.errors import MediaError

ARRAYS = "uint8, uint16 or floats of 0 to 1, of shape (H, W), (H, W, 1 to 4) or (1, 3 or 4, H, W)"
MAX_PIXELS = 50_000_000
Side = Literal["shorter", "longer"]
STRIP = 2**20  # pixels that are looked at together
_TURNS = (None, None, 0, 3, 1, 5, 4, 6, 2)  # EXIF orientation -> Pillow's Transpose
_TO_8_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)  # rounds v / 65535 * 255
_SEE_THROUGH = ("RGBA", "LA", "PA", "La", "RGBa")


def rgb(image: Any, enough: int | None = None, side: Side = "shorter") -> np.ndarray:
    """A loaded picture of Pillow as uint8 RGB (H, W, 3), upright. `enough`: pixels of its shorter or longer `side`; one of at
    least twice as many is averaged down to no fewer than twice as many."""
    image = _upright(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.repeat(np.asarray(_smaller(_deep(image), enough, side))[..., None], 3, axis=2)
    profile = image.info.get("icc_profile")
    image = _smaller(_plain(image), enough, side)
    if profile and (transform := _to_srgb(profile, image.mode)):
        image = _applied(image, transform)
    if image.mode == "LAB":
        image = _applied(image, _lab())
    if image.mode == "RGBA":
        from PIL import Image

        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image.getchannel("A"))
        return np.array(canvas)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def of_array(array: np.ndarray, enough: int | None = None, side: Side = "shorter") -> np.ndarray:
    """An array as uint8 RGB (H, W, 3). Raises MediaError that says what was expected."""
    from PIL import Image

    found = f"found an array of {array.dtype} {array.shape}, expected {ARRAYS}"
    if array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4) and array.shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or not array.size or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise MediaError(found)
    check_size(array.shape[1], array.shape[0])
    array = np.ascontiguousarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise MediaError("holds pixels that are not finite numbers")
        if array.min() < 0 or array.max() > 1:
            raise MediaError(f"found floats of {array.min():.3g} to {array.max():.3g}, expected 0 to 1, or uint8")
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype == np.uint16:
        array = _TO_8_BITS[array]
    elif array.dtype == bool:
        array = array * np.uint8(255)
    elif array.dtype != np.uint8:
        raise MediaError(found)
    return rgb(Image.fromarray(array), enough, side)


def check_size(width: int, height: int) -> None:
    """Raises MediaError for more pixels than may be decoded."""
    if width * height > MAX_PIXELS:
        raise MediaError(f"is {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million")


def _upright(image: Any) -> Any:
    """The picture turned as its EXIF block says, where that can be read."""
    from PIL import Image

    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # a broken block is no reason to lose the picture
        return image
    turn = _TURNS[orientation] if isinstance(orientation, int) and 1 < orientation < len(_TURNS) else None
    if turn is None:
        return image
    turned = image.transpose(Image.Transpose(turn))
    turned.info = image.info
    return turned


def _plain(image: Any) -> Any:
    """The picture in a mode that can be averaged: RGB, RGBA, L, CMYK, YCbCr, HSV or LAB."""
    if image.mode in _SEE_THROUGH or "transparency" in image.info:
        if image.mode == "La":
            image = image.convert("LA")
        return image if image.mode == "RGBA" else image.convert("RGBA")
    return image.convert("RGB") if image.mode in ("P", "1", "RGBX") else image


def spare(size: tuple[int, int], enough: int, side: Side) -> int:
    """By how much a picture of this size may be divided so that one side keeps at least `enough` pixels."""
    return (min if side == "shorter" else max)(size) // enough


def _smaller(image: Any, enough: int | None, side: Side) -> Any:
    factor = spare(image.size, 2 * enough, side) if enough else 1
    return image.reduce(factor) if factor > 1 else image


def _deep(image: Any) -> Any:
    """Greys of more than 8 bits, or floats, as a picture of 8 bits."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        table, key = _TO_8_BITS, image.info.get("transparency")
        if isinstance(key, int) and 0 <= key < 65536:
            table = table.copy()
            table[key] = 255
        return Image.fromarray(table[np.asarray(image)])
    most = 0.0
    for strip in _strips(image):
        if not np.isfinite(strip).all():
            raise MediaError("holds pixels that are not finite numbers")
        most = max(most, float(strip.max()))
    white = _white(most, whole=image.mode == "I")
    eight = [np.clip(strip / white * 255, 0, 255).round().astype(np.uint8) for strip in _strips(image)]
    return Image.fromarray(np.concatenate(eight))


def _strips(image: Any) -> Iterator[np.ndarray]:
    width, height = image.size
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        yield np.asarray(image.crop((0, top, width, min(height, top + rows))), dtype=np.float64)


def _white(most: float, *, whole: bool) -> float:
    """What white seems to be in a picture of floats or of 32-bit whole numbers, which does not say."""
    return next((top for top in (1.0, 255.0, 65535.0)[whole:] if most <= top), most)


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> Any:
    """The way from the colours of an ICC profile to sRGB; None where they are the same, or where it is broken."""
    from PIL import ImageCms

    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (own.profile.profile_description or "").lower():
            return None
        target = "RGBA" if mode == "RGBA" else "RGB"
        return ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), mode, target)
    except Exception:  # a broken profile, or one of other colours, is no reason to lose the picture
        return None


@lru_cache(maxsize=1)
def _lab() -> Any:
    from PIL import ImageCms

    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _applied(image: Any, transform: Any) -> Any:
    from PIL import ImageCms

    return ImageCms.applyTransform(image, transform)
