"""Pictures: files that decode to RGB."""
from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, claim_files, load_file, quiet

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # what Pillow may try: never EPS, PSD, FITS, JPEG 2000
MAX_PIXELS = 50_000_000


class Image(Modality):
    """A picture: uint8 RGB (H, W, 3), upright, transparency laid on white, first frame, 16 bits and floats scaled."""

    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        return claim_files(values, self.suffixes, "picture")

    def load(self, value: Any, folder: Path) -> bytes | None:
        return load_file(value, folder, "a picture")

    def read(self, raw: bytes, *, enough: int | None = None) -> np.ndarray:
        from PIL import Image as Pillow
        from PIL import ImageOps

        try:
            with quiet(), Pillow.open(io.BytesIO(raw), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise MediaError(f"is {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million")
                if enough is not None:
                    image.draft("RGB", (enough, enough))
                image.load()
                return _rgb(ImageOps.exif_transpose(image))
        except MediaError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged bytes
            raise MediaError(_reason(error, raw)) from None


def _rgb(image: Any) -> np.ndarray:
    from PIL import Image as Pillow

    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all():
            raise MediaError("holds pixels that are not finite numbers")
        top = 1.0 if mode == "F" and values.max(initial=0) <= 1 else 255.0 if values.max(initial=0) <= 255 else 65535.0
        grey = np.clip(values / top * 255, 0, 255).round().astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", over.size, "white"), over)
    return np.array(image.convert("RGB"))


def _reason(error: Exception, raw: bytes) -> str:
    head = raw[:64].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "not a picture: the file is an HTML page"
    if head.startswith((b"<svg", b"<?xml")):
        return "SVG pictures are not read: render them to PNG first"
    if type(error).__name__ == "UnidentifiedImageError":
        return f"not a picture that is read here ({', '.join(FORMATS)})"
    return f"damaged picture ({type(error).__name__})"
