"""Label maps in colours: every pixel has the colour of its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.refusal import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.photographs import nature_of

SHOWN = 3
"""Colours that a sentence spells out; it counts the rest."""

OWN_COLOURS = 'write the colour of every class into classes.json ("colours": [[r, g, b], ...])'
FIXED_COLOURS = "the colours of the classes are fixed here: paint with these alone, without smoothed edges"


def colours_of(picture: Image.Image) -> np.ndarray:
    """The colours of an RGB picture as (h, w) int32, 65536 r + 256 g + b."""
    red, green, blue = (np.asarray(picture.getchannel(band), dtype=np.int32) for band in "RGB")
    return red << 16 | green << 8 | blue


def opaque_rgb(picture: Image.Image, path: Path) -> Image.Image:
    """A decoded map of colours as RGB, where this changes no colour.

    Raises:
        Refusal: transparent pixels, whose hidden colours may mean nothing, or a kind that RGB would clip or convert.
    """
    if picture.mode not in ("1", "L", "P", "RGB", "RGBA"):
        raise Refusal(f"{path}: a colour map with pixels of kind {picture.mode}, which RGB would change; save it as "
                      "8-bit RGB in its table's colours")  # fmt: skip
    if nature_of(picture, path).transparent:
        raise Refusal(f"{path}: a colour map with transparent pixels; save it opaque, with a colour of the table where "
                      "it is transparent now (unlabelled has one too)")  # fmt: skip
    return picture.convert("RGB")


def by_colour(colours: np.ndarray, *, classes: ClassList, own_list: bool = True) -> tuple[np.ndarray, str | None]:
    """Class ids of a map of colours.

    Args:
        colours: (h, w), see colours_of.
        classes: their colours are the only ones that are read; no colour is taken for a near one.
        own_list: the class list is the user's own, who may write other colours into it.

    Returns:
        (h, w) class ids, and a sentence about the colours of no class (their pixels are 0), or None.
    """
    values, places, counts = np.unique(colours, return_inverse=True, return_counts=True)
    per_colour = dict(zip(values.tolist(), counts.tolist(), strict=True))
    table = _table(classes)
    ids = np.array([table.get(value, 0) for value in per_colour], dtype=np.int32)[places].reshape(colours.shape)
    return ids, colour_sentence(per_colour, classes=classes, own_list=own_list)


def count_colours(per_colour: Mapping[int, int], *, classes: ClassList) -> dict[int, int]:
    """Pixels per class id from pixels per colour; colours of no class are left out."""
    table, counts = _table(classes), Counter[int]()
    for colour, pixels in per_colour.items():
        if colour in table:
            counts[table[colour]] += pixels
    return dict(counts)


def colour_sentence(per_colour: Mapping[int, int], *, classes: ClassList, own_list: bool) -> str | None:
    """Sentence about colours of no class, with the nearest class and its distance, or None without any."""
    table = _table(classes)
    strange = sorted((c for c in per_colour if c not in table), key=lambda c: (-per_colour[c], c))
    if not strange:
        return None
    shown = "; ".join(_one(colour, per_colour[colour], classes) for colour in strange[:SHOWN])
    rest = strange[SHOWN:]
    more = f"; and {len(rest)} more colours, {sum(per_colour[c] for c in rest)} pixels" if rest else ""
    grey = all(c >> 16 == (c >> 8 & 255) == (c & 255) for c in per_colour)
    cure = (
        "all three channels are equal, so it looks like ids saved as RGB: save one of the channels"
        if grey
        else f"{OWN_COLOURS if own_list else FIXED_COLOURS}, or save one channel of class ids, grey or with a palette "
        "whose indices are the ids"
    )
    return f"a label map with 3 channels and colours of no class, or of several: {shown}{more}; {cure}"


def _table(classes: ClassList) -> dict[int, int]:
    """Colour -> class id; a colour that several classes have is no key."""
    packed = [r << 16 | g << 8 | b for r, g, b in classes.colours]
    return {colour: i for i, colour in enumerate(packed) if packed.count(colour) == 1}


def _one(colour: int, pixels: int, classes: ClassList) -> str:
    own = np.array([colour >> 16, colour >> 8 & 255, colour & 255])
    away = np.linalg.norm(np.asarray(classes.colours) - own, axis=1)
    nearest = int(away.argmin())
    return (
        f"({own[0]}, {own[1]}, {own[2]}) on {pixels} pixels (nearest is {classes.names[nearest]}, "
        f"{away[nearest]:.0f} away)"
    )
