"""Points sorted into boxes, so that a search of near points computes only with those that can be near."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from scenegen.base.scratch import scratch

SAMPLE = 4096
"""Points of a part by which the coordinate is chosen that halves it."""


class Cells:
    """Points in the order of boxes, halved along the coordinate in which they differ most until few are in each.

    Args:
        points: (n, d) floats.
        most: points of a box.

    Attributes:
        order: (n,) places of the points, box after box.
        points: (n, d) in that order.
        ends: (m + 1,) positions in the order at which boxes begin, and its end.
        low, high: (m, d) least and greatest coordinates of each box.
    """

    def __init__(self, points: np.ndarray, *, most: int) -> None:
        self.order, self.ends = _halved(points, most)
        self.points = scratch(points.shape, points.dtype)
        boxes = [slice(start, end) for start, end in pairwise(self.ends)]
        for box in boxes:
            self.points[box] = points[self.order[box]]
        self.low, self.high = (
            np.stack([find(self.points[box], axis=0) for box in boxes]) for find in (np.min, np.max)
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.low)

    def gaps(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """(m,) squared distances of the boxes from another one with these least and greatest coordinates (d,)."""
        gap = np.maximum(self.low - high, low - self.high).clip(0)
        return np.einsum("ij,ij->i", gap, gap)

    def positions(self, cells: np.ndarray) -> np.ndarray:
        """Positions of all points of some boxes, box after box."""
        sizes = self.ends[cells + 1] - self.ends[cells]
        begin = np.cumsum(sizes) - sizes
        return np.arange(sizes.sum()) + np.repeat(self.ends[cells] - begin, sizes)

    def within(self, positions: np.ndarray, low: np.ndarray, high: np.ndarray, reach: float) -> np.ndarray:
        """Those positions whose points have a squared distance of at most `reach` from a box."""
        points = self.points[positions]
        points -= points.clip(low, high)
        return positions[np.einsum("ij,ij->i", points, points) <= reach]


def principal(vectors: np.ndarray, count: int) -> np.ndarray:
    """(d, count) orthonormal axes near the principal ones of vectors (n, d), the greatest first: two power steps."""
    vectors = vectors.astype(np.float64)
    axes = np.random.default_rng(0).standard_normal((vectors.shape[1], count))
    for _ in range(2):
        axes = np.linalg.qr(vectors.T @ (vectors @ axes))[0]
    seen = vectors @ axes
    return axes @ np.linalg.eigh(seen.T @ seen)[1][:, ::-1]


def rest(vectors: np.ndarray, coordinates: np.ndarray, *, rounding: float) -> np.ndarray:
    """(n, 1) lengths of what coordinates along orthonormal axes leave out of vectors (n, d).

    Args:
        vectors, coordinates: (n, d) and (n, k).
        rounding: what a square may be too small by; lengths are rounded up by it.
    """
    square = np.einsum("ij,ij->i", vectors, vectors) - np.einsum("ij,ij->i", coordinates, coordinates)
    return np.sqrt(square.clip(0) + rounding)[:, None]


def _halved(points: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The order of the points, and where boxes begin and end in it."""
    order, ends = np.arange(len(points)), [len(points)]
    parts = [(0, len(points))]
    while parts:
        start, end = parts.pop()
        if end - start <= most:
            ends.append(start)
            continue
        places, half = order[start:end], (end - start) // 2
        axis = points[places[:: -(-len(places) // SAMPLE)]].var(axis=0, dtype=np.float64).argmax()
        order[start:end] = places[np.argpartition(points[places, axis], half)]
        parts += [(start, start + half), (start + half, end)]
    return order, np.array(sorted(ends))
