"""The Frechet distance, against scipy's matrix root, closed forms, pytorch-fid and numpy's covariance."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from pytorch_fid.fid_score import calculate_frechet_distance

from scenegen.base.records import Refusal
from scenegen.metrics.frechet import Moments, frechet, frechet_distance


def features(seed: int, n: int, d: int = 24) -> torch.Tensor:
    """Correlated rows with a mean, like pooled features."""
    stream = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=stream, dtype=torch.float64) / d**0.5
    return torch.randn(n, d, generator=stream, dtype=torch.float64) @ mix + torch.rand(d, generator=stream).double()


def by_scipy(x: np.ndarray, y: np.ndarray) -> float:
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2)
    shift = x.mean(0) - y.mean(0)
    return float(shift @ shift + np.trace(s1) + np.trace(s2) - 2 * np.trace(np.real(root)))


@pytest.mark.parametrize(("n", "m"), [(200, 300), (25, 1000), (24, 500), (10, 12), (10, 400), (2, 3)])
def test_equals_scipys_matrix_root(n, m):
    """Full rank, rank deficient on either side, and both through the n x n form."""
    x, y = features(1, n), features(2, m)
    deficient = min(n, m) <= 24
    assert frechet(Moments.of(x), Moments.of(y)).item() == pytest.approx(
        by_scipy(x.numpy(), y.numpy()), rel=2e-5 if deficient else 1e-9
    )


def test_small_sets_and_large_sets_go_through_equal_formulas():
    """The n x n singular values and the d x d eigenvalues are two ways to one number."""
    x, y = features(3, 15), features(4, 18)
    wide = frechet_distance(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert frechet(Moments.of(x), Moments.of(y)).item() == pytest.approx(wide.item(), rel=1e-6)


def test_equals_pytorch_fid():
    x, y = features(5, 100), features(6, 120)
    theirs = calculate_frechet_distance(
        x.mean(0).numpy(), np.cov(x, rowvar=False), y.mean(0).numpy(), np.cov(y, rowvar=False)
    )
    assert frechet(Moments.of(x), Moments.of(y)).item() == pytest.approx(theirs, rel=1e-9)


def test_diagonal_gaussians_have_a_closed_form():
    """sum (m1 - m2)^2 + sum (s1 - s2)^2 for standard deviations s."""
    stream = torch.Generator().manual_seed(7)
    m1, m2, s1, s2 = (torch.rand(9, generator=stream, dtype=torch.float64) for _ in range(4))
    expected = (m1 - m2).square().sum() + (s1 - s2).square().sum()
    found = frechet_distance(m1, torch.diag(s1**2), m2, torch.diag(s2**2))
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_one_dimension():
    """Dowson & Landau 1982: (m1 - m2)^2 + (s1 - s2)^2 = 9 + 1."""
    one = torch.ones(1, dtype=torch.float64)
    assert frechet_distance(0 * one, 4 * one[None], 3 * one, one[None]).item() == pytest.approx(10.0)


def test_properties():
    """Zero for a set and itself, symmetric, unmoved by a common rotation and shift."""
    x, y = Moments.of(features(8, 90)), Moments.of(features(9, 70))
    assert frechet(x, x).item() == pytest.approx(0.0, abs=1e-9)
    assert frechet(x, y).item() == pytest.approx(frechet(y, x).item(), rel=1e-10)
    turn = torch.linalg.qr(features(10, 24)).Q
    moved = [Moments.of(features(seed, n) @ turn + 5) for seed, n in ((8, 90), (9, 70))]
    assert frechet(*moved).item() == pytest.approx(frechet(x, y).item(), rel=1e-9)


@pytest.mark.parametrize("pieces", [[60], [1, 59], [7, 20, 3, 30], [30, 0, 30], [24, 1, 35]])
def test_streaming_moments_equal_numpys(pieces):
    x = features(11, 60).float()
    moments = Moments()
    for piece in x.split(pieces):
        moments.update(piece)
    assert moments.count == 60
    assert moments.mean.numpy() == pytest.approx(x.double().mean(0).numpy(), rel=1e-12)
    assert moments.covariance().numpy() == pytest.approx(np.cov(x.double().numpy(), rowvar=False), abs=1e-12)


def test_a_large_common_offset_costs_no_digits():
    """Sums of squares would lose them: 1e6 squared eats 12 of float64's 16 digits."""
    x = features(12, 200)
    shifted = Moments()
    for piece in (x + 1e6).split(9):
        shifted.update(piece)
    assert shifted.covariance().numpy() == pytest.approx(np.cov(x.numpy(), rowvar=False), abs=1e-8)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (torch.zeros(1, 4), torch.zeros(5, 4), "at least 2 pictures"),
        (torch.zeros(5, 4), torch.zeros(5, 3), "4 and 3 dimensions"),
        (torch.zeros(5), torch.zeros(5, 3), "(n, d)"),
        (torch.full((3, 4), torch.nan), torch.zeros(5, 4), "NaN"),
    ],
)
def test_refused(x, y, says):
    with pytest.raises(Refusal) as error:
        frechet(Moments.of(x), Moments.of(y))
    assert says in str(error.value)
