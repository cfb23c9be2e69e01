"""Photographs that show the same view: copies that were saved again, mirrored, brightened or resized.

Source: the threshold is measured: 1,447 real landscapes without a copy among them (train and val of
labelme_landscapes) correlate up to 0.936 across their splits; copies saved again correlate above 0.99.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from scenegen.base.cells import Cells, principal, rest
from scenegen.base.scratch import scratch

SIDE = 24
"""Pixels of a thumbnail's side."""
SAME = 0.95
"""Correlation of thumbnails above which two photographs look alike."""
FLAT = 2.0
"""Deviation in grey levels below which a thumbnail says nothing: all flat ones would look alike."""
ROWS, COLUMNS = 256, 2048
"""Thumbnails of one block: its memory stays below 64 MiB for any number of photographs."""
AT_ONCE = 16384
"""Thumbnails whose distance from a box is computed at a time."""
FIRST, EVEN, ODD = 16, 32, 16
"""Coordinates of the first bound, and of the second one."""
SAMPLE = 4096
"""Thumbnails whose principal directions are the axes."""
SLACK = 1e-4
"""Correlation by which a bound may be too small for what float32 rounds; that is a tenth of it at most."""
ROUNDING = 4e-6
"""What a square of a length near 1 may be too small by in float32."""
SPARSE = 16
"""Rows times columns for each pair above which pairs are computed one by one."""
COUNT = SIDE * SIDE * 3
"""Values of a thumbnail."""


def thumbnail(picture: Image.Image) -> np.ndarray | None:
    """(24, 24, 3) uint8 box means of a photograph, None for a flat one."""
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.uint8)
    return None if pixels.mean(axis=2).std() < FLAT else pixels


class Known(Protocol):
    """Findings of an earlier start."""

    def get(self, pixels: np.ndarray, order: np.ndarray, nearest: Nearest) -> int: ...
    def put(self, done: int, nearest: Nearest, *, last: bool) -> None: ...


def look_alikes(
    thumbnails: Sequence[np.ndarray] | np.ndarray, groups: Sequence[int] | np.ndarray, *, known: Known | None = None
) -> list[tuple[int, int]]:
    """Pairs of photographs that look alike: each with its nearest one in each group, as it is or mirrored.

    A photograph names one other per group, so that the frames of a film give a list as long as the film; of equally
    near ones the first.

    Args:
        thumbnails: (24, 24, 3) uint8 each, none flat; an array of them may lie in a file.
        groups: group (split) 0, 1, ... of each.
        known: findings of an earlier start, which takes those that are made here.

    Returns:
        (i, j) with i < j, in order; the correlation of their thumbnails lies above 0.95.
    """
    if len(thumbnails) < 2:
        return []
    pixels = thumbnails if isinstance(thumbnails, np.ndarray) else np.stack(thumbnails)
    nearest = Nearest.of(np.asarray(groups))
    search = Search(pixels)
    count = len(search.cells)
    for cell in range(known.get(pixels, search.cells.order, nearest) if known else 0, count):
        search.compare(cell, nearest)
        if known:
            known.put(cell + 1, nearest, last=cell + 1 == count)
    return nearest.pairs()


@dataclass(frozen=True)
class Nearest:
    """The nearest photograph of each in each group, as far as they were compared.

    Attributes:
        group: (n,) of each.
        place: (n, groups) int32 the nearest one's, -1 for none.
        value: (n, groups) float64 their correlation, SAME for none.
    """

    group: np.ndarray
    place: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, group: np.ndarray) -> Nearest:
        shape = len(group), int(group.max()) + 1
        return cls(group, np.full(shape, -1, np.int32), np.full(shape, SAME))

    def needed(self, pairs: Pairs) -> np.ndarray:
        """(p,) correlation that pairs must have to change anything."""
        rows, columns = pairs.rows, pairs.columns
        ours = self.value[rows[:, None], self.group[columns]]
        return pairs.of(np.minimum(ours, self.value[columns, self.group[rows][:, None]]))

    def take(self, pairs: Pairs, value: np.ndarray) -> None:
        """Take what is nearer among pairs of these correlations (p,)."""
        useful = value >= self.needed(pairs)
        i, j, value = pairs.rows[pairs.row[useful]], pairs.columns[pairs.column[useful]], value[useful]
        at, other, value = np.concatenate([i, j]), np.concatenate([j, i]), np.concatenate([value, value])
        group = self.group[other]
        known, there = self.value[at, group], self.place[at, group]
        nearer = (value > known) | ((value == known) & (other < there))
        at, other, value, group = at[nearer], other[nearer], value[nearer], group[nearer]
        last = np.lexsort([-other, value, group, at])  # of two values for one entry the last one stays
        self.place[at[last], group[last]] = other[last]
        self.value[at[last], group[last]] = value[last]

    def pairs(self) -> list[tuple[int, int]]:
        places, group = np.nonzero(self.place >= 0)
        both = np.sort(np.stack([places, self.place[places, group]], axis=1), axis=1)
        return [(i, j) for i, j in np.unique(both, axis=0).tolist()]


class Search:
    """Thumbnails sorted for the search, with two bounds of their correlation.

    Halves of a thumbnail of length 1 without its mean: e is even under mirroring, o odd. Two thumbnails correlate as
    e.e' + o.o', with one of them mirrored as e.e' - o.o', so the greater is e.e' + |o.o'|. With coordinates a of e and
    b of o along some axes, and what these leave out r and s, that is at most

        a.a' + |r| |r'| + |b.b'| + |s| |s'|.

    The first bound has no b and few a: it is the scalar product of vectors of length 1, so a pair above the threshold
    is near in their space, and boxes of it that are far from each other are never compared. One pair of landscapes of
    5,000 passes it, one of 45,000 the second, and only these are computed: exactly, in whole numbers.

    Args:
        pixels: (n, 24, 24, 3) uint8.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        sample = _unit_halves(pixels[:: -(-len(pixels) // SAMPLE)])
        axes = [principal(half, count).astype(np.float32) for half, count in zip(sample, (EVEN, ODD), strict=True)]
        first = scratch((len(pixels), FIRST + 2), np.float32)
        self.even = scratch((len(pixels), EVEN + 1), np.float32)
        self.odd = scratch((len(pixels), ODD), np.float32)
        self.odd_rest = scratch((len(pixels), 1), np.float32)
        for start in range(0, len(pixels), COLUMNS):
            block = slice(start, start + COLUMNS)
            even, odd = _unit_halves(pixels[block])
            a, b = even @ axes[0], odd @ axes[1]
            lengths = [
                rest(half, seen, rounding=ROUNDING)
                for half, seen in ((even, a[:, :FIRST]), (odd, b[:, :0]), (even, a), (odd, b))
            ]
            first[block] = np.concatenate([a[:, :FIRST], *lengths[:2]], axis=1)
            self.even[block] = np.concatenate([a, lengths[2]], axis=1)
            self.odd[block], self.odd_rest[block] = b, lengths[3]
        self.cells = Cells(first, most=ROWS)

    def compare(self, cell: int, nearest: Nearest) -> None:
        """Compare the thumbnails of a box with each other and with those of later boxes."""
        cells, reach = self.cells, 2 * (1 - SAME + SLACK)
        start, end = cells.ends[cell], cells.ends[cell + 1]
        box = cells.low[cell], cells.high[cell]
        positions = cells.positions(cell + np.flatnonzero(cells.gaps(*box)[cell:] <= reach))
        for first in range(0, len(positions), AT_ONCE):
            close = cells.within(positions[first : first + AT_ONCE], *box, reach)
            for left in range(0, len(close), COLUMNS):
                columns = close[left : left + COLUMNS]
                bound = cells.points[start:end] @ cells.points[columns].T
                high = np.flatnonzero(bound > SAME - SLACK)  # three times faster than nonzero
                row, column = np.divmod(high, len(columns))
                later = columns[column] > start + row
                pairs = Pairs(cells.order[start:end], cells.order[columns], row, column)
                self._settle(pairs.where(later), nearest)

    def _settle(self, pairs: Pairs, nearest: Nearest) -> None:
        """Compare pairs that pass the first bound."""
        even, odd, rest = (
            pairs.products(part[pairs.rows], part[pairs.columns]) for part in (self.even, self.odd, self.odd_rest)
        )
        pairs = pairs.where(even + np.abs(odd) + rest > nearest.needed(pairs) - SLACK)
        if len(pairs.row):
            nearest.take(pairs, correlations(self.pixels, pairs))


@dataclass(frozen=True)
class Pairs:
    """Pairs of some places with others.

    Attributes:
        rows, columns: (r,) and (c,) places.
        row, column: (p,) of each pair the numbers of its places among these.
    """

    rows: np.ndarray
    columns: np.ndarray
    row: np.ndarray
    column: np.ndarray

    def where(self, kept: np.ndarray) -> Pairs:
        """Those pairs, and the places that are in one of them."""
        (rows, row), (columns, column) = (
            _used(places, number[kept]) for places, number in ((self.rows, self.row), (self.columns, self.column))
        )
        return Pairs(rows, columns, row, column)

    def of(self, table: np.ndarray) -> np.ndarray:
        """(p,) values of a table (r, c)."""
        return table.ravel()[self.row * len(self.columns) + self.column]

    def products(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(p,) scalar products of vectors of the rows (r, d) and columns (c, d); where pairs are many by one of all."""
        if len(self.row) * SPARSE >= len(self.rows) * len(self.columns):
            return self.of(a @ b.T)
        blocks = [slice(start, start + ROWS) for start in range(0, len(self.row), ROWS)]
        return np.concatenate([np.einsum("ij,ij->i", a[self.row[k]], b[self.column[k]]) for k in blocks])


def _used(places: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places whose number occurs, and their new numbers."""
    used = np.zeros(len(places), bool)
    used[number] = True
    return places[used], (used.cumsum() - 1)[number]


def correlations(pixels: np.ndarray, pairs: Pairs) -> np.ndarray:
    """(p,) float64 correlations of thumbnails, as they are or with one mirrored: the greater.

    Every sum is a whole number below 2**53, so that a pair has one value in whatever company it is computed.
    """
    rows, columns = _halves(pixels[pairs.rows]), _halves(pixels[pairs.columns])
    even, odd = (pairs.products(a, b) for a, b in zip(rows, columns, strict=True))
    (sums, power), (other_sums, other_power) = _moments(*rows), _moments(*columns)
    above = COUNT * (even + np.abs(odd)) / 2 - sums[pairs.row] * other_sums[pairs.column]
    return above / np.sqrt(power[pairs.row] * other_power[pairs.column])


def _halves(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 864) float64 sums of the pixels on the left and those that mirror them, and their differences."""
    left, right = pixels[:, :, : SIDE // 2].astype(np.float64), pixels[:, :, : SIDE // 2 - 1 : -1]
    return (left + right).reshape(len(pixels), -1), (left - right).reshape(len(pixels), -1)


def _moments(even: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) sums of the pixels, and sums of their squared deviations times their number."""
    sums = even.sum(axis=1)
    return sums, COUNT * (np.einsum("ij,ij->i", even, even) + np.einsum("ij,ij->i", odd, odd)) / 2 - sums**2


def _unit_halves(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 864) float32 halves of thumbnails without their mean, of length 1 together."""
    even, odd = _halves(pixels)
    sums, power = _moments(even, odd)
    even -= 2 * sums[:, None] / COUNT
    scale = np.sqrt(COUNT / 2 / power)[:, None]
    return (even * scale).astype(np.float32), (odd * scale).astype(np.float32)
