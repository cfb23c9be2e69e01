"""Sliced Wasserstein distance: of two sets of rows, along many random directions."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal


def sliced_wasserstein(x: Tensor, y: Tensor, *, directions: int, generator: torch.Generator) -> Tensor:
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
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise Refusal(f"a sliced distance needs two tables of one width, got {tuple(x.shape)} and {tuple(y.shape)}")
    unit = torch.randn(x.shape[1], directions, generator=generator, dtype=torch.float64)
    unit = unit / unit.norm(dim=0, keepdim=True)
    a, b = (_quantiles(rows.double() @ unit, max(len(x), len(y))) for rows in (x, y))  # (q, directions) each
    return (a - b).abs().mean()


def _quantiles(projected: Tensor, count: int) -> Tensor:
    """Sorted columns; a smaller set is read at `count` even places of its quantile function."""
    ordered = projected.sort(0).values
    if len(ordered) == count:
        return ordered
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count * len(ordered)
    return ordered[places.long().clamp(max=len(ordered) - 1)]
