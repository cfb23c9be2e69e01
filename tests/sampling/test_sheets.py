"""Contact sheets: the classes' colours below, every picture in its own shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.depth import Depth
from scenegen.base.records import Batch, Synthesis
from scenegen.data.classes import ClassList
from scenegen.sampling.sheets import HEAD, LINE, columns, contact_sheet, legend, same_names


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


def test_slices_stand_beside_their_residual() -> None:
    """What was taken away is grey where it is nothing; the window for the eye is 400 HU wide."""
    depth = Depth(low=-1024, high=3072, slope=1, intercept=-1024, shown_low=-160, shown_high=240)
    units = np.array([[-160.0, 40.0, 240.0, 3000.0]])
    batch = Batch(source=depth.picture(units + 100)[None], image=depth.picture(units)[None], depth=depth)
    shown = columns(batch, Synthesis(image=batch.require("image")), classes=None)
    assert list(shown) == ["noisy", "denoised", "clean", "residual"]
    assert shown["clean"][0][0, :, 0].tolist() == [0, 128, 255, 255]
    assert shown["residual"][0][0, :3, 0].tolist() == [191, 191, 191], "(100 + 200) / 400 of 255"


def test_a_slice_without_its_window_is_shown_between_its_extremes(tmp_path: Path) -> None:
    levels = np.linspace(1000, 2000, 400).reshape(20, 20).round().astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    sheet = same_names({"run": {"a": tmp_path / "a.png"}}, names=["a"])
    grey = sheet[30:-10, 20:-20]
    assert grey.min() < 10
    assert grey.max() > 245
    assert len(np.unique(grey)) > 50
