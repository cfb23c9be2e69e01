"""Maps to start from: a label file of the user's, or a landscape of the embedded world."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from scenegen.base.refusal import Refusal
from scenegen.data.classes import LANDSCAPE, ClassList
from scenegen.data.labels import IN_A_RUN, read_label
from scenegen.data.world.render import LEAST, render
from scenegen.web.easel import require_small

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
    require_small(body)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map"
        path.write_bytes(body)
        try:
            return read_label(path, classes=classes, remap=classes.remap_of_maps, cure=IN_A_RUN)
        except Refusal as refusal:
            raise Refusal(str(refusal).replace(f"{path}: ", "the file: ").replace(str(path), "the file")) from refusal


def has_starts(classes: ClassList, *, size: tuple[int, int]) -> bool:
    """True where the embedded world's landscapes can be painted: every class of theirs is one of the run's."""
    return set(LANDSCAPE.names) <= set(classes.names) and min(size) >= LEAST


def start(index: int, *, classes: ClassList, size: tuple[int, int]) -> np.ndarray:
    """Map of a landscape of the embedded world, (h, w) class ids.

    Raises:
        Refusal: an index outside 0..STARTS - 1, or a run of other classes.
    """
    if not 0 <= index < STARTS:
        raise Refusal(f"there is no start map {index}; choose one in 0..{STARTS - 1}")
    if not has_starts(classes, size=size):
        raise Refusal("the embedded world's landscapes hold classes that this run does not paint; open a label map")
    table = np.array([classes.names.index(name) for name in LANDSCAPE.names], np.uint16)
    return table[render(WORLD, index, height=size[0], width=size[1]).label]
