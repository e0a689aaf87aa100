"""20,000 damaged pictures, sounds, videos and series: each is read or refused with a MediaError, none crashes, hangs or leaks."""

from __future__ import annotations

import io
import math
import multiprocessing
import re
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow
from tests.conftest import encoded, picture, sounded, tone

from plait.errors import MediaError
from plait.modalities import modality
from plait.modalities.base import decoding

COUNTS = {"image": 6000, "audio": 6000, "video": 4000, "series": 4000}
SHARE = 10  # one in so many in a quick run
PER_INPUT, IN_ALL = 1.0, 40.0  # seconds of one core
WORDS = r"0x[0-9a-f]{4}|object at|BytesIO|Errno|libsnd|libav|ffmpeg|Traceback|PIL\b|arrow|CSV parse|dtype"
FORBIDDEN = re.compile(WORDS, re.IGNORECASE)


def pictures() -> list[bytes]:
    pixels, exif = picture(24, 32), Pillow.Exif()
    exif[0x0112] = 6
    frames, buffer = [Pillow.fromarray(picture(16, 16, i)) for i in range(3)], io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return [
        encoded(pixels),
        encoded(pixels, mode="P"),
        encoded(pixels, mode="RGBA"),
        encoded(pixels, "JPEG", exif=exif),
        encoded(pixels, "JPEG", progressive=True),
        encoded(pixels, "JPEG", mode="CMYK"),
        encoded(pixels, "WEBP"),
        encoded(pixels, "WEBP", lossless=True),
        buffer.getvalue(),
        encoded(pixels, "BMP"),
        encoded(pixels, "TIFF"),
        encoded(pixels, "TIFF", compression="tiff_lzw"),
        encoded(pixels[..., 0].astype(np.float32), "TIFF"),
    ]


def sounds() -> list[bytes]:
    kinds = [("WAV", None), ("WAV", "IMA_ADPCM"), ("WAVEX", "FLOAT"), ("RF64", None), ("FLAC", None), ("OGG", "VORBIS")]
    kinds += [("OGG", "OPUS"), ("MP3", None), ("AIFF", None), ("AU", None)]
    made = [sounded(tone(440, 0.1), 16_000, kind, subtype) for kind, subtype in kinds]
    return [*made, sounded(np.stack([tone(440, 0.1)] * 2, 1), 16_000, "FLAC")]


def videos() -> list[bytes]:
    import av

    made = []
    for kind, codec, tint in (
        ("mp4", "mpeg4", "yuv420p"),
        ("matroska", "mpeg4", "yuv420p"),
        ("avi", "mjpeg", "yuvj420p"),
    ):
        buffer = io.BytesIO()
        with av.open(buffer, "w", kind) as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 32, 32, tint
            for i in range(6):
                frame = av.VideoFrame.from_ndarray(picture(32, 32, i), "rgb24").reformat(format=tint)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        made.append(buffer.getvalue())
    return [*made, pictures()[8]]


def series() -> list[bytes]:
    generator = np.random.default_rng(0)
    values, seconds = generator.normal(size=(40, 3)), np.arange(40) * 0.5
    frame = pd.DataFrame(values, columns=["x", "y", "z"])
    made = [frame.to_csv(index=False), frame.round(2).to_csv(index=False, sep=";")]
    made += [
        frame.assign(time=seconds).to_csv(index=False),
        frame.assign(date=pd.date_range("2020", periods=40)).to_csv(),
    ]
    files = [text.encode() for text in made]
    for array in (values, values.astype(np.float32).T, values.astype(">i2"), np.asfortranarray(values), seconds):
        buffer = io.BytesIO()
        np.save(buffer, array)
        files.append(buffer.getvalue())
    for pack in ("NONE", "SNAPPY", "ZSTD"):
        buffer = io.BytesIO()
        frame.assign(time=seconds).to_parquet(buffer, compression=pack)
        files.append(buffer.getvalue())
    return files


SEEDS = {"image": pictures, "audio": sounds, "video": videos, "series": series}


def damaged(seeds: list[bytes], generator: np.random.Generator) -> bytes:
    """One seed with bytes flipped, cut, spliced with another or a run put in; half of the time near its beginning."""
    raw = bytearray(seeds[generator.integers(len(seeds))])
    for _ in range(generator.integers(1, 4)):
        end = min(len(raw), 96) if generator.random() < 0.5 else len(raw)
        place = int(generator.integers(end)) if end else 0
        how = generator.integers(5)
        if how < 2:
            for at in generator.integers(0, max(end, 1), generator.integers(1, 9)):
                raw[at : at + 1] = bytes([generator.integers(256)])
        elif how == 2:
            del raw[place : len(raw) if generator.random() < 0.5 else place + int(generator.integers(1, 64))]
        elif how == 3:
            other = seeds[generator.integers(len(seeds))]
            raw[place:] = other[int(generator.integers(len(other))) :]
        else:
            raw[place:place] = bytes([generator.choice([0, 255, 127, 32])]) * int(generator.integers(1, 300))
    return bytes(raw)


def read_all(kind: str, first: int, count: int) -> tuple[Counter[str], list[float], list[str]]:
    """What became of inputs first..first + count: how many were read and refused, the seconds each took, and what went
    wrong."""
    part, seeds, found, seconds, wrong = modality(kind), SEEDS[kind](), Counter[str](), [], []
    for i in range(first, first + count):
        raw = damaged(seeds, np.random.default_rng([i, len(kind)]))
        began = time.thread_time()
        try:
            cell = part.read(part.load(raw, Path()), **({"enough": 8} if i % 2 and kind == "image" else {}))
            found["read"] += 1
            if not sound(kind, cell):
                wrong.append(f"input {i}: read as nonsense")
        except MediaError as error:
            found["refused"] += 1
            if FORBIDDEN.search(str(error)) or not str(error):
                wrong.append(f"input {i}: said {error}")
        except BaseException as error:
            wrong.append(f"input {i}: {type(error).__name__}")
        seconds.append(time.thread_time() - began)
    return found, seconds, wrong


def sound(kind: str, cell: Any) -> bool:
    if kind == "image":
        return cell.dtype == np.uint8 and cell.ndim == 3 and cell.shape[2] == 3 and cell.size > 0
    if kind == "audio":
        return cell.samples.dtype == np.float32 and len(cell.samples) > 0 and bool(np.isfinite(cell.samples).all())
    if kind == "series":
        kinds = (cell.values.dtype, cell.times.dtype, cell.values.ndim)
        ascending = bool((np.diff(cell.times) >= 0).all() and np.isfinite(cell.times).all())
        return kinds == (np.float32, np.float64, 2) and len(cell.values) == len(cell.times) > 0 and ascending
    return cell.frames.dtype == np.uint8 and cell.frames.ndim == 4 and len(cell.frames) > 0


@cache
def outcome(share: int) -> dict[str, list[tuple[Counter[str], list[float], list[str]]]]:
    """By kind, what became of all inputs, read by two processes: one that crashes or hangs breaks the pool."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        work = {
            kind: [pool.submit(read_all, kind, first, 200) for first in range(0, math.ceil(n / share), 200)]
            for kind, n in COUNTS.items()
        }
        return {kind: [job.result(timeout=300) for job in jobs] for kind, jobs in work.items()}


@pytest.mark.parametrize("share", [SHARE, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_files_are_read_or_refused(kind: str, share: int) -> None:
    found, each, wrong = Counter[str](), [0.0], []
    for counts, seconds, problems in outcome(share)[kind]:
        found, each, wrong = found + counts, each + seconds, wrong + problems
    assert not wrong, wrong[:20]
    assert found.total() >= COUNTS[kind] // share and min(found["read"], found["refused"]) > found.total() // 40, found
    in_all = sum(sum(seconds) for jobs in outcome(share).values() for _, seconds, _ in jobs)
    assert max(each) < PER_INPUT and in_all < IN_ALL
    print(f"{kind}: {dict(found)}, slowest {max(each):.2f} s, {sum(each):.1f} s together; all kinds {in_all:.1f} s")


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "at 0x7fff"),
        MemoryError(),
        RecursionError(),
        OverflowError("big"),
        SyntaxError("broken PNG"),
        ValueError("x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        NotImplementedError(),
        IndexError(),
        ZeroDivisionError(),
        AssertionError(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_whatever_a_decoder_raises_is_a_media_error_without_its_words(error: Exception) -> None:
    with pytest.raises(MediaError) as caught, decoding(b"\x89PNG\r\n\x1a\n", "picture", "PNG"):
        raise error
    assert str(caught.value) == "a PNG picture that is damaged, or of a sort that is not read here"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_what_is_no_error_of_a_decoder_passes() -> None:
    with pytest.raises(KeyboardInterrupt), decoding(b"", "picture", "PNG"):
        raise KeyboardInterrupt
    with pytest.raises(MediaError, match="as it was said"), decoding(b"", "picture", "PNG"):
        raise MediaError("as it was said")
