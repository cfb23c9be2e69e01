"""Precision, recall, density and coverage: two sets of features as balls around each row, up to its k-th neighbour."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.rows import BLOCK, Rows, blocks

ROWS = 1024
"""Rows whose distances to a block of others are held at a time."""


@dataclass(frozen=True)
class Coverage:
    """Agreement of two sets.

    Attributes:
        precision: share of made rows in a real row's ball: they could be real.
        recall: share of real rows in a made row's ball: they could be made.
        density: number of real balls that a made row lies in, over k, mean; 1 for equal sets, above 1 for sets at the
            real one's centre.
        coverage: share of real rows whose ball holds a made row.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def coverage_of(made: Rows, real: Rows, *, k: int) -> Coverage:
    """Precision, recall, density and coverage of made features.

    Args:
        made: (n, d) real numbers.
        real: (m, d).
        k: the neighbour that a ball reaches to, not counting the row itself; below n and m.

    Raises:
        Refusal: too few rows, or unlike widths.

    Source: Kynkaanniemi et al., NeurIPS 2019, eq. 1 and 2 (precision and recall); Naeem et al., ICML 2020, eq. 3 and 4
        (density and coverage).
    """
    shapes = tuple(made.shape), tuple(real.shape)
    if {*map(len, shapes)} != {2} or shapes[0][1] != shapes[1][1] or not 1 <= k < min(len(made), len(real)):
        raise Refusal(
            f"neighbours need two tables of one width with more than k={k} rows, got {shapes[0]} and "
            f"{shapes[1]}; score more pictures, or give a smaller k"
        )
    around_made = _radii(made, k).split(BLOCK)
    balls = torch.zeros(len(made), dtype=torch.long)  # of real rows, around each made row
    recalled = covered = 0
    for part, radius in zip(blocks(real), _radii(real, k).split(BLOCK), strict=True):
        in_made, in_own = torch.zeros(2, len(part), dtype=torch.bool)
        for other, around, count in zip(blocks(made), around_made, balls.split(BLOCK), strict=True):
            across = torch.cdist(part.double(), other.double())  # (block of m, block of n)
            in_real = across < radius[:, None]
            count += in_real.sum(0)  # a view of balls
            in_own |= in_real.any(1)
            in_made |= (across < around).any(1)
        recalled, covered = recalled + int(in_made.sum()), covered + int(in_own.sum())
    return Coverage(
        precision=float((balls > 0).double().mean()),
        recall=recalled / len(real),
        density=float(balls.double().mean() / k),
        coverage=covered / len(real),
    )


def _radii(rows: Rows, k: int) -> Tensor:
    """(n,) distance of each row to its k-th neighbour; the row itself is its own at 0."""
    found = []
    for part in blocks(rows, ROWS):
        least = torch.empty(len(part), 0, dtype=torch.float64)
        for other in blocks(rows):
            near = torch.cat([least, torch.cdist(part.double(), other.double())], 1)
            least = near.topk(min(k + 1, near.shape[1]), dim=1, largest=False).values
        found.append(least.amax(1))
    return torch.cat(found)
