"""LabelMe: the web tool's XML and the desktop tool's JSON, one file per picture.

Source: Russell et al., IJCV 77, 2008 (LabelMe); wkentaro/labelme 5 for the JSON.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # nosec B405  # entities are refused before it sees the text

import numpy as np

from scenegen.base.documents import read_json, read_text
from scenegen.base.pictures import open_picture
from scenegen.base.refusal import Refusal
from scenegen.data.annotations.annotated import Annotated, Polygon, Region
from scenegen.data.annotations.sources import Source

XML_CURE = "save it again with LabelMe, or leave it out with broken=skip"
JSON_CURE = 'it should hold {"shapes": [{"label": ..., "points": [[x, y], ...]}]}; or leave it out with broken=skip'
CIRCLE = 64
"""Corners of the polygon that stands for a circle."""


def read_xml(path: Path, source: Source) -> Annotated:
    """A picture of LabelMe's XML; deleted objects are left out."""
    text = read_text(path, what="LabelMe file", cure=XML_CURE)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Refusal(f"LabelMe file {path} declares entities, which no LabelMe file does; {XML_CURE}")
    try:
        root = ElementTree.fromstring(text)  # nosec B314  # entities are refused above
    except ElementTree.ParseError as error:
        raise Refusal(f"LabelMe file {path} is no XML ({error}); {XML_CURE}") from error
    regions = [
        Region((thing.findtext("name") or "").strip(), [list(_points(thing, path))])
        for thing in root.iter("object")
        if (thing.findtext("deleted") or "0").strip() != "1"
    ]
    folder, name = ((root.findtext(tag) or "").strip() for tag in ("folder", "filename"))
    image = source.photograph(f"{folder}/{name}" if name else path.stem, near=path)
    drawn_on = _size(root.findtext("imagesize/nrows"), root.findtext("imagesize/ncols"))
    return _annotated(path, source, image, regions, drawn_on)


def read_desktop_json(path: Path, source: Source) -> Annotated:
    """A picture of the desktop tool's JSON: polygons, rectangles and circles; points and lines have no area."""
    content: dict[str, Any] = read_json(
        path, what="LabelMe file", cure=JSON_CURE, shape=dict[str, Any], largest=1 << 28
    )
    shapes = content.get("shapes")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise Refusal(f"LabelMe file {path} has no list of shapes; {JSON_CURE}")
    image = source.photograph(str(content.get("imagePath") or path.stem), near=path)
    picture = _annotated(path, source, image, [], _size(content.get("imageHeight"), content.get("imageWidth")))
    return replace(picture, regions=[_region(shape, path, picture.size) for shape in shapes])


def _size(height: Any, width: Any) -> tuple[int, int] | None:
    """(height, width) that a file states, None where it does not."""
    stated = [str(side or "").strip() for side in (height, width)]
    return (int(stated[0]), int(stated[1])) if all(side.isdecimal() and int(side) for side in stated) else None


def _annotated(
    path: Path, source: Source, image: Path, regions: Sequence[Region], drawn_on: tuple[int, int] | None
) -> Annotated:
    """A picture of the size that its file states; drawn on the turned view where that size does not deny it."""
    stored, seen = source.size_of(image, turned=False), source.size_of(image, turned=True)
    turned = drawn_on in (None, seen) or drawn_on != stored
    return Annotated(path.stem, image, source.split_of(path), drawn_on or seen, regions, turned=turned)


def _region(shape: Mapping[str, Any], path: Path, size: tuple[int, int]) -> Region:
    word = "" if (label := shape.get("label")) is None else str(label).strip()
    if shape.get("shape_type") == "mask":
        return Region(word, mask=_mask(shape, path, size))
    return Region(word, list(_outline(shape, path)))


def _mask(shape: Mapping[str, Any], path: Path, size: tuple[int, int]) -> np.ndarray:
    """The mask of a shape: a PNG in base64, within the box of its two points."""
    try:
        (left, top), _ = [(round(float(x)), round(float(y))) for x, y in shape.get("points", [])]
        content = base64.b64decode(str(shape.get("mask") or ""), validate=True)
        with open_picture(io.BytesIO(content)) as picture:
            inside = np.asarray(picture.convert("L")) > 0
    except (TypeError, ValueError, OverflowError, Refusal) as error:
        raise Refusal(f"LabelMe file {path} has a mask that is no PNG in a box of two points ({error}); {JSON_CURE}"
                      ) from error  # fmt: skip
    whole, (height, width) = np.zeros(size, dtype=bool), inside.shape
    rows, columns = slice(max(top, 0), max(top + height, 0)), slice(max(left, 0), max(left + width, 0))
    there = whole[rows, columns]
    there[:] = inside[max(-top, 0) :, max(-left, 0) :][: there.shape[0], : there.shape[1]]
    return whole


def _points(thing: ElementTree.Element, path: Path) -> Iterator[tuple[float, float]]:
    for point in thing.iterfind("polygon/pt"):
        try:
            yield float(point.findtext("x") or ""), float(point.findtext("y") or "")
        except ValueError as error:
            raise Refusal(f"LabelMe file {path} has a point without numbers; {XML_CURE}") from error


def _outline(shape: Mapping[str, Any], path: Path) -> Iterator[Polygon]:
    kind = shape.get("shape_type", "polygon")
    try:
        points = [(float(x), float(y)) for x, y in shape.get("points", [])]
    except (TypeError, ValueError) as error:
        raise Refusal(f"LabelMe file {path} has a shape whose points are no pairs of numbers; {JSON_CURE}") from error
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        yield [(left, top), (right, top), (right, bottom), (left, bottom)]
    elif kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius, turn = math.dist((x, y), edge), 2 * math.pi / CIRCLE
        yield [(x + radius * math.cos(turn * k), y + radius * math.sin(turn * k)) for k in range(CIRCLE)]
    elif kind in ("polygon", "oriented_rectangle", "linestrip", "line", "point", "points"):
        yield points if kind in ("polygon", "oriented_rectangle") else points[:2]
    else:
        raise Refusal(
            f"LabelMe file {path} has a shape of the kind {kind!r}; polygon, rectangle, circle and mask are read; draw "
            "it as one of them, or leave the file out with broken=skip"
        )
