"""COCO: panoptic JSON with its PNGs, and instances JSON with polygons or run lengths.

Source: Lin et al., ECCV 2014; Kirillov et al., CVPR 2019 (panoptic): an id is R + 256 G + 256^2 B.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from scenegen.base.documents import read_json
from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.annotations.annotated import Annotated, Region
from scenegen.data.annotations.sources import Source
from scenegen.data.colour_maps import opaque_rgb

CURE = "it should hold images, annotations and categories as COCO's JSON files do; one file: annotations=FILE.json"
LONGEST_RUN = 10
"""Characters of one run length: fifty bits."""

LARGEST = 2 << 30
"""Bytes; COCO's instances_train2017.json has 0.45e9."""


@dataclass(frozen=True)
class _Image:
    id: int
    file_name: str
    height: int
    width: int


@dataclass(frozen=True)
class _Category:
    id: int
    name: str


@dataclass(frozen=True)
class _Segment:
    id: int
    category_id: int


@dataclass(frozen=True)
class _Annotation:
    image_id: int
    category_id: int = -1
    segmentation: Any = None
    file_name: str = ""
    segments_info: list[_Segment] | None = None


@dataclass(frozen=True)
class _Content:
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read(path: Path, source: Source) -> Iterator[Annotated | Refusal]:
    """The pictures of a panoptic or an instances file; the split is in the file's name or folder.

    Returns:
        Each picture, or the refusal of one whose photograph, mask or regions cannot be used.

    Raises:
        Refusal: another shape, or an annotation of no picture.
    """
    content: _Content = read_json(path, what="COCO file", cure=CURE, shape=_Content, largest=LARGEST)
    names = {category.id: category.name for category in content.categories}
    of_image: dict[int, list[_Annotation]] = defaultdict(list)
    for annotation in content.annotations:
        of_image[annotation.image_id].append(annotation)
    if strange := sorted(of_image.keys() - {image.id for image in content.images}):
        raise Refusal(f"COCO file {path}: {len(strange)} annotations are of no picture (image_id {strange[0]}); {CURE}")
    split = source.split_of_file(path)
    for image in content.images:
        try:
            yield _picture(image, of_image[image.id], names, path, source, split)
        except Refusal as refusal:
            yield Refusal(f"{image.file_name}: {refusal}")


def _picture(
    image: _Image, annotations: list[_Annotation], names: dict[int, str], path: Path, source: Source, split: str
) -> Annotated:
    stem, size = PureWindowsPath(image.file_name).stem, (image.height, image.width)
    photograph = source.photograph(image.file_name, near=path)
    if all(annotation.segments_info is None for annotation in annotations):
        regions = [_region(annotation, names, size, path) for annotation in annotations]
        return Annotated(stem, photograph, split, size, regions)
    if len(annotations) > 1:
        raise Refusal(f"{path.name}: {stem} has {len(annotations)} panoptic annotations, and one picture has one PNG; "
                      "leave one of them, or leave it out with broken=skip")  # fmt: skip
    ids, words = _panoptic(annotations[0], names, path, source, photograph)
    if ids.shape != size:
        raise Refusal(f"{path.name}: the panoptic PNG of {stem} is {ids.shape[1]}x{ids.shape[0]}, and the file says "
                      f"{size[1]}x{size[0]}; give the PNGs that belong to it")  # fmt: skip
    return Annotated(stem, photograph, split, size, ids=ids, words=words)


def _panoptic(
    annotation: _Annotation, names: dict[int, str], path: Path, source: Source, photograph: Path
) -> tuple[np.ndarray, dict[int, str]]:
    file = source.map_of(annotation.file_name, near=path, photograph=photograph)
    with open_picture(file) as picture:
        rgb = np.asarray(opaque_rgb(picture, file), dtype=np.int64)
    ids = rgb @ np.array([1, 256, 65536])
    words = {s.id: _named(s.category_id, names, path) for s in annotation.segments_info or []}
    if strange := sorted(set(np.unique(ids).tolist()) - {0, *words}):  # 0 is void
        raise Refusal(f"{path.name}: {file.name} has pixels of {len(strange)} ids without a segment (such as "
                      f"{strange[0]}); give the PNGs that belong to it, as they were saved")  # fmt: skip
    return ids, words


def _region(annotation: _Annotation, names: dict[int, str], size: tuple[int, int], path: Path) -> Region:
    word = _named(annotation.category_id, names, path)
    shape = annotation.segmentation
    if isinstance(shape, list) and all(isinstance(flat, list) for flat in shape):
        try:
            flats = [np.asarray(flat, dtype=np.float64) for flat in shape]
            polygons = [[(float(x), float(y)) for x, y in flat.reshape(-1, 2)] for flat in flats]
            return Region(word, polygons, edges=True)
        except (ValueError, TypeError) as error:
            raise Refusal(f"COCO file {path}: a polygon of {word} is no list of x, y, x, y, ...; {CURE}") from error
    if isinstance(shape, dict) and list(shape.get("size", ())) == list(size):
        return Region(word, mask=_run_lengths(shape.get("counts"), size, path))
    raise Refusal(f"COCO file {path}: a segmentation of {word} is neither polygons nor run lengths of its picture's "
                  f"size; {CURE}")  # fmt: skip


def _run_lengths(counts: Any, size: tuple[int, int], path: Path) -> np.ndarray:
    """A mask of COCO's run lengths, column by column, plain or compressed."""
    height, width = size
    counts = _unpacked(counts) if isinstance(counts, str) else counts
    if (
        not isinstance(counts, list)
        or not all(isinstance(n, int) and n >= 0 for n in counts)
        or (sum(counts) != height * width)
    ):
        raise Refusal(f"COCO file {path}: run lengths do not add up to the picture's {height * width} pixels; {CURE}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def _unpacked(packed: str) -> list[int] | None:
    """Run lengths out of COCO's text: five bits a character, the lowest first, and from the fourth run on differences
    to the run before the last; None where it is no such text.

    Not by pycocotools: its decode (2.0) fills what too few runs leave open from memory that was never set, in silence.
    """
    digits = np.frombuffer(packed.encode("utf-8"), dtype=np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[: len(ends)]
    if not len(ends) or ends[-1] != len(digits) - 1 or not ((digits >= 0) & (digits < 64)).all():
        return None
    lengths = ends - starts + 1
    if lengths.max() > LONGEST_RUN:
        return None
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((digits & 31) << 5 * places, starts)
    runs -= np.where(digits[ends] & 16, 1 << 5 * lengths, 0)  # the last character's highest bit is the sign
    for first in (1, 2):
        runs[first::2] = runs[first::2].cumsum()
    return runs.tolist()


def _named(category: int, names: dict[int, str], path: Path) -> str:
    if category not in names:
        raise Refusal(f"COCO file {path}: category {category} is not among its categories; {CURE}")
    return names[category]
