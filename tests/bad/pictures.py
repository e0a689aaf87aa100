"""Broken and odd pictures, 1 to 40 of the list."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms
from tests.bad.case import BAD, READ, REMARK, Case, file, named, value
from tests.conftest import encoded, picture

RGB = picture(40, 48)
GREY = RGB[..., 0]


def png(width: int, height: int, data: bytes = b"", depth: int = 8, colour: int = 2, *more: bytes) -> bytes:
    """A PNG whose header claims what it likes. `more`: type + content of further chunks."""
    chunk = lambda k, b: struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))  # noqa: E731
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = b"".join(chunk(m[:4], m[4:]) for m in more)
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(image: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def several(kind: str) -> bytes:
    frames = [Pillow.new("RGB", (8, 8), c) for c in ("red", "blue", "lime")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def turned(orientation: int) -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    return encoded(RGB, "JPEG", exif=exif)


def flipped() -> bytes:
    raw = bytearray(encoded(RGB, "JPEG"))
    raw[-200] ^= 0x10
    return bytes(raw)


def palette() -> bytes:
    image = Pillow.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return saved(image, transparency=bytes([255, 0, 128]))


def with_nan() -> bytes:
    values = np.ones((4, 4), np.float32)
    values[1, 2] = np.nan
    return saved(Pillow.fromarray(values), "TIFF")


def squeezed(count: int) -> bytes:
    press = zlib.compressobj(1)
    return b"".join([*(press.compress(bytes(2**20)) for _ in range(count // 2**20 + 1)), press.flush()])


def furnish(folder: Path) -> None:
    """What some cells name besides a file of their own."""
    (folder / "x.png").write_bytes(encoded(RGB))
    (folder / "a folder").mkdir()
    (folder / "loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("x.png")
    (folder / "shut.png").write_bytes(encoded(RGB))
    (folder / "shut.png").chmod(0)
    (folder / "Photos").mkdir()
    (folder / "Photos" / "Cat é.png").write_bytes(encoded(RGB))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
URL = "data:image/png;base64,"
TEXT = base64.b64encode(encoded(RGB)).decode()
CUT = "the end of the file is cut off; the picture itself is whole"


def case(number: int, title: str, make: Any, outcome: str = READ, says: str = "") -> Case:
    return Case(number, title, "image", make, outcome, says)


def bomb(size: int) -> bytes:
    return png(size, size, squeezed(size * size // 8) if size < 10_000 else b"x" * 10, 1, 0)


PICTURES = [
    case(1, "an empty file", file(".jpg", lambda: b""), BAD, "0 bytes"),
    case(2, "an HTML page named .jpg", file(".jpg", lambda: b"<!doctype html><p>404"), BAD, "an HTML page"),
    case(2, "a JSON answer named .jpg", file(".jpg", lambda: b'{"error": 404}'), BAD, "a JSON text"),
    case(2, "a pointer of Git LFS", file(".jpg", lambda: b"version https://git-lfs.github.com/spec/v1\n"), BAD, "git lfs"),
    case(3, "a JPEG cut in half", file(".jpg", lambda: encoded(RGB, "JPEG")[:600]), BAD, "a JPEG picture that is damaged"),
    case(3, "a PNG cut in half", file(".png", lambda: encoded(RGB)[:300]), BAD, "a PNG picture that is damaged"),
    case(4, "a JPEG without its last byte", file(".jpg", lambda: encoded(RGB, "JPEG")[:-1]), BAD, "damaged"),
    case(4, "a JPEG without its last 20 bytes", file(".jpg", lambda: encoded(RGB, "JPEG")[:-20]), BAD, "damaged"),
    case(4, "a PNG without its last 12 bytes", file(".png", lambda: encoded(RGB)[:-12]), REMARK, CUT),
    case(4, "a GIF without its last byte", file(".gif", lambda: encoded(RGB, "GIF")[:-1]), REMARK, CUT),
    case(5, "a JPEG with a flipped bit in its pixels (it has no checksum)", file(".jpg", flipped)),
    case(6, "a PNG named .jpg", file(".jpg", lambda: encoded(RGB))),
    case(7, "a JPEG named .png", file(".png", lambda: encoded(RGB, "JPEG"))),
    case(7, "a JPEG named .txt", file(".txt", lambda: encoded(RGB, "JPEG"))),
    case(7, "a JPEG without a suffix", file("", lambda: encoded(RGB, "JPEG"))),
    *(case(8, f"EXIF orientation {o}: turned upright", file(".jpg", lambda o=o: turned(o))) for o in range(1, 9)),
    case(9, "EXIF orientation 99", file(".jpg", lambda: turned(99))),
    case(9, "a broken EXIF block", file(".jpg", lambda: encoded(RGB, "JPEG", exif=b"Exif\0\0II*\0" + b"\xff" * 40))),
    case(10, "CMYK as Adobe writes it, inverted", file(".jpg", lambda: encoded(RGB, "JPEG", mode="CMYK"))),
    case(11, "grey of 16 bits", file(".png", lambda: saved(Pillow.fromarray(GREY.astype(np.uint16) * 257)))),
    case(12, "RGB of 16 bits", file(".png", lambda: png(2, 1, zlib.compress(b"\0" + bytes(12)), 16))),
    case(13, "a TIFF of floats", file(".tif", lambda: saved(Pillow.fromarray((GREY / 255).astype(np.float32)), "TIFF"))),
    case(13, "a TIFF with NaN", file(".tif", with_nan), BAD, "pixels that are not finite numbers"),
    case(14, "a palette with transparency", file(".png", palette)),
    case(15, "RGBA: laid on white", file(".png", lambda: encoded(RGB, mode="RGBA"))),
    *(case(16, f"mode {m}", file(".png", lambda m=m: encoded(RGB, mode=m))) for m in ("LA", "1", "L", "P")),
    case(16, "mode I", file(".tif", lambda: saved(Pillow.fromarray(GREY.astype(np.int32)), "TIFF"))),
    case(16, "mode F", file(".tif", lambda: saved(Pillow.fromarray(GREY.astype(np.float32)), "TIFF"))),
    case(16, "mode LAB", file(".tif", lambda: saved(Pillow.new("LAB", (8, 8)), "TIFF"))),
    *(case(17, f"an animated {k}", file(".x", lambda k=k: several(k)), REMARK, "has several frames") for k in ("GIF", "WEBP")),
    case(17, "an animated PNG", file(".png", lambda: several("PNG")), REMARK, "has several frames; the first is used"),
    case(18, "a TIFF of several pages", file(".tif", lambda: several("TIFF")), REMARK, "has several pages; the first is used"),
    case(19, "one pixel", file(".png", lambda: encoded(RGB[:1, :1]))),
    case(20, "20,000 x 1 pixels", file(".png", lambda: encoded(np.zeros((1, 20_000, 3), np.uint8)))),
    case(20, "1 x 20,000 pixels", file(".png", lambda: encoded(np.zeros((20_000, 1, 3), np.uint8)))),
    case(21, "no width", file(".png", lambda: png(0, 5)), BAD, "damaged"),
    case(22, "9,400 x 9,400 pixels in 11 kB", file(".png", lambda: bomb(9_400)), BAD, "more than 50 million"),
    case(23, "13,000 x 13,000 pixels", file(".png", lambda: bomb(13_000)), BAD, "more than 50 million"),
    case(24, "50,000 x 50,000 pixels", file(".png", lambda: bomb(50_000)), BAD, "more than 50 million"),
    case(25, "a header that claims 7,000 x 7,000", file(".png", lambda: png(7000, 7000, b"x" * 10)), BAD, "damaged"),
    case(26, "a text chunk of 64 MB in 64 kB", file(
        ".png", lambda: png(8, 8, zlib.compress(bytes(200)), 8, 2, b"zTXtk\0\0" + squeezed(2**26))), BAD, "damaged"),
    case(27, "an SVG drawing", file(".svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"), BAD, "an SVG drawing"),
    case(28, "PostScript", file(".eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n"), BAD, "a PostScript document"),
    case(28, "PDF", file(".pdf", lambda: b"%PDF-1.7\n"), BAD, "a PDF document"),
    case(29, "FITS", file(".fits", lambda: b"SIMPLE  =                    T"), BAD, "a FITS picture, which is not read"),
    case(29, "PSD", file(".psd", lambda: b"8BPS\0\1" + bytes(20)), BAD, "a PSD picture, which is not read: save it as PNG"),
    case(29, "ICNS", file(".icns", lambda: b"icns\0\0\0\x08"), BAD, "an ICNS picture, which is not read"),
    case(29, "DDS", file(".dds", lambda: encoded(RGB, "DDS")), BAD, "a DDS picture, which is not read"),
    case(30, "HEIC", file(".heic", lambda: b"\0\0\0\x18ftypheic" + bytes(20)), BAD, "a HEIC picture, which is not read: save"),
    case(30, "AVIF", file(".avif", lambda: b"\0\0\0\x18ftypavif" + bytes(20)), BAD, "an AVIF picture, which is not read: save"),
    case(30, "JPEG XL", file(".jxl", lambda: b"\0\0\0\x0cJXL \r\n\x87\n"), BAD, "a JPEG XL picture, which is not read: save"),
    case(31, "a colour profile: converted to sRGB", file(".png", lambda: encoded(RGB, icc_profile=SRGB))),
    case(32, "a broken colour profile: left out", file(".png", lambda: encoded(RGB, icc_profile=b"garbage"))),
    case(32, "a profile of other colours: left out", file(".png", lambda: encoded(RGB, icc_profile=LAB))),
    case(33, "a folder", named("a folder"), BAD, "is a folder, not a regular file"),
    case(34, "no such file", named("gone.png"), BAD, "no such file"),
    case(35, "a file that may not be read", named("shut.png"), BAD, "Permission denied"),
    case(36, "a link to itself", named("loop.png"), BAD, "symbolic links"),
    case(36, "a link to a picture", named("link.png")),
    case(37, "a pipe", named("pipe.png"), BAD, "is a pipe, not a regular file"),
    case(37, "a device", named("/dev/zero"), BAD, "is a device, not a regular file"),
    case(37, "the standard input", named("/dev/stdin"), BAD, "a stream of the system"),
    case(38, "a path that many rows name", named("x.png")),
    case(38, "the same path again", named("x.png")),
    case(39, "JPEG 2000", file(".jp2", lambda: b"\0\0\0\x0cjP  \r\n\x87\n"), BAD, "a JPEG 2000 picture, which is not read"),
    case(40, "bytes", value(encoded(RGB))),
    case(40, "base64 text", value(TEXT)),
    case(40, "base64 text after data:", value(URL + TEXT)),
    case(40, "base64 text that is cut", value(TEXT[:-3]), BAD, "is damaged base64 text"),
    case(40, '{"bytes": …, "path": …}', value({"bytes": encoded(RGB), "path": None})),
    case(40, '{"bytes": None, "path": …}', value({"bytes": None, "path": "x.png"})),
    case(40, "an array of uint8 (H, W, 3)", value(RGB)),
    case(40, "an array of floats (3, H, W)", value((RGB / 255).transpose(2, 0, 1))),
    case(40, "an array of floats up to 255", value(RGB * 1.0), BAD, "expected 0 to 1, or uint8"),
    case(40, "an array of int64", value(RGB.astype(np.int64)), BAD, "expected uint8, uint16 or floats of 0 to 1"),
    case(40, "an array of the wrong shape", value(np.zeros((5, 6, 7), np.uint8)), BAD, "expected uint8"),
    case(40, "a picture of Pillow", value(Pillow.fromarray(RGB))),
    case(40, "a number", value(7), BAD, "found a int, expected the path, bytes or base64 text of a picture"),
    case(115, "spaces and a line end around a path", named("  x.png \r")),
    case(115, "%20 and %C3%A9 in a path", named("Photos/Cat%20%C3%A9.png")),
    case(115, "a Windows path", named(r"Photos\Cat é.png")),
    case(115, "small letters in place of capital ones", named("photos/cat é.png"), BAD, "did you mean 'Photos/Cat é.png'"),
    case(115, "an absolute path", named("{folder}/x.png")),
    case(115, "a path of a Windows drive", named(r"C:\x.png"), BAD, "no such file"),
    case(115, "a URL", named("https://example.org/x.png"), BAD, "is a URL (https://); plait reads local files only"),
    case(115, "a bucket", named("s3://bucket/x.png"), BAD, "is a URL (s3://); plait reads local files only"),
    case(115, "file:// without leave", named("file:///x.png"), BAD, "PLAIT_ALLOW_FILE_URLS=1"),
]  # fmt: skip
