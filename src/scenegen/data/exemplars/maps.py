"""Label maps in the form in which their overlap is bounded and counted: pixels of classes by part, and bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from torch import Tensor

from scenegen.base.cells import Cells
from scenegen.base.scratch import scratch

MOST = 32
"""Maps of a box."""
OWN = 8
"""Maps of the same classes from which on they are in boxes of their own."""
GRIDS = 2, 4
"""Parts along a side: a finer grid's bound is closer, and dearer."""
PIXELS = 2**22
"""Of the maps that are counted at a time."""
WORD = 64
"""Pixels of a word of bits."""


@dataclass(frozen=True)
class Map:
    """One map, as it is compared with others.

    Attributes:
        classes: (k,) ids of the classes that it shows, ascending.
        counts: (k, 1) their pixels.
        parts: for each grid (k, parts), their pixels by part.
        planes: (bits, words) uint64, a plane for each bit of the class ids.
        masks: (k, 1, words) uint64, the pixels of each class.
    """

    classes: np.ndarray
    counts: np.ndarray
    parts: list[np.ndarray]
    planes: np.ndarray
    masks: np.ndarray


class Maps:
    """Label maps in the order of boxes: maps of the same classes are together, and among them those of like shares.

    Args:
        rows: (n, p) class ids below `kinds`; `kinds` itself is no class.
        kinds: number of classes.
        width: pixels of a map's row.

    Attributes:
        blocks: of positions that are looked at together.
        order: (n,) places of the maps, box after box.
        ends: (m + 1,) positions in the order at which boxes begin, and its end.
        counts: (kinds, n) int32 pixels of each class, in that order.
        shown: (n,) classes of each map.
        low, high: (kinds, m) least and greatest counts of each box.
        sure: (m,) classes that every map of a box shows.
        first: (m,) the least place in each box.
    """

    def __init__(self, rows: Tensor, *, kinds: int, width: int) -> None:
        self.rows, self.kinds, self.width = rows.numpy(), kinds, width
        some = max(1, PIXELS // rows.shape[1])
        self.blocks = [slice(start, start + some) for start in range(0, len(rows), some)]
        counts = self._counted()
        self.order, self.ends = _grouped(counts)
        self.counts = scratch((kinds, len(counts)), np.int32)
        self.shown = np.empty(len(counts), np.int32)
        for block in self.blocks:
            found = counts[self.order[block]]
            self.counts[:, block], self.shown[block] = found.T, (found > 0).sum(axis=1)
        starts = self.ends[:-1]
        self.low, self.high = (np.stack([find.reduceat(of_class, starts) for of_class in self.counts])
                               for find in (np.minimum, np.maximum))  # fmt: skip
        self.sure = (self.low > 0).sum(axis=0)
        self.first = np.minimum.reduceat(self.order, starts)

    def __len__(self) -> int:
        return len(self.order)

    def at(self, position: int) -> Map:
        """The map at a position of the order."""
        classes = np.flatnonzero(self.counts[:, position])
        ids = self.rows[self.order[position]]
        parts = [part[position][classes] for part in self.parts]
        masks = _packed(ids == classes[:, None])
        return Map(classes, self.counts[classes, position, None], parts, self.planes[position], masks[:, None])

    def pixels(self, classes: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """(k, m) pixels of classes in the maps at positions; class by class, which is twice as fast as all at once."""
        made = np.empty((len(classes), len(positions)), np.int32)
        for i, into in zip(classes.tolist(), made, strict=True):
            self.counts[i].take(positions, out=into, mode="clip")
        return made

    @cached_property
    def parts(self) -> list[np.ndarray]:
        """For each grid (n, kinds, parts): pixels of each class in each part."""
        kind = np.uint16 if self.rows.shape[1] < 2**16 else np.int32
        made = [scratch((len(self), self.kinds, grid**2), kind) for grid in GRIDS]
        fine = GRIDS[-1]
        cell = self._cells(fine)
        for block in self.blocks:
            found = _counts(self.rows[self.order[block]], cell, self.kinds, fine**2)
            for grid, into in zip(GRIDS, made, strict=True):
                by = fine // grid
                into[block] = found.reshape(*found.shape[:2], grid, by, grid, by).sum((3, 5)).reshape(into[block].shape)
        return made

    @cached_property
    def planes(self) -> np.ndarray:
        """(n, bits, words) uint64: a plane for each bit of the class ids."""
        bits = self.kinds.bit_length()
        made = scratch((len(self), bits, -(-self.rows.shape[1] // WORD)), np.uint64)
        for block in self.blocks:
            ids = self.rows[self.order[block]]
            for bit in range(bits):
                made[block, bit] = _packed(ids >> bit & 1)
        return made

    def _counted(self) -> np.ndarray:
        """(n, kinds) int32 pixels of each class, in the rows' order."""
        made = scratch((len(self.rows), self.kinds), np.int32)
        cell = np.zeros(self.rows.shape[1], np.int64)
        for block in self.blocks:
            made[block] = _counts(self.rows[block], cell, self.kinds, 1)[:, :, 0]
        return made

    def _cells(self, grid: int) -> np.ndarray:
        """(p,) part in which each pixel lies."""
        y, x = np.divmod(np.arange(self.rows.shape[1]), self.width)
        return y * grid // (y[-1] + 1) * grid + x * grid // self.width


def _counts(ids: np.ndarray, cell: np.ndarray, kinds: int, cells: int) -> np.ndarray:
    """(b, kinds, cells) pixels of each class of each map (b, p) in each cell, of those in which they lie (p,).

    Runs of equal pixels are counted at once: real maps have a twentieth as many as pixels.
    """
    bins = (kinds + 1) * cells
    kind = np.min_scalar_type(bins)
    at = ids.astype(kind) * kind.type(cells) + cell.astype(kind)
    new = np.ones(at.shape, bool)
    new[:, 1:] = at[:, 1:] != at[:, :-1]
    starts = np.flatnonzero(new)
    lengths = np.diff(starts, append=at.size)
    place = at.ravel()[starts] + starts // at.shape[1] * bins
    found = np.bincount(place, weights=lengths, minlength=len(ids) * bins)
    return found.reshape(-1, kinds + 1, cells)[:, :kinds]


def _packed(bits: np.ndarray) -> np.ndarray:
    """(b, words) uint64 of bits (b, p)."""
    made = np.packbits(bits, axis=1)
    return np.pad(made, [(0, 0), (0, -made.shape[1] % 8)]).view(np.uint64)


def _grouped(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of the maps by boxes, and where these begin and end in it."""
    sets = np.packbits(counts > 0, axis=1)
    _, found, sizes = np.unique(sets, axis=0, return_inverse=True, return_counts=True)
    group = np.where(sizes[found] >= OWN, found + 1, 0)
    places = np.argsort(group, kind="stable")
    edges = np.flatnonzero(np.diff(group[places])) + 1
    order, ends = [], [np.zeros(1, np.int64)]
    for start, end in pairwise([0, *edges.tolist(), len(places)]):
        some = places[start:end]
        cells = Cells(counts[some].astype(np.float32), most=MOST)
        order.append(some[cells.order])
        ends.append(start + cells.ends[1:])
    return np.concatenate(order), np.concatenate(ends)
