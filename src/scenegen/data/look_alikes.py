"""Photographs that show the same view: copies that were saved again, mirrored, brightened or resized.

Source: the threshold is measured: 1,447 real landscapes without a copy among them (train and val of
labelme_landscapes) correlate up to 0.936 across their splits; copies saved again correlate above 0.99.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from scenegen.base.scratch import scratch

SIDE = 24
"""Pixels of a thumbnail's side."""
SAME = 0.95
"""Correlation of thumbnails above which two photographs look alike."""
FLAT = 2.0
"""Deviation in grey levels below which a thumbnail says nothing: all flat ones would look alike."""
COARSE = 4
"""Side of the boxes whose means bound the correlation, in thumbnail pixels."""
ROWS, COLUMNS = 512, 2048
"""Thumbnails of one block: its memory stays below 64 MiB for any number of photographs."""


def thumbnail(picture: Image.Image) -> np.ndarray | None:
    """(24, 24, 3) uint8 box means of a photograph, None for a flat one."""
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.uint8)
    return None if pixels.mean(axis=2).std() < FLAT else pixels


def look_alikes(
    thumbnails: Sequence[np.ndarray] | np.ndarray, groups: Sequence[int] | np.ndarray
) -> list[tuple[int, int]]:
    """Pairs of photographs that look alike: each with its nearest one in each group, as it is or mirrored.

    A photograph names one other per group, so that the frames of a film give a list as long as the film.

    Args:
        thumbnails: (24, 24, 3) uint8 each, none flat; an array of them may lie in a file.
        groups: group (split) 0, 1, ... of each.

    Returns:
        (i, j) with i < j, in order; the correlation of their thumbnails lies above 0.95.
    """
    if len(thumbnails) < 2:
        return []
    pixels = thumbnails if isinstance(thumbnails, np.ndarray) else np.stack(thumbnails)
    group = np.asarray(groups)
    nearest = np.full((len(pixels), int(group.max()) + 1), -1)
    value = np.full(nearest.shape, SAME, dtype=np.float32)
    for rows, columns, correlation in _blocks(pixels):
        for here, there, found in ((rows, columns, correlation), (columns, rows, correlation.T)):
            for g in np.unique(group[there]):
                of_group = there[group[there] == g]
                among = found[:, group[there] == g]
                best = among.argmax(axis=1)
                high = among[np.arange(len(here)), best]
                closer = high > value[here, g]
                value[here[closer], g] = high[closer]
                nearest[here[closer], g] = of_group[best[closer]]
    pairs = {(min(i, j), max(i, j)) for i, j in zip(*_found(nearest), strict=True)}
    return sorted(pairs)


def _found(nearest: np.ndarray) -> tuple[list[int], list[int]]:
    places, g = np.nonzero(nearest >= 0)
    return places.tolist(), nearest[places, g].tolist()


def _blocks(pixels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Places of rows and columns, and the correlation (rows, columns) between them, 0 outside i < j.

    Box means bound the correlation u.v of unit vectors: with their parts a, b in the span of the boxes it is at most
    a.b + sqrt((1 - |a|^2) (1 - |b|^2)), which is the product of a and b with one more entry each. Only where that
    bound passes the threshold (one pair of 2,000 landscapes) is the correlation itself computed.
    """
    mirrored = pixels[:, :, ::-1]
    bound, bound_mirrored = _bounds(pixels), _bounds(mirrored)
    for top in range(0, len(pixels), ROWS):
        rows = np.arange(top, min(top + ROWS, len(pixels)))
        for left in range(top, len(pixels), COLUMNS):
            columns = np.arange(left, min(left + COLUMNS, len(pixels)))
            later = columns > rows[:, None]
            high = np.maximum(bound[rows] @ bound[columns].T, bound[rows] @ bound_mirrored[columns].T)
            maybe = later & (high > SAME - 1e-4)  # float32 rounds
            i, j = rows[maybe.any(axis=1)], columns[maybe.any(axis=0)]
            if len(i):
                one = _units(pixels[i])
                exact = np.maximum(one @ _units(pixels[j]).T, one @ _units(mirrored[j]).T)
                yield i, j, np.where(j > i[:, None], exact, 0)


def _bounds(pixels: np.ndarray) -> np.ndarray:
    """(n, 109) float32: coordinates in the span of the boxes, and the length of what lies outside it."""
    found = scratch((len(pixels), (SIDE // COARSE) ** 2 * 3 + 1), np.float32)
    for start in range(0, len(pixels), COLUMNS):
        unit = _units(pixels[start : start + COLUMNS])
        boxes = unit.reshape(len(unit), SIDE // COARSE, COARSE, SIDE // COARSE, COARSE, 3).mean(axis=(2, 4)) * COARSE
        inside = boxes.reshape(len(unit), -1)
        outside = np.sqrt((1 - (inside**2).sum(axis=1)).clip(0))
        found[start : start + COLUMNS] = np.concatenate([inside, outside[:, None]], axis=1)
    return found


def _units(pixels: np.ndarray) -> np.ndarray:
    """(n, 1728) float32 thumbnails without their mean, of length 1."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)
