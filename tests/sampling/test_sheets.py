"""Contact sheets: the classes' colours below, every picture in its own shape."""

from __future__ import annotations

import numpy as np

from scenegen.data.classes import ClassList
from scenegen.sampling.sheets import HEAD, LINE, contact_sheet, legend


def plain(height: int, width: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_the_legend_names_the_classes_that_are_shown() -> None:
    classes = ClassList(names=("sky", "tree", "car"))
    assert [name for name, _ in legend(classes, {2, 0})] == ["sky", "car"]
    assert legend(None, {1}) == []


def test_the_legend_stands_below_and_moves_nothing() -> None:
    rows = [[plain(64, 64, (10, 20, 30)), plain(64, 64, (40, 50, 60))]]
    bare = contact_sheet(rows, titles=("label", "generated"))
    sheet = contact_sheet(rows, titles=("label", "generated"), legend=[("sky", (1, 200, 3))], notes=["cut to 64x64"])
    assert np.array_equal(sheet[: len(bare)], bare)
    assert len(sheet) - len(bare) >= 2 * LINE
    assert (sheet[len(bare) :] == (1, 200, 3)).all(-1).sum() > 50


def test_pictures_keep_their_shape() -> None:
    """A wide and a square map in one sheet: neither is stretched to the other's shape."""
    wide, square = plain(64, 160, (255, 0, 0)), plain(64, 64, (0, 0, 255))
    sheet = contact_sheet([[wide], [square]], titles=("label",), side_by_side=1)
    red, blue = ((sheet[HEAD:] == colour).all(-1) for colour in ((255, 0, 0), (0, 0, 255)))
    for mask, width in ((red, 160), (blue, 64)):
        assert (mask.any(0).sum(), mask.any(1).sum()) == (width, 64)
