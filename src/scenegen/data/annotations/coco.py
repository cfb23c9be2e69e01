"""COCO: panoptic JSON with its PNGs, and instances JSON with polygons or run lengths.

Compressed run lengths are read by pycocotools (the extra `coco`); plain ones and polygons need no package.

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
from scenegen.data.annotations.sources import SPLITS, Source

CURE = "it should hold images, annotations and categories as COCO's JSON files do; one file: annotations=FILE.json"
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
    """The pictures of a panoptic or an instances file; the split is in the file's name.

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
    split = next((SPLITS[word] for word in SPLITS if word in path.stem.lower()), "")
    for image in content.images:
        try:
            yield _picture(image, of_image[image.id], names, path, source, split)
        except Refusal as refusal:
            yield refusal


def _picture(
    image: _Image, annotations: list[_Annotation], names: dict[int, str], path: Path, source: Source, split: str
) -> Annotated:
    stem, size = PureWindowsPath(image.file_name).stem, (image.height, image.width)
    photograph = source.photograph(stem, near=path)
    if all(annotation.segments_info is None for annotation in annotations):
        regions = [_region(annotation, names, size, path) for annotation in annotations]
        return Annotated(stem, photograph, split, size, regions)
    ids, words = _panoptic(annotations[0], names, path, source)
    if ids.shape != size:
        raise Refusal(f"{path.name}: the panoptic PNG of {stem} is {ids.shape[1]}x{ids.shape[0]}, and the file says "
                      f"{size[1]}x{size[0]}; give the PNGs that belong to it")  # fmt: skip
    return Annotated(stem, photograph, split, size, ids=ids, words=words)


def _panoptic(
    annotation: _Annotation, names: dict[int, str], path: Path, source: Source
) -> tuple[np.ndarray, dict[int, str]]:
    name = PureWindowsPath(annotation.file_name).name
    masks = source.by_name.get(name, [])
    masks = [file for file in masks if path.stem in file.parts] or masks
    if not masks:
        raise Refusal(f"{path.name}: the panoptic PNG {name} is not below {source.root}; put the PNGs' folder there")
    with open_picture(masks[0]) as picture:
        rgb = np.asarray(picture.convert("RGB"), dtype=np.int64)
    segments = annotation.segments_info or []
    return rgb @ np.array([1, 256, 65536]), {s.id: _named(s.category_id, names, path) for s in segments}


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
    """A mask of COCO's run lengths, column by column; compressed ones by pycocotools."""
    height, width = size
    if isinstance(counts, str):
        try:
            from pycocotools import mask
        except ImportError as error:
            raise Refusal(f"COCO file {path} has compressed run lengths, which pycocotools reads: "
                          "pip install -e '.[coco]' in the checkout") from error  # fmt: skip
        return mask.decode({"size": [height, width], "counts": counts.encode()}).astype(bool)
    if (
        not isinstance(counts, list)
        or not all(isinstance(n, int) and n >= 0 for n in counts)
        or (sum(counts) != height * width)
    ):
        raise Refusal(f"COCO file {path}: run lengths do not add up to the picture's {height * width} pixels; {CURE}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def _named(category: int, names: dict[int, str], path: Path) -> str:
    if category not in names:
        raise Refusal(f"COCO file {path}: category {category} is not among its categories; {CURE}")
    return names[category]
