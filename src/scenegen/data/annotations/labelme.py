"""LabelMe: the web tool's XML and the desktop tool's JSON, one file per picture.

Source: Russell et al., IJCV 77, 2008 (LabelMe); wkentaro/labelme 5 for the JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any
from xml.etree import ElementTree  # nosec B405  # entities are refused before it sees the text

from scenegen.base.documents import read_json, read_text
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
    image = source.photograph(PureWindowsPath((root.findtext("filename") or "").strip()).stem or path.stem, near=path)
    return Annotated(path.stem, image, source.split_of(path), source.size_of(image, turned=True), regions, turned=True)


def read_desktop_json(path: Path, source: Source) -> Annotated:
    """A picture of the desktop tool's JSON: polygons, rectangles and circles; points and lines have no area."""
    content: dict[str, Any] = read_json(
        path, what="LabelMe file", cure=JSON_CURE, shape=dict[str, Any], largest=1 << 28
    )
    shapes = content.get("shapes")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise Refusal(f"LabelMe file {path} has no list of shapes; {JSON_CURE}")
    regions = [Region(str(shape.get("label", "")).strip(), list(_outline(shape, path))) for shape in shapes]
    image = source.photograph(PureWindowsPath(str(content.get("imagePath") or path.stem)).stem, near=path)
    return Annotated(path.stem, image, source.split_of(path), source.size_of(image, turned=True), regions, turned=True)


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
    elif kind in ("polygon", "linestrip", "line", "point", "points"):
        yield points if kind == "polygon" else points[:2]
    else:
        raise Refusal(f"LabelMe file {path} has a shape of the kind {kind!r}; polygon, rectangle and circle are read")
