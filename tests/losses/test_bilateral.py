"""The contextual bilateral loss against a plain formulation, derivatives and its bounds."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from tests.options import loss_term

from scenegen.base.records import Refusal
from scenegen.losses.bilateral import PAPER as ZOOM
from scenegen.losses.bilateral import bilateral_loss
from scenegen.losses.contextual import PAPER as MECHREZ
from scenegen.losses.contextual import contextual_loss
from scenegen.losses.matching import CENTRES, DIRECTIONS, DISTANCES


def maps(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(x, y, *, w=0.1, eps=1e-3, h=0.5, direction="target"):
    """The formula, with every matrix whole."""
    mean = y.mean((0, 2, 3), keepdim=True)
    (h1, w1), (h2, w2) = x.shape[2:], y.shape[2:]
    unit = [torch.nn.functional.normalize(m - mean, dim=1).flatten(2) for m in (x, y)]
    grids = [[torch.arange(n).double() / n * 255 for n in size] for size in ((h1, w1), (h2, w2))]
    places = [torch.cartesian_prod(*grid) for grid in grids]
    feature = (1 - torch.einsum("bcp,bcq->bpq", *unit)) / 2
    spatial = torch.cdist(places[0], places[1]).square()[None].expand(len(x), -1, -1)
    a, b = (torch.softmax((1 - d / (d.amin(2, keepdim=True) + eps)) / h, 2) for d in (feature, spatial))
    return -((1 - w) * a + w * b).amax(1 if direction == "target" else 2).mean(1).log().mean()


@pytest.mark.parametrize("row_chunk", [None, 1, 7])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", [(5, 6), (4, 9)])
def test_equals_the_plain_formula(size, direction, row_chunk):
    x, y = maps(2, 8, 5, 6).requires_grad_(), maps(2, 8, *size, seed=1)
    values = [
        bilateral_loss(x, y, replace(ZOOM, direction=direction, row_chunk=row_chunk)),
        plain(x, y, direction=direction),
    ]
    torch.testing.assert_close(*values, rtol=1e-5, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(v, x)[0] for v in values), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_of_both_sides(distance, direction):
    x, y = maps(2, 3, 2, 3).requires_grad_(), maps(2, 3, 2, 2, seed=1).requires_grad_()
    matching = replace(ZOOM, distance=distance, direction=direction, log_eps=1e-3, row_chunk=4)
    loss = partial(bilateral_loss, matching=matching, grid="within_1")
    assert torch.autograd.gradcheck(loss, (x, y), fast_mode=True)


@pytest.mark.parametrize("centre", CENTRES)
def test_without_places_it_is_the_contextual_loss(centre):
    x, y = maps(2, 6, 5, 5), maps(2, 6, 5, 5, seed=1)
    options = {"centre": centre, "distance": "cosine_half", "eps": 1e-3, "max_points": 12}
    torch.testing.assert_close(
        bilateral_loss(x, y, replace(ZOOM, **options), spatial=0), contextual_loss(x, y, replace(MECHREZ, **options))
    )


def test_floor_and_ceiling():
    y = maps(1, 16, 6, 6)
    assert bilateral_loss(y, y) < 1e-3  # the softmax is 1 up to its other entries
    flat = torch.ones(1, 16, 6, 6, dtype=torch.float64)
    # every feature affinity is 1/36; places alone tell positions apart
    torch.testing.assert_close(bilateral_loss(flat, flat).item(), -math.log(0.9 / 36 + 0.1), rtol=1e-3, atol=0)


def test_drawn_points_depend_on_the_seed_alone(evidence, pictures):
    term = loss_term("cobi", extractor="vgg", layers={"relu2_2": 1.0}, h=1.0, max_points=20)
    first, again, other = (term(evidence(term, pictures, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("options", "message"),
    [({"spatial": 1.0}, r"spatial=1\.0 is not in"), ({"grid": "km"}, "grid=km is not one of to_255, within_1"),
     ({"distance": "l3"}, "distance=l3 is"), ({"layers": {}}, r"loss\.cobi\.layers names no layer")],
)  # fmt: skip
def test_refusals(options, message):
    with pytest.raises(Refusal, match=message):
        loss_term("cobi", **{"extractor": "vgg", "layers": {"relu1_1": 1.0}, **options})


def test_unlike_channels_are_refused():
    with pytest.raises(Refusal, match=r"loss\.cobi compares like feature maps"):
        bilateral_loss(maps(1, 2, 3, 3), maps(1, 3, 3, 3))
