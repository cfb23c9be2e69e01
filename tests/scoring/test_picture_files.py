"""Files of a folder to score: what is read, what it is called in the protocol, and what is said of the rest."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.refusal import Refusal
from scenegen.scoring.generated import Generated, take

NAMES = ["a", "b"]
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def write(folder: Path, ending: str, mode: str = "RGB", **save) -> None:
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        Image.fromarray(PIXELS).convert(mode).save(folder / f"{name}.{ending}", **save)


def taken(folder: Path) -> Generated:
    return take(folder, NAMES, size=(12, 16))


@pytest.mark.parametrize(
    ("ending", "save", "format_"),
    [
        ("png", {}, "png"),
        ("bmp", {}, "bmp"),
        ("tif", {}, "tiff"),
        ("tiff", {"compression": "tiff_lzw"}, "tiff"),
        ("webp", {"lossless": True}, "webp"),
        ("webp", {"lossless": True, "exif": b"Exif\0\0"}, "webp"),
    ],
)
def test_lossless_formats_are_read_to_the_last_bit(tmp_path, ending, save, format_):
    write(tmp_path, ending, **save)
    found = taken(tmp_path)
    assert np.array_equal(found.read("a"), PIXELS)
    assert found.formats == format_
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("ending", "save", "format_"),
    [("jpg", {}, "jpeg"), ("webp", {}, "webp-lossy"), ("tif", {"compression": "jpeg"}, "tiff-lossy")],
)
def test_lossy_files_are_read_with_a_warning(tmp_path, ending, save, format_):
    write(tmp_path, ending, **save)
    assert taken(tmp_path).formats == format_
    assert "2 of 2 pictures are" in taken(tmp_path).warnings[0]


def test_grey_with_opaque_alpha_and_cmyk_are_converted(tmp_path):
    write(tmp_path / "la", "png", "LA")
    assert np.array_equal(taken(tmp_path / "la").read("a")[..., 0], np.asarray(Image.fromarray(PIXELS).convert("L")))
    write(tmp_path / "cmyk", "jpg", "CMYK")
    assert "2 of 2 pictures have one channel or a palette, as label maps" in taken(tmp_path / "la").warnings[0]
    assert "2 of 2 pictures are CMYK, converted to RGB" in taken(tmp_path / "cmyk").warnings[1]
    assert len(taken(tmp_path / "cmyk").warnings) == 2


def below(folder: Path) -> None:
    write(folder / "images", "png")


def other_format(folder: Path) -> None:
    write(folder, "gif")


def pipes(folder: Path) -> None:
    for name in NAMES:
        os.mkfifo(folder / f"{name}.png")


def one_pipe(folder: Path) -> None:
    write(folder, "png")
    (folder / "a.png").unlink()
    os.mkfifo(folder / "a.png")


def deep(folder: Path) -> None:
    for name in NAMES:
        Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(folder / f"{name}.png")


def clear(folder: Path) -> None:
    for name in NAMES:
        Image.new("LA", (16, 12), (9, 0)).save(folder / f"{name}.png")


def misnamed(folder: Path) -> None:
    for name in NAMES:
        Image.fromarray(PIXELS).save(folder / f"{name}.png", format="JPEG")


def turned(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    write(folder, "png", exif=exif)


def others(folder: Path) -> None:
    Image.fromarray(PIXELS).save(folder / "c.png")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (below, r"itself, but its folder images/ has 2 of them; give generated=.*/images$"),
        (
            other_format,
            r"in a format that is read, but a.gif, b.gif; write 8-bit PNG \(the endings .png, .jpg, .*, .webp",
        ),
        (pipes, "in a format that is read, but a.png, b.png"),
        (one_pipe, "1 missing: a.png\n  1 of their names that are no files, or not read: a.png"),
        (deep, r"2 unreadable: a.png: more than 8 bits per channel \(I;16\); write 8-bit PNG"),
        (clear, "2 unreadable: a.png: it has transparent pixels"),
        (misnamed, "2 unreadable: a.png: it is named .png but holds JPEG; name it after what it is"),
        (turned, "2 unreadable: a.png: EXIF orientation 3: viewers show this photograph turned; save it upright"),
        (others, "but 1 others: c.png; name each picture after its label file"),
    ],
)
def test_the_reason_given_is_the_reason(tmp_path: Path, make: Callable[[Path], None], words: str):
    make(tmp_path)
    with pytest.raises(Refusal, match=words):
        taken(tmp_path)


def test_16_bits_of_colour_are_more_than_8(tmp_path: Path) -> None:
    """Pillow decodes a 16-bit RGB PNG to 8 bits, and then no longer knows what it was."""
    for name in NAMES:
        rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in PIXELS)
        head = struct.pack(">IIBBBBB", 16, 12, 16, 2, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        body = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(Refusal, match=r"more than 8 bits per channel \(RGB\); write 8-bit PNG"):
        taken(tmp_path)
