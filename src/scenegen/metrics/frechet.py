"""Frechet distance between two sets of features, in float64 and without a matrix square root.

Means and covariances stream, so a reference of any size fits; the covariance is the unbiased one (n - 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.rows import Rows, blocks


class Moments:
    """Mean and covariance of a stream of feature rows.

    While there are no more rows than dimensions the rows themselves are kept: the distance then costs an
    n x n decomposition instead of a d x d one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self.scatter: Tensor | None = None  # sum of (x - mean)(x - mean)^T, once rows are gone
        self.rows: list[Tensor] | None = []

    @classmethod
    def of(cls, features: Rows) -> Moments:
        """The moments of a table of (n, d) features."""
        moments = cls()
        for block in blocks(features):
            moments.update(block)
        return moments

    def update(self, features: Tensor) -> None:
        """Take in more rows.

        Args:
            features: (n, d) real numbers; every call has the same d.

        Raises:
            Refusal: not a table, a changed d, or a value that is not finite.

        Source: Chan, Golub & LeVeque, Updating formulae ... for computing sample variances (1979), eq. 2.1.
        """
        x = self._checked(features)
        if not len(x):
            return
        block_mean = x.mean(0)
        shift = block_mean - self.mean if self.count else block_mean
        total = self.count + len(x)
        if self.rows is not None and total > x.shape[1]:
            self._drop_rows(dim=x.shape[1])
        if self.rows is not None:
            self.rows.append(x)
        elif self.scatter is not None:
            centred = x - block_mean
            self.scatter += centred.T @ centred
            self.scatter += torch.outer(shift, shift) * (self.count * len(x) / total)
        self.mean = (self.mean if self.count else torch.zeros_like(block_mean)) + shift * (len(x) / total)
        self.count = total

    def centred_rows(self) -> Tensor | None:
        """(n, d) rows minus their mean, or None once there are more rows than dimensions."""
        return torch.cat(self.rows) - self.mean if self.rows else None

    def covariance(self) -> Tensor:
        """(d, d) float64 unbiased covariance.

        Raises:
            Refusal: fewer than two rows.
        """
        if self.count < 2:
            raise Refusal(f"a covariance needs at least 2 pictures, got {self.count}")
        if self.scatter is not None:
            return self.scatter / (self.count - 1)
        return torch.cat(self.rows or []).T.cov().reshape(len(self.mean), len(self.mean))

    def _checked(self, features: Tensor) -> Tensor:
        if features.ndim != 2 or (self.count and features.shape[1] != len(self.mean)):
            wanted = f"(n, {len(self.mean)})" if self.count else "(n, d)"
            raise Refusal(f"features are {tuple(features.shape)}, a Frechet distance needs {wanted}")
        x = features.detach().to("cpu", torch.float64)
        if not torch.isfinite(x).all():
            raise Refusal("features hold NaN or infinity; look at the pictures and at the extractor's weights")
        return x

    def _drop_rows(self, *, dim: int) -> None:
        centred = torch.cat(self.rows) - self.mean if self.rows else torch.zeros(0, dim, dtype=torch.float64)
        self.scatter = centred.T @ centred
        self.rows = None


def frechet_distance(mu1: Tensor, sigma1: Tensor, mu2: Tensor, sigma2: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians.

    The trace of sqrt(S1 S2) is the sum of the root eigenvalues of A^T S2 A with S1 = A A^T, which is symmetric:
    no square root of a non-symmetric matrix, no imaginary parts.

    Args:
        mu1, mu2: (d,) means.
        sigma1, sigma2: (d, d) symmetric positive semi-definite covariances.

    Returns:
        () float64, never below 0.

    Source: Dowson & Landau (1982), eq. 4; Heusel et al., GANs trained by a two time-scale update rule (2017), eq. 6.
    """
    mu1, sigma1, mu2, sigma2 = (t.double() for t in (mu1, sigma1, mu2, sigma2))
    values, vectors = torch.linalg.eigh(sigma1)
    root = vectors * values.clamp_min(0).sqrt()
    inner = torch.linalg.eigvalsh(root.T @ sigma2 @ root)
    trace_root = inner.clamp_min(0).sqrt().sum()
    distance = (mu1 - mu2).square().sum() + sigma1.trace() + sigma2.trace() - 2 * trace_root
    return distance.clamp_min(0)


def frechet(a: Moments, b: Moments) -> Tensor:
    """Squared Frechet distance between two sets of features.

    With fewer rows than dimensions on both sides the trace of sqrt(S1 S2) is the sum of the singular values of
    X Y^T / sqrt((n - 1)(m - 1)), X and Y the centred rows.

    Args:
        a, b: moments of two sets, at least 2 rows each, same d.

    Returns:
        () float64, never below 0.

    Raises:
        Refusal: a set has fewer than 2 rows, or the dimensions differ.
    """
    for side in (a, b):
        if side.count < 2:
            raise Refusal(f"a Frechet distance needs at least 2 pictures on each side, got {side.count}")
    if a.mean.shape != b.mean.shape:
        raise Refusal(f"features of {len(a.mean)} and {len(b.mean)} dimensions do not compare; use one extractor")
    x, y = a.centred_rows(), b.centred_rows()
    if x is None or y is None:
        return frechet_distance(a.mean, a.covariance(), b.mean, b.covariance())
    n, m = len(x) - 1, len(y) - 1
    trace_root = torch.linalg.svdvals(x @ y.T).sum() / (n * m) ** 0.5
    distance = (a.mean - b.mean).square().sum() + x.square().sum() / n + y.square().sum() / m - 2 * trace_root
    return distance.clamp_min(0)
