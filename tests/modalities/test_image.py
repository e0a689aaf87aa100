"""Pictures: every odd file decodes to what a person would see, or is refused with a reason, quickly."""

from __future__ import annotations

import io
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFile, ImageOps
from tests.conftest import encoded, picture

from plait.errors import MediaError
from plait.modalities import modality
from plait.reading import pixels

READ = modality("image").read
GREY = np.repeat(np.linspace(0, 255, 6).astype(np.uint8)[None, :, None], 4, axis=0)  # (4, 6, 1)


def saved(image: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, data: bytes = b"", depth: int = 8, colour: int = 2, *more: bytes) -> bytes:
    """A PNG whose header claims what it likes. `more`: type + content of further chunks."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = b"".join(chunk(m[:4], m[4:]) for m in more)
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def is_picture(cell: np.ndarray, shape: tuple[int, int]) -> bool:
    return cell.dtype == np.uint8 and cell.shape == (*shape, 3) and bool(cell.flags["C_CONTIGUOUS"])


@pytest.mark.parametrize(
    "kind, options",
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
    ids=str,
)
def test_lossless_formats_give_the_same_pixels(kind: str, options: dict[str, Any]) -> None:
    cell = READ(encoded(picture(11, 7), kind, **options))
    assert is_picture(cell, (11, 7)) and np.array_equal(cell, picture(11, 7))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_give_about_the_same_pixels(kind: str) -> None:
    smooth = np.asarray(Pillow.fromarray(picture(8, 8)).resize((64, 64), Pillow.Resampling.BICUBIC))
    assert np.abs(READ(encoded(smooth, kind, quality=95)).astype(int) - smooth).mean() < 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (20_000, 1)])
def test_extreme_shapes(shape: tuple[int, int]) -> None:
    assert is_picture(READ(encoded(np.zeros((*shape, 3), np.uint8))), shape)


@pytest.mark.parametrize("orientation", [*range(1, 9), 99, 0])
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Pillow.fromarray(picture(6, 9))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    stored = saved(upright, "PNG", exif=exif)
    turns = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_270",
        7: "TRANSVERSE",
        8: "ROTATE_90",
    }
    expected = upright.transpose(Pillow.Transpose[turns[orientation]]) if orientation in turns else upright
    assert np.array_equal(READ(stored), np.asarray(expected))
    for kind, options in (("TIFF", {}), ("WEBP", {"lossless": True})):
        assert np.array_equal(READ(saved(upright, kind, exif=exif, **options)), np.asarray(expected)), kind
    large = Pillow.fromarray(np.kron(picture(6, 9), np.ones((16, 16, 1), np.uint8)))
    turned = READ(saved(large, "JPEG", exif=exif, quality=95))
    assert np.abs(turned.astype(int) - np.kron(expected, np.ones((16, 16, 1), np.uint8))).mean() < 4


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"nonsense", b"Exif\0\0II*\0" + b"\xff" * 40]
)
def test_a_broken_exif_block_is_no_matter(exif: bytes) -> None:
    for kind in ("JPEG", "PNG"):
        assert is_picture(READ(encoded(picture(), kind, exif=exif)), (12, 16))


@pytest.mark.parametrize("profile", [b"garbage", b"\0" * 128])
def test_a_broken_colour_profile_is_no_matter(profile: bytes) -> None:
    for kind in ("JPEG", "PNG", "TIFF"):
        assert is_picture(READ(encoded(picture(), kind, icc_profile=profile)), (12, 16))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("top", [65535, 6000, 200])
def test_sixteen_bit_grey_is_scaled_by_its_whole_range(kind: str, top: int) -> None:
    values = np.linspace(0, top, 48).reshape(6, 8).astype(np.uint16)
    cell = READ(saved(Pillow.fromarray(values), kind))
    assert np.array_equal(cell, np.repeat((values / 65535 * 255).round().astype(np.uint8)[..., None], 3, axis=2))


def test_sixteen_bit_colour() -> None:
    values = np.linspace(0, 65535, 4 * 5 * 3).astype(np.uint16).reshape(4, 5, 3)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    cell = READ(png(5, 4, zlib.compress(lines), depth=16))
    assert is_picture(cell, (4, 5)) and np.abs(cell - values / 65535 * 255).max() <= 1


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0, 1e6])
def test_float_pictures_are_scaled_to_what_they_seem_to_mean(top: float) -> None:
    values = (GREY[..., 0] / 255 * top).astype(np.float32)
    assert np.abs(READ(saved(Pillow.fromarray(values), "TIFF")).astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_float_pictures_with_pixels_that_are_no_numbers_are_refused(bad: float) -> None:
    values = np.ones((4, 4), np.float32)
    values[1, 2] = bad
    with pytest.raises(MediaError, match="not finite"):
        READ(saved(Pillow.fromarray(values), "TIFF"))


def test_whole_numbers_of_32_bits() -> None:
    values = (GREY[..., 0].astype(np.int32)) * 257
    assert np.array_equal(READ(saved(Pillow.fromarray(values), "TIFF")), np.repeat(GREY, 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palette_modes(mode: str) -> None:
    image = Pillow.fromarray(GREY[..., 0]).convert(mode)
    assert np.array_equal(READ(saved(image)), np.asarray(image.convert("RGB")))


def test_cmyk_jpeg_as_adobe_writes_it() -> None:
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[:8], colours[8:] = (250, 10, 10), (10, 10, 250)
    cell = READ(saved(Pillow.fromarray(colours).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cell.astype(int) - colours).max() < 40


def test_transparency_is_laid_on_white() -> None:
    pixels = np.zeros((3, 4, 4), np.uint8)
    pixels[..., :3] = (200, 30, 30)
    pixels[0, :, 3], pixels[1, :, 3], pixels[2, :, 3] = 0, 128, 255
    alpha = pixels[..., 3:] / 255
    expected = pixels[..., :3] * alpha + 255 * (1 - alpha)
    for raw in (encoded(pixels), encoded(pixels, "WEBP", lossless=True, exact=True), encoded(pixels, "TIFF")):
        assert np.abs(READ(raw) - expected).max() <= 1
    grey = Pillow.merge("LA", [Pillow.new("L", (4, 3), 90), Pillow.fromarray(pixels[..., 3])])
    assert np.abs(READ(saved(grey)) - (90 * alpha + 255 * (1 - alpha))).max() <= 1


def test_transparent_palette_and_key_colours_are_white() -> None:
    image = Pillow.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    half = READ(saved(image, transparency=bytes([255, 0, 128])))[0].astype(int)
    assert np.abs(half - [[255, 0, 0], [255, 255, 255], [127, 127, 255]]).max() <= 1
    assert READ(saved(image, transparency=1))[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]
    assert READ(saved(image, "GIF", transparency=1))[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]
    colours = Pillow.fromarray(np.array([[[9, 9, 9], [200, 0, 0]]], np.uint8))
    assert READ(saved(colours, transparency=(9, 9, 9)))[0].tolist() == [[255, 255, 255], [200, 0, 0]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_read(kind: str) -> None:
    frames = [Pillow.new("RGB", (8, 8), c) for c in ("red", "blue", "lime")]
    raw = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    said: list[str] = []
    assert np.abs(modality("image").read(raw, note=said.append).astype(int) - [255, 0, 0]).max() < 8
    assert said == [f"has several {'pages' if kind == 'TIFF' else 'frames'}; the first is used"]
    said.clear()
    modality("image").read(saved(frames[0], kind), note=said.append)
    assert said == []


def test_the_name_does_not_matter_but_the_bytes_do() -> None:
    part = modality("image")
    assert part.claim([f"{i}.JPeG" for i in range(9)] + ["none"], target=False) is not None
    assert part.claim([f"{i}.jpg" for i in range(8)] + ["none"] * 2, target=False) is None


NO_PICTURES = {
    "HTML": (b"\n <!DOCTYPE html><p>Not found", "HTML page"),
    "html": (b"<HTML><p>404", "HTML page"),
    "text": (b"hello", "not a picture"),
    "SVG": (b"<svg xmlns='x'/>", "SVG.*to PNG"),
    "XML": (b"<?xml version='1.0'?><svg/>", "SVG"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture: the content is a PostScript"),
    "PDF": (b"%PDF-1.4", "not a picture: the content is a PDF"),
    "JSON": (b'{"error": 404}', "not a picture: the content is a JSON text"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
    "ZIP": (b"PK\x03\x04" + b"\0" * 40, "not a picture: the content is a ZIP"),
    "a sound": (b"fLaC" + b"\0" * 40, "not a picture: the content is a FLAC sound"),
    "PSD": (b"8BPS\0\1" + b"\0" * 40, "a PSD picture, which is not read: save it as PNG"),
    "FITS": (b"SIMPLE  =                    T", "a FITS picture, which is not read"),
    "ICNS": (b"icns\0\0\0\x08", "an ICNS picture, which is not read"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40, "a JPEG 2000 picture, which is not read"),
    "its codestream": (b"\xff\x4f\xff\x51" + b"\0" * 40, "a JPEG 2000 picture, which is not read"),
    "HEIC": (b"\0\0\0\x18ftypheic" + b"\0" * 40, "a HEIC picture, which is not read: save it as PNG or JPEG"),
    "AVIF": (encoded(picture(), "AVIF"), "an AVIF picture, which is not read: save it as PNG or JPEG"),
    "JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 40, "a JPEG XL picture, which is not read"),
    "1,000 scans": (
        encoded(picture(), "JPEG", progressive=True) + b"\xff\xda" * 1000,
        "more than 500 scans",
    ),
    "PPM": (b"P6 1 1 255 abc", "not a picture"),
    "ICO": (saved(Pillow.new("RGB", (16, 16)), "ICO"), "an ICO picture, which is not read"),
    "DDS": (saved(Pillow.new("RGB", (16, 16)), "DDS"), "a DDS picture, which is not read"),
    "TGA": (saved(Pillow.new("RGB", (16, 16)), "TGA"), "not a picture"),
    "signature only": (b"\x89PNG\r\n\x1a\n", "."),
    "no width": (png(0, 5), "."),
    "no height": (png(5, 0), "."),
    "50 000 square": (png(50_000, 50_000), "more than 50 million pixels"),
    "13 000 square": (png(13_000, 13_000, b"x" * 10), "more than 50 million"),
    "9 400 square of bits": (png(9_400, 9_400, depth=1, colour=0), "more than 50 million"),
    "2^31 wide": (png(2**31 - 1, 1), "."),
    "text bomb": (png(8, 8, zlib.compress(b"\0" * 200), 8, 2, b"zTXtk\0\0" + zlib.compress(b"\0" * 2**26)), "."),
    "claims more than it holds": (png(4000, 4000, zlib.compress(b"\0" * 30)), "damaged"),
}


@pytest.mark.parametrize("case", NO_PICTURES)
def test_what_is_no_picture_is_refused_quickly(case: str) -> None:
    content, said = NO_PICTURES[case]
    began = time.monotonic()
    with pytest.raises(MediaError, match=said):
        READ(content)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_cut_file_is_refused(kind: str, share: float) -> None:
    raw = encoded(picture(64, 64), kind)
    with pytest.raises(MediaError, match=r"damaged|not a picture"):
        READ(raw[: int(len(raw) * share)])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_file_without_its_last_bytes_is_refused_or_remarked_on(kind: str) -> None:
    raw = encoded(picture(64, 64), kind)
    for missing in range(1, 21):
        said: list[str] = []
        try:
            cell = modality("image").read(raw[:-missing], note=said.append)
        except MediaError as error:
            assert "damaged" in str(error)
        else:
            assert said == ["the end of the file is cut off; the picture itself is whole"]
            assert np.array_equal(cell, READ(raw)), missing


@pytest.mark.parametrize("told", [True, False])
def test_what_is_missing_is_never_filled_up_even_where_pillow_was_told_to(
    told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = encoded(picture(64, 64), "JPEG")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", told)
    with pytest.raises(MediaError, match="damaged"):
        READ(raw[: len(raw) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is told


def test_flipped_bits_give_a_picture_or_a_media_error() -> None:
    generator = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        raw = np.frombuffer(encoded(picture(32, 32), kind), np.uint8)
        for _ in range(40):
            broken = raw.copy()
            broken[generator.integers(0, len(raw), 3)] ^= generator.integers(1, 256, 3, dtype=np.uint8)
            try:
                cell = READ(broken.tobytes())
            except MediaError as error:
                assert str(error)
            else:
                assert cell.ndim == 3 and cell.shape[2] == 3 and cell.dtype == np.uint8


def test_less_detail_is_read_where_little_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = READ(encoded(picture(512, 768), "JPEG", quality=95))
    less = modality("image").read(encoded(picture(512, 768), "JPEG", quality=95), enough=64)
    assert whole.shape == (512, 768, 3) and 64 <= min(less.shape[:2]) < 512
    assert less.shape[1] / less.shape[0] == pytest.approx(1.5, rel=0.02)
    small = ImageOps.fit(Pillow.fromarray(whole), (less.shape[1], less.shape[0]), Pillow.Resampling.BOX)
    assert np.abs(np.asarray(small).astype(int) - less).mean() < 4
    for raw in (encoded(picture(99, 88)), encoded(picture(99, 88), mode="RGBA"), encoded(picture(99, 88), "TIFF")):
        few = modality("image").read(raw, enough=20)  # others are averaged, to no fewer than twice as many
        assert few.shape == (50, 44, 3)
        blocks = picture(99, 88)[:98].reshape(49, 2, 44, 2, 3).mean((1, 3))
        assert np.abs(few[:49] - blocks).max() <= 1
    assert np.array_equal(modality("image").read(encoded(picture(99, 88)), enough=45), picture(99, 88))
    monkeypatch.setattr(pixels, "MAX_PIXELS", 512 * 768 - 1)
    with pytest.raises(MediaError, match="768 x 512 pixels"):
        modality("image").read(encoded(picture(512, 768), "JPEG"), enough=64)
