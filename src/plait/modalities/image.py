"""Pictures: files that decode to RGB."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, claim_files, load_file, quiet, silent
from plait.types import Note

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # what Pillow may try: never EPS, PSD, FITS, JPEG 2000
MAX_PIXELS = 50_000_000


class Image(Modality):
    """A picture: uint8 RGB (H, W, 3), upright, transparency laid on white, first frame, 16 bits and floats scaled."""

    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        return claim_files(values, self.suffixes, "picture")

    def load(self, value: Any, folder: Path) -> bytes | None:
        return load_file(value, folder, "a picture")

    def read(self, raw: bytes, *, note: Note = silent, enough: int | None = None) -> np.ndarray:
        """`enough`: pixels of the shorter side above which detail may be skipped."""
        from PIL import Image as Pillow

        try:
            with quiet(), Pillow.open(io.BytesIO(raw), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise MediaError(f"is {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million")
                if enough is not None:
                    image.draft("RGB", (enough, enough))
                image.load()
                return _rgb(_upright(image))
        except MediaError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            raise MediaError(_reason(error, raw)) from None


def _upright(image: Any) -> Any:
    """The picture turned as its EXIF block says, where that can be read."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken block is no reason to lose the picture
        return image


def _rgb(image: Any) -> np.ndarray:
    from PIL import Image as Pillow

    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all():
            raise MediaError("holds pixels that are not finite numbers")
        white = 65535.0 if mode.startswith("I;16") else _white(float(values.max(initial=0)), whole=mode == "I")
        grey = np.clip(values / white * 255, 0, 255).round().astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", over.size, "white"), over)
    return np.array(image.convert("RGB"))


def _white(most: float, *, whole: bool) -> float:
    """What white seems to be in a picture of floats or of 32-bit whole numbers, which does not say."""
    return next((top for top in (1.0, 255.0, 65535.0)[whole:] if most <= top), most)


def _reason(error: Exception, raw: bytes) -> str:
    head = raw[:64].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "not a picture: the file is an HTML page"
    if head.startswith((b"<svg", b"<?xml")):
        return "SVG pictures are not read: render them to PNG first"
    if type(error).__name__ == "DecompressionBombError":
        return f"has more than {MAX_PIXELS // 10**6} million pixels"
    if type(error).__name__ == "UnidentifiedImageError":
        return f"not a picture that is read here ({', '.join(FORMATS)})"
    return f"damaged picture ({type(error).__name__})"
