"""Precision, recall, density and coverage: two sets of features as balls around each row, up to its k-th neighbour."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal

ROWS = 1024
"""Rows whose distances are held at a time."""


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


def coverage_of(made: Tensor, real: Tensor, *, k: int) -> Coverage:
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
    if made.ndim != 2 or real.ndim != 2 or made.shape[1] != real.shape[1] or not 1 <= k < min(len(made), len(real)):
        raise Refusal(
            f"neighbours need two tables of one width with more than k={k} rows, got {tuple(made.shape)} and "
            f"{tuple(real.shape)}; score more pictures, or give a smaller k"
        )
    made, real = made.double(), real.double()
    across = torch.cdist(real, made)  # (m, n)
    around_real, around_made = _radii(real, k), _radii(made, k)  # (m,), (n,)
    in_real = across < around_real[:, None]
    return Coverage(
        precision=float(in_real.any(0).double().mean()),
        recall=float((across < around_made[None]).any(1).double().mean()),
        density=float(in_real.double().sum(0).mean() / k),
        coverage=float((across.amin(1) < around_real).double().mean()),
    )


def _radii(rows: Tensor, k: int) -> Tensor:
    """(n,) distance of each row to its k-th neighbour; the row itself is its own at 0."""
    return torch.cat([torch.cdist(part, rows).kthvalue(k + 1, dim=1).values for part in rows.split(ROWS)])
