"""Colours of classes: natural ones by the words of their names, all of them far enough apart to be told on a sheet."""

from __future__ import annotations

import colorsys
import functools
import re
from collections.abc import Sequence

import numpy as np

Colour = tuple[int, int, int]

NATURAL: dict[str, Colour] = {
    "sky": (135, 190, 235),
    "cloud": (205, 222, 238),
    "clouds": (205, 222, 238),
    "fog": (215, 215, 220),
    "sun": (250, 215, 80),
    "water": (60, 130, 180),
    "sea": (20, 90, 160),
    "ocean": (15, 75, 140),
    "lake": (45, 115, 170),
    "river": (80, 160, 200),
    "pond": (70, 135, 150),
    "waterfall": (190, 225, 245),
    "pool": (75, 190, 205),
    "ice": (200, 230, 235),
    "snow": (240, 244, 250),
    "grass": (110, 180, 70),
    "lawn": (125, 195, 85),
    "meadow": (150, 190, 85),
    "moss": (100, 130, 50),
    "plant": (60, 150, 60),
    "bush": (70, 130, 55),
    "tree": (30, 95, 45),
    "trees": (30, 95, 45),
    "forest": (20, 75, 40),
    "wood": (150, 105, 60),
    "vegetation": (80, 150, 50),
    "leaf": (90, 165, 60),
    "leaves": (90, 165, 60),
    "flower": (225, 110, 175),
    "fruit": (225, 90, 60),
    "field": (205, 195, 90),
    "earth": (140, 100, 65),
    "soil": (120, 85, 55),
    "dirt": (150, 115, 80),
    "mud": (100, 75, 50),
    "ground": (165, 130, 95),
    "land": (170, 140, 95),
    "terrain": (155, 150, 95),
    "sand": (225, 205, 150),
    "beach": (235, 215, 165),
    "desert": (230, 190, 120),
    "gravel": (160, 150, 140),
    "rock": (105, 100, 95),
    "stone": (130, 125, 120),
    "cliff": (135, 115, 95),
    "mountain": (126, 122, 140),
    "hill": (110, 135, 80),
    "road": (90, 90, 95),
    "street": (90, 90, 95),
    "asphalt": (75, 75, 80),
    "path": (200, 170, 120),
    "sidewalk": (195, 180, 185),
    "pavement": (185, 175, 170),
    "rail": (110, 85, 80),
    "bridge": (160, 90, 140),
    "pier": (120, 85, 60),
    "building": (180, 120, 110),
    "house": (215, 150, 105),
    "roof": (165, 70, 55),
    "tower": (190, 140, 150),
    "wall": (150, 140, 130),
    "fence": (165, 115, 75),
    "railing": (190, 190, 200),
    "window": (130, 170, 200),
    "door": (140, 80, 45),
    "floor": (180, 150, 115),
    "ceiling": (225, 220, 210),
    "car": (40, 60, 150),
    "bus": (230, 165, 40),
    "truck": (90, 50, 140),
    "train": (60, 90, 110),
    "boat": (200, 80, 40),
    "ship": (150, 45, 50),
    "airplane": (170, 190, 215),
    "bicycle": (120, 20, 40),
    "person": (230, 60, 90),
    "people": (230, 60, 90),
    "animal": (160, 110, 60),
    "dog": (170, 120, 80),
    "cat": (190, 140, 60),
    "horse": (115, 70, 40),
    "cow": (95, 65, 50),
    "sheep": (230, 225, 215),
    "bird": (85, 120, 170),
    "light": (250, 235, 150),
    "sign": (235, 200, 30),
    "pole": (140, 145, 150),
    "fire": (240, 110, 20),
    "lava": (220, 60, 20),
    "other": (60, 60, 60),
    "unknown": (30, 30, 30),
    "unlabelled": (30, 30, 30),
    "unlabeled": (30, 30, 30),
    "background": (45, 45, 45),
    "void": (20, 20, 20),
}
"""Everyday words of landscapes and streets, and the colours that people expect of them."""

APART = 40.0
"""Distance that two colours keep, with 16.7 million to choose from; less where the classes are many."""


def class_colours(names: Sequence[str]) -> tuple[Colour, ...]:
    """One colour per class: by the words of its name, the later word first ("palm tree" is a tree), where one is known.

    Classes of one word get shades of its colour; the others get well separated colours that none of these has.
    The first classes keep their colours when others are appended, as far as their words are known.
    """
    known = [_natural(name) for name in names]
    others = np.array(distinct_colours(2 * len(names) + 64))
    apart = APART * min(1.0, 64 / len(names))
    found = np.zeros((len(names), 3), int)
    taken: list[int] = []
    for place, base in enumerate(known):  # names that are known choose first
        if base is not None:
            found[place] = _first_apart(_shades(base), _distances(_shades(base), found[taken]), apart)
            taken.append(place)
    free = _distances(others, found[taken])
    for place, base in enumerate(known):
        if base is None:
            found[place] = _first_apart(others, free, apart)
            free = np.minimum(free, _distances(others, found[place][None]))
    return tuple((int(r), int(g), int(b)) for r, g, b in found)


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """Well separated colours: hues by the golden ratio, three brightness levels in turn."""
    triples = []
    for i in range(count):
        rgb = colorsys.hsv_to_rgb(i * 0.618034 % 1.0, 0.55 + 0.35 * (i % 2), (0.95, 0.7, 0.5)[i % 3])
        triples.append(tuple(round(255 * c) for c in rgb))
    return tuple(triples)


def _natural(name: str) -> Colour | None:
    words = re.findall(r"[^\W\d_]+", name.lower())
    return next((NATURAL[word] for word in reversed(words) if word in NATURAL), None)


@functools.cache
def _shades(base: Colour) -> np.ndarray:
    """(n, 3): the colour, then lighter and darker ones of it, then neighbours in hue."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in base))
    found = [base]
    for turn in (0.0, 0.04, -0.04, 0.09, -0.09, 0.2, -0.2):
        for brighter in (-0.2, 0.2, -0.35, 0.35, 0.0):
            for paler in (0.0, 0.25, -0.25):
                s, v = min(1.0, max(0.05, saturation + paler)), min(1.0, max(0.08, value + brighter))
                r, g, b = colorsys.hsv_to_rgb((hue + turn) % 1.0, s, v)
                found.append((round(255 * r), round(255 * g), round(255 * b)))
    return np.array(found)


def _distances(options: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """(n,) squared distance of each colour (n, 3) to the nearest of `taken` (m, 3); large where m is 0."""
    return ((options[:, None] - taken) ** 2).sum(2).min(1, initial=1 << 30)


def _first_apart(options: np.ndarray, nearest: np.ndarray, apart: float) -> np.ndarray:
    """The first colour whose squared distance (n,) to the others is large enough, or else the one that is farthest."""
    far = np.flatnonzero(nearest >= apart**2)
    return options[far[0] if len(far) else nearest.argmax()]
