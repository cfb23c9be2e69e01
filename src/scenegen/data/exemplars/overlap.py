"""Search of the label maps that overlap a map most, which compares pixels only where bounds leave the chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scenegen.data.exemplars.keys import LOWEST, keys_of
from scenegen.data.exemplars.maps import Map, Maps
from scenegen.data.exemplars.measures import OfMaps

FIRST, MORE = 8, 8
"""Boxes of the first round, and how many times as many a round has as the one before."""
AT_ONCE = 512
"""Boxes of a round at most."""
EXACT = 32
"""Maps whose pixels are compared at a time, the most promising first."""
SLACK = 1e-9
"""Similarity by which a bound may be too small for what float64 rounds, many times over."""
SHARE = 0.25
"""Of the gallery: a query whose pixels were compared with more is left to the comparison with all, which is faster."""
ROW = 8
"""Such queries in a row after which the rest of a turn goes there at once."""


class Overlapping:
    """Queries in turns of maps that are like each other.

    Of a class two maps share at most as many pixels as the one has that has fewer. Summed over the parts of a grid that
    is closer; of the boxes that hold like maps it is a bound for all of them. What a measure makes of these numbers
    in place of the shared pixels is a bound of the similarity.

    Args:
        x, y: (n, p) and (m, p) descriptions of queries and gallery.
        measure: made them.
        width: pixels of a map's row.
        block: queries of a turn.
    """

    def __init__(self, x: Tensor, y: Tensor, *, measure: OfMaps, width: int, block: int) -> None:
        self.measure, self.block = measure, block
        self.gallery = Maps(y, kinds=len(measure.classes), width=width)
        self.queries = self.gallery if x is y else Maps(x, kinds=len(measure.classes), width=width)

    def turns(self) -> list[np.ndarray]:
        """Places of the queries of each turn."""
        order = self.queries.order
        return [order[start : start + self.block] for start in range(0, len(order), self.block)]

    def nearest(self, turn: int, own: np.ndarray, count: int) -> np.ndarray:
        """(q, count) the greatest keys of a turn's queries; LOWEST for all of those that are left.

        Args:
            turn: its number.
            own: (q,) the gallery row that is the query itself, or -1.
            count: keys of a query.
        """
        made = np.full((len(own), count), LOWEST)
        left = 0
        for i, itself in enumerate(own.tolist()):
            hunt = _Hunt(self.gallery, self.queries.at(turn * self.block + i), self.measure, itself, count)
            if hunt.ends():
                made[i], left = hunt.best, 0
                continue
            left += 1
            if left == ROW:
                break
        return made


@dataclass
class _Chances:
    """Maps that may enter a list.

    Attributes:
        positions: (m,) of them.
        theirs: (k, m) pixels that they have of the query's classes.
        kinds: (m,) classes that are in either of the two maps.
        bound: (m,) keys, which theirs do not exceed.
    """

    positions: np.ndarray
    theirs: np.ndarray
    kinds: np.ndarray
    bound: np.ndarray

    def where(self, kept: np.ndarray | slice) -> _Chances:
        return _Chances(self.positions[kept], self.theirs[:, kept], self.kinds[kept], self.bound[kept])


class _Hunt:
    """The search of one query's list."""

    def __init__(self, gallery: Maps, query: Map, measure: OfMaps, own: int, count: int) -> None:
        self.gallery, self.query, self.measure, self.own = gallery, query, measure, own
        self.best = np.full(count, LOWEST)
        self.floor = LOWEST
        self.limit = max(EXACT, int(SHARE * len(gallery)))

    def ends(self) -> bool:
        """Whether the list was found, with no more comparisons of pixels than pay."""
        bound = self._of_boxes()
        boxes, many = np.arange(len(bound)), FIRST
        while self.limit >= 0:
            boxes = boxes[bound[boxes] > self.floor]
            if not len(boxes):
                return True
            if len(boxes) > many:
                boxes = boxes[np.argpartition(-bound[boxes], many)]
            self._look(self._promising(boxes[:many]))
            boxes, many = boxes[many:], min(MORE * many, AT_ONCE)
        return False

    def _of_boxes(self) -> np.ndarray:
        """(m,) keys of the boxes, which those of their maps do not exceed."""
        gallery, query = self.gallery, self.query
        low, high = gallery.low[query.classes], gallery.high[query.classes]
        kinds = len(low) + gallery.sure - (low > 0).sum(axis=0)
        bound = self._score(np.minimum(query.counts, high), np.maximum(query.counts, low), kinds)
        return keys_of(bound + SLACK, gallery.first)

    def _promising(self, boxes: np.ndarray) -> _Chances:
        """Maps of some boxes whose keys can exceed the least of the list, by all bounds."""
        gallery, query = self.gallery, self.query
        starts, sizes = gallery.ends[boxes], gallery.ends[boxes + 1] - gallery.ends[boxes]
        begin = np.cumsum(sizes) - sizes
        positions = np.arange(sizes.sum()) + np.repeat(starts - begin, sizes)
        theirs = gallery.pixels(query.classes, positions)
        kinds = len(theirs) + gallery.shown[positions] - (theirs > 0).sum(axis=0)
        chances = _Chances(positions, theirs, kinds, np.empty(0))
        chances = self._bounded(chances, np.minimum(query.counts, theirs))
        for ours, parts in zip(query.parts, gallery.parts, strict=True):
            shared = np.minimum(ours, parts[chances.positions[:, None], query.classes])  # (m, k, parts)
            chances = self._bounded(chances, shared.sum(axis=2, dtype=np.int64).T)
        return chances

    def _bounded(self, chances: _Chances, both: np.ndarray) -> _Chances:
        """Those whose keys can exceed the least of the list where they share at most so many pixels (k, m)."""
        places = self.gallery.order[chances.positions]
        bound = self._score(both, self.query.counts + chances.theirs - both, chances.kinds)
        chances.bound = keys_of(bound + SLACK, places)
        return chances.where((chances.bound > self.floor) & (places != self.own))

    def _look(self, chances: _Chances) -> None:
        """Compare the pixels, the most promising first."""
        chances = chances.where(np.argsort(-chances.bound))
        for start in range(0, len(chances.positions), EXACT):
            some = chances.where(slice(start, start + EXACT))
            some = some.where(some.bound > self.floor)
            if not len(some.positions) or self.limit < 0:
                return
            self.limit -= len(some.positions)
            both = self._shared(some.positions)
            score = self._score(both, self.query.counts + some.theirs - both, some.kinds)
            keys = np.concatenate([self.best, keys_of(score, self.gallery.order[some.positions])])
            self.best = np.partition(keys, len(keys) - len(self.best))[-len(self.best) :]
            self.floor = self.best.min()

    def _shared(self, positions: np.ndarray) -> np.ndarray:
        """(k, m) pixels that the query's classes have in both maps."""
        unlike = np.bitwise_or.reduce(self.gallery.planes[positions] ^ self.query.planes, axis=1)  # (m, words)
        return np.bitwise_count(self.query.masks & ~unlike).sum(axis=2, dtype=np.int64)

    def _score(self, both: np.ndarray, either: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        return self.measure.of_pixels(both, either, kinds=kinds, size=int(self.query.counts.sum()))
