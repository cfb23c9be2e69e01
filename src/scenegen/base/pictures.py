"""Pictures: the one quantisation, label maps in colour, PNG files, and the one door for picture files of others."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scenegen.base.files import whole
from scenegen.base.members import Member, as_file
from scenegen.base.refusal import Refusal

Colours = Sequence[tuple[int, int, int]]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Formats that are read, all decoded within this process: PostScript, for one, would start another program."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""Endings of their files, in lower case."""

MOST_PIXELS = 2 * 89_478_485
"""Pixels of the largest picture that is read (Pillow's own limit); known before any pixel is."""

# Pillow warns from half of MOST_PIXELS on; a large photograph is no reason, and a larger one is refused.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_PNG = b"\x89PNG\r\n\x1a\n"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextlib.contextmanager
def open_picture(source: str | Path | Member | io.BytesIO, *, pixels: bool = True) -> Iterator[Image.Image]:
    """Context manager: a picture file, which may come from anybody, with its pixels decoded.

    Only regular files of FORMATS are opened, so that no file runs a program and no pipe makes a reader wait.

    Args:
        source: the file, one within a tar, or the bytes of one.
        pixels: False reads the head alone (size, mode, format); `load_pixels` decodes the rest.

    Raises:
        Refusal: no such file, no regular file, another format, too many pixels, a truncated or damaged file.
    """
    if isinstance(source, str | Path):
        require_regular(source)
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(source.open()) if isinstance(source, Member) else source
            picture = opened.enter_context(Image.open(file, formats=FORMATS))
        except Refusal:
            raise
        except Exception as error:  # a decoder's answer to a damaged head can be any error
            raise Refusal(f"{_named(source)}: {_reason(error)}") from error
        if pixels:
            load_pixels(picture, source)
        yield picture


def load_pixels(picture: Image.Image, source: str | Path | Member | io.BytesIO) -> None:
    """Decode the pixels of a picture that open_picture opened.

    Raises:
        Refusal: truncated or damaged, or a PNG that ends before its last row (Pillow leaves such rows black).
    """
    try:
        picture.load()
        short = picture.format == "PNG" and _may_lack_rows(picture) and _lacks_rows(source)
    except Exception as error:  # a decoder's answer to damaged pixels can be any error
        raise Refusal(f"{_named(source)}: {_reason(error)}") from error
    if short:
        raise Refusal(
            f"{_named(source)}: unreadable or truncated (it holds fewer rows than its head says, {picture.height}); "
            "copy the file again or remove it"
        )


def require_regular(path: str | Path) -> None:
    """Refuse a path that is no regular file: no such file, a folder, a pipe, a socket, a device."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError as error:
        raise Refusal(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise Refusal(f"{path}: unreadable ({error}); copy the file again or remove it") from error
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no regular file")
        raise Refusal(f"{path}: is {kind}, not a picture file; remove it")


def _named(source: str | Path | Member | io.BytesIO) -> str:
    return "picture" if isinstance(source, io.BytesIO) else str(source)


def _reason(error: BaseException) -> str:
    """Reason that Pillow does not read a file, with the cure."""
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {MOST_PIXELS} pixels, the most that are read; save it smaller or remove it"
    if isinstance(error, PermissionError):
        return f"unreadable ({error.strerror}); make it readable (chmod u+r) or remove it"
    if isinstance(error, Image.UnidentifiedImageError):
        what = f"not a picture that can be read: {', '.join(FORMATS)} are"
        return f"unreadable or truncated ({what}); copy the file again or remove it"
    said = " ".join(str(error).split()) or type(error).__name__
    return f"unreadable or truncated ({said}); copy the file again or remove it"


def _may_lack_rows(picture: Image.Image) -> bool:
    """True where the last row is all zero, as Pillow leaves rows that the file does not hold."""
    if picture.info.get("interlace"):
        return True
    width, height = picture.size
    return picture.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is None


def _lacks_rows(source: str | Path | Member | io.BytesIO) -> bool:
    """True where the compressed rows of a PNG are fewer than its head says."""
    content = source.getvalue() if isinstance(source, io.BytesIO) else as_file(source).read_bytes()
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    expected = 0
    for left, top, across, down in passes:
        wide, tall = -(-(width - left) // across), -(-(height - top) // down)
        if wide > 0 and tall > 0:
            expected += tall * (1 + -(-wide * channels * depth // 8))
    inflate, found = zlib.decompressobj(), 0
    for kind, chunk in _png_chunks(content):
        if kind == b"IDAT":
            while chunk and found < expected:
                found += len(inflate.decompress(chunk, 1 << 20))
                chunk = inflate.unconsumed_tail
    return found < expected


_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""(left, top, across, down) of the seven passes of an interlaced PNG."""


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of the chunks of a PNG."""
    place = len(_PNG)
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        place += 12 + length


def to_uint8(image: Tensor) -> Tensor:
    """Quantise pictures once, for files, grids and scores alike.

    Args:
        image: (..., h, w) floats in [-1, 1]; what lies outside is clamped.

    Returns:
        The same shape, uint8: round((x + 1) / 2 * 255). (The published SPADE code truncates, which darkens by
        half a grey level.)
    """
    return image.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def from_uint8(image: Tensor) -> Tensor:
    """uint8 pictures as floats in [-1, 1]; to_uint8 gives the same bytes back."""
    return image.float().div(127.5).sub(1)


def to_array(image: Tensor) -> np.ndarray:
    """One picture (1 or 3, h, w), float in [-1, 1] or uint8, as an (h, w, 3) uint8 array; grey is repeated."""
    image = image if image.dtype == torch.uint8 else to_uint8(image)
    return image.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()


def colour_labels(label: Tensor | np.ndarray, colours: Colours) -> np.ndarray:
    """A label map (h, w) of ids as an (h, w, 3) uint8 picture."""
    ids = label.cpu().numpy() if isinstance(label, Tensor) else label
    return np.asarray(colours, dtype=np.uint8)[ids]


def result_name(name: str, k: int, *, results: int) -> str:
    """Stem of the k-th of several pictures of one name: `name_<k>`; `name` where there is one."""
    return name if results == 1 else f"{name}_{k}"


def save_png(path: Path, picture: np.ndarray) -> None:
    """Write an (h, w, 3) or (h, w) uint8 picture, or (h, w) uint16 grey levels, whole or not at all."""
    with whole(path) as part:
        Image.fromarray(picture).save(part, format="PNG")
