"""Sliced distances: equal to SciPy's in one dimension, and a picture's influence is the slope of its weight."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import wasserstein_distance

from scenegen.base.refusal import Refusal
from scenegen.metrics.sliced import sliced_wasserstein, transport


def rows(count: int, width: int, *, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (23, 61)])
def test_one_dimension_is_scipys(n: int, m: int) -> None:
    x, y = rows(n, 1, seed=1), rows(m, 1, seed=2, shift=0.3)
    expected = wasserstein_distance(x.flatten(), y.flatten())
    assert transport(x, y, directions=3, generator=stream()).distance == pytest.approx(expected, rel=1e-12)


def test_sets_of_one_size_have_the_distance_of_their_order() -> None:
    x, y = rows(50, 6, seed=1), rows(50, 6, seed=2, shift=0.2)
    expected = float(sliced_wasserstein(x, y, directions=100, generator=stream()))
    assert transport(x, y, directions=100, generator=stream()).distance == pytest.approx(expected, rel=1e-12)
    assert transport(x, x, directions=100, generator=stream()).distance == 0


def test_influence_is_the_slope_of_a_rows_weight() -> None:
    """A row given twice in a set of 4,000 weighs 2 / 4001 in place of 1 / 4000."""
    x, y = rows(4000, 2, seed=1), rows(700, 2, seed=2, shift=0.5)
    found = transport(x, y, directions=5, generator=stream())
    assert float(found.influence.mean()) == pytest.approx(0, abs=1e-12)
    for row in (0, 7, 1234):
        more = transport(torch.cat([x, x[row : row + 1]]), y, directions=5, generator=stream())
        slope = (more.distance - found.distance) * len(x)
        assert slope == pytest.approx(float(found.influence[row]), rel=0.02, abs=1e-3)


def test_sets_of_unlike_widths_are_refused() -> None:
    with pytest.raises(Refusal, match="two tables of one width"):
        transport(rows(4, 2, seed=1), rows(4, 3, seed=2), directions=2, generator=stream())
