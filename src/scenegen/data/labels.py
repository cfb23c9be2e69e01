"""Label files: single-channel PNG of any bit depth -> class ids, refused with file, ids and cure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.pictures import open_picture
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList

_GREY_STEP = {2: 85, 4: 17}
"""Pillow stretches 2- and 4-bit grey to 0..255; dividing by this gives the stored ids back."""
_SINGLE_CHANNEL = {"1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N"}


def read_label(path: str | Path, *, classes: ClassList, remap: Mapping[int, int] | None = None) -> np.ndarray:
    """Read a label map and check every id.

    Args:
        path: PNG with one channel: 1, 2, 4, 8 or 16 bits, grey or palette (the palette's indices are the ids).
        classes: what the ids may be.
        remap: file id -> class id for the file ids that differ from the class ids, e.g. {255: 182}.

    Returns:
        (h, w) class ids, uint8 (int32 beyond 256 classes).

    Raises:
        Refusal: not a readable single-channel PNG, or ids outside the classes; names file, ids and cure.
    """
    ids = to_classes(read_ids(path), remap=remap)
    return check_ids(ids, path=path, classes=classes)


def read_ids(path: str | Path) -> np.ndarray:
    """The integers that a label or instance file stores, (h, w) uint8 or uint16, unchecked."""
    with open_picture(path) as picture:
        problem = label_problem(picture)
        if problem is not None:
            raise Refusal(f"{path}: {problem}")
        ids = np.asarray(picture)
    if ids.dtype == np.bool_:
        return ids.astype(np.uint8)
    if ids.dtype.itemsize > 2:  # Older Pillow gives 16-bit PNG as int32.
        return ids.astype(np.uint16)
    step = _GREY_STEP.get(_bit_depth(path)) if picture.mode == "L" else None
    return ids // np.uint8(step) if step else ids


def to_classes(ids: np.ndarray, *, remap: Mapping[int, int] | None) -> np.ndarray:
    """Replace the stored ids that `remap` names; others stay."""
    if not remap:
        return ids
    table = np.arange(np.iinfo(ids.dtype).max + 1, dtype=np.int32)
    for stored, class_id in remap.items():
        if 0 <= stored < len(table):
            table[stored] = class_id
    return table[ids]


def check_ids(ids: np.ndarray, *, path: str | Path, classes: ClassList) -> np.ndarray:
    """The same ids in the smallest fitting dtype, or a Refusal that names those outside the classes."""
    sentence = outside_sentence(count_ids(ids), classes=classes) if _leaves(ids, len(classes)) else None
    if sentence is not None:
        raise Refusal(f"{path}: {sentence}")
    return ids.astype(np.uint8 if len(classes) <= 256 else np.int32)


def count_ids(ids: np.ndarray) -> dict[int, int]:
    """Pixels per id."""
    if ids.dtype.itemsize <= 2:  # Counting is ten times faster than the sort of np.unique.
        counts = np.bincount(ids.ravel())
        return {int(i): int(counts[i]) for i in np.flatnonzero(counts)}
    values, counts = np.unique(ids, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def outside_sentence(counts: Mapping[int, int], *, classes: ClassList) -> str | None:
    """Sentence about ids outside the classes (ids, pixels, class count, cure), or None without any."""
    outside = {i: n for i, n in counts.items() if not 0 <= i < len(classes)}
    if not outside:
        return None
    shown = ", ".join(map(str, sorted(outside)[:8])) + (", ..." if len(outside) > 8 else "")
    several = len(outside) > 1
    unknown = classes.ignore if classes.ignore is not None else len(classes) - 1
    return (
        f"label {'ids' if several else 'id'} {shown} ({sum(outside.values())} pixels) "
        f"{'lie' if several else 'lies'} outside the {len(classes)} classes (ids 0..{len(classes) - 1}); "
        f"name the missing classes, or map ids to one that exists, e.g. data.remap={{{min(outside)}:{unknown}}}"
    )


def resize_nearest(ids: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Resize a map of ids (h, w) by nearest neighbour (pixel centres, as PIL): ids never mix."""
    h, w = ids.shape
    if (h, w) == (height, width):
        return ids
    rows = ((np.arange(height) + 0.5) * h / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * w / width).astype(np.intp)
    return ids[rows[:, None], columns]


def label_problem(picture: Image.Image) -> str | None:
    """Reason that an opened picture cannot be a label map, or None."""
    if picture.format != "PNG":
        return (
            f"a label map saved as {picture.format}, which may change ids; save it as PNG "
            "(if it ever was a JPEG, its ids are already wrong: go back to the source)"
        )
    if picture.mode not in _SINGLE_CHANNEL:
        return (
            f"a label map with {len(picture.getbands())} channels ({picture.mode}); it must hold one channel of "
            "class ids: turn the colours into ids, or save it with a palette whose indices are the ids"
        )
    return None


def _bit_depth(path: str | Path) -> int:
    with open(path, "rb") as file:
        return file.read(25)[24]  # IHDR is always the first chunk.


def _leaves(ids: np.ndarray, count: int) -> bool:
    return bool(ids.size) and (int(ids.max()) >= count or int(ids.min()) < 0)
