"""The contextual loss against derivatives, a plain formulation and its own symmetries."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from scenegen.losses.contextual import PAPER as MECHREZ
from scenegen.losses.contextual import contextual_loss
from scenegen.losses.matching import CENTRES, DIRECTIONS, DISTANCES


def maps(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_of_both_sides(distance, direction):
    x, y = maps(2, 3, 2, 3).requires_grad_(), maps(2, 3, 2, 2, seed=1).requires_grad_()
    options = {"distance": distance, "direction": direction, "h": 0.5, "log_eps": 1e-3, "row_chunk": 4}
    assert torch.autograd.gradcheck(lambda a, b: contextual_loss(a, b, replace(MECHREZ, **options)), (x, y))


@pytest.mark.parametrize("centre", CENTRES)
def test_gradients_through_centres_and_patches(centre):
    x, y = maps(2, 3, 3, 3).requires_grad_(), maps(2, 3, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: contextual_loss(a, b, replace(MECHREZ, centre=centre, patch=3)), (x, y)
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_blocks_do_not_change_the_value(direction):
    x, y = maps(2, 8, 9, 7), maps(2, 8, 5, 11, seed=1)
    whole = contextual_loss(x, y, replace(MECHREZ, direction=direction, row_chunk=1000))
    for rows in (1, 4, 62):
        torch.testing.assert_close(contextual_loss(x, y, replace(MECHREZ, direction=direction, row_chunk=rows)), whole)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_positions_have_no_order(direction):
    x, y = maps(1, 8, 6, 6), maps(1, 8, 6, 6, seed=1)
    mixed = x.flatten(2)[..., torch.randperm(36, generator=torch.Generator().manual_seed(2))]
    torch.testing.assert_close(
        contextual_loss(mixed, y, replace(MECHREZ, direction=direction)),
        contextual_loss(x, y, replace(MECHREZ, direction=direction)),
    )


def test_flat_sets_reach_the_stated_ceiling():
    y = torch.ones(1, 4, 5, 5)
    torch.testing.assert_close(contextual_loss(y, y), torch.tensor(25.0).log())


def test_autocast_does_not_change_the_value():
    x, y = maps(1, 32, 8, 8).float().requires_grad_(), maps(1, 32, 8, 8, seed=1).float()
    values, gradients = [], []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            value = contextual_loss(x, y)
            values.append(value)
            gradients.append(torch.autograd.grad(value, x)[0])
    assert values[0] == values[1]
    assert torch.equal(*gradients)


def test_no_gradient_is_made_where_none_is_wanted():
    with torch.no_grad():
        assert not contextual_loss(maps(1, 4, 3, 3).requires_grad_(), maps(1, 4, 3, 3, seed=1)).requires_grad
