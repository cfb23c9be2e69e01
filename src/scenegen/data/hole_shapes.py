"""Shapes of holes: the middle, boxes and strokes of a brush, as PICNet draws them, and the cells of a challenge."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

Size = tuple[int, int]

FINE = 4
"""Times that strokes are drawn larger, so that a pixel is covered where its middle is."""

CELL = 4
"""Pixels along a side of one cell of the cellular holes."""

GROWN = 7
"""Steps of their automaton."""


class Draws(Protocol):
    """A stream of random numbers."""

    def whole(self, low: int, high: int) -> int:
        """A whole number between two, both included."""
        ...

    def share(self) -> float:
        """A number in [0, 1)."""
        ...

    def shares(self, size: Size) -> np.ndarray:
        """Numbers in [0, 1), (h, w)."""
        ...


class Seeded:
    """Draws of numpy's generator."""

    def __init__(self, seed: int) -> None:
        self.stream = np.random.default_rng(seed)

    def whole(self, low: int, high: int) -> int:
        return int(self.stream.integers(low, high, endpoint=True))

    def share(self) -> float:
        return float(self.stream.random())

    def shares(self, size: Size) -> np.ndarray:
        return self.stream.random(size)


def centre(size: Size, draws: Draws) -> np.ndarray:
    """(h, w) bool, true from a quarter to three quarters of both sides; nothing is drawn."""
    h, w = size
    hole = np.zeros(size, bool)
    hole[h // 4 : h // 4 + h // 2, w // 4 : w // 4 + w // 2] = True
    return hole


def boxes(size: Size, draws: Draws) -> np.ndarray:
    """(h, w) bool, true in one to five boxes, smaller where there are more.

    Source: Zheng et al., CVPR 2019 (PICNet), released `random_regular_mask`, draw by draw.
    """
    h, w = size
    hole = np.zeros(size, bool)
    n = draws.whole(1, 5)
    for _ in range(n):
        top, left = draws.whole(0, int(h - h / (n + 1))), draws.whole(0, int(w - w / (n + 1)))
        tall, wide = draws.whole(int(h / (n + 7)), h - top), draws.whole(int(w / (n + 7)), w - left)
        hole[top : top + tall, left : left + wide] = True
    return hole


def strokes(size: Size, draws: Draws) -> np.ndarray:
    """(h, w) bool, true under 16 to 64 strokes of 4 to 20 pixels: 60 % lines, 20 % discs, 20 % arcs of ellipses.

    On pictures under 64 pixels a side the widths shrink with the side.

    Source: Zheng et al., CVPR 2019 (PICNet), released `random_irregular_mask`; its release swaps the sides of
    pictures that are no squares, this does not.
    """
    h, w = size
    picture = Image.new("1", (FINE * w, FINE * h))
    pen, thin = ImageDraw.Draw(picture), min(1.0, min(h, w) / 64)
    for _ in range(draws.whole(16, 64)):
        kind = draws.share()
        if kind < 0.6:
            (x, to_x), (y, to_y) = _two(w, draws), _two(h, draws)
            _line(pen, [(x, y), (to_x, to_y)], _width(draws, thin))
        elif kind < 0.8:
            x, y = draws.whole(1, w), draws.whole(1, h)
            _disc(pen, x, y, _width(draws, thin))
        else:
            x, y = draws.whole(1, w), draws.whole(1, h)
            axes = draws.whole(1, w), draws.whole(1, h)
            turn, start, end = (draws.whole(3, 180) for _ in range(3))
            _line(pen, _arc((x, y), axes, turn, start, end), _width(draws, thin))
    return np.array(picture)[::FINE, ::FINE]


def cellular(size: Size, draws: Draws) -> np.ndarray:
    """(h, w) bool, true in blobs of whole cells, grown from noise; a cell that the border cuts is cut."""
    h, w = size
    cells = grown(draws.shares((-(-h // CELL), -(-w // CELL))))
    return cells.repeat(CELL, 0).repeat(CELL, 1)[:h, :w]


def grown(uniform: np.ndarray) -> np.ndarray:
    """Cells (rows, columns) bool of noise in [0, 1): seven times the majority of 3x3 cells, false beyond the border.

    Source: Ntavelis et al. 2020 (AIM challenge on image extreme inpainting), in the SESAME release.
    """
    cells = uniform > 0.5
    for _ in range(GROWN):
        around = np.lib.stride_tricks.sliding_window_view(np.pad(cells, 1), (3, 3))  # (rows, columns, 3, 3)
        cells = around.sum((2, 3)) > 4
    return cells


SHAPES: dict[str, Callable[[Size, Draws], np.ndarray]] = {
    "centre": centre,
    "boxes": boxes,
    "strokes": strokes,
    "cellular": cellular,
}
"""Options of degrade.kinds."""


def _two(side: int, draws: Draws) -> tuple[int, int]:
    return draws.whole(1, side), draws.whole(1, side)


def _width(draws: Draws, thin: float) -> int:
    return max(1, round(draws.whole(4, 20) * thin))


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    pen.ellipse([FINE * side for side in (x - radius, y - radius, x + radius, y + radius)], fill=1)


def _line(pen: ImageDraw.ImageDraw, points: list[tuple[float, float]], width: int) -> None:
    """A line with round ends and joints; odd widths are rounded up, as OpenCV does."""
    half = (width + 1) // 2
    pen.line([(FINE * x, FINE * y) for x, y in points], fill=1, width=2 * FINE * half)
    for x, y in points:
        _disc(pen, x, y, half)


def _arc(middle: Size, axes: Size, turn: int, start: int, end: int) -> list[tuple[float, float]]:
    """Points of an arc of an ellipse, every 5 degrees; angles in degrees."""
    low, high = min(start, end), max(start, end)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    points = []
    for angle in [*range(low, high, 5), high]:
        x, y = axes[0] * math.cos(math.radians(angle)), axes[1] * math.sin(math.radians(angle))
        points.append((middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos))
    return points
