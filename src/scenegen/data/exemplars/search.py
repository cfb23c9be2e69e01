"""Gallery pictures with which a query must be compared: all of them, or those that can be near enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np
from torch import Tensor

from scenegen.base.cells import Cells, principal, rest
from scenegen.base.scratch import scratch

MOST = 256
"""Descriptions of a box."""
AXES = 32
"""Coordinates of longer descriptions that bound their similarity."""
AT_ONCE = 16384
"""Gallery pictures whose distance from a box is computed at a time."""
NUMBERS = 2**22
"""Of the descriptions that are in memory as float64 at a time; principal directions of so many are the axes."""
SLACK = 1e-9
"""Squared distance by which float64 may be wrong, many times over."""


class Search(Protocol):
    """Queries in turns, and what each turn is compared with."""

    def turns(self) -> list[np.ndarray]:
        """Places of the queries of each turn, ascending."""
        ...

    def columns(self, turn: int, floor: Callable[[], float]) -> Iterator[np.ndarray]:
        """Places of gallery pictures, ascending within a block; left out are only some less similar than the floor.

        Args:
            turn: number of the turn.
            floor: the least similarity that matters to a query of it, which may rise from block to block.
        """
        ...


class Everywhere:
    """Queries in order, each compared with the whole gallery.

    Args:
        queries, gallery: their numbers.
        block: pictures of a turn and of a block.
    """

    def __init__(self, queries: int, gallery: int, *, block: int) -> None:
        self.blocks = [
            [np.arange(start, min(start + block, count)) for start in range(0, count, block)]
            for count in (queries, gallery)
        ]

    def turns(self) -> list[np.ndarray]:
        return self.blocks[0]

    def columns(self, turn: int, floor: Callable[[], float]) -> Iterator[np.ndarray]:
        yield from self.blocks[1]


class Nearby:
    """Queries that are near each other in one turn, compared with the gallery from near to far.

    The similarity is a scalar product, half of what the squared distance lacks of both squared lengths. Descriptions of
    many numbers are seen by their coordinates along some axes and the length of what these leave out: their product is
    no smaller.

    Args:
        x, y: (n, d) and (m, d) descriptions of queries and gallery.
        block: pictures of a block; a turn has no more.
    """

    def __init__(self, x: Tensor, y: Tensor, *, block: int) -> None:
        self.block = block
        axes = None if y.shape[1] <= AXES else principal(y[:: -(-len(y) // _some(y))].numpy(), AXES)
        self.gallery = Cells(_seen(y, axes), most=MOST)
        self.queries = self.gallery if x is y and block >= MOST else Cells(_seen(x, axes), most=min(MOST, block))
        self.longest = (_longest(self.gallery) + _longest(self.queries)) / 2

    def turns(self) -> list[np.ndarray]:
        return [np.sort(self.queries.order[start:end]) for start, end in pairwise(self.queries.ends)]

    def columns(self, turn: int, floor: Callable[[], float]) -> Iterator[np.ndarray]:
        gallery, box = self.gallery, (self.queries.low[turn], self.queries.high[turn])
        gaps = gallery.gaps(*box)
        cells = np.argsort(gaps, kind="stable")
        done, count = 0, -(-self.block // MOST)
        while done < len(cells):
            reach = 2 * (self.longest - floor()) + SLACK
            some = cells[done : done + count]
            some = some[gaps[some] <= reach]
            if not len(some):
                return
            close = np.sort(gallery.order[gallery.within(gallery.positions(some), *box, reach)])
            for start in range(0, len(close), self.block):
                yield close[start : start + self.block]
            done, count = done + count, AT_ONCE // MOST


def _longest(cells: Cells) -> float:
    """The greatest squared length of the points."""
    blocks = (cells.points[start : start + AT_ONCE] for start in range(0, len(cells.points), AT_ONCE))
    return max(float(np.einsum("ij,ij->i", points, points).max()) for points in blocks)


def _seen(rows: Tensor, axes: np.ndarray | None) -> np.ndarray:
    """(n, k) float64 descriptions, long ones by their coordinates along axes and the length of what is left out."""
    if axes is None:
        return rows.numpy().astype(np.float64, copy=False)
    found = scratch((len(rows), AXES + 1), np.float64)
    for start in range(0, len(rows), count := _some(rows)):
        vectors = rows[start : start + count].numpy().astype(np.float64)
        seen = vectors @ axes
        found[start : start + count] = np.concatenate([seen, rest(vectors, seen, rounding=SLACK / 1000)], axis=1)
    return found


def _some(rows: Tensor) -> int:
    """Descriptions that are looked at together."""
    return max(AXES, NUMBERS // rows.shape[1])
