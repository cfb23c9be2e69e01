"""Kernel distance (KID): the unbiased squared MMD of two feature sets under a polynomial kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.rows import Rows


def kernel_distance(x: Tensor, y: Tensor, *, degree: int = 3, coef: float = 1.0) -> Tensor:
    """Unbiased squared maximum mean discrepancy with k(a, b) = (a.b / d + coef)^degree.

    Args:
        x: (n, d) features, n >= 2.
        y: (m, d) features, m >= 2.
        degree, coef: of the polynomial kernel; 3 and 1 in the paper.

    Returns:
        () float64; can be below 0, as an unbiased estimate of a small number must.

    Raises:
        Refusal: a side has fewer than 2 rows, or the dimensions differ.

    Source: Binkowski et al., Demystifying MMD GANs (2018), eq. 4 and section 4.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise Refusal(
            f"a kernel distance needs two tables of at least 2 rows and one width, got {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    x, y = x.double(), y.double()
    n, m, d = len(x), len(y), x.shape[1]
    kxx, kyy, kxy = ((a @ b.T / d + coef) ** degree for a, b in ((x, x), (y, y), (x, y)))
    within_x = (kxx.sum() - kxx.trace()) / (n * (n - 1))
    within_y = (kyy.sum() - kyy.trace()) / (m * (m - 1))
    return within_x + within_y - 2 * kxy.mean()


def kernel_distance_subsets(
    x: Rows, y: Rows, *, generator: torch.Generator, subsets: int = 100, size: int = 1000
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the kernel distance over random subsets without replacement.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        generator: source of the subsets.
        subsets: how many.
        size: rows per subset; the smaller set's size when that is less.

    Returns:
        (mean (), standard deviation ()), float64.
    """
    size = min(size, len(x), len(y))
    values = []
    for _ in range(subsets):
        i = torch.randperm(len(x), generator=generator)[:size]
        j = torch.randperm(len(y), generator=generator)[:size]
        values.append(kernel_distance(x[i], y[j]))
    stacked = torch.stack(values)
    return stacked.mean(), stacked.std(unbiased=False)
