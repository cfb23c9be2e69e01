"""Lists of label maps made by bounds are those of comparing all pairs, equal ones in the gallery's order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from scenegen.data.classes import ClassList
from scenegen.data.exemplars import maps, overlap
from scenegen.data.exemplars.maps import Maps
from scenegen.data.exemplars.measures import MaskIou, OfMaps, PixelAcc
from scenegen.data.exemplars.overlap import Overlapping
from scenegen.data.exemplars.rank import rank
from scenegen.data.world import render

HEIGHT, WIDTH, COUNT = 12, 17, 300
"""Of the maps; neither side is a multiple of a grid's."""
KINDS = 7
CLASSES = ClassList(names=tuple(f"class {i}" for i in range(KINDS)))
MEASURES = [MaskIou(classes=CLASSES), PixelAcc(classes=CLASSES)]


def blocks(stream: np.random.Generator, count: int) -> np.ndarray:
    """Maps of rectangles, most of which lack most classes; class 7 is none."""
    few = [stream.choice(KINDS + 1, size=stream.integers(1, 5), replace=False) for _ in range(count)]
    coarse = np.stack([stream.choice(some, (4, 5)) for some in few])
    return coarse.repeat(3, 1).repeat(4, 2)[:, :, :WIDTH]


def scenes(stream: np.random.Generator, count: int) -> np.ndarray:
    """Maps of the rendered world, its classes folded into a few."""
    whole = [render(0, i, height=24, width=48).label % KINDS for i in range(12)]
    chosen = [(whole[stream.integers(12)], *stream.integers(0, (13, 32))) for _ in range(count)]
    return np.stack([one[top : top + HEIGHT, left : left + WIDTH] for one, top, left in chosen])


def noise(stream: np.random.Generator, count: int) -> np.ndarray:
    return stream.integers(0, KINDS + 1, (count, HEIGHT, WIDTH))


def equal(stream: np.random.Generator, count: int) -> np.ndarray:
    """Three maps over and over."""
    return blocks(stream, 3)[stream.integers(0, 3, count)]


def ties(stream: np.random.Generator, count: int) -> np.ndarray:
    """Two classes in four rectangles: sixteen maps, whose similarities take few values."""
    halves = stream.integers(0, 2, (count, 2, 2)).repeat(6, 1)
    return np.concatenate([halves[:, :, :1].repeat(8, 2), halves[:, :, 1:].repeat(WIDTH - 8, 2)], axis=2)


def nearly(stream: np.random.Generator, count: int) -> np.ndarray:
    """One view with noise, as a still camera sees it."""
    made = blocks(stream, 1).repeat(count, 0)
    return np.where(stream.random(made.shape) < 0.05, noise(stream, count), made)


def shuffled(stream: np.random.Generator, count: int) -> np.ndarray:
    """Each part of each grid holds the same pixels in another order, so that all bounds are 1."""
    parts = stream.permuted(np.tile(np.arange(12) % 5, (count, 4, 4, 1)), axis=3)
    return parts.reshape(count, 4, 4, 3, 4).transpose(0, 1, 3, 2, 4).reshape(count, HEIGHT, 16)


def void(stream: np.random.Generator, count: int) -> np.ndarray:
    """A third of the maps shows no class at all, a third a single pixel."""
    made = blocks(stream, count)
    made[::3] = KINDS
    made[1::3] = KINDS
    made[1::3, 4, 5] = stream.integers(0, KINDS, len(made[1::3]))
    return made


def flat(made: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(made.reshape(len(made), -1), np.uint8))


def all_pairs(x: Tensor, y: Tensor, measure: OfMaps, own: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and rounded similarities by a stable sort of all of them."""
    everything = measure.similarity(x, y).numpy().round(6)
    everything[own >= 0, own[own >= 0]] = -1
    order = np.argsort(-everything, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(everything, order, axis=1)


Make = Callable[[np.random.Generator, int], np.ndarray]


@pytest.mark.parametrize("measure", MEASURES, ids=["iou", "acc"])
@pytest.mark.parametrize("make", [blocks, scenes, noise, equal, ties, nearly, shuffled, void])
@pytest.mark.parametrize("itself", [True, False])
def test_lists_are_those_of_comparing_all_pairs(monkeypatch, make: Make, measure, itself):
    for name, value in {"FIRST": 2, "MORE": 2, "AT_ONCE": 8, "EXACT": 16}.items():
        monkeypatch.setattr(overlap, name, value)
    monkeypatch.setattr(maps, "MOST", 8)
    monkeypatch.setattr(maps, "PIXELS", 64 * HEIGHT * WIDTH)
    stream = np.random.default_rng(0)
    y = flat(make(stream, COUNT))
    x, own = (y, np.arange(COUNT)) if itself else (flat(make(stream, 90)), np.arange(90) - 5)
    own = own.clip(-1)
    ranked = rank(x, y, measure=measure, top_k=9, own=own, width=16 if make is shuffled else WIDTH)
    rows, scores = all_pairs(x, y, measure, own, 9)
    assert ranked.rows.tolist() == rows.tolist()
    assert ranked.scores.tolist() == scores.tolist()


def compared(x: Tensor, y: Tensor, measure: OfMaps, monkeypatch, *, width: int = WIDTH) -> tuple[int, int]:
    """Pairs whose pixels were compared one by one, and all at once."""
    one, many = [], []
    shared, everything = overlap._Hunt._shared, measure.similarity
    monkeypatch.setattr(overlap._Hunt, "_shared", lambda hunt, at: (one.append(len(at)), shared(hunt, at))[1])
    monkeypatch.setattr(measure, "similarity", lambda x, y: (many.append(len(x) * len(y)), everything(x, y))[1])
    rank(x, y, measure=measure, top_k=5, own=np.arange(len(x)), width=width)
    return sum(one), sum(many)


@pytest.mark.parametrize("measure", [MaskIou, PixelAcc])
def test_most_pairs_of_scenes_are_never_compared(monkeypatch, measure):
    monkeypatch.setattr(maps, "MOST", 8)
    x = flat(scenes(np.random.default_rng(1), 600))
    one, many = compared(x, x, measure(classes=CLASSES), monkeypatch)
    assert one < 0.2 * len(x) ** 2
    assert many == 0


@pytest.mark.parametrize("measure", [MaskIou, PixelAcc])
def test_where_bounds_leave_too_many_all_are_compared_and_few_queries_tried(monkeypatch, measure):
    x = flat(shuffled(np.random.default_rng(2), 600))
    one, many = compared(x, x, measure(classes=CLASSES), monkeypatch, width=16)
    assert many == len(x) ** 2
    assert one <= overlap.ROW * (overlap.SHARE * len(x) + overlap.EXACT)


@pytest.mark.parametrize("measure", [MaskIou, PixelAcc])
def test_of_equal_maps_only_the_first_are_compared(monkeypatch, measure):
    x = flat(blocks(np.random.default_rng(3), 1).repeat(500, 0))
    one, many = compared(x, x, measure(classes=CLASSES), monkeypatch)
    assert one <= 2 * overlap.FIRST * maps.MOST * len(x)
    assert many == 0


@pytest.mark.parametrize("kinds", [7, 40, 300])
def test_pixels_shared_by_bits_are_those_of_the_ids(kinds):
    """Ids of 3, 6 and 9 bits, and maps whose last word is not full."""
    ids = np.random.default_rng(4).integers(0, kinds + 1, (30, HEIGHT * WIDTH))
    ids[:10] = ids[0]
    measure = MaskIou(classes=ClassList(names=tuple(f"class {i}" for i in range(kinds))))
    rows = torch.from_numpy(ids.astype(np.int16 if kinds > 255 else np.uint8))
    search = Overlapping(rows, rows, measure=measure, width=WIDTH, block=30)
    query, places = search.queries.at(3), search.gallery.order
    found = overlap._Hunt(search.gallery, query, measure, -1, 1)._shared(np.arange(30))
    mine = ids[places[3]]
    assert found.tolist() == [[int(((mine == i) & (ids[j] == i)).sum()) for j in places] for i in query.classes]


def test_counts_of_a_grid_are_those_of_its_parts():
    made = blocks(np.random.default_rng(5), 40)
    found = Maps(flat(made), kinds=KINDS, width=WIDTH)
    for grid, parts in zip(maps.GRIDS, found.parts, strict=True):
        tall, wide = (np.arange(side) * grid // side for side in (HEIGHT, WIDTH))
        for place, counts in zip(found.order.tolist(), parts, strict=True):
            for cell in range(grid**2):
                inside = made[place][tall == cell // grid][:, wide == cell % grid]
                assert counts[:, cell].tolist() == np.bincount(inside.ravel(), minlength=KINDS + 1)[:KINDS].tolist()
    assert np.array_equal(found.counts.T, found.parts[0].sum(2))


@pytest.mark.parametrize("own", [1, 8, 10**6])
def test_boxes_hold_every_map_once_within_their_limits(monkeypatch, own):
    monkeypatch.setattr(maps, "OWN", own)
    found = Maps(flat(void(np.random.default_rng(6), 200)), kinds=KINDS, width=WIDTH)
    assert sorted(found.order.tolist()) == list(range(200))
    assert (np.diff(found.ends) > 0).all()
    assert np.diff(found.ends).max() <= maps.MOST
    for box, (start, end) in enumerate(zip(found.ends[:-1], found.ends[1:], strict=True)):
        inside = found.counts[:, start:end]
        assert inside.min(1).tolist() == found.low[:, box].tolist()
        assert inside.max(1).tolist() == found.high[:, box].tolist()
        assert found.first[box] == found.order[start:end].min()
