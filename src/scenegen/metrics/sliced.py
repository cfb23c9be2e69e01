"""Sliced Wasserstein distance: of two sets of rows, along many random directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.rows import Rows, projected

HELD = 2**25
"""Projections (rows times directions) that are held at a time."""


def sliced_wasserstein(x: Rows, y: Rows, *, directions: int, generator: torch.Generator) -> Tensor:
    """Mean over random unit directions of the 1-Wasserstein distance of the projected sets.

    It needs fewer rows than a Frechet distance: no covariance is estimated.

    Args:
        x: (n, d) real numbers.
        y: (m, d); sets of unlike sizes are compared by their quantile functions.
        directions: number of directions.
        generator: source of the directions.

    Returns:
        () float64, not negative; 0 for equal sets. In the units of the rows.

    Raises:
        Refusal: an empty set or unlike widths.

    Source: Rabin et al., SSVM 2011; Karras et al., ICLR 2018 (Progressive GAN), section 5.
    """
    unit = _directions(x, y, directions, generator)
    count = max(len(x), len(y))
    found = torch.zeros((), dtype=torch.float64)
    for part in unit.split(max(1, HELD // (len(x) + len(y))), dim=1):
        a, b = (_quantiles(projected(rows, part), count) for rows in (x, y))  # (q, k) each
        found += (a - b).abs().mean() * (part.shape[1] / directions)
    return found


@dataclass(frozen=True)
class Transport:
    """A sliced distance with the part of each row in it.

    Attributes:
        distance: mean over the directions of the 1-Wasserstein distance.
        influence: (n,) float64; a set in which rows of x weigh more has, to first order, the distance + the weighted
            mean of their influence. Its mean is 0.
    """

    distance: float
    influence: Tensor


def transport(x: Rows, y: Rows, *, directions: int, generator: torch.Generator, at_once: int = 64) -> Transport:
    """Sliced 1-Wasserstein distance by the areas between distribution functions, exact for sets of unlike sizes.

    A row's influence is the dual potential of the transport at its place, less its mean.

    Args:
        x: (n, d) real numbers.
        y: (m, d).
        directions: number of random unit directions.
        generator: source of the directions.
        at_once: directions whose projections are held at a time, fewer of many rows.

    Raises:
        Refusal: an empty set or unlike widths.

    Source: Rabin et al., SSVM 2011; the potential: Santambrogio, Optimal transport for applied mathematicians (2015),
        propositions 2.17 and 7.17.
    """
    unit = _directions(x, y, directions, generator)
    rows = len(x) + len(y)
    step = torch.full((rows, 1), 1 / len(x), dtype=torch.float64)
    step[len(x) :] = -1 / len(y)
    distance, influence = 0.0, torch.zeros(len(x), dtype=torch.float64)
    for part in unit.split(max(1, min(at_once, HELD // (8 * rows))), dim=1):
        place, order = torch.cat([projected(x, part), projected(y, part)]).sort(0)  # (n + m, k) each
        between = step[:, 0][order].cumsum(0)[:-1]  # F_x - F_y between two neighbours
        width = place.diff(dim=0)
        distance += float((between.abs() * width).sum())
        signed = between.sign() * width
        above = torch.cat([signed.flip(0).cumsum(0).flip(0), signed.new_zeros(1, signed.shape[1])])
        potential = torch.empty_like(above).scatter_(0, order, above)[: len(x)]
        influence += (potential - potential.mean(0)).sum(1)
    return Transport(distance / directions, influence / directions)


def _directions(x: Rows, y: Rows, directions: int, generator: torch.Generator) -> Tensor:
    if len(x.shape) != 2 or len(y.shape) != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise Refusal(f"a sliced distance needs two tables of one width, got {tuple(x.shape)} and {tuple(y.shape)}")
    unit = torch.randn(x.shape[1], directions, generator=generator, dtype=torch.float64)
    return unit / unit.norm(dim=0, keepdim=True)


def _quantiles(projected: Tensor, count: int) -> Tensor:
    """Sorted columns; a smaller set is read at `count` even places of its quantile function."""
    ordered = projected.sort(0).values
    if len(ordered) == count:
        return ordered
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count * len(ordered)
    return ordered[places.long().clamp(max=len(ordered) - 1)]
