"""Pictures that start programs, never end, or swell: every reader of pictures refuses them."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.table import Row, each
from tests.worlds import label, pairs, picture, scene, trained, write


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *, data: bytes = b"\0" * 10, between: bytes = b"", depth: int = 8) -> bytes:
    """A PNG that says to be so large, of whatever data."""
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + between + chunk(b"IDAT", zlib.compress(data))
            + chunk(b"IEND", b""))  # fmt: skip


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n(ran) (w) file closefile\nshowpage\n"
CONTENTS: dict[str, bytes] = {
    "PostScript": POSTSCRIPT,
    "PostScript behind a DOS head": b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIII", 32, len(POSTSCRIPT), 0, 0, 0, 0)
    + b"\xff\xff\0\0" + POSTSCRIPT,
    "PDF": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n",
    "SVG": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg width="64">&a;</svg>',
    "HTML": b"<html><script>alert(1)</script></html>",
    "a zip": b"PK\x03\x04" + b"\0" * 40,
    "a program": b"#!/bin/sh\ntouch ran\n",
    "a pickle": b"\x80\x04cos\nsystem\n(X\x09\0\0\0touch ranR.",
    "a PNG of 10^10 pixels": png(100000, 100000),
    "a PNG of 2^31 columns": png(2**31 - 1, 1),
    "a PNG without rows": png(64, 64, data=b""),
    "a PNG of few rows": png(64, 64, data=b"\0" * 65 * 3),
    "a PNG of no size": png(0, 0),
    "a PNG with a text bomb": png(64, 64, data=b"\0" * 65 * 64, between=chunk(
        b"zTXt", b"x\0\0" + zlib.compress(bytes(64 << 20)))),
    "a GIF of no size": b"GIF89a\0\0\0\0\0\0\0",
    "a WEBP of nothing": b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0",
    "a TIFF that points to itself": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "a BMP of 10^9 rows": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 64, 10**9, 1, 24, 0, 0, 0, 0, 0, 0),
    "an icon": b"\0\0\x01\0\x01\0" + bytes(16),
    "an FLI film": struct.pack("<IHHHH", 128, 0xAF11, 1, 64, 64) + bytes(120),
    "a JPEG of nothing": b"\xff\xd8\xff\xd9",
    "zero bytes": bytes(1000),
}  # fmt: skip

READERS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "check, a label": ("check data=folder data.root=data size=tiny",
                       lambda here: pairs(here / "data") / "train/labels/p1.png", "p1.png"),
    "check, a photograph": ("check data=folder data.root=data size=tiny",
                            lambda here: pairs(here / "data") / "train/images/p1.jpg", "p1.jpg"),
    "sample, a label": ("sample run=a labels=maps out=made", lambda here: (
        trained(here), label(here / "maps/a.png"), here / "maps/a.png")[-1], "a.png"),
    "sample, a style": ("sample run=a style=s.png out=made count=1", lambda here: (
        trained(here), here / "s.png")[-1], "s.png:"),
    "submit": ("submit generated=made labels=maps size.height=64 size.width=64", lambda here: (label(
        here / "maps/a.png"), picture(here / "made/a.png"))[-1], "a.png"),
    "post": ("post generated=made out=done post=bicubic", lambda here: picture(here / "made/a.png"), "a.png"),
    "score": ("score generated=made data=scene data.root=data size=tiny cache=off", lambda here: (
        scene(here / "data"), picture(here / "made/p1.png"), picture(here / "made/p0.png"))[-1], "p0.png"),
}  # fmt: skip

MOST = {"check, a label", "submit"}
"""Readers that are given every content; the others, which open pictures by the same function, some."""
SOME = {"PostScript", "a PNG of 10^10 pixels", "a PNG of few rows", "a TIFF that points to itself", "zero bytes"}

FORMATS = [
    Row(
        f"{reader}: {name}",
        command,
        lambda here, make=make, content=content: write(make(here), content),
        (word,),
        report=reader.startswith("check"),
    )
    for reader, (command, make, word) in READERS.items()
    for name, content in CONTENTS.items()
    if reader in MOST or name in SOME
]


def instead(make: Callable[[Path], Path], put: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else in the place of the file."""

    def build(here: Path) -> None:
        path = make(here)
        path.unlink(missing_ok=True)
        put(path)

    return build


KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to nowhere": lambda path: path.symlink_to("nowhere.png"),
}
PIPES = [
    Row(f"{reader}: {name}", command, instead(make, put), (word,), seconds=40,
        report=reader.startswith("check"))
    for reader, (command, make, word) in READERS.items() for name, put in KINDS.items()
]  # fmt: skip


test_formats = each(FORMATS, quick=11)
test_what_is_no_file = each(PIPES, quick=5)
