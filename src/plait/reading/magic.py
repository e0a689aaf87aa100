"""What bytes are by how they begin, whatever their name says."""

from __future__ import annotations

import re
from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of file."""

    family: str  # "picture", "sound", "video", or "" for what is none of these
    name: str  # as a person calls it, with its article


HEAD = 512  # bytes that `sniff` needs

_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", Kind("picture", "a PNG picture")),
    (b"\xff\xd8\xff", Kind("picture", "a JPEG picture")),
    (b"GIF87a", Kind("picture", "a GIF picture")),
    (b"GIF89a", Kind("picture", "a GIF picture")),
    (b"II*\0", Kind("picture", "a TIFF picture")),
    (b"MM\0*", Kind("picture", "a TIFF picture")),
    (b"II+\0", Kind("picture", "a TIFF picture")),
    (b"MM\0+", Kind("picture", "a TIFF picture")),
    (b"fLaC", Kind("sound", "a FLAC sound")),
    (b"OggS", Kind("sound", "an Ogg file")),
    (b"ID3", Kind("sound", "an MP3 sound")),
    (b".snd", Kind("sound", "an AU sound")),
    (b"caff", Kind("sound", "a CAF sound")),
    (b"riff\x2e\x91\xcf\x11", Kind("sound", "a W64 sound")),
    (b"#!AMR", Kind("sound", "an AMR sound")),
    (b"wvpk", Kind("sound", "a WavPack sound")),
    (b"\x0b\x77", Kind("sound", "an AC-3 sound")),
    (b"MThd", Kind("", "a MIDI file, which holds notes and no sound")),
    (b"\x1a\x45\xdf\xa3", Kind("video", "a WebM or Matroska file")),
    (b"FLV\x01", Kind("video", "an FLV video")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("video", "a WMV or WMA file")),
    (b"\0\0\x01\xba", Kind("video", "an MPEG video")),
    (b"\0\0\x01\xb3", Kind("video", "an MPEG video")),
    (b".RMF", Kind("video", "a RealMedia video")),
    (b"FWS", Kind("", "a Flash file")),
    (b"CWS", Kind("", "a Flash file")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind("picture", "a JPEG XL picture")),
    (b"\xff\x0a", Kind("picture", "a JPEG XL picture")),
    (b"\0\0\0\x0cjP  ", Kind("picture", "a JPEG 2000 picture")),
    (b"\xff\x4f\xff\x51", Kind("picture", "a JPEG 2000 picture")),
    (b"8BPS", Kind("picture", "a PSD picture")),
    (b"icns", Kind("picture", "an ICNS picture")),
    (b"DDS ", Kind("picture", "a DDS picture")),
    (b"\0\0\x01\0", Kind("picture", "an ICO picture")),
    (b"SIMPLE  =", Kind("picture", "a FITS picture")),
    (b"%PDF", Kind("", "a PDF document")),
    (b"%!PS", Kind("", "a PostScript document")),
    (b"\xc5\xd0\xd3\xc6", Kind("", "a PostScript document")),
    (b"\x93NUMPY", Kind("", "a NumPy array")),
    (b"PK\x03\x04", Kind("", "a ZIP archive")),
    (b"\x1f\x8b", Kind("", "a gzip archive")),
    (b"version https://git-lfs", Kind("", "a pointer of Git LFS: fetch the file with `git lfs pull`")),
)
_TEXTS: tuple[tuple[bytes, Kind], ...] = (  # after white space, in small letters
    (b"<!doctype html", Kind("", "an HTML page")),
    (b"<html", Kind("", "an HTML page")),
    (b"<head", Kind("", "an HTML page")),
    (b"<svg", Kind("", "an SVG drawing: render it to PNG")),
    (b"<?xml", Kind("", "an XML text")),
    (b"<error", Kind("", "an XML text")),
    (b"{", Kind("", "a JSON text")),
    (b"[", Kind("", "a JSON text")),
    (b"ffconcat", Kind("", "a list that names other files, which are not opened")),
    (b"#extm3u", Kind("", "a list that names other files, which are not opened")),
)
_RIFF = {
    b"WAVE": Kind("sound", "a WAV sound"),
    b"WEBP": Kind("picture", "a WebP picture"),
    b"AVI ": Kind("video", "an AVI video"),
}
_FORM = {b"AIFF": Kind("sound", "an AIFF sound"), b"AIFC": Kind("sound", "an AIFF sound")}
_BRANDS = {b"avif": "an AVIF picture", b"avis": "an AVIF picture"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "a HEIC picture"
)


def sniff(raw: bytes) -> Kind | None:
    """The kind of these bytes; None when they begin like nothing known. The first HEAD bytes are enough."""
    head = raw[:HEAD]
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM":
        return _FORM.get(head[8:12])
    if head[4:8] == b"ftyp":
        if name := _BRANDS.get(head[8:12]):
            return Kind("picture", name)
        return Kind("sound", "an M4A sound") if head[8:11] in (b"M4A", b"M4B") else Kind("video", "an MP4 video")
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:18] in _BMP:
        return Kind("picture", "a BMP picture")
    if head[:1] == b"\x47" and raw[188:189] == b"\x47":
        return Kind("video", "an MPEG transport stream")
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _synced(head)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, kind in _TEXTS:
        if text.startswith(start):
            return Kind("", "an SVG drawing: render it to PNG") if start == b"<?xml" and b"<svg" in text else kind
    return None


_BMP = tuple(n.to_bytes(4, "little") for n in (12, 16, 40, 52, 56, 64, 108, 124))  # sizes of its second header


def _synced(head: bytes) -> Kind | None:
    """MPEG audio by the header of its first frame: layer 0 is AAC, layer 1 is MP3."""
    layer, version = head[1] >> 1 & 3, head[1] >> 3 & 3
    if layer == 0 and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13:
        return Kind("sound", "an AAC sound")
    if layer == 0 or version == 1 or head[2] >> 4 == 15 or head[2] >> 2 & 3 == 3:
        return None
    return Kind("sound", "an MP3 sound")


def is_text(raw: bytes) -> bool:
    """Whether the beginning is plain text."""
    return bool(raw) and not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\xff]", raw[:HEAD])
