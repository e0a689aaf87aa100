"""Pictures: files, bytes and arrays that decode to RGB."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from plait.errors import MediaError
from plait.modalities.base import Claim, Modality, Shared, claim_files, decoding, load_file, refusal, silent
from plait.reading import pixels
from plait.reading.arrays import MAGIC, is_array, packed, unpacked
from plait.reading.magic import sniff
from plait.types import Note

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # what Pillow may try: never EPS, PSD, FITS, JPEG 2000
READS = "PNG, JPEG, WebP, GIF, BMP or TIFF"
MAX_SCANS = 500  # of a progressive JPEG: each is decoded over all pixels
_READ = ("a PNG picture", "a JPEG picture", "a WebP picture", "a GIF picture", "a BMP picture", "a TIFF picture")
_LOCK = threading.Lock()  # one object of Pillow, in many rows, must not be loaded by two threads at once


def _whole_only() -> Callable[[], None]:
    """Where another library told Pillow to fill up what is missing of a picture with grey, it is told not to."""
    from PIL import ImageFile

    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    return lambda: setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", before)


_WHOLE = Shared(make=_whole_only)


class Image(Modality):
    """A picture: uint8 RGB (H, W, 3), upright, in sRGB, transparency laid on white, first frame or page, 16 bits and
    floats scaled. A cell is a path, bytes, base64 text, {"bytes": …, "path": …}, an array, or a picture of Pillow."""

    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")

    def claim(self, values: Sequence[Any], *, target: bool) -> Claim | None:
        return claim_files(values, self.suffixes, "picture", _is_picture)

    def load(self, value: Any, folder: Path) -> bytes | None:
        if _of_pillow(value):
            with decoding(b"", "picture", READS), _WHOLE, _LOCK:
                pixels.check_size(*value.size)
                value.load()
                return packed(pixels.rgb(value), pixels.ARRAYS)
        if is_array(value):
            return packed(value, pixels.ARRAYS)
        return load_file(value, folder, "a picture")

    def read(
        self, raw: bytes, *, note: Note = silent, enough: int | None = None, side: pixels.Side = "shorter"
    ) -> np.ndarray:
        """`enough`: pixels of the shorter or longer `side` above which detail may be skipped: at least as many are kept."""
        from PIL import Image as Pillow

        with decoding(raw, "picture", READS), _WHOLE:
            if raw.startswith(MAGIC):
                return pixels.of_array(unpacked(raw), enough, side)
            found = sniff(raw)
            if found is not None and found.name not in _READ:
                raise MediaError(_other(raw))
            try:
                image = Pillow.open(io.BytesIO(raw), formats=FORMATS)
            except Pillow.DecompressionBombError:
                raise MediaError(f"has more than {pixels.MAX_PIXELS // 10**6} million pixels") from None
            with image:
                pixels.check_size(*image.size)
                if "progressive" in image.info and raw.count(b"\xff\xda") > MAX_SCANS:
                    raise MediaError(f"has more than {MAX_SCANS} scans")
                if enough is not None and (factor := pixels.spare(image.size, enough, side)) > 1:
                    image.draft("RGB", (max(1, image.width // factor), max(1, image.height // factor)))
                image.decodermaxblock = max(len(raw), 2**16)  # all at once: a decoder that waits for more begins again
                image.load()
                _remark(image, raw, note)
                return pixels.rgb(image, enough, side)


def _of_pillow(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def _is_picture(value: Any) -> bool:
    """Whether a value that is no file is a picture: one of Pillow, or an array of bytes or of three or four colours."""
    if _of_pillow(value):
        return True
    if not is_array(value) or value.ndim not in (2, 3) or min(value.shape) < 1:
        return False
    kind = str(value.dtype).removeprefix("torch.")
    colours = value.ndim == 3 and (value.shape[2] in (3, 4) or value.shape[0] in (3, 4))
    return (kind == "uint8" and (value.ndim == 2 or colours)) or (kind.startswith("float") and colours)


def _remark(image: Any, raw: bytes, note: Note) -> None:
    """What is odd about a picture that was read."""
    if image.format in ("GIF", "WEBP", "PNG", "TIFF") and _several(image):
        note(f"has several {'pages' if image.format == 'TIFF' else 'frames'}; the first is used")
    if (image.format == "PNG" and b"IEND\xaeB`\x82" not in raw[-4096:]) or (
        image.format == "GIF" and raw[-4096:].rstrip(b"\0\r\n")[-1:] != b";"
    ):
        note("the end of the file is cut off; the picture itself is whole")


def _several(image: Any) -> bool:
    try:
        return bool(image.is_animated)
    except Exception:  # what follows the first frame is damaged
        return True


def _other(raw: bytes) -> str:
    """Why content of a known kind is not tried."""
    found = sniff(raw)
    if found is not None and found.family == "picture":
        return f"{found.name}, which is not read: save it as PNG or JPEG (read are {READS})"
    return refusal(raw, "picture", READS)
