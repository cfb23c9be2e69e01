"""Maps, holes and pictures to start from: a file of the user's, or a landscape of the embedded world."""

from __future__ import annotations

import numpy as np

from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.classes import LANDSCAPE, ClassList
from scenegen.data.labels import IN_A_RUN, read_label
from scenegen.data.masks import WHITE
from scenegen.data.own_maps import by
from scenegen.data.transforms import Framing
from scenegen.data.world.render import LEAST, render
from scenegen.web.uploads import another_shape, as_file, require_fit

WORLD = 0
"""Seed of the world whose landscapes are offered."""

STARTS = 10_000
"""Landscapes that are offered."""


def opened(body: bytes, *, classes: ClassList) -> np.ndarray:
    """Class ids of a label file, as scenegen.sample reads it.

    Args:
        body: content of a PNG: grey or palette of 1 to 16 bits, or one colour per class.
        classes: of the run.

    Returns:
        (h, w) class ids.

    Raises:
        Refusal: no such file, ids outside the classes, or colours of no class.
    """
    with as_file(body) as path:
        return read_label(path, classes=classes, remap=classes.remap_of_maps, cure=IN_A_RUN)


def opened_hole(body: bytes) -> np.ndarray:
    """The hole of a mask file, (h, w) uint16: 1 where the mask is white.

    Raises:
        Refusal: no such file.
    """
    with as_file(body) as path, open_picture(path) as picture:
        return (np.asarray(picture.convert("L")) >= WHITE).astype(np.uint16)


def fitted(ids: np.ndarray, *, size: tuple[int, int], fit: str) -> tuple[np.ndarray, str]:
    """A map brought to the size that the run paints, by nearest neighbour.

    Args:
        ids: (h, w).
        size: (height, width) of the run.
        fit: "refuse" takes maps of that shape alone; "crop" cuts the middle; "squash" stretches.

    Returns:
        The map, and a sentence about what was done to it ("" for nothing).

    Raises:
        Refusal: another shape and no fit.
    """
    require_fit(fit)
    own = (ids.shape[0], ids.shape[1])
    if own == size:
        return ids, ""
    view = Framing(height=size[0], width=size[1]).view(own, seed=0)
    if (view.scaled_height, view.scaled_width) == size:
        return view.of_ids(ids), f"The map was resized from {by(own)} to {by(size)}, its shape kept."
    if fit == "refuse":
        raise Refusal(another_shape("map", own, size))
    done = {"crop": "cut to its middle", "squash": "stretched"}[fit]
    view = Framing(height=size[0], width=size[1], fit="crop" if fit == "crop" else "squash").view(own, seed=0)
    return view.of_ids(ids), f"The map was {done}, from {by(own)} to {by(size)}."


def has_starts(classes: ClassList, *, size: tuple[int, int]) -> bool:
    """True where the embedded world's landscapes can be painted: every class of theirs is one of the run's."""
    return set(LANDSCAPE.names) <= set(classes.names) and min(size) >= LEAST


def start(index: int, *, classes: ClassList, size: tuple[int, int]) -> np.ndarray:
    """Map of a landscape of the embedded world, (h, w) class ids.

    Raises:
        Refusal: an index outside 0..STARTS - 1, or a run of other classes.
    """
    _require_index(index)
    if not has_starts(classes, size=size):
        raise Refusal("the embedded world's landscapes hold classes that this run does not paint; open a label map")
    table = np.array([classes.names.index(name) for name in LANDSCAPE.names], np.uint16)
    return table[render(WORLD, index, height=size[0], width=size[1]).label]


def start_photo(index: int, *, size: tuple[int, int]) -> np.ndarray:
    """Picture of a landscape of the embedded world, (h, w, 3) uint8.

    Raises:
        Refusal: an index outside 0..STARTS - 1, or a size below the world's least.
    """
    _require_index(index)
    return render(WORLD, index, height=size[0], width=size[1]).image


def _require_index(index: int) -> None:
    if not 0 <= index < STARTS:
        raise Refusal(f"there is no start map {index}; choose one in 0..{STARTS - 1}")
