"""Label files: one channel of ids, or one colour per class -> class ids, refused with file, ids and cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.base.members import File, Member, as_file
from scenegen.base.pictures import MOST_PIXELS, open_picture, require_regular
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.colour_maps import by_colour, colours_of

_GREY_STEP = {2: 85, 4: 17}
"""Pillow stretches 2- and 4-bit grey to 0..255; dividing by this gives the stored ids back."""
_SINGLE_CHANNEL = {"1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N"}
_LOSSLESS = {"PNG", "BMP", "TIFF"}
LOSSY_TIFF = {"jpeg", "tiff_jpeg", "webp", "jpeg2000"}
NPY = ".npy"

IN_DATA = (
    'if {it} "don\'t care", write "unlabelled": {all} in classes.json (data.unlabelled={all} beside data.classes); if '
    '{classes}, name {them} there ({{"classes": {{"{first}": "...", ...}}}} where ids do not count from 0), or map '
    "{them} to the class that {them} shows with data.remap"
)
IN_A_RUN = (
    "the run was trained on these classes alone: paint these pixels with one of its ids ({spelt}), or train a run with "
    '"unlabelled": {one} in classes.json'
)
IN_A_KNOWN_SET = (
    "this data set has no such ids: the files are of another one; data=folder reads them, with a classes.json that "
    'names the ids that they hold, or "unlabelled": {one} there if {it} "don\'t care"'
)
"""Cures of an id of no class: in data with a class list of the user's, in label maps for a trained run, and in a data
set whose classes are fixed."""


@dataclass(frozen=True)
class Stored:
    """Content of a label file.

    Attributes:
        values: (h, w) ids, uint8 or uint16; or colours as 65536 r + 256 g + b, int32.
        colours: True for colours.
    """

    values: np.ndarray
    colours: bool = False


def read_label(
    path: str | File, *, classes: ClassList, remap: Mapping[int, int] | None = None, cure: str = IN_DATA
) -> np.ndarray:
    """Read a label map and check every id.

    Args:
        path: PNG, TIFF or BMP with one channel: 1 to 16 bits, grey or palette (the palette's indices are the ids);
            with three channels, where every colour is one of the classes' own; or a .npy array of whole numbers.
        classes: what the ids may be.
        remap: file id -> class id for the file ids that differ from the class ids, e.g. {255: 182}.
        cure: IN_DATA or IN_A_RUN.

    Returns:
        (h, w) class ids, uint8 (int32 beyond 256 classes).

    Raises:
        Refusal: not a readable file of one of these kinds, or ids outside the classes; names file, ids and cure.
    """
    stored = read_stored(path)
    if stored.colours:
        ids, fault = by_colour(stored.values, classes=classes, own_list=cure == IN_DATA)
        if fault is not None:
            raise Refusal(f"{path}: {fault}")
    else:
        ids = to_classes(stored.values, remap=remap)
        if _leaves(ids, len(classes)):
            sentence = outside_sentence(count_ids(stored.values), classes=classes, remap=remap or {}, cure=cure)
            raise Refusal(f"{path}: {sentence}")
    return ids.astype(np.uint8 if len(classes) <= 256 else np.int32)


ONE_CHANNEL = "a map with three channels of colour, where one channel of ids is needed; save the ids"


def read_ids(path: str | File) -> np.ndarray:
    """The integers that a label or instance file stores, (h, w) uint8 or uint16, unchecked."""
    stored = read_stored(path)
    if stored.colours:
        raise Refusal(f"{path}: {ONE_CHANNEL}")
    return stored.values


def read_stored(path: str | File) -> Stored:
    """Content of a label or instance file.

    Raises:
        Refusal: unreadable, of a kind that does not keep ids, or with numbers that are no ids.
    """
    if not isinstance(path, Member) and Path(path).suffix.lower() == NPY:
        return Stored(_in_range(_array(path), path))
    with open_picture(path) as picture:
        problem = label_problem(picture)
        if problem is not None:
            raise Refusal(f"{path}: {problem}")
        if picture.mode in ("RGB", "RGBA"):
            return Stored(colours_of(picture), colours=True)
        ids = np.asarray(picture)
        step = _GREY_STEP.get(_bit_depth(path)) if picture.format == "PNG" and picture.mode == "L" else None
    if ids.dtype == np.bool_:
        return Stored(ids.astype(np.uint8))
    return Stored(ids // np.uint8(step) if step else _in_range(ids, path))


def to_classes(ids: np.ndarray, *, remap: Mapping[int, int] | None) -> np.ndarray:
    """Replace the stored ids that `remap` names; others stay."""
    if not remap:
        return ids
    table = np.arange(np.iinfo(ids.dtype).max + 1, dtype=np.int32)
    for stored, class_id in remap.items():
        if 0 <= stored < len(table):
            table[stored] = class_id
    return table[ids]


def count_ids(ids: np.ndarray) -> dict[int, int]:
    """Pixels per id."""
    if ids.dtype.itemsize <= 2:  # Counting is ten times faster than the sort of np.unique.
        counts = np.bincount(ids.ravel())
        return {int(i): int(counts[i]) for i in np.flatnonzero(counts)}
    values, counts = np.unique(ids, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def outside_sentence(
    counts: Mapping[int, int], *, classes: ClassList, remap: Mapping[int, int], cure: str = IN_DATA
) -> str | None:
    """Sentence about ids outside the classes (ids, pixels, class count, cure), or None without any.

    The cure speaks of meanings: an id's number does not say which class it is.

    Args:
        counts: pixels per stored id.
        classes: what the ids may be.
        remap: file id -> class id where they differ.
        cure: IN_DATA or IN_A_RUN.
    """
    outside = {i: n for i, n in counts.items() if not 0 <= remap.get(i, i) < len(classes)}
    if not outside:
        return None
    if sent := sorted(i for i in outside if remap.get(i, -1) >= 0):
        return (
            f"data.remap sends label id {sent[0]} ({outside[sent[0]]} pixels) to {remap[sent[0]]}, which lies outside "
            f"the {len(classes)} classes (0..{len(classes) - 1}); send it to one of them, or take it out of data.remap"
        )
    shown = ", ".join(map(str, sorted(outside)[:8])) + (", ..." if len(outside) > 8 else "")
    several = len(outside) > 1
    one = next((i for i in (255, 65535) if i in outside), min(outside))
    unknown = [i for i in range(1 << 16) if classes.remap.get(i, i) == classes.ignore]
    words = {
        "it": "one of them means" if several else "it means",
        "one": one,
        "all": f"[{', '.join(map(str, [*unknown, one]))}]" if unknown else one,
        "first": min(outside),
        "classes": "they are classes" if several else "it is a class",
        "them": "each" if several else "it",
        "spelt": classes.spelt,
    }
    return (
        f"label {'ids' if several else 'id'} {shown} ({sum(outside.values())} pixels) "
        f"{'lie' if several else 'lies'} outside the {len(classes)} classes ({classes.spelt}); {cure.format(**words)}"
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
    lossy = picture.format == "TIFF" and picture.info.get("compression") in LOSSY_TIFF
    if picture.format not in _LOSSLESS or lossy:
        return (
            f"a label map saved as {picture.format}{' with a lossy compression' * lossy}, which may change ids; save "
            "it as PNG (if it ever was a JPEG, its ids are already wrong: go back to the source)"
        )
    transparent = picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255)
    if picture.mode not in _SINGLE_CHANNEL | {"RGB", "RGBA"} or transparent:
        kind = f"{len(picture.getbands())} channels ({picture.mode}{', partly transparent' * transparent})"
        return f"a label map with {kind}; it must hold one channel of class ids, or one opaque colour per class"
    return None


def _array(path: str | Path) -> np.ndarray:
    """The array of a .npy file, (h, w) whole numbers; nothing is unpickled."""
    require_regular(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy's answer to a damaged head can be any error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Refusal(f"{path}: unreadable or truncated ({reason}); copy the file again or remove it") from error
    if array.ndim != 2 or array.dtype.kind not in "iub" or not 0 < array.size <= MOST_PIXELS:
        raise Refusal(f"{path}: an array of {array.dtype} with the shape {array.shape}; a label map is (height, width) "
                      "of whole numbers: save one map per file, as np.save(FILE, ids.astype(np.uint8))")  # fmt: skip
    return np.array(array)


def _in_range(ids: np.ndarray, path: str | File) -> np.ndarray:
    """Ids in 8 or 16 bits, as label files store them; -1 becomes 65535."""
    if ids.dtype in (np.uint8, np.uint16):
        return ids
    low, high = int(ids.min()), int(ids.max())
    if low < -1 or high > 65535:
        raise Refusal(f"{path}: holds ids from {low} to {high}; label maps hold 0..65535 (-1 counts as 65535)")
    return ids.astype(np.uint16)


def _bit_depth(path: str | File) -> int:
    with as_file(path).open("rb") as file:
        return file.read(25)[24]  # IHDR is always the first chunk.


def _leaves(ids: np.ndarray, count: int) -> bool:
    return bool(ids.size) and (int(ids.max()) >= count or int(ids.min()) < 0)
