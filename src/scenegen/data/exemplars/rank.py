"""Exact search among described pictures, in blocks, and rankings that avoid near-duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.data.exemplars.measures import Measure
from scenegen.data.pairs import Files, Raw
from scenegen.data.samples import Pairs, Source
from scenegen.data.stream import make_loader

DECIMALS = 6
"""Decimals to which similarities are rounded before they are ranked, so that ties are ties on every machine."""
POOL = 4
"""Candidates per place of a diverse list: k pictures are chosen among the 4 k most similar ones."""
SKETCH = 1024
"""Pixels at which the maps within one list are compared with each other."""
LISTS = 64
"""Lists whose pictures are compared among themselves at a time."""
BLOCK = 1024
"""Rows per block; two blocks of one class's masks are in memory as floats at a time."""

Track = Callable[[Any, str], Iterable[Any]]


def untracked(items: Iterable[Any], description: str) -> Iterable[Any]:
    """The items as they are, without a progress bar."""
    return items


class LabelsAlone:
    """A source without its photographs, which take most of the time to read."""

    has_labels = True
    has_instances = False
    has_images = False
    styles = label_counts = None

    def __init__(self, source: Source) -> None:
        self.source = source
        self.classes = source.classes
        self.names = source.names

    def __len__(self) -> int:
        return len(self.source)

    def load(self, index: int) -> Raw:
        if isinstance(self.source, Files):
            label = self.source.read_label(index)
            return Raw(label=label)
        return Raw(label=self.source.load(index).label)


def describe(
    data: Pairs, *, measure: Measure, batch_size: int = 16, workers: int = 0, track: Track = untracked
) -> Tensor:
    """(n, d) descriptions of every picture of a dataset, uncropped as at test time.

    Args:
        data: the dataset.
        measure: describes.
        batch_size: pictures per pass.
        workers: processes that read pictures.
        track: (batches, description) -> batches, for a progress bar.

    Raises:
        Refusal: the measure looks at photographs and the dataset has none.
    """
    source = data.source if measure.photographs else LabelsAlone(data.source)
    plain = Pairs(source, framing=replace(data.framing, random=False))
    keys = [[(0, i) for i in range(k, min(k + batch_size, len(data)))] for k in range(0, len(data), batch_size)]
    found = []
    for batch in track(make_loader(plain, keys, workers=workers), "reading"):
        if measure.photographs and batch.image is None:
            raise Refusal("this measure compares photographs, but the data has none; use by=mask_iou, or a data set "
                          "with photographs (data.label_only=false)")  # fmt: skip
        found.append(measure.describe(batch))
    return torch.cat(found)


def own_rows(queries: Source, gallery: Source) -> np.ndarray:
    """(n,) place of every query in the gallery, -1 where it is not there; files are compared by path."""
    ours, theirs = (
        [str(pair.label) for pair in source.pairs] if isinstance(source, Files) else source.names
        for source in (queries, gallery)
    )
    place = {name: i for i, name in enumerate(theirs)}
    return np.array([place.get(name, -1) for name in ours])


@dataclass(frozen=True)
class Ranked:
    """Per query the chosen gallery rows (n, k) int64, in order, and their similarity to the query (n, k)."""

    rows: np.ndarray
    scores: np.ndarray


def rank(
    x: Tensor,
    y: Tensor,
    *,
    measure: Measure,
    top_k: int,
    own: np.ndarray | None = None,
    diversity: float = 0.0,
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
        track: (blocks, description) -> blocks, for a progress bar.

    Raises:
        Refusal: top_k is more than the gallery has for every query, or diversity lies outside [0, 1).

    Source: Carbonell and Goldstein, SIGIR 1998 (maximal marginal relevance).
    """
    require_lists(len(y), top_k=top_k, diversity=diversity)
    own = np.full(len(x), -1) if own is None else own
    # An odd stride: an even one could meet the same few columns of every row.
    sketch = y if y.is_floating_point() else y[:, :: y.shape[1] // SKETCH | 1].contiguous()
    found = []
    for first in track(range(0, len(x), BLOCK), "ranking"):
        part = x[first : first + BLOCK]
        scores = torch.cat([measure.similarity(part, rows) for rows in y.split(BLOCK)], dim=1)
        scores = torch.round(scores, decimals=DECIMALS)
        mine = torch.from_numpy(own[first : first + BLOCK])
        scores[mine >= 0, mine[mine >= 0]] = -torch.inf
        found.append(_best(scores, sketch, measure=measure, top_k=top_k, diversity=diversity))
    return Ranked(*(np.concatenate([getattr(part, what) for part in found]) for what in ("rows", "scores")))


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


def _best(scores: Tensor, sketch: Tensor, *, measure: Measure, top_k: int, diversity: float) -> Ranked:
    """The lists of a block of queries from their similarity (n, m) to the gallery."""
    pool = min(POOL * top_k, scores.shape[1] - 1) if diversity else top_k
    values, rows = (t[:, :pool].numpy() for t in torch.sort(scores, dim=1, descending=True, stable=True))
    if diversity:
        alike = (measure.within(sketch[part]) for part in torch.from_numpy(rows).split(LISTS))
        near = (lists for block in alike for lists in block.numpy())
        places = np.stack(
            [_marginal(value, lists, top_k, diversity) for value, lists in zip(values, near, strict=True)]
        )
        values, rows = (np.take_along_axis(t, places, axis=1) for t in (values, rows))
    return Ranked(rows, values)


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
