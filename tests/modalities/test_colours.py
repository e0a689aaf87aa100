"""Colours come out as a person sees them: profiles, printing inks, the encodings of the same pixels, and memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms
from tests.conftest import encoded, picture

from plait.encoders import DEFAULTS, ENCODERS
from plait.modalities import modality

READ = modality("image").read


def saved(image: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def wide_profile() -> bytes:
    """A profile whose red lies where Rec. 2020 has it, made by moving the first primary of sRGB; matrix and curve only."""
    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", raw, 128)[0]
    for i in range(count):
        name, start, size = struct.unpack_from(">4sII", raw, 132 + 12 * i)
        if name in PRIMARIES:
            struct.pack_into(">iii", raw, start + 8, *(round(v * 65536) for v in PRIMARIES[name]))
        if name == b"desc":
            raw[start + 12 : start + size] = bytes(size - 12)
    return bytes(raw)


PRIMARIES = {  # Rec. 2020 primaries as seen from D50
    b"rXYZ": (0.67348, 0.27903, -0.00193),
    b"gXYZ": (0.16566, 0.67535, 0.02998),
    b"bXYZ": (0.12505, 0.04561, 0.79685),
}


def test_colours_of_a_wide_profile_are_those_of_srgb() -> None:
    """By the matrix from Rec. 2020 to sRGB (both seen from D50), linear light, clipped."""
    srgb = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
    wide = np.array(list(PRIMARIES.values())).T
    given = np.array([[[120, 120, 120], [150, 130, 110], [90, 140, 100], [255, 255, 255], [0, 0, 0]]], np.uint8)
    light = lambda v: np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)  # noqa: E731
    linear = light(given / 255) @ (np.linalg.inv(srgb) @ wide).T
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clip(0, 1) ** (1 / 2.4) - 0.055)
    for kind, mode in (("PNG", "RGB"), ("TIFF", "RGB"), ("PNG", "RGBA")):
        cell = READ(encoded(given, kind, mode=mode, icc_profile=wide_profile()))
        assert np.abs(cell - expected.clip(0, 1) * 255).max() <= 2, (kind, mode)
    assert np.abs(READ(encoded(given, icc_profile=wide_profile())).astype(int) - given).max() > 5


def test_a_profile_of_srgb_or_of_other_colours_changes_nothing() -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (own, lab):
        assert np.array_equal(READ(encoded(picture(), icc_profile=profile)), picture())


def test_see_through_pixels_with_a_profile_stay_see_through() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    assert (READ(encoded(clear, icc_profile=wide_profile())) == 255).all()


def test_lab_pictures() -> None:
    lab = Pillow.merge("LAB", [Pillow.new("L", (4, 4), v) for v in (138, 209, 198)])  # L 54.3, a 80.8, b 69.9: red
    cell = READ(saved(lab, "TIFF"))
    assert np.abs(cell.astype(int) - [255, 0, 0]).max() <= 6
    grey = Pillow.merge("LAB", [Pillow.new("L", (4, 4), v) for v in (255, 128, 128)])
    assert (READ(saved(grey, "TIFF")) >= 253).all()


def inked(colours: np.ndarray, *, ycck: bool) -> bytes:
    """A four-colour JPEG as Adobe writes it: the amounts of paper left, or these as YCC with the black channel."""
    paper = colours.astype(float)  # no black ink: C, M and Y are what is missing of R, G and B
    if ycck:
        r, g, b = np.moveaxis(255 - paper, 2, 0)  # a decoder takes red from 255 to get cyan
        y = 0.299 * r + 0.587 * g + 0.114 * b
        paper = np.stack([y, 128 + 0.564 * (b - y), 128 + 0.713 * (r - y)], 2)
    channels = [Pillow.fromarray((255 - c).round().clip(0, 255).astype(np.uint8)) for c in np.moveaxis(paper, 2, 0)]
    image = Pillow.merge("CMYK", [*channels, Pillow.new("L", channels[0].size, 0)])
    raw = bytearray(saved(image, "JPEG", quality=98, subsampling=0))  # Pillow writes them inverted, marked as Adobe's
    raw[raw.index(b"Adobe") + 11] = 2 if ycck else 0
    return bytes(raw)


@pytest.mark.parametrize("ycck", [False, True], ids=["CMYK", "YCCK"])
def test_printing_inks_of_adobe(ycck: bool) -> None:
    colours = np.kron(
        np.array([[[200, 40, 40], [30, 30, 210]], [[250, 250, 250], [90, 160, 70]]]), np.ones((16, 16, 1))
    )
    assert np.abs(READ(inked(colours, ycck=ycck)).astype(int) - colours).mean() < 6


def test_a_key_grey_of_16_bits_is_white() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    lines = b"\0" + struct.pack(">3H", 1000, 30000, 65535)
    raw = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0))
    raw += chunk(b"tRNS", struct.pack(">H", 1000)) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    assert READ(raw)[0, :, 0].tolist() == [255, 117, 255]


SMOOTH = np.asarray(Pillow.fromarray(picture(16, 16, 3)).resize((192, 128), Pillow.Resampling.BICUBIC))


def sixteen_bits(pixels: np.ndarray) -> bytes:
    """An RGB PNG of 16 bits, which Pillow cannot write."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + (line.astype(np.uint16) * 257).astype(">u2").tobytes() for line in pixels)
    chunk = lambda k, b: struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))  # noqa: E731
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def upside_down(pixels: np.ndarray) -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = 3
    return encoded(np.ascontiguousarray(pixels[::-1, ::-1]), "PNG", exif=exif)


GREY = np.asarray(Pillow.fromarray(SMOOTH).convert("L"))
SAME: dict[str, tuple[Callable[[], bytes], bool, float]] = {  # bytes, whether grey, least cosine
    "PNG": (lambda: encoded(SMOOTH), False, 1.0),
    "BMP": (lambda: encoded(SMOOTH, "BMP"), False, 1.0),
    "TIFF": (lambda: encoded(SMOOTH, "TIFF", compression="tiff_deflate"), False, 1.0),
    "WebP": (lambda: encoded(SMOOTH, "WEBP", lossless=True), False, 1.0),
    "EXIF": (lambda: upside_down(SMOOTH), False, 1.0),
    "RGBA": (lambda: encoded(SMOOTH, mode="RGBA"), False, 1.0),
    "16-bit PNG": (lambda: sixteen_bits(SMOOTH), False, 0.99),
    "palette": (lambda: saved(Pillow.fromarray(SMOOTH).quantize(256)), False, 0.99),
    "JPEG": (lambda: encoded(SMOOTH, "JPEG", quality=100), False, 0.95),
    "CMYK": (lambda: encoded(SMOOTH, "JPEG", mode="CMYK", quality=95), False, 0.95),
    "grey": (lambda: encoded(GREY), True, 1.0),
    "LA": (lambda: encoded(GREY, mode="LA"), True, 1.0),
    "16-bit grey": (lambda: saved(Pillow.fromarray(GREY.astype(np.uint16) * 257)), True, 1.0),
    "float TIFF": (lambda: saved(Pillow.fromarray((GREY / 255).astype(np.float32)), "TIFF"), True, 0.99),
    "32-bit TIFF": (lambda: saved(Pillow.fromarray(GREY.astype(np.int32) * 257), "TIFF"), True, 0.99),
}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float).ravel(), b.astype(float).ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("case", SAME)
def test_the_same_pixels_in_any_encoding_are_prepared_alike(case: str) -> None:
    make, grey, least = SAME[case]
    encoder = ENCODERS.build(ENCODERS.complete(DEFAULTS["image"], []))
    reference = np.repeat(GREY[..., None], 3, 2) if grey else SMOOTH
    prepared = [
        encoder.prepare([modality("image").read(raw, **encoder.reading)])[0]["pixels"]
        for raw in (make(), encoded(reference))
    ]
    middle = [p.astype(float) - 127.5 for p in prepared]  # without its offset, a cosine near 1 says more
    assert cosine(*prepared) >= least - 1e-9 and cosine(*middle) >= least - 1e-9
    if least == 1:
        assert np.array_equal(*prepared)


BOMBS = """
import io, struct, sys, time, zlib
import numpy as np
from PIL import Image
from plait.errors import MediaError
from plait.modalities import modality
def png(w, h, depth, data):
    chunk = lambda k, b: struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))
    return (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, 0, 0, 0, 0))
            + chunk(b"IDAT", data) + chunk(b"IEND", b""))
def squeezed(n):
    press, out = zlib.compressobj(9), []
    for _ in range(n // 2**20 + 1):
        out.append(press.compress(bytes(2**20)))
    return b"".join([*out, press.flush()])
bombs = {s: png(s, s, 1, squeezed(s * (s // 8 + 1)) if s < 20000 else b"x" * 10) for s in (9400, 13000, 20000, 50000)}
gif = io.BytesIO()
frames = [Image.new("P", (8, 8), i % 2) for i in range(10_000)]
frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:])
read = modality("image").read
read(png(8, 8, 1, zlib.compress(bytes(16))))
base = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
for size, raw in bombs.items():
    began = time.process_time()
    try:
        read(raw)
    except MediaError as error:
        assert "more than 50 million" in str(error), error
    else:
        raise SystemExit(f"{size} was read")
    assert time.process_time() - began < 2
began = time.process_time()
assert read(gif.getvalue()).shape == (8, 8, 3) and time.process_time() - began < 2
grey = io.BytesIO()
began = time.process_time()
assert read(png(7000, 7000, 1, squeezed(7000 * 876)), enough=64).shape == (130, 130, 3)
assert time.process_time() - began < 2
grown = (int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) - base) / 1024
assert grown < 300, grown
print("grew by", round(grown), "MB")
"""


@pytest.mark.slow
def test_bombs_are_refused_within_the_limits_of_memory_and_time() -> None:
    done = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
