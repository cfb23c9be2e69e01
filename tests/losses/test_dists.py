"""The moments of DISTS: derivatives, and the forms of the paper that cancel where ours do not."""

from __future__ import annotations

import pytest
import torch

from scenegen.losses.dists import dists


def maps(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equations_of_the_paper():
    # Ding et al. 2020, eqs. 4-6 with biased moments and c = 1e-6
    x, y = maps(2, 3, 5, 7, seed=0), maps(2, 3, 5, 7, seed=1)
    alpha, beta = maps(3, seed=2), maps(3, seed=3)
    mx, my = x.mean((2, 3)), y.mean((2, 3))
    vx, vy = x.var((2, 3), correction=0), y.var((2, 3), correction=0)
    covariance = (x * y).mean((2, 3)) - mx * my
    texture = (2 * mx * my + 1e-6) / (mx**2 + my**2 + 1e-6)
    structure = (2 * covariance + 1e-6) / (vx + vy + 1e-6)
    want = 1 - (alpha * texture + beta * structure).sum(1) / (alpha.sum() + beta.sum())
    torch.testing.assert_close(dists([x], [y], alpha, beta), want)


@pytest.mark.parametrize("sides", ["x", "y", "xy"])
def test_derivatives(sides):
    x, y = maps(2, 2, 3, 3, seed=0), maps(2, 2, 3, 3, seed=1)
    x.requires_grad_("x" in sides)
    y.requires_grad_("y" in sides)
    alpha, beta = maps(2, seed=2), maps(2, seed=3)
    assert torch.autograd.gradcheck(lambda a, b: dists([a], [b], alpha, beta), (x, y))
