"""Picture files that come as bytes: looked at by their head, then read by the package's own readers of files."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.own_maps import by
from scenegen.data.own_pictures import READING
from scenegen.data.photographs import read_photo
from scenegen.data.transforms import Framing, keeps_shape

MOST_PIXELS = 1 << 24
"""Pixels of the largest map or photograph that the page opens."""

FITS = ("refuse", "crop", "squash")
"""Ways for pictures of another shape: none, the middle, stretched."""


@contextmanager
def as_file(body: bytes) -> Iterator[Path]:
    """Context manager: the bytes of a picture as a file that lasts as long; a Refusal of a reader forgets its path.

    Raises:
        Refusal: no picture, or a larger one than MOST_PIXELS, by its head alone.
    """
    require_small(body)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(body)
        try:
            yield path
        except Refusal as refusal:
            raise Refusal(str(refusal).replace(f"{path}: ", "the file: ").replace(str(path), "the file")) from refusal


def require_small(body: bytes) -> None:
    """Refuse a picture file that is no picture or too large, by its head alone."""
    with open_picture(io.BytesIO(body), pixels=False) as picture:
        w, h = picture.size
    if w * h > MOST_PIXELS:
        raise Refusal(f"the picture has {w}x{h} pixels, and the page opens at most {MOST_PIXELS}; save it smaller")


def require_fit(fit: str) -> None:
    """Refuse a word that is no way of fitting."""
    if fit not in FITS:
        raise Refusal(f"fit={fit} is not known; choose refuse, crop or squash")


def photograph(body: bytes, *, size: tuple[int, int], fit: str) -> tuple[np.ndarray, str]:
    """A photograph at the size that the run paints, read as scenegen.sample reads pictures=.

    Args:
        body: content of the file.
        size: (height, width) of the run.
        fit: "refuse" takes photographs of that shape alone; "crop" cuts the middle; "squash" stretches.

    Returns:
        (h, w, 3) uint8, and a sentence about what was done to it ("" for nothing).

    Raises:
        Refusal: a file that cannot be read, or another shape and no fit.
    """
    require_fit(fit)
    with as_file(body) as path:
        photo = read_photo(path, reading=READING)
    own = (photo.height, photo.width)
    alike = keeps_shape(own, size)
    if not alike and fit == "refuse":
        raise Refusal(another_shape("photograph", own, size))
    view = Framing(height=size[0], width=size[1], fit="squash" if fit == "squash" else "crop").view(own, seed=0)
    done = "resized" if alike else {"crop": "cut to its middle", "squash": "stretched"}[fit]
    notice = "" if own == size else f"The photograph was {done}, from {by(own)} to {by(size)}."
    return view.of_photo(photo), notice


def another_shape(what: str, own: tuple[int, int], size: tuple[int, int]) -> str:
    """The sentence about a map or photograph of another shape."""
    return (f"the {what} has {by(own)} pixels, another shape than the {by(size)} that this run paints; choose "
            "“cut to fit” or “stretch” beside Open, then open it again")  # fmt: skip
