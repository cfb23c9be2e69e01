"""Label maps of other projects: Cityscapes' and ADE20K's ids, and colour maps by a table of colours.

cityscapesscripts is not used: its part in reading *_labelIds.png is the list of names that stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scenegen.base.documents import read_table
from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.annotations.annotated import Annotated
from scenegen.data.annotations.sources import Source, speaks_of_labels
from scenegen.data.bridges import ADE20K
from scenegen.data.colour_maps import colours_of, opaque_rgb
from scenegen.data.labels import read_ids

CITYSCAPES = dict(enumerate((
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
    "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
    "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus",
    "caravan", "trailer", "train", "motorcycle", "bicycle",
)))  # fmt: skip
"""Names of the ids in *_labelIds.png (Cordts et al., CVPR 2016); -1 is the licence plate."""

VOID = 4
"""Ids below this one (unlabeled, ego vehicle, rectification border, out of roi) are no part of the scene."""

ADE20K_WORDS = {i: name for i, name in enumerate(ADE20K.names) if i != ADE20K.ignore}

TABLE_CURE = "write one line per class, as in  name,r,g,b  and  sky,128,128,128"
Colour = tuple[int, int, int]
NAMED = 6
"""Strange colours that a refusal names."""


def read_cityscapes(path: Path, source: Source) -> Annotated:
    """A picture of Cityscapes by its *_gtFine_labelIds.png."""
    stem = path.name.removesuffix("_labelIds.png").removesuffix("_gtFine").removesuffix("_gtCoarse")
    return _by_ids(path, stem, source.photograph(stem, near=path, suffix="_leftImg8bit"), source,
                   {i: name for i, name in CITYSCAPES.items() if i >= VOID})  # fmt: skip


def read_ade20k(path: Path, source: Source) -> Annotated:
    """A picture of ADE20K's scene parsing by its annotations/*/*.png: 0 unknown, 1..150."""
    return _by_ids(path, path.stem, source.photograph(path.stem, near=path), source, ADE20K_WORDS)


def read_colours(path: Path, source: Source, *, table: Mapping[Colour, str], tolerance: int) -> Annotated:
    """A picture of a colour map.

    Args:
        path: the colour map.
        source: its folder.
        table: colour -> class.
        tolerance: greatest distance of a channel at which a colour still counts as a class' (0: equal colours alone).

    Raises:
        StrangeColours: colours that no class has, with the nearest class, its distance and the number of pixels.
    """
    with open_picture(path) as picture:
        shown = colours_of(opaque_rgb(picture, path))
    packed, places, counts = np.unique(shown, return_inverse=True, return_counts=True)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1).astype(np.int64)
    words, distance = list(table.values()), np.full(len(colours), 256)
    nearest = np.zeros(len(colours), dtype=np.int64)
    for place, known in enumerate(table):
        there = np.abs(colours - known).max(axis=1)
        nearest[there < distance] = place
        distance = np.minimum(distance, there)
    if len(strange := np.flatnonzero(distance > tolerance)):
        found = {_colour(colours[i]): Strange(words[nearest[i]], int(distance[i]), int(counts[i])) for i in strange}
        raise StrangeColours(path.name, found)
    ids = nearest[places]
    stem = _shared_stem(path, source)
    return Annotated(stem, source.photograph(stem, near=path), source.split_of(path), (ids.shape[0], ids.shape[1]),
                     ids=ids, words=dict(enumerate(words)))  # fmt: skip


@dataclass(frozen=True)
class Strange:
    """A colour that no class has: the nearest class, its distance in the farthest channel, pixels and maps with it."""

    nearest: str
    distance: int
    pixels: int
    maps: int = 1


class StrangeColours(Refusal):
    """Colours of one map, or of several put together, that no class of the table has.

    Args:
        name: of the map.
        found: colour -> what is known of it.
    """

    def __init__(self, name: str, found: Mapping[Colour, Strange]) -> None:
        self.name, self.found = name, found
        worst = sorted(found.items(), key=lambda row: -row[1].pixels)[:NAMED]
        said = "; ".join(
            f"{colour} on {strange.pixels} pixels"
            + f" of {strange.maps} maps" * (strange.maps > 1)
            + f" (nearest: {strange.nearest}, {strange.distance} away)"
            for colour, strange in worst
        )
        more = f"; and {len(found) - NAMED} more" * (len(found) > NAMED)
        most = max(strange.distance for strange in found.values())
        super().__init__(
            f"{name}: {len(found)} colours are no class': {said}{more}; add them to the table, or allow that distance "
            f"with tolerance=N (tolerance={most} takes all)"
        )


def together(strange: Sequence[StrangeColours]) -> StrangeColours:
    """The strange colours of several maps, each colour once."""
    found: dict[Colour, Strange] = {}
    for colour, one in (row for each in strange for row in each.found.items()):
        before = found.get(colour)
        found[colour] = one if before is None else replace(
            one, pixels=before.pixels + one.pixels, maps=before.maps + one.maps
        )  # fmt: skip
    return StrangeColours(strange[0].name if len(strange) == 1 else f"{len(strange)} colour maps", found)


def _colour(channels: np.ndarray) -> Colour:
    red, green, blue = map(int, channels)
    return red, green, blue


def read_colour_table(path: Path) -> dict[Colour, str]:
    """Colour -> class, from a CSV with the columns name, r, g, b.

    Raises:
        Refusal: another head, a channel outside 0..255, or one colour twice.
    """
    found: dict[Colour, str] = {}
    for place, row in enumerate(
        read_table(path, what="colour table", cure=TABLE_CURE, columns=("name", "r", "g", "b")), 2
    ):
        channels = [row[channel].strip() for channel in "rgb"]
        if not all(channel.isdecimal() and int(channel) <= 255 for channel in channels):
            raise Refusal(
                f"colour table {path}, line {place}: {','.join(channels)} is no colour of 0..255; {TABLE_CURE}"
            )
        red, green, blue = map(int, channels)
        if (red, green, blue) in found:
            raise Refusal(
                f"colour table {path}, line {place}: the colour {red},{green},{blue} stands twice; {TABLE_CURE}"
            )
        found[red, green, blue] = row["name"].strip()
    if not found:
        raise Refusal(f"colour table {path} has no line; {TABLE_CURE}")
    return found


def _by_ids(path: Path, stem: str, photograph: Path, source: Source, words: Mapping[int, str]) -> Annotated:
    ids = read_ids(path).astype(np.int64)
    return Annotated(stem, photograph, source.split_of(path), (ids.shape[0], ids.shape[1]), ids=ids, words=words)


def _shared_stem(path: Path, source: Source) -> str:
    """Stem of the photograph of a colour map, whose own may end in _L, _color, _gt, _mask or _label."""
    endings = ("_L", "_color", "_colour", "_gt", "_mask", "_label", "_labels", "_seg")
    stems = (path.stem.removesuffix(ending) for ending in endings if path.stem.endswith(ending))
    return next((stem for stem in stems if source.has_photograph(stem, near=path)), path.stem)


def colour_maps(source: Source) -> Iterator[Path]:
    """Pictures below folders whose name speaks of labels; or all lossless ones beside `images=`, or the one given."""
    lossless = (".png", ".bmp", ".tif", ".tiff", ".gif")
    listed = source.ending(*lossless, ".jpg", ".jpeg", ".webp")
    spoken = [path for path in listed if any(map(speaks_of_labels, path.relative_to(source.root).parts[-3:-1]))]
    others = source.photographs != source.root or source.given != source.root
    yield from spoken or ([path for path in listed if path.suffix.lower() in lossless] if others else [])
