"""Precision, recall, density and coverage as the authors' package has them; the sliced distance in closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import wasserstein_distance

from scenegen.base.refusal import Refusal
from scenegen.metrics.neighbours import coverage_of
from scenegen.metrics.sliced import sliced_wasserstein


def rows(seed: int, n: int, shift: float = 0.0, scale: float = 1.0, d: int = 6) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=stream, dtype=torch.float64) * scale + shift


PRDC = [
    (5, (1, 50), (2, 60, 0.3, 1.2), (0.9, 56 / 60, 1.056, 59 / 60)),
    (3, (3, 40), (4, 40, 1.0, 0.5), (0.05, 0.85, 1 / 30, 0.1)),
]
"""k, made and real rows, and what prdc 0.2 (Naeem et al.) says: precision, recall, density, coverage."""


@pytest.mark.parametrize(("k", "made", "real", "said"), PRDC)
def test_equals_the_authors_package(k: int, made: tuple, real: tuple, said: tuple) -> None:
    found = coverage_of(rows(*made), rows(*real), k=k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(said, abs=1e-12)


def test_equal_sets_and_far_ones() -> None:
    x = rows(1, 30)
    equal, far = coverage_of(x, x.clone(), k=5), coverage_of(x, x + 100, k=5)
    assert (equal.precision, equal.recall, equal.coverage) == (1, 1, 1)
    assert equal.density == pytest.approx(1, abs=0.3)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    with pytest.raises(Refusal, match="more than k=30"):
        coverage_of(x, x, k=30)


def test_the_sliced_distance_is_scipys_along_its_directions() -> None:
    x, y = rows(5, 40, d=1), rows(6, 40, 0.7, d=1)
    found = sliced_wasserstein(x, y, directions=3, generator=torch.Generator().manual_seed(0))
    assert found.item() == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]), rel=1e-12)


def test_a_shift_costs_its_mean_projection() -> None:
    """Along a random unit direction of d dimensions a shift of length s is |cos| s: E|cos| is known."""
    d, x = 8, rows(7, 200, d=8)
    expected = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d + 1) / 2))
    moved = x + torch.eye(d, dtype=torch.float64)[0] * 3
    found = sliced_wasserstein(x, moved, directions=4000, generator=torch.Generator().manual_seed(1))
    assert found.item() == pytest.approx(3 * expected, rel=0.03)


def test_unlike_sizes_meet_at_their_quantiles() -> None:
    x = rows(8, 50)
    found = sliced_wasserstein(x.repeat(3, 1), x, directions=16, generator=torch.Generator().manual_seed(2))
    assert found.item() == pytest.approx(0, abs=1e-12)
    with pytest.raises(Refusal, match="one width"):
        sliced_wasserstein(x, x[:, :3], directions=1, generator=torch.Generator())
