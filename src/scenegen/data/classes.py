"""Class lists: names, colours and the id that means "unknown"."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

from scenegen.base.records import Refusal


@dataclass(frozen=True)
class ClassList:
    """The classes of a label map, in id order.

    Attributes:
        names: one name per id; the number of names is the number of one-hot channels.
        colours: one RGB triple (0..255) per id, for pictures of label maps.
        ignore: id of the class that means "unknown" and stays out of every score, or None.
    """

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...] = field(default=(), repr=False)
    ignore: int | None = None

    def __post_init__(self) -> None:
        if not self.names:
            raise Refusal("a class list needs at least one name")
        if len(set(self.names)) != len(self.names):
            repeated = sorted({n for n in self.names if self.names.count(n) > 1})
            raise Refusal(f"class names repeat: {', '.join(repeated)}; give every id its own name")
        if not self.colours:
            object.__setattr__(self, "colours", distinct_colours(len(self.names)))
        if len(self.colours) != len(self.names):
            raise Refusal(f"{len(self.names)} class names but {len(self.colours)} colours; give one per class")
        if self.ignore is not None and not 0 <= self.ignore < len(self.names):
            raise Refusal(f"ignore id {self.ignore} is not one of the {len(self.names)} classes")

    def __len__(self) -> int:
        return len(self.names)


def distinct_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """Well separated colours: hues by the golden ratio, three brightness levels in turn."""
    triples = []
    for i in range(count):
        rgb = colorsys.hsv_to_rgb(i * 0.618034 % 1.0, 0.55 + 0.35 * (i % 2), (0.95, 0.7, 0.5)[i % 3])
        triples.append(tuple(round(255 * c) for c in rgb))
    return tuple(triples)


LANDSCAPE = ClassList(
    names=(
        "mountain",
        "sky",
        "water",
        "sea",
        "rock",
        "tree",
        "earth",
        "hill",
        "river",
        "sand",
        "land",
        "building",
        "grass",
        "plant",
        "person",
        "boat",
        "waterfall",
        "wall",
        "pier",
        "path",
        "lake",
        "bridge",
        "field",
        "road",
        "railing",
        "fence",
        "ship",
        "house",
        "other",
    ),
    colours=(
        (126, 122, 140),
        (135, 190, 235),
        (60, 130, 180),
        (20, 90, 160),
        (105, 100, 95),
        (30, 95, 45),
        (140, 100, 65),
        (110, 135, 80),
        (80, 160, 200),
        (225, 205, 150),
        (170, 140, 95),
        (180, 120, 110),
        (110, 180, 70),
        (60, 150, 60),
        (230, 60, 90),
        (200, 80, 40),
        (190, 225, 245),
        (150, 140, 130),
        (120, 85, 60),
        (200, 170, 120),
        (45, 115, 170),
        (160, 90, 140),
        (205, 195, 90),
        (90, 90, 95),
        (190, 190, 200),
        (165, 115, 75),
        (150, 45, 50),
        (215, 150, 105),
        (60, 60, 60),
    ),
)
"""The 29 classes of the Jittor landscape contest, 2022 and 2023, in id order (no unknown class)."""
