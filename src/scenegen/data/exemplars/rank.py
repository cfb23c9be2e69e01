"""Exact search among described pictures, in blocks, and rankings that avoid near-duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.data.exemplars.keys import DECIMALS, LOWEST, PLACES, UNIT, Ranked, keys_of
from scenegen.data.exemplars.measures import Measure, OfMaps
from scenegen.data.exemplars.overlap import Overlapping
from scenegen.data.exemplars.search import Everywhere, Nearby, Search
from scenegen.data.pairs import Files
from scenegen.data.samples import Source

POOL = 4
"""Candidates per place of a diverse list: k pictures are chosen among the 4 k most similar ones."""
SKETCH = 1024
"""Pixels at which the maps within one list are compared with each other."""
LISTS = 64
"""Lists whose pictures are compared among themselves at a time."""
BLOCK = 1024
"""Rows per block; two blocks of one class's masks are in memory as floats at a time."""

Columns = Callable[[Callable[[], float]], Iterable[np.ndarray]]
"""Blocks of gallery places, ascending, made with a function of the least similarity that still matters."""
Track = Callable[[Any, str], Iterable[Any]]


def untracked(items: Iterable[Any], description: str) -> Iterable[Any]:
    """The items as they are, without a progress bar."""
    return items


def own_rows(queries: Source, gallery: Source) -> np.ndarray:
    """(n,) place of every query in the gallery, -1 where it is not there; files are compared by path."""
    if queries is gallery and isinstance(queries, Files):  # whose paths differ
        return np.arange(len(queries))
    ours, theirs = (
        (str(pair.label) for pair in source.pairs) if isinstance(source, Files) else source.names
        for source in (queries, gallery)
    )
    ours = list(ours)
    place = dict.fromkeys(ours, -1)
    for i, name in enumerate(theirs):
        if name in place:
            place[name] = i
    return np.array([place[name] for name in ours])


class Known(Protocol):
    """Lists of an earlier start."""

    def get(self, places: Sequence[int]) -> Ranked | None: ...
    def put(self, places: Sequence[int], ranked: Ranked) -> None: ...


def rank(
    x: Tensor,
    y: Tensor,
    *,
    measure: Measure,
    top_k: int,
    own: np.ndarray | None = None,
    diversity: float = 0.0,
    width: int | None = None,
    known: Known | None = None,
    track: Track = untracked,
) -> Ranked:
    """The most similar gallery pictures of every query, equal ones in the gallery's order.

    With diversity d > 0 a list is built by maximal marginal relevance: the next picture maximises
    (1 - d) similarity to the query - d greatest similarity to those chosen before, so a near-duplicate of a
    picture in the list gives way to another one. The first is always the most similar. Similarity to the query is
    exact; that within a list is of label maps taken at about a thousand evenly spread pixels.

    Args:
        x: (n, ...) descriptions of the queries.
        y: (m, ...) descriptions of the gallery, in the order that breaks ties.
        measure: compares them.
        top_k: pictures per list.
        own: (n,) the gallery row that is the query itself and is never chosen, or -1.
        diversity: in [0, 1); 0 ranks by similarity alone.
        width: pixels of a row of label maps; None takes a map for one row, which costs time and changes no list.
        known: lists of an earlier start, which takes those that are made here.
        track: (blocks, description) -> blocks, for a progress bar.

    Raises:
        Refusal: top_k is more than the gallery has for every query, or diversity lies outside [0, 1).

    Source: Carbonell and Goldstein, SIGIR 1998 (maximal marginal relevance).
    """
    require_lists(len(y), top_k=top_k, diversity=diversity)
    own = np.full(len(x), -1) if own is None else own
    if isinstance(measure, OfMaps):
        search = _ByBounds(x, y, measure, width)
    else:
        blocks = Nearby(x, y, block=BLOCK) if measure.scalar else Everywhere(len(x), len(y), block=BLOCK)
        search = _ByBlocks(x, y, measure, blocks)
    pool = min(POOL * top_k, len(y) - 1) if diversity else top_k
    found = Ranked(np.empty((len(x), top_k), np.int64), np.empty((len(x), top_k)))
    for turn in track(range(len(search.turns)), "ranking"):
        places = search.turns[turn].tolist()
        ranked = None if known is None else known.get(places)
        if ranked is None:
            ranked = search.near(turn, own[places], count=pool)
            if diversity:
                ranked = _diverse(ranked, y, measure=measure, top_k=top_k, diversity=diversity)
            if known is not None:
                known.put(places, ranked)
        found.rows[places], found.scores[places] = ranked.rows, ranked.scores
    return found


def require_lists(size: int, *, top_k: int, diversity: float) -> None:
    """Refuse lists that a gallery of `size` pictures cannot fill."""
    if size < 2:
        raise Refusal(f"a gallery of {size} picture has nothing to choose from; give at least two training pictures")
    if not 1 <= top_k <= size - 1:
        raise Refusal(
            f"top_k={top_k} of a gallery of {size} pictures: a picture is never its own exemplar, so give 1 to "
            f"{size - 1}"
        )
    if not 0 <= diversity < 1:
        raise Refusal(f"diversity={diversity} must lie in 0..1 (below 1; 0 ranks by similarity alone)")


class _ByBlocks:
    """Search of the most similar pictures, blocks of which are compared with a turn of queries.

    Args:
        x, y, measure: see `rank`.
        search: what each turn is compared with.
    """

    def __init__(self, x: Tensor, y: Tensor, measure: Measure, search: Search) -> None:
        self.x, self.y, self.measure, self.search = x, y, measure, search
        self.turns = search.turns()

    def near(self, turn: int, own: np.ndarray, *, count: int) -> Ranked:
        """The most similar gallery pictures of a turn of queries, equal ones in the gallery's order."""
        x = self.x[torch.from_numpy(self.turns[turn])]
        columns = partial(self.search.columns, turn)
        return Ranked.of_keys(_greatest_keys(x, own, self.y, measure=self.measure, count=count, columns=columns))


class _ByBounds:
    """Search of the label maps that overlap most; where bounds leave too many, all are compared.

    Args:
        x, y, measure, width: see `rank`.
    """

    def __init__(self, x: Tensor, y: Tensor, measure: OfMaps, width: int | None) -> None:
        self.x, self.y, self.measure = x, y, measure
        self.search = Overlapping(x, y, measure=measure, width=width or y.shape[1], block=BLOCK)
        self.turns = self.search.turns()

    def near(self, turn: int, own: np.ndarray, *, count: int) -> Ranked:
        keys = self.search.nearest(turn, own, count)
        left = np.flatnonzero(keys[:, 0] == LOWEST)
        if len(left):
            x, everywhere = self.x[torch.from_numpy(self.turns[turn][left])], Everywhere(0, len(self.y), block=BLOCK)
            keys[left] = _greatest_keys(x, own[left], self.y, measure=self.measure, count=count,
                                        columns=partial(everywhere.columns, turn))  # fmt: skip
        return Ranked.of_keys(keys)


def _diverse(near: Ranked, y: Tensor, *, measure: Measure, top_k: int, diversity: float) -> Ranked:
    """Lists of `top_k` among candidates by maximal marginal relevance."""
    # An odd stride: an even one could meet the same few columns of every row.
    sketch = y if y.is_floating_point() else y[:, :: y.shape[1] // SKETCH | 1]
    blocks = (measure.within(sketch[part]) for part in torch.from_numpy(near.rows).split(LISTS))
    alike = (lists for block in blocks for lists in block.numpy())
    places = np.stack(
        [_marginal(value, lists, top_k, diversity) for value, lists in zip(near.scores, alike, strict=True)]
    )
    return Ranked(*(np.take_along_axis(part, places, axis=1) for part in (near.rows, near.scores)))


def _greatest_keys(
    x: Tensor, own: np.ndarray, y: Tensor, *, measure: Measure, count: int, columns: Columns
) -> np.ndarray:
    """(n, count) greatest keys of a turn of queries among the pictures of blocks."""
    best = np.full((len(x), count), LOWEST)
    floor = best.min(axis=1)

    def least() -> float:
        return (int(floor.min()) // PLACES - 1) / UNIT  # a rounded similarity is at most half a unit higher

    for places in columns(least):
        scores = measure.similarity(x, y[torch.from_numpy(places)]).numpy()
        at = np.searchsorted(places, own).clip(max=len(places) - 1)
        mine = np.flatnonzero(places[at] == own)
        scores[mine, at[mine]] = -np.inf
        high = np.flatnonzero(scores > ((floor // PLACES - 1) / UNIT)[:, None])
        query, column = np.divmod(high, len(places))
        keys = keys_of(scores.ravel()[high], places[column])
        better = keys > floor[query]
        best = _greatest(best, query[better], keys[better])
        floor = best.min(axis=1)
    return best


def _greatest(best: np.ndarray, query: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The greatest keys (n, k) of each query, of the best ones so far (n, k) and of new ones."""
    if not len(query):
        return best
    n, k = best.shape
    if len(query) % n == 0 and (np.bincount(query, minlength=n) == len(query) // n).all():  # as at the start: no sort
        everything = np.concatenate([best, keys.reshape(n, -1)], axis=1)
        return np.partition(everything, -k, axis=1)[:, -k:]
    queries = np.concatenate([np.repeat(np.arange(n), k), query])
    keys = np.concatenate([best.ravel(), keys])
    order = np.lexsort((-keys, queries))
    starts = np.cumsum(np.bincount(queries, minlength=n)) - np.bincount(queries, minlength=n)
    return keys[order][starts[:, None] + np.arange(k)]


def _marginal(relevance: np.ndarray, alike: np.ndarray, count: int, diversity: float) -> np.ndarray:
    """Places of `count` candidates by maximal marginal relevance; equal ones in the candidates' order."""
    chosen = [0]
    nearest = alike[0].copy()
    for _ in range(count - 1):
        value = np.round((1 - diversity) * relevance - diversity * nearest, DECIMALS)
        value[chosen] = -np.inf
        chosen.append(int(value.argmax()))
        nearest = np.maximum(nearest, alike[chosen[-1]])
    return np.array(chosen)
