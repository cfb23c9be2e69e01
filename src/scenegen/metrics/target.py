"""A reference to which many sets of features are compared: its covariance is factored once.

With n rows X, centred, and the reference's covariance B B^T, the trace of sqrt(S_x S_y) is the sum of the singular
values of Z = X B / sqrt(n - 1). The distance, the contribution of each picture and the course as n grows follow. Of
more rows than are read at a time Z^T Z comes from their covariance, so that memory does not grow with n.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.base.refusal import Refusal
from scenegen.metrics.frechet import Moments
from scenegen.metrics.rows import BLOCK, Picked, Rows, blocks


@dataclass(frozen=True)
class Target:
    """The real side of a Frechet distance.

    Attributes:
        mean: (d,) float64.
        root: (d, r) float64, covariance = root root^T; r is the smaller of pictures and dimensions.
        trace: () float64, of the covariance.
        count: pictures behind it.
    """

    mean: Tensor
    root: Tensor
    trace: Tensor
    count: int

    @classmethod
    def of(cls, moments: Moments) -> Target:
        """Factor the covariance of a reference of at least 2 pictures."""
        if moments.count < 2:
            raise Refusal(f"a Frechet distance needs at least 2 pictures on each side, got {moments.count}")
        rows = moments.centred_rows()
        if rows is not None:
            root = rows.T / (moments.count - 1) ** 0.5
        else:
            values, vectors = torch.linalg.eigh(moments.covariance())
            root = vectors * values.clamp_min(0).sqrt()
        return cls(moments.mean, root, root.square().sum(), moments.count)

    def distance(self, features: Rows) -> Tensor:
        """Squared Frechet distance of (n, d) features to the reference.

        Args:
            features: (n, d) real numbers, n >= 2.

        Returns:
            () float64, never below 0.

        Raises:
            Refusal: fewer than 2 rows, another d, or a value that is not finite.

        Source: Heusel et al., GANs trained by a two time-scale update rule (2017), eq. 6.
        """
        self._require(features)
        if self._streams(features):
            return self._distance_of_moments(Moments.of(features))
        x = _finite(features)
        return self._distance(x, x @ self.root)

    def influence(self, features: Rows) -> Tensor:
        """Contribution of each picture to the distance: the derivative by the picture's weight, times n, centred.

        The distance of pictures that were drawn anew is, to first order, the distance plus the mean influence of
        the drawn ones. Unlike the distance of a resampled set, which has only 63 % different pictures, that mean
        has no bias.

        Args:
            features: (n, d) real numbers, n >= 2.

        Returns:
            (n,) float64 that sum to 0.

        Source: Efron, Nonparametric estimates of standard error (1981), the infinitesimal jackknife.
        """
        self._require(features)
        if self._streams(features):
            moments = Moments.of(features)
            spectrum = torch.linalg.eigh(self.root.T @ moments.covariance() @ self.root)
            slope = torch.cat([self._slopes(block.double(), moments, spectrum) for block in blocks(features)])
        else:
            x = _finite(features)
            n, shift, centred = len(x), x.mean(0) - self.mean, x - x.mean(0)
            z = centred @ self.root / (n - 1) ** 0.5
            slope = 2 * (centred @ shift) / n + centred.square().sum(1) / (n - 1) - _root_diagonal(z)
        return len(features) * (slope - slope.mean())

    def course(self, features: Rows, *, sizes: list[int], generator: torch.Generator) -> Tensor:
        """Distances of random subsets of growing size.

        Args:
            features: (n, d) real numbers.
            sizes: rows per subset, each from 2 to n.
            generator: source of the subsets.

        Returns:
            (len(sizes),) float64.
        """
        self._require(features)
        picks = [torch.randperm(len(features), generator=generator)[:size] for size in sizes]
        if self._streams(features):
            return torch.stack([self.distance(Picked(features, pick)) for pick in picks])
        x = _finite(features)
        projected = x @ self.root
        return torch.stack([self._distance(x[pick], projected[pick]) for pick in picks])

    def _distance(self, x: Tensor, projected: Tensor) -> Tensor:
        n, mean = len(x), x.mean(0)
        z = (projected - projected.mean(0)) / (n - 1) ** 0.5
        gram = z @ z.T if n <= z.shape[1] else z.T @ z
        return self._of(gram, mean, (x - mean).square().sum() / (n - 1))

    def _distance_of_moments(self, moments: Moments) -> Tensor:
        covariance = moments.covariance()
        return self._of(self.root.T @ covariance @ self.root, moments.mean, covariance.trace())

    def _of(self, gram: Tensor, mean: Tensor, trace: Tensor) -> Tensor:
        trace_root = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum()
        return ((mean - self.mean).square().sum() + trace + self.trace - 2 * trace_root).clamp_min(0)

    def _slopes(self, x: Tensor, moments: Moments, spectrum: tuple[Tensor, Tensor]) -> Tensor:
        """(b,) part of each of some rows in the derivative; `spectrum` is of Z^T Z over all rows."""
        n, centred = moments.count, x - moments.mean
        z = centred @ self.root / (n - 1) ** 0.5
        shift = moments.mean - self.mean
        return 2 * (centred @ shift) / n + centred.square().sum(1) / (n - 1) - _diagonal_of(z, *spectrum)

    def _streams(self, features: Rows) -> bool:
        """True of more rows than are computed on as one tensor, and than dimensions."""
        return len(features) > max(BLOCK, features.shape[1])

    def _require(self, features: Rows) -> None:
        shape = tuple(features.shape)
        if len(shape) != 2 or len(features) < 2:
            raise Refusal(f"a Frechet distance needs at least 2 pictures on each side, got {shape}")
        if shape[1] != len(self.mean):
            raise Refusal(f"features of {shape[1]} and {len(self.mean)} dimensions do not compare; use one extractor")


@dataclass(frozen=True)
class Infinity:
    """A distance extrapolated to infinitely many generated pictures.

    Attributes:
        value: the intercept.
        slope: of the distance by 1 / N.
        sizes: the N that were measured.
    """

    value: float
    slope: float
    sizes: tuple[int, ...]


def frechet_infinity(
    features: Rows, target: Target, *, generator: torch.Generator, points: int = 15, least: float = 0.25
) -> Infinity:
    """Fit the distance of subsets by a line in 1 / N and read it at 1 / N = 0.

    The bias of the generated side goes; that of the reference, which stays as it is, does not. Below as many
    pictures as dimensions the bias is no longer linear in 1 / N, and the intercept is then still too large.

    Args:
        features: (n, d) of the generated pictures.
        target: the reference.
        generator: source of the subsets.
        points: how many N, even in N, from `least` * n to n.
        least: smallest share of the pictures.

    Returns:
        Intercept, slope and the N.

    Raises:
        Refusal: too few pictures for so many subsets.

    Source: Chong & Forsyth, Effectively unbiased FID and Inception Score (2020), section 4.
    """
    n = len(features)
    sizes = torch.linspace(max(2.0, least * n), n, points).round().long().unique().tolist()
    if len(sizes) < 3:
        raise Refusal(f"{n} pictures are too few to extrapolate a distance from {points} subsets of them")
    values = target.course(features, sizes=sizes, generator=generator)
    inverse = 1 / torch.tensor(sizes, dtype=torch.float64)
    design = torch.stack([torch.ones_like(inverse), inverse], 1)
    intercept, slope = torch.linalg.lstsq(design, values[:, None]).solution.flatten().tolist()
    return Infinity(intercept, slope, tuple(sizes))


def _finite(features: Rows) -> Tensor:
    """(n, d) float64 on the CPU."""
    x = features[:].detach().to("cpu", torch.float64)
    if not torch.isfinite(x).all():
        raise Refusal("features hold NaN or infinity; look at the pictures and at the extractor's weights")
    return x


def _root_diagonal(z: Tensor) -> Tensor:
    """(n,) diagonal of the square root of z z^T, by the smaller of the two Gram matrices of z (n, r)."""
    if len(z) <= z.shape[1]:
        values, vectors = torch.linalg.eigh(z @ z.T)
        return vectors.square() @ values.clamp_min(0).sqrt()
    return _diagonal_of(z, *torch.linalg.eigh(z.T @ z))


def _diagonal_of(z: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
    """(b,) part of some rows of z (b, r) in that diagonal, by the eigenvalues and -vectors of z^T z of all rows."""
    singular = values.clamp_min(0).sqrt()
    kept = singular > 1e-7 * singular.max()
    return ((z @ vectors[:, kept]).square() / singular[kept]).sum(1)
