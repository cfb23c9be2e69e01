"""Records of annotated pictures, and their label maps: regions under words, painted in one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from scenegen.data.annotations.words import NOTHING

Polygon = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Region:
    """One annotated region: its word, and polygons of (x, y) in pixels or a mask (h, w) of bool.

    Attributes:
        edges: polygons run along the edges of pixels, so that a pixel belongs to one where its centre lies inside, as
            COCO has it; False: the pixels under the outline belong to it, as LabelMe draws it.
    """

    word: str
    polygons: Sequence[Polygon] = ()
    mask: np.ndarray | None = field(default=None, repr=False)
    edges: bool = False


@dataclass(frozen=True)
class Annotated:
    """An annotated picture.

    Attributes:
        name: stem of its files.
        image: the photograph.
        split: "train", "val", or "" where the source has no split.
        size: (height, width) that the annotation was drawn on.
        regions: outlined regions; later ones do not matter more, see `paint`.
        ids: (h, w) map of the source's own ids in place of regions, or None.
        words: id of `ids` -> word; an id without a word is unlabelled.
        turned: drawn on the view that the photograph's EXIF turn gives, as labelling tools show it; False follows
            the stored pixels.
    """

    name: str
    image: Path
    split: str
    size: tuple[int, int]
    regions: Sequence[Region] = ()
    ids: np.ndarray | None = field(default=None, repr=False)
    words: Mapping[int, str] = field(default_factory=dict)
    turned: bool = False


@dataclass
class Tally:
    """Pixels and regions under each word, and what was left out of the label maps."""

    pixels: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)
    outside: list[str] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def words_of(picture: Annotated) -> Iterator[str]:
    """Words of a picture, one per region, or those of the ids that it shows; none that says nothing is there."""
    yield from (region.word for region in picture.regions if region.word not in NOTHING)
    if picture.ids is not None:
        shown = (picture.words[i] for i in np.unique(picture.ids).tolist() if i in picture.words)
        yield from (word for word in shown if word not in NOTHING)


def paint(picture: Annotated, *, id_of: Mapping[str, int], unlabelled: int, snap: float, tally: Tally) -> np.ndarray:
    """The label map of an annotated picture.

    Regions are painted from the largest to the smallest, so that a boat lies on the lake and not under it.

    Args:
        picture: the picture with its regions.
        id_of: word -> class id; words that are not in it stay unlabelled.
        unlabelled: id of pixels under no region.
        snap: polygon points this near to the frame are moved onto it, in pixels.
        tally: takes the pixels of each word, and what lay outside.

    Returns:
        (h, w) int64 ids.
    """
    height, width = picture.size
    label = np.full((height, width), unlabelled, dtype=np.int64)
    if picture.ids is not None:
        for i in np.unique(picture.ids).tolist():
            if (word := picture.words.get(i)) is not None:
                there = picture.ids == i
                tally.pixels[word] += int(there.sum())
                tally.regions[word] += 1
                label[there] = id_of.get(word, unlabelled)
    masks = [(region, _mask(region, picture, snap=snap, tally=tally)) for region in picture.regions]
    for region, mask in sorted(masks, key=lambda pair: -int(pair[1].sum())):
        tally.pixels[region.word] += int(mask.sum())
        tally.regions[region.word] += 1
        if region.word in id_of:
            label[mask] = id_of[region.word]
    return label


def _mask(region: Region, picture: Annotated, *, snap: float, tally: Tally) -> np.ndarray:
    if region.mask is not None:
        return region.mask
    height, width = picture.size
    found = np.zeros((height, width), dtype=bool)
    for polygon in region.polygons:
        points = np.asarray(polygon, dtype=np.float64)
        where = f"{picture.name}: {region.word}"
        if len(points) < 3 or not np.isfinite(points).all() or _area(points) == 0:
            tally.empty.append(where)
            continue
        low, high = points.min(0), points.max(0)
        if (high <= 0).any() or (low >= (width, height)).any():
            tally.outside.append(where)
            continue
        if (low < -1).any() or (high > (width + 1, height + 1)).any():
            tally.clipped.append(where)
        for axis, side in ((0, width), (1, height)):
            at, last = points[:, axis], side if region.edges else side - 1
            if at.max() > snap:  # what lies wholly at the frame keeps its width
                at[at <= snap] = np.minimum(at[at <= snap], 0)
            if at.min() < last - snap:
                at[at >= last - snap] = np.maximum(at[at >= last - snap], last)
        limit = 4 * max(height, width)  # a point a million pixels away would make the drawing slow
        found |= (centres_inside if region.edges else _drawn)(points.clip(-limit, limit), picture.size)
    return found


def _drawn(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels of a polygon with those under its outline, (h, w)."""
    canvas = Image.new("1", (size[1], size[0]))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in points], fill=1)
    return np.asarray(canvas, dtype=bool)


def centres_inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies inside a polygon, by the even-odd rule.

    Args:
        points: (n, 2) x, y; pixel (i, j) reaches from j to j + 1 and from i to i + 1.
        size: (h, w).

    Returns:
        (h, w) bool.
    """
    height, width = size
    x, y = points.T
    run, rise = np.roll(x, -1) - x, np.roll(y, -1) - y
    middles = np.arange(height)[:, None] + 0.5
    rows, sides = np.nonzero((y <= middles) != (y + rise <= middles))  # the sides that each row of centres crosses
    crossed = x[sides] + (rows + 0.5 - y[sides]) * run[sides] / rise[sides]
    turns = np.zeros((height, width + 1), dtype=np.int64)  # a row turns from out to in, or back, before these pixels
    np.add.at(turns, (rows, np.ceil(crossed - 0.5).clip(0, width).astype(np.int64)), 1)
    return turns.cumsum(1)[:, :width] % 2 == 1


def _area(points: np.ndarray) -> float:
    """Area of a polygon by the shoelace formula."""
    x, y = points[:, 0], points[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def fill_gaps(label: np.ndarray, *, unlabelled: int) -> np.ndarray:
    """Unlabelled pixels with the id of the nearest labelled one; a map without any label stays as it is."""
    from scipy.ndimage import distance_transform_edt

    missing = label == unlabelled
    if not missing.any() or missing.all():
        return label
    found = distance_transform_edt(missing, return_distances=False, return_indices=True)
    assert isinstance(found, np.ndarray)
    return label[found[0], found[1]]
