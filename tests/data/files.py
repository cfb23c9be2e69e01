"""Small pictures on disk for the tests of the data room."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def photo(path: Path, *, height: int = 12, width: int = 16, seed: int = 0, **save) -> Path:
    """A photograph of coloured noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **save)
    return path


def label(path: Path, ids: np.ndarray | None = None, *, height: int = 12, width: int = 16) -> Path:
    """A label map; by default ids 0..3 in four columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if ids is None:
        ids = np.tile(np.arange(width) * 4 // width, (height, 1)).astype(np.uint8)
    Image.fromarray(ids).save(path)
    return path


def dataset(root: Path, names: Sequence[str], *, classes: Sequence[str] = ("sky", "tree", "sea", "rock")) -> Path:
    """root/images, root/labels and classes.json, as data=folder reads them."""
    for i, name in enumerate(names):
        photo(root / "images" / f"{name}.jpg", seed=i)
        label(root / "labels" / f"{name}.png")
    (root / "classes.json").write_text(json.dumps({"classes": list(classes)}))
    return root


def grey_png(path: Path, rows: Sequence[bytes], *, width: int, depth: int) -> Path:
    """A grey PNG of 1, 2 or 4 bits, written by hand: Pillow does not save them."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b""))
    return path


def truncate(path: Path, *, keep: float = 0.6) -> Path:
    """Cut a file short, as an interrupted copy does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
