"""The one door for picture files of others: formats, kinds of files, sizes, damaged pixels."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.pictures import MOST_PIXELS, open_picture
from scenegen.base.refusal import Refusal

NOISE = np.random.default_rng(0).integers(1, 256, (12, 16, 3), dtype=np.uint8)


def png(path: Path, rows: int, *, height: int, width: int = 8, interlaced: bool = False) -> Path:
    """A grey 8-bit PNG whose head says `height` rows and that holds `rows` of ones."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress((b"\0" + b"\1" * width) * rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return path


def refused(path: Path) -> str:
    with pytest.raises(Refusal) as caught, open_picture(path):
        pass
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tif", "gif"])
def test_the_formats_are_read(ending: str, tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / f"a.{ending}")
    with open_picture(tmp_path / f"a.{ending}") as picture:
        assert picture.size == (16, 12)


def test_the_bytes_of_a_file_are_read() -> None:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, format="PNG")
    with open_picture(file) as picture:
        assert np.array_equal(np.asarray(picture), NOISE)


@pytest.mark.parametrize("ending", ["eps", "ppm", "fits", "tga", "pcx", "ico"])
def test_another_format_is_refused_whatever_its_name(ending: str, tmp_path: Path) -> None:
    content = {"fits": b"SIMPLE  =                    T" + b" " * 50, "ico": None}
    if found := content.get(ending):
        (tmp_path / "a.png").write_bytes(found)
    else:
        Image.fromarray(NOISE).save(tmp_path / "a.png", format={"eps": "EPS"}.get(ending, ending.upper()))
    assert "not a picture that can be read: PNG, JPEG, WEBP, BMP, TIFF, GIF are" in refused(tmp_path / "a.png")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "no")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(tmp_path / "socket.png"))
        assert "is a socket" in refused(tmp_path / "socket.png")
    assert "is a named pipe, not a picture file; remove it" in refused(tmp_path / "pipe.png")
    assert "is a folder" in refused(tmp_path / "folder.png")
    assert "is a device" in refused(tmp_path / "device.png")
    assert "there is no such file" in refused(tmp_path / "nowhere.png")
    assert "there is no such file" in refused(tmp_path / "no.png")


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    assert "not a picture that can be read" in refused(tmp_path / "empty.png")
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for length in range(8, len(whole) - 40, 7):
        (tmp_path / "a.png").write_bytes(whole[:length])
        assert "unreadable or truncated" in refused(tmp_path / "a.png")


def test_too_many_pixels_are_refused_before_any_is_read(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 1, height=30_000, width=30_000)
    with pytest.raises(Refusal, match=f"more than {MOST_PIXELS} pixels"), open_picture(path, pixels=False):
        pass


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_with_too_few_rows_is_refused(interlaced: bool, tmp_path: Path) -> None:
    """PNG specification, 11.2.4: the decompressed IDAT holds every row that IHDR says; Pillow leaves others zero."""
    assert "fewer rows than its head says, 9" in refused(png(tmp_path / "a.png", 5, height=9, interlaced=interlaced))
    with open_picture(png(tmp_path / "b.png", 40, height=9, interlaced=interlaced)) as picture:
        assert picture.size == (8, 9)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA", "LA"])
def test_a_whole_png_with_a_black_last_row_is_read(mode: str, tmp_path: Path) -> None:
    picture = Image.new("L" if mode == "I;16" else mode, (9, 7))
    if mode == "I;16":
        picture = Image.fromarray(np.zeros((7, 9), np.uint16))
    picture.save(tmp_path / "a.png")
    with open_picture(tmp_path / "a.png") as found:
        assert found.size == (9, 7)
