"""Label maps of other projects: Cityscapes' and ADE20K's ids, and colour maps by a table of colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from scenegen.base.documents import read_table
from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.annotations.annotated import Annotated
from scenegen.data.annotations.sources import Source
from scenegen.data.bridges import ADE20K
from scenegen.data.colour_maps import colours_of
from scenegen.data.labels import read_ids

CITYSCAPES = dict(enumerate((
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
    "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
    "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus",
    "caravan", "trailer", "train", "motorcycle", "bicycle",
)))  # fmt: skip
"""Names of the ids in *_labelIds.png (Cordts et al., CVPR 2016); -1 is the licence plate."""

ADE20K_WORDS = {i: name for i, name in enumerate(ADE20K.names) if i != ADE20K.ignore}

TABLE_CURE = "write one line per class, as in  name,r,g,b  and  sky,128,128,128"
NAMED = 6
"""Strange colours that a refusal names."""


def read_cityscapes(path: Path, source: Source) -> Annotated:
    """A picture of Cityscapes by its *_gtFine_labelIds.png."""
    stem = path.name.removesuffix("_labelIds.png").removesuffix("_gtFine").removesuffix("_gtCoarse")
    return _by_ids(path, stem, source.photograph(stem, near=path, suffix="_leftImg8bit"), source, CITYSCAPES)


def read_ade20k(path: Path, source: Source) -> Annotated:
    """A picture of ADE20K's scene parsing by its annotations/*/*.png: 0 unknown, 1..150."""
    return _by_ids(path, path.stem, source.photograph(path.stem, near=path), source, ADE20K_WORDS)


def read_colours(path: Path, source: Source, *, table: Mapping[tuple[int, int, int], str], tolerance: int) -> Annotated:
    """A picture of a colour map.

    Args:
        path: the colour map.
        source: its folder.
        table: colour -> class.
        tolerance: greatest distance of a channel at which a colour still counts as a class' (0: equal colours alone).

    Raises:
        Refusal: colours that no class has, with the nearest class, its distance and the number of pixels.
    """
    with open_picture(path) as picture:
        packed, places, counts = np.unique(colours_of(picture.convert("RGB")), return_inverse=True, return_counts=True)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1).astype(np.int64)
    known = np.array(list(table))
    distances = np.stack([np.abs(known - colour).max(1) for colour in colours])  # (colours, classes)
    nearest = distances.argmin(1)
    strange = np.flatnonzero(distances.min(1) > tolerance)
    words = list(table.values())
    if len(strange):
        worst = sorted(strange, key=lambda i: -counts[i])[:NAMED]
        said = "; ".join(
            f"{tuple(colours[i].tolist())} on {counts[i]} pixels "
            f"(nearest: {words[nearest[i]]}, {distances[i].min()} away)"
            for i in worst
        )
        raise Refusal(
            f"{path.name}: {len(strange)} colours are no class': {said}; add them to the table, or allow that distance "
            "with tolerance=N"
        )
    ids = nearest[places]
    stem = _shared_stem(path, source)
    return Annotated(stem, source.photograph(stem, near=path), source.split_of(path), (ids.shape[0], ids.shape[1]),
                     ids=ids, words=dict(enumerate(words)))  # fmt: skip


def read_colour_table(path: Path) -> dict[tuple[int, int, int], str]:
    """Colour -> class, from a CSV with the columns name, r, g, b.

    Raises:
        Refusal: another head, a channel outside 0..255, or one colour twice.
    """
    found: dict[tuple[int, int, int], str] = {}
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
    for ending in ("_L", "_color", "_colour", "_gt", "_mask", "_label", "_labels", "_seg", ""):
        stem = path.stem.removesuffix(ending) if ending else path.stem
        if stem != path.stem or not ending:
            try:
                source.photograph(stem, near=path)
            except Refusal:
                continue
            return stem
    return path.stem


def colour_maps(source: Source) -> Iterator[Path]:
    """PNG and other lossless files below folders whose name speaks of labels, or all of them beside `images=`."""
    listed = source.ending(".png", ".bmp", ".tif", ".tiff", ".gif")
    folders = ("label", "mask", "annot", "gt", "seg", "colo")
    spoken = [
        path
        for path in listed
        if any(word in part.lower() for part in path.relative_to(source.root).parts[-3:-1] for word in folders)
    ]
    yield from spoken or (listed if source.photographs != source.root else [])
